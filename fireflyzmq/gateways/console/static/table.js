// Table: rows of one height, of which only those on the screen exist. Sorting, arrow keys, and who has the focus.

import {h, say} from "./dom.js";

const ROW = 34;
const BEYOND = 6;

/**
 * `columns` are {key, title, text(row), value(row), number, width, tone(row), hint, room}; `room` is "some" or "much"
 * where a column is worth its place only on a screen that has so much; `identity(row)` names a row, `label` the table, `open(row, element)` is what Enter and a click do. A `value` makes a column sortable.
 */
export class Table {
  constructor({label, columns, identity, open = null, sort, empty}) {
    Object.assign(this, {columns, identity, open, sort, empty});
    this.rows = [];
    this.shown = new Map();
    this.current = null;
    this.selected = null;
    this.changed = () => {};
    const edge = columns.findLast((column) => !column.room);
    for (const column of columns) column.kind = kind(column, column === edge);
    this.above = h("tr.gap", {"aria-hidden": "true"}, h("td"));
    this.below = h("tr.gap", {"aria-hidden": "true"}, h("td"));
    this.body = h("tbody", null, this.above, this.below);
    this.heads = columns.map((column) => this._head(column));
    const widths = columns.map((column) => h("col", {class: `w-${column.width ?? "m"} ${room(column)}`}));
    this.table = h(
      "table",
      {"aria-label": label, class: open ? "opens" : null},
      h("colgroup", null, widths),
      h("thead", null, h("tr", {"aria-rowindex": 1}, this.heads)),
      this.body,
    );
    this.nothing = h("p.nothing", {hidden: true});
    this.element = h("div.scroll", {onscroll: () => this.draw()}, this.table, this.nothing);
    this.body.addEventListener("keydown", (event) => this._key(event));
    this.body.addEventListener("click", (event) => this._click(event));
    this.body.addEventListener("focusin", (event) => this._focused(event));
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
  }

  _head(column) {
    const classes = column.kind;
    if (!column.value) return h("th", {scope: "col", class: classes}, column.title);
    const button = h("button", {type: "button", title: column.hint, onclick: () => this._sortBy(column)}, column.title);
    return h("th", {scope: "col", class: classes}, button);
  }

  _sortBy(column) {
    const down = this.sort.key === column.key ? !this.sort.down : Boolean(column.number);
    this.sort = {key: column.key, down};
    this.element.scrollTop = 0;
    this.set(this.rows);
  }

  /** Show these rows. */
  set(rows) {
    const column = this.columns.find((each) => each.key === this.sort.key);
    const turn = this.sort.down ? -1 : 1;
    const value = (row) => column.value(row);
    this.rows = [...rows].sort((a, b) => turn * compare(value(a), value(b)) || compare(this.identity(a), this.identity(b)));
    this.columns.forEach((each, at) => {
      const order = each.key !== this.sort.key ? null : this.sort.down ? "descending" : "ascending";
      if (order) this.heads[at].setAttribute("aria-sort", order);
      else this.heads[at].removeAttribute("aria-sort");
    });
    this.table.setAttribute("aria-rowcount", this.rows.length + 1);
    this.nothing.hidden = this.rows.length > 0;
    if (!this.rows.length) say(this.nothing, this.empty());
    this.draw();
  }

