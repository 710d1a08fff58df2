// Peers: the connections of the exchange, what waits for each, and how much each sends.

import {h, say} from "./dom.js";
import {brief, bytes, count, plural, rate, span} from "./format.js";
import {Rate} from "./state.js";
import {Table} from "./table.js";

export class PeersView {
  name = "peers";
  title = "Peers";
  needs = ["peers"];

  constructor() {
    this.rates = new Map();
    this.peers = [];
    this.filter = h("input", {type: "search", placeholder: "Filter by process or id", "aria-label": "Filter peers", spellcheck: "false"});
    this.filter.addEventListener("input", () => this._show());
    this.counted = h("span.counted", {role: "status"});
    const number = (key, title, text, hint, room) => ({key, title, hint, room, width: "s", number: true, value: (row) => row[key] ?? null, text: (row) => text(row[key])});
    this.table = new Table({
      label: "Peers",
      identity: (row) => row.id,
      sort: {key: "process", down: false},
      empty: () => (this.peers.length ? "No peer matches the filter." : "Nobody is connected."),
      columns: [
        {key: "process", title: "Process", width: "xl", value: (row) => row.process, text: (row) => row.process},
        {key: "id", title: "Id", width: "m", room: "much", value: (row) => row.id, text: (row) => row.id},
        number("services", "Services", count, null, "some"),
        number("seconds", "Connected", span, null, "some"),
        number("rate", "Envelopes/s", rate, "Envelopes that it sends, each with some calls or answers"),
        {...number("queued", "Queued", bytes, "Waits for it to read"), tone: (row) => (row.queued ? "warn" : "")},
        number("credit", "Credit", bytes, "What it may be sent at once now", "much"),
        {...number("reports_queued", "Reports queued", bytes, "Reports that wait for it", "much"), tone: (row) => (row.reports_queued ? "warn" : "")},
        {...number("reports_lost", "Reports lost", brief, "Reports that were dropped, as it read too slowly", "much"), tone: (row) => (row.reports_lost ? "bad" : "")},
      ],
    });
    this.element = h("section.list", null, h("div.toolbar", null, h("h1", null, "Peers"), this.filter, this.counted), this.table.element);
  }

  update({peers, at}) {
    if (!peers) return;
    const known = new Map();
    for (const peer of peers) {
      const meter = this.rates.get(peer.id) ?? new Rate();
      known.set(peer.id, meter);
      peer.rate = meter.of(peer.envelopes, at);
    }
    this.rates = known;
    this.peers = peers;
    this._show();
  }

  _show() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    this.table.set(this.peers.filter((peer) => words.every((word) => `${peer.process} ${peer.id}`.toLowerCase().includes(word))));
    say(this.counted, plural(this.peers.length, "peer"));
  }
}
