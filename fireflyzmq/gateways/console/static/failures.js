// Failures: what fails, of all services, as it happens; equal ones are counted.

import {follow} from "./api.js";
import {h, say} from "./dom.js";
import {plural} from "./format.js";
import {FailureList} from "./failure.js";

const MOST = 200;

export class FailuresView {
  name = "failures";
  title = "Failures";
  needs = [];

  constructor() {
    this.waiting = new Map();
    this.paused = false;
    this.words = [];
    this.list = new FailureList({label: "Failures", most: MOST});
    this.list.fits = (each) => this._fits(each);
    this.list.changed = () => this._count();
    this.filter = h("input", {type: "search", placeholder: "Filter by service, method, kind or text", "aria-label": "Filter failures", spellcheck: "false"});
    this.filter.addEventListener("input", () => {
      this.words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      this.list.draw();
    });
    this.pausing = h("button", {type: "button", "aria-pressed": "false", onclick: () => this.pause(!this.paused)}, "Pause");
    this.clearing = h("button", {type: "button", onclick: () => this.list.set([])}, "Clear");
    this.counted = h("span.counted", {role: "status"});
    this.element = h(
      "section.list",
      null,
      h("div.toolbar", null, h("h1", null, "Failures"), this.filter, this.pausing, this.clearing, this.counted),
      h("div.scroll", {tabindex: "0", role: "region", "aria-label": "Failures"}, this.list.element),
    );
  }

  enter() {
    this.following = new AbortController();
    follow("failures", {}, (failure) => this._heard(failure), () => {}, this.following.signal);
  }

  leave() {
    this.following.abort();
  }

  update() {}

  pause(paused) {
    this.paused = paused;
    this.pausing.setAttribute("aria-pressed", paused);
    say(this.pausing, paused ? "Go on" : "Pause");
    for (const failure of this.waiting.values()) this.list.hear(failure);
    this.waiting.clear();
    this._count();
  }

  _heard(failure) {
    if (!this.paused) return this.list.hear(failure);
    this.waiting.delete(failure.id);
    this.waiting.set(failure.id, failure);
    if (this.waiting.size > MOST) this.waiting.delete(this.waiting.keys().next().value);
    this._count();
  }

  _fits(each) {
    if (!this.words.length) return true;
    const text = `${each.kind} ${each.service}.${each.method} ${each.description} ${each.sender}`.toLowerCase();
    return this.words.every((word) => text.includes(word));
  }

  _count() {
    const rows = [...this.list.failures.values()];
    const times = rows.reduce((sum, each) => sum + each.count, 0);
    const held = this.paused ? `held: ${plural(this.waiting.size, "change")}` : "";
    const all = rows.length ? `${plural(times, "failure")} of ${plural(rows.length, "kind")}` : "";
    say(this.counted, [all, held].filter(Boolean).join(", "));
  }
}