  /** Draw the rows that are on the screen. */
  draw() {
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW) - BEYOND);
    const last = Math.min(this.rows.length, first + Math.ceil(this.element.clientHeight / ROW) + 2 * BEYOND);
    const wanted = new Map();
    for (let at = first; at < last; at += 1) wanted.set(this.identity(this.rows[at]), at);
    const focused = document.activeElement?.closest?.("tr") ?? null;
    const had = focused !== null && this.body.contains(focused);
    if (this.current === null || !this.rows.some((row) => this.identity(row) === this.current)) {
      const at = Math.min(this.place ?? 0, this.rows.length - 1);
      this.current = at >= 0 ? this.identity(this.rows[at]) : null;
    }
    for (const [key, element] of this.shown) {
      if (!wanted.has(key)) {
        element.remove();
        this.shown.delete(key);
      }
    }
    let before = this.above;
    for (const [key, at] of wanted) {
      const element = this.shown.get(key) ?? this._row(key);
      if (before.nextSibling !== element) before.after(element);
      this._update(element, this.rows[at], at);
      before = element;
    }
    this._stretch(this.above, first);
    this._stretch(this.below, this.rows.length - last);
    if (had && document.activeElement !== focused) this.shown.get(this.current)?.focus({preventScroll: true});
    this.changed(this.visible());
  }

  _stretch(gap, rows) {
    gap.hidden = rows <= 0;
    gap.firstChild.style.height = `${Math.max(0, rows) * ROW}px`;
  }

  _row(key) {
    const element = h("tr", {"data-key": key}, this.columns.map((column) => h("td", {class: column.kind})));
    this.shown.set(key, element);
    return element;
  }

  _update(element, row, at) {
    const stop = this.identity(row) === this.current ? 0 : -1;
    if (element.tabIndex !== stop || !element.hasAttribute("tabindex")) element.tabIndex = stop;
    element.setAttribute("aria-rowindex", at + 2);
    if (this.open) element.setAttribute("aria-selected", this.identity(row) === this.selected);
    this.columns.forEach((column, place) => {
      const cell = element.children[place];
      const text = column.text(row);
      say(cell, text);
      if (!column.number && cell.title !== text) cell.title = text;
      const tone = column.tone?.(row) ?? "";
      if (cell.dataset.tone !== tone) cell.dataset.tone = tone;
    });
  }

  /** The rows that are on the screen now. */
  visible() {
    return this.rows.filter((row) => this.shown.has(this.identity(row)));
  }

  /** Mark a row as the one that is open (null: none). */
  select(key) {
    this.selected = key;
    this.draw();
  }

  /** Put the focus on the current row. */
  focus() {
    const at = this.rows.findIndex((row) => this.identity(row) === this.current);
    this._go(Math.max(0, at));
  }

  _go(at) {
    if (at < 0 || at >= this.rows.length) return;
    const top = at * ROW;
    const room = this.element.clientHeight - 2 * ROW;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top > this.element.scrollTop + room) this.element.scrollTop = top - room;
    this.current = this.identity(this.rows[at]);
    this.place = at;
    this.draw();
    this.shown.get(this.current)?.focus({preventScroll: true});
  }

  _key(event) {
    const element = event.target.closest("tr");
    const at = this.rows.findIndex((row) => this.identity(row) === element?.dataset.key);
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW) - 2);
    const last = this.rows.length - 1;
    const moves = {
      ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: last,
    };
    if (event.key in moves) {
      event.preventDefault();
      this._go(Math.min(last, Math.max(0, moves[event.key])));
    } else if ((event.key === "Enter" || event.key === " ") && this.open) {
      event.preventDefault();
      this.open(this.rows[at]);
    }
  }

  _click(event) {
    const key = event.target.closest("tr")?.dataset.key;
    const at = this.rows.findIndex((row) => this.identity(row) === key);
    if (at < 0 || !this.open || String(getSelection())) return;
    this._go(at);
    this.open(this.rows[at]);
  }

  _focused(event) {
    const key = event.target.closest("tr")?.dataset.key;
    if (key === undefined || key === this.current) return;
    this.current = key;
    this.place = this.rows.findIndex((row) => this.identity(row) === key);
    this.draw();
  }
}

const room = (column) => (column.room ? `${column.room}-room` : "");
const kind = (column, edge) => [column.number ? "number" : "", room(column), edge ? "edge" : ""].filter(Boolean).join(" ") || null;

/** What is not known comes last, whichever way it is sorted, as it is the least. */
function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  if (typeof a === "string") return a.localeCompare(b, "en", {numeric: true}) || (a < b ? -1 : 1);
  return a < b ? -1 : 1;
}
