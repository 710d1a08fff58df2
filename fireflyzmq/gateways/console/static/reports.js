// Reports: what one publisher publishes, as it comes.

import {follow} from "./api.js";
import {h, say} from "./dom.js";
import {clock, count} from "./format.js";
import {Log} from "./log.js";

/** How many were lost before a report; null when nobody knows. */
const lostText = (lost) => (lost === null ? "some lost" : `${count(lost)} lost`);

export class ReportsView {
  name = "reports";
  title = "Reports";
  needs = [];

  constructor(state) {
    this.state = state;
    this.lost = 0;
    this.publishers = h("datalist", {id: "publishers"});
    this.publisher = h("input", {id: "publisher", list: "publishers", placeholder: "Publisher", "aria-label": "Publisher", spellcheck: "false", autocapitalize: "off", required: true});
    this.pattern = h("input", {id: "pattern", value: ">", placeholder: "Pattern", "aria-label": "Pattern: * is one word, > all that follow", title: "* is one word, > all that follow", spellcheck: "false", autocapitalize: "off"});
    this.button = h("button.primary", {type: "submit"}, "Follow");
    this.stopping = h("button", {type: "button", hidden: true, onclick: () => this._stop()}, "Stop");
    this.note = h("span.counted", {role: "status"});
    this.log = new Log({
      label: "Reports",
      line: (each) => [
        h("time", null, clock(each.at)),
        each.lost === 0 ? null : h("span.kind", null, lostText(each.lost)),
        h("span.name", null, each.subject),
        h("span.said", null, each.error ?? JSON.stringify(each.content)),
      ],
      full: (each) => each.error ?? JSON.stringify(each.content, null, 2),
      text: (each) => `${each.subject} ${JSON.stringify(each.content)}`,
      empty: "Choose a publisher, and a pattern of its subjects.",
    });
    this.form = h("form.toolbar", {"aria-label": "What to follow"}, h("h1", null, "Reports"), this.publisher, this.publishers, this.pattern, this.button, this.stopping, this.log.button, this.log.clearing, this.note, this.log.counted);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this._follow();
    });
    this.filter = this.publisher;
    this.element = h("section.list", null, this.form, this.log.element);
  }

  leave() {
    this._stop();
  }

  update() {
    if (this.shown === this.state.revision) return;
    this.shown = this.state.revision;
    this.publishers.replaceChildren(...[...this.state.services.keys()].map((name) => h("option", {value: name})));
  }

  escape() {
    this._stop();
  }

  _follow() {
    const publisher = this.publisher.value.trim();
    if (!publisher) return this.publisher.focus();
    this._stop();
    this.log.clear();
    this.lost = 0;
    const following = (this.following = new AbortController());
    this.stopping.hidden = false;
    say(this.note, "Connecting");
    this.log.say(`${publisher} has published nothing since.`);
    const heard = (report) => {
      this.lost = this.lost === null || report.lost === null ? null : this.lost + report.lost;
      if (report.lost !== 0) say(this.note, `Following, ${lostText(this.lost)}`);
      this.log.push({...report, at: Date.now() / 1000});
    };
    const told = (state, problem) => {
      if (following.signal.aborted) return;
      if (state === "open") say(this.note, "Following");
      if (state === "broken") say(this.note, "Interrupted. Trying again");
      if (state === "refused") {
        this._stop();
        say(this.note, problem.message);
      }
    };
    follow("reports", {publisher, pattern: this.pattern.value.trim() || ">"}, heard, told, following.signal);
  }

  _stop() {
    if (!this.following) return;
    this.following.abort();
    this.following = null;
    this.stopping.hidden = true;
    say(this.note, "Stopped");
  }
}
