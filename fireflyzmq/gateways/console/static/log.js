// Log: a list of the last things that came, the newest on top, drawn at most once a frame; it can be held.

import {fill, h, say} from "./dom.js";
import {count} from "./format.js";

const MOST = 500;

export class Log {
  /** `line(item)` gives an item's cells, `full(item)` the text that opens below it, `text(item)` what a filter sees. */
  constructor({label, line, full, text, empty}) {
    Object.assign(this, {line, full, text, emptyText: empty});
    this.items = [];
    this.fresh = [];
    this.paused = false;
    this.words = [];
    this.waiting = 0;
    this.list = h("ol.log", {"aria-label": label});
    this.nothing = h("p.nothing", null, empty);
    this.element = h("div.scroll", {tabindex: "0", role: "region", "aria-label": label}, this.list, this.nothing);
    this.button = h("button", {type: "button", "aria-pressed": "false", onclick: () => this.pause(!this.paused)}, "Pause");
    this.clearing = h("button", {type: "button", onclick: () => this.clear()}, "Clear");
    this.counted = h("span.counted", {role: "status"});
  }

  push(item) {
    this.fresh.push(item);
    if (this.fresh.length > MOST) this.fresh.shift();
    if (this.paused) this.waiting += 1;
    this.frame ??= requestAnimationFrame(() => this._draw());
  }

  pause(paused) {
    this.paused = paused;
    this.waiting = paused ? this.waiting : 0;
    this.button.setAttribute("aria-pressed", paused);
    say(this.button, paused ? "Go on" : "Pause");
    this._draw();
  }

  clear() {
    this.items = [];
    this.fresh = [];
    this.waiting = 0;
    fill(this.list);
    this._draw();
  }

  show(words) {
    this.words = words;
    fill(this.list, this.items.filter((item) => this._fits(item)).map((item) => this._item(item)));
    this._draw();
  }

  say(text) {
    this.emptyText = text;
    this._draw();
  }

  _fits(item) {
    const text = this.words.length ? this.text(item).toLowerCase() : "";
    return this.words.every((word) => text.includes(word));
  }

  _item(item) {
    const details = h("details", null, h("summary", null, this.line(item)));
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(h("pre", null, this.full(item)));
    });
    return h("li", null, details);
  }

  _draw() {
    this.frame = undefined;
    if (!this.paused && this.fresh.length) {
      const fresh = this.fresh.sort((a, b) => b.at - a.at);
      this.fresh = [];
      const late = this.items.length > 0 && fresh.at(-1).at < this.items[0].at;
      this.items = [...fresh, ...this.items];
      if (late) this.items.sort((a, b) => b.at - a.at);
      this.items = this.items.slice(0, MOST);
      const shown = (late ? this.items : fresh).filter((item) => this._fits(item)).map((item) => this._item(item));
      if (late) fill(this.list, shown);
      else this.list.prepend(...shown);
      while (this.list.children.length > MOST) this.list.lastElementChild.remove();
    }
    const shown = this.list.children.length;
    this.nothing.hidden = shown > 0;
    say(this.nothing, this.items.length ? "Nothing matches the filter." : this.emptyText);
    const held = this.paused ? `, held: ${count(this.waiting)} more` : "";
    say(this.counted, shown || this.paused ? `the last ${count(shown)}${held}` : "");
  }
}
