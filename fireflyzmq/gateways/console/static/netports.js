// Netports: the doors for clients, and the sessions behind each.

import {fill, h, say} from "./dom.js";
import {bytes, count, plural, span} from "./format.js";
import {Table} from "./table.js";

export class NetportsView {
  name = "netports";
  title = "Netports";
  needs = ["netports"];

  constructor(state) {
    this.state = state;
    this.sessions = [];
    this.filter = h("input", {type: "search", placeholder: "Filter sessions", "aria-label": "Filter sessions", spellcheck: "false"});
    this.filter.addEventListener("input", () => this._show());
    this.user = h("input", {type: "search", placeholder: "Sessions of one user", "aria-label": "Only the sessions of this user", spellcheck: "false"});
    this.user.addEventListener("change", () => {
      this.state.query = {user: this.user.value.trim()};
      this.state.hurry();
    });
    this.counted = h("span.counted", {role: "status"});
    this.cards = h("ul.netports");
    const number = (key, title, text, hint, room) => ({key, title, hint, room, width: "s", number: true, value: (row) => row[key] ?? null, text: (row) => text(row[key])});
    this.table = new Table({
      label: "Sessions",
      identity: (row) => row.id,
      sort: {key: "id", down: false},
      empty: () => (this.sessions.length ? "No session matches the filter." : "No client is connected."),
      columns: [
        {key: "id", title: "Session", width: "l", value: (row) => row.id, text: (row) => row.id},
        {key: "user", title: "User", width: "m", value: (row) => row.user ?? "", text: (row) => row.user ?? ""},
        {key: "address", title: "Address", width: "m", room: "some", value: (row) => row.address ?? "", text: (row) => row.address ?? ""},
        {key: "channels", title: "Channels", width: "m", room: "much", value: (row) => (row.channels ?? []).join(", "), text: (row) => (row.channels ?? []).join(", ")},
        number("age", "Age", span),
        number("idle", "Idle", span, "Since it sent something", "some"),
        number("requests", "Requests", count, "At work now"),
        number("bytes_received", "Received", bytes, null, "much"),
        number("bytes_sent", "Sent", bytes, null, "much"),
      ],
    });
    this.element = h(
      "section.list",
      null,
      h("div.toolbar", null, h("h1", null, "Netports"), this.filter, this.user, this.counted),
      this.cards,
      this.table.element,
    );
  }

  enter() {
    this.state.query = {user: this.user.value.trim()};
  }

  update({netports}) {
    if (!netports) return;
    fill(
      this.cards,
      netports.map((each) =>
        h(
          "li",
          null,
          h("strong", null, each.name),
          h("span", null, each.problem ?? this._about(each)),
          each.sessions === null ? h("span.note", null, "Too many to list: say whose sessions you want.") : null,
        ),
      ),
    );
    this.cards.hidden = !netports.length;
    this.sessions = netports.flatMap((each) => each.sessions ?? []);
    const all = netports.reduce((sum, each) => sum + (each.stats?.sessions ?? 0), 0);
    say(this.counted, `${plural(netports.length, "netport")}, ${plural(all, "session")}`);
    this._show();
  }

  _about({stats, process}) {
    const refused = Object.values(stats.refused ?? {}).reduce((sum, each) => sum + each, 0);
    return [
      plural(stats.sessions, "session"), plural(stats.users, "user"), `${count(stats.requests)} at work`,
      `${bytes(stats.bytes_received)} in`, `${bytes(stats.bytes_sent)} out`,
      refused ? `${count(refused)} refused` : "", stats.failures ? plural(stats.failures, "failure") : "", process,
    ].filter(Boolean).join("  ·  ");
  }

  _show() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (row) => `${row.id} ${row.user ?? ""} ${row.address ?? ""} ${(row.channels ?? []).join(" ")}`.toLowerCase();
    this.table.set(this.sessions.filter((row) => words.every((word) => text(row).includes(word))));
  }
}
