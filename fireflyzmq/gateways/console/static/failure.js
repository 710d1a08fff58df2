// FailureList: failures that came, equal ones as one row with their number. A row opens, and stays open while it changes.

import {h, say} from "./dom.js";
import {clock, count, moment} from "./format.js";

/** Failures as one for each `id`, with `count`, `first` and `at`, from single ones; the latest says the rest. */
export function gathered(failures) {
  const found = new Map();
  for (const each of [...failures].sort((a, b) => a.at - b.at)) {
    const id = JSON.stringify([each.service, each.method, each.kind, each.code, each.description]);
    const known = found.get(id);
    found.set(id, {...each, id, count: (known?.count ?? 0) + 1, first: known?.first ?? each.at});
  }
  return [...found.values()];
}

/** `most` rows at most, those that failed last; `service` says whether rows name it. */
export class FailureList {
  constructor({label, most, service = true, empty = "Nothing has failed lately."}) {
    Object.assign(this, {most, service, empty});
    this.failures = new Map();
    this.rows = new Map();
    this.fits = () => true;
    this.list = h("ol.failures", {"aria-label": label});
    this.nothing = h("p.nothing", null, empty);
    this.element = h("div", null, this.list, this.nothing);
    this.changed = () => {};
  }

  /** One more, or the same again with what has changed. */
  hear(failure) {
    this.failures.set(failure.id, failure);
    if (this.failures.size > this.most) {
      const oldest = [...this.failures.values()].reduce((a, b) => (b.at < a.at ? b : a));
      this.failures.delete(oldest.id);
    }
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  /** These, in the place of those that were there. */
  set(failures) {
    const latest = [...failures].sort((a, b) => b.at - a.at).slice(0, this.most);
    this.failures = new Map(latest.map((each) => [each.id, each]));
    this.draw();
  }

  /** Where somebody points or reads, rows change in their places; others are ordered, the latest on top. */
  draw() {
    this.frame = undefined;
    const wanted = [...this.failures.values()].filter(this.fits).sort((a, b) => b.at - a.at);
    const held = this.list.matches(":hover, :focus-within");
    const ids = new Set(wanted.map((each) => each.id));
    for (const [id, row] of this.rows) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.rows.delete(id);
    }
    const fresh = [];
    for (const each of wanted) {
      let row = this.rows.get(each.id);
      if (!row) {
        row = new Row(this.service);
        this.rows.set(each.id, row);
        fresh.push(row.element);
      }
      row.show(each);
    }
    if (held) this.list.prepend(...fresh);
    else wanted.forEach((each, at) => this._place(this.rows.get(each.id).element, at));
    this.nothing.hidden = wanted.length > 0;
    say(this.nothing, this.failures.size ? "Nothing matches the filter." : this.empty);
    this.changed();
  }

  _place(element, at) {
    if (this.list.children[at] !== element) this.list.insertBefore(element, this.list.children[at] ?? null);
  }
}

const FIELDS = [
  ["Kind", (each) => each.kind],
  ["Code", (each) => (each.code === null || each.code === undefined ? "" : String(each.code))],
  ["Service", (each) => each.service ?? ""],
  ["Method", (each) => each.method],
  ["Origin", (each) => each.origin ?? ""],
  ["Times", (each) => count(each.count)],
  ["First", (each) => moment(each.first)],
  ["Last", (each) => moment(each.at)],
  ["Caller", (each) => each.sender || "nameless"],
  ["Instance", (each) => each.address ?? ""],
  ["Trace", (each) => each.trace ?? ""],
  ["Details", (each) => each.details ?? "", true],
];

class Row {
  constructor(service) {
    this.service = service;
    this.time = h("time");
    this.times = h("span.times");
    this.kind = h("span.kind");
    this.name = h("span.name");
    this.said = h("span.said");
    this.whole = h("pre", {tabindex: "0", "aria-label": "Description"});
    this.values = FIELDS.map(() => h("dd"));
    const fields = FIELDS.map(([title, , wide], at) => h(wide ? "div.wide" : "div", null, h("dt", null, title), this.values[at]));
    this.details = h(
      "details",
      null,
      h("summary", null, this.time, this.kind, this.times, this.name, this.said),
      h("div.about", null, this.whole, h("dl", null, fields)),
    );
    this.element = h("li", null, this.details);
  }

  show(each) {
    say(this.time, clock(each.at));
    say(this.kind, each.kind);
    say(this.times, each.count > 1 ? `× ${count(each.count)}` : "");
    this.times.hidden = !(each.count > 1);
    this.times.title = `the first at ${clock(each.first)}`;
    say(this.name, this.service ? `${each.service ?? "?"}.${each.method}` : each.method);
    say(this.said, each.description);
    say(this.whole, each.description);
    FIELDS.forEach(([, value], at) => {
      const text = value(each);
      say(this.values[at], text);
      this.values[at].parentElement.hidden = text === "";
    });
  }
}
