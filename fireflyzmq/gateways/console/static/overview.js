// Overview: what goes on, at a glance.

import {Sparkline, fill, h, say} from "./dom.js";
import {bytes, count, plural, rate} from "./format.js";
import {Rate} from "./state.js";
import {follow} from "./api.js";
import {FailureList} from "./failure.js";

const CARDS = [
  ["calls", "Calls per second", rate],
  ["errors", "Errors per second", rate],
  ["running", "In flight", count],
  ["queued", "Waiting in queues", bytes],
  ["envelopes", "Envelopes per second", rate],
  ["reports", "Reports per second", rate],
  ["services", "Services", count],
  ["peers", "Peers", count],
];
const SHOWN = 8;

export class OverviewView {
  name = "overview";
  title = "Overview";
  needs = ["totals", "deepest"];

  constructor(state) {
    this.state = state;
    this.rates = {envelopes: new Rate(), reports: new Rate()};
    this.at = null;
    this.cards = new Map(CARDS.map(([key, title, text]) => [key, this._card(title, text)]));
    this.note = h("p.note", null, "");
    this.busiest = h("ol.bars");
    this.deepest = h("ol.bars");
    this.latest = new FailureList({label: "Latest failures", most: SHOWN});
    this.element = h(
      "div.overview",
      null,
      h("h1.hidden", null, "Overview"),
      h("section.cards", {"aria-label": "Now"}, [...this.cards.values()].map((card) => card.element)),
      this.note,
      h(
        "div.panels",
        null,
        h("section.panel", null, h("h2", null, "Busiest services"), this.busiest),
        h("section.panel", null, h("h2", null, "Deepest queues"), this.deepest),
        h("section.panel.wide", null, h("h2", null, "Latest failures", h("a", {href: "#failures"}, "all")), this.latest.element),
      ),
    );
  }

  _card(title, text) {
    const value = h("div.value", null, "–");
    const hint = h("div.hint", null, "\u00a0");
    const spark = new Sparkline();
    const element = h("article.card", null, h("h2", null, title), h("div.line", null, value, hint), spark.element);
    return {element, value, hint, spark, text};
  }

  _show(key, value, hint = "") {
    const card = this.cards.get(key);
    say(card.value, card.text(value));
    say(card.hint, hint || "\u00a0");
    card.spark.push(value ?? null);
  }

  enter() {
    this.following = new AbortController();
    follow("failures", {}, (failure) => this.latest.hear(failure), () => {}, this.following.signal);
  }

  leave() {
    this.following?.abort();
  }

  away() {
    for (const card of this.cards.values()) card.spark.push(null);
  }

  update({stats, totals, deepest, at}) {
    if (!totals || !deepest || at === this.at) return;
    this.at = at;
    const instances = [...this.state.services.values()].reduce((sum, each) => sum + each.length, 0);
    const envelopes = this.rates.envelopes.of(stats.envelopes, at);
    const errors = this.cards.get("errors").element;
    this._show("calls", totals.calls_per_second);
    this._show("errors", totals.failures_per_second, `${count(totals.failed)} in all`);
    errors.dataset.tone = totals.failures_per_second > 0 ? "bad" : "";
    this._show("running", totals.running);
    this._show("queued", stats.queued + stats.reports_queued, stats.returned ? `${count(stats.returned)} came back` : "");
    this._show("envelopes", envelopes);
    this._show("reports", this.rates.reports.of(stats.reports_published, at), stats.reports_lost ? `${count(stats.reports_lost)} lost` : "");
    this._show("services", this.state.services.size, plural(instances, "instance"));
    this._show("peers", stats.peers, stats.refusals ? `${count(stats.refusals)} refused` : "");
    const partly = totals.sampled < totals.instances ? ` So far ${count(totals.sampled)} have answered.` : "";
    say(this.note, `Calls, errors and what is in flight are what ${plural(totals.instances, "instance")} say of themselves, a hundred asked each second.${partly}`);
    this._bars(this.busiest, totals.busiest, (each) => each.calls_per_second, (each) => each.name, rate, "Nobody is called now.", (each) => `#services/${encodeURIComponent(each.name)}`);
    const depth = (peer) => peer.queued + peer.reports_queued;
    this._bars(this.deepest, deepest, depth, (peer) => peer.process, bytes, "Nothing waits for anybody.");
  }

  _bars(list, rows, value, name, text, nothing, address = null) {
    const most = Math.max(...rows.map(value), 1e-9);
    if (!rows.length) return fill(list, h("li.nothing", null, nothing));
    while (list.children.length > rows.length || list.firstElementChild?.className === "nothing") list.lastElementChild.remove();
    rows.forEach((row, at) => {
      let item = list.children[at];
      if (!item) {
        item = h("li", null, h("span.bar"), h(address ? "a.name" : "span.name"), h("span.amount"));
        list.append(item);
      }
      const [bar, label, amount] = item.children;
      bar.style.width = `${(100 * value(row)) / most}%`;
      say(label, name(row));
      if (address) label.setAttribute("href", address(row));
      say(amount, text(value(row)));
    });
  }
}
