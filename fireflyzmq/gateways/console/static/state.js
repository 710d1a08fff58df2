// The state of the exchange, asked for each second while somebody looks. Views say what parts they need.

import {Refusal, get, pause, sleep} from "./api.js";

const PERIOD = 1000;

export class State {
  constructor() {
    this.needs = [];
    this.query = {};
    this.answer = null;
    this.services = new Map();
    this.groups = new Map();
    this.revision = "";
    this.heard = () => {};
    this.failed = () => {};
    this.refused = async () => {};
    this.attempt = 0;
    this.waking = new AbortController();
  }

  /** Ask at once, not only when the second is over. */
  hurry() {
    this.waking.abort();
  }

  /** Ask, forever. */
  async run() {
    for (;;) {
      if (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, {once: true}));
      const began = performance.now();
      this.waking = new AbortController();
      try {
        await this._ask();
        this.attempt = 0;
        await sleep(Math.max(0, PERIOD - (performance.now() - began)), this.waking.signal);
      } catch (problem) {
        if (problem instanceof Refusal && problem.status === 401) {
          await this.refused();
          continue;
        }
        const wait = pause(this.attempt++);
        this.failed(problem, wait);
        await sleep(wait, this.waking.signal);
      }
    }
  }

  async _ask() {
    const query = {...this.query, with: ["directory", ...this.needs].join(","), known: this.revision};
    const answer = await get("state", query);
    if (answer.services) {
      this.services = new Map(Object.entries(answer.services));
      this.groups = new Map(Object.entries(answer.groups));
      this.revision = answer.revision;
    }
    this.answer = answer;
    this.heard(answer);
  }
}

/** How fast a counter grows: `of(value, at)` gives the rate since the last moment, null for the first and for the same. */
export class Rate {
  constructor() {
    this.value = null;
    this.at = 0;
    this.last = null;
  }

  of(value, at) {
    if (value === null || value === undefined) return null;
    if (this.value !== null && at > this.at) this.last = Math.max(0, value - this.value) / (at - this.at);
    if (at !== this.at) [this.value, this.at] = [value, at];
    return this.last;
  }
}
