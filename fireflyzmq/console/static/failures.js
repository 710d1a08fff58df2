// Failures: what fails, of all services, as it happens.

import {follow} from "./api.js";
import {h} from "./dom.js";
import {clock} from "./format.js";
import {Log} from "./log.js";

export class FailuresView {
  name = "failures";
  title = "Failures";
  needs = [];

  constructor() {
    this.known = new Set();
    this.log = new Log({
      label: "Failures",
      line: (each) => [
        h("time", null, clock(each.at)),
        h("span.kind", null, each.kind),
        h("span.name", null, `${each.service ?? "?"}.${each.method}`),
        h("span.said", null, each.description),
      ],
      full: (each) =>
        [
          each.description,
          "",
          `kind     ${each.kind} (${each.code})`,
          `service  ${each.service} ${each.address}`,
          `method   ${each.method}`,
          `caller   ${each.sender || "nameless"}`,
          `trace    ${each.trace ?? "none"}`,
        ].join("\n"),
      text: (each) => `${each.kind} ${each.service}.${each.method} ${each.description} ${each.sender}`,
      empty: "Nothing has failed lately.",
    });
    this.filter = h("input", {type: "search", placeholder: "Filter by service, method, kind or text", "aria-label": "Filter failures", spellcheck: "false"});
    this.filter.addEventListener("input", () => this.log.show(this.filter.value.toLowerCase().split(/\s+/).filter(Boolean)));
    this.element = h(
      "section.list",
      null,
      h("div.toolbar", null, h("h1", null, "Failures"), this.filter, this.log.button, this.log.clearing, this.log.counted),
      this.log.element,
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

  /** A stream that is opened again begins with what is known already. */
  _heard(failure) {
    const key = `${failure.address} ${failure.number}`;
    if (this.known.has(key)) return;
    this.known.add(key);
    if (this.known.size > 5000) this.known = new Set([...this.known].slice(-1000));
    this.log.push(failure);
  }
}
