// Services: a table of all, with statistics of those on the screen; one opens beside it.

import {post} from "./api.js";
import {fill, h, say} from "./dom.js";
import {brief, count, plural, rate, seconds} from "./format.js";
import {ServicePanel} from "./service.js";
import {Table} from "./table.js";

const PERIOD = 1000;
const SCROLLED = 120;

export class ServicesView {
  name = "services";
  title = "Services";
  needs = [];

  constructor(state) {
    this.state = state;
    this.statistics = new Map();
    this.opened = "";
    this.filter = h("input", {
      type: "search", placeholder: "Filter by name, group or process", "aria-label": "Filter services", spellcheck: "false",
    });
    this.filter.addEventListener("input", () => this._show());
    this.counted = h("span.counted", {role: "status"});
    const of = (key) => (row) => this.statistics.get(row.name)?.[key] ?? null;
    const statistic = (key, title, text, width, hint) => ({
      key, title, width, hint, number: true, value: of(key), text: (row) => text(of(key)(row)),
    });
    this.table = new Table({
      label: "Services",
      identity: (row) => row.name,
      open: (row) => this._open(row.name),
      sort: {key: "name", down: false},
      empty: () => (this.state.services.size ? "No service matches the filter." : "No service is registered."),
      columns: [
        {key: "name", title: "Service", width: "xl", value: (row) => row.name, text: (row) => row.name, tone: (row) => (of("problem")(row) ? "bad" : "")},
        {...statistic("calls_per_second", "Calls/s", rate, "s")},
        {...statistic("failed", "Errors", brief, "s", "Requests that failed since the service began"), tone: (row) => (of("failures_per_second")(row) > 0 ? "bad" : of("failed")(row) ? "warn" : "")},
        {...statistic("median", "Median", seconds, "s", "Half of the requests take at most so long")},
        {...statistic("p99", "p99", seconds, "s", "99 of 100 requests take at most so long"), room: "some"},
        {...statistic("running", "In flight", brief, "s"), room: "some"},
        {key: "instances", title: "Instances", width: "s", room: "much", number: true, value: (row) => row.entries.length, text: (row) => count(row.entries.length)},
        {key: "groups", title: "Groups", width: "l", room: "much", value: (row) => row.groups, text: (row) => row.groups},
        {key: "problem", title: "State", width: "m", room: "much", value: (row) => of("problem")(row) || "", text: (row) => of("problem")(row) || "", tone: () => "bad"},
      ],
    });
    this.table.changed = () => this._scrolled();
    this.panel = new ServicePanel(() => this._close());
    this.element = h(
      "div.split",
      null,
      h(
        "section.list",
        null,
        h("div.toolbar", null, h("h1", null, "Services"), this.filter, this.counted),
        this.table.element,
      ),
      this.panel.element,
    );
  }

  enter() {
    this.watching = true;
    this._watch();
  }

  leave() {
    this.watching = false;
    clearTimeout(this.timer);
    this.panel.hide();
  }

  /** What the address says is open. */
  detail(name) {
    if (name === this.opened) return;
    this.opened = name;
    if (name) this.panel.show(name);
    else this.panel.hide();
    this.table.select(name || null);
  }

  update(answer) {
    if (this.shown !== this.state.revision) {
      this.shown = this.state.revision;
      this._show();
    }
    this.panel.update(this.state, answer);
  }

  escape() {
    if (this.opened) this._close();
  }

  _open(name) {
    location.hash = `#services/${encodeURIComponent(name)}`;
  }

  _close() {
    location.hash = "#services";
    this.table.focus();
  }

  _show() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [];
    let instances = 0;
    for (const [name, entries] of this.state.services) {
      instances += entries.length;
      const groups = [...new Set(entries.flatMap((entry) => entry.groups))].join(", ");
      const text = `${name} ${groups} ${entries.map((entry) => entry.process).join(" ")}`.toLowerCase();
      if (words.every((word) => text.includes(word))) rows.push({name, entries, groups});
    }
    for (const name of this.statistics.keys()) if (!this.state.services.has(name)) this.statistics.delete(name);
    this.table.set(rows);
    const all = this.state.services.size;
    const found = rows.length === all ? "" : `${count(rows.length)} of `;
    say(this.counted, `${found}${plural(all, "service")}, ${plural(instances, "instance")}`);
  }

  /** Other rows are on the screen: they are asked for soon. */
  _scrolled() {
    const fresh = this.table.visible().some((row) => !this.statistics.has(row.name));
    if (!fresh || !this.watching || this.hurrying) return;
    this.hurrying = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this._watch(), SCROLLED);
  }

  /** Ask for the statistics of the rows that are on the screen, each second. Sorted by one, all have to be known. */
  async _watch() {
    clearTimeout(this.timer);
    this.hurrying = false;
    const names = this.table.visible().map((row) => row.name);
    const sorted = this.table.columns.find((column) => column.key === this.table.sort.key);
    const all = sorted.number && sorted.key !== "instances";
    if (names.length && !document.hidden && !this.asking && this.state.answer?.connected) {
      this.asking = true;
      try {
        const heard = await post("statistics", JSON.stringify({names, all}), AbortSignal.timeout(10000));
        for (const [name, statistic] of Object.entries(heard)) this.statistics.set(name, statistic);
        if (all) this.table.set(this.table.rows);
        else this.table.draw();
      } catch {
        // The status line says what is wrong.
      }
      this.asking = false;
    }
    if (this.watching && !this.hurrying) this.timer = setTimeout(() => this._watch(), PERIOD);
  }
}
