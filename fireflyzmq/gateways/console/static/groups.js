// Groups: who is in which.

import {h, say} from "./dom.js";
import {count, plural} from "./format.js";
import {Table} from "./table.js";

export class GroupsView {
  name = "groups";
  title = "Groups";
  needs = [];

  constructor(state) {
    this.state = state;
    this.filter = h("input", {type: "search", placeholder: "Filter by group or member", "aria-label": "Filter groups", spellcheck: "false"});
    this.filter.addEventListener("input", () => this._show());
    this.counted = h("span.counted", {role: "status"});
    this.table = new Table({
      label: "Groups",
      identity: (row) => row.name,
      sort: {key: "name", down: false},
      empty: () => (this.state.groups.size ? "No group matches the filter." : "There are no groups."),
      columns: [
        {key: "name", title: "Group", width: "l", value: (row) => row.name, text: (row) => row.name},
        {key: "members", title: "Members", width: "s", number: true, value: (row) => row.members.length, text: (row) => count(row.members.length)},
        {key: "services", title: "Services", width: "xl", value: (row) => row.text, text: (row) => row.text},
      ],
    });
    this.element = h("section.list", null, h("div.toolbar", null, h("h1", null, "Groups"), this.filter, this.counted), this.table.element);
  }

  update() {
    if (this.shown === this.state.revision) return;
    this.shown = this.state.revision;
    this._show();
  }

  _show() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [];
    for (const [name, members] of this.state.groups) {
      const times = new Map();
      for (const member of members) times.set(member || "nameless", (times.get(member || "nameless") ?? 0) + 1);
      const text = [...times].map(([member, number]) => (number > 1 ? `${member} × ${number}` : member)).join(", ");
      if (words.every((word) => `${name} ${text}`.toLowerCase().includes(word))) rows.push({name, members, text});
    }
    this.table.set(rows);
    say(this.counted, plural(rows.length, "group"));
  }
}
