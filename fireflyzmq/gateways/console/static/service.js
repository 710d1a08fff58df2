// One service: its instances, its methods with a form to call each, and what failed last.

import {get, post} from "./api.js";
import {fill, h, say} from "./dom.js";
import {count, plural, rate, seconds} from "./format.js";
import {argument, kindOf} from "./arguments.js";
import {FailureList, gathered} from "./failure.js";

const PERIOD = 2000;

export class ServicePanel {
  constructor(close) {
    this.title = h("h2", {tabindex: "-1"});
    this.under = h("p.note");
    this.gone = h("p.gone", {role: "status", hidden: true}, "This service is gone. The panel stays as it was.");
    this.figures = h("dl.figures");
    this.instances = h("ul.instances");
    this.methods = h("div.methods");
    this.failures = new FailureList({label: "Last failures", most: 20, service: false});
    this.count = h("span.counted");
    this.element = h(
      "aside.panel-right",
      {"aria-label": "Service", hidden: true},
      h("div.panel-head", null, this.title, h("button.close", {type: "button", "aria-label": "Close", title: "Close (Escape)", onclick: close}, "×")),
      this.gone,
      this.under,
      this.figures,
      h("h3", null, "Methods"),
      this.methods,
      h("h3", null, "Instances", this.count),
      this.instances,
      h("h3", null, "Last failures"),
      this.failures.element,
    );
    this.name = "";
  }

  show(name) {
    this.name = name;
    this.described = "";
    this.element.hidden = false;
    this.element.setAttribute("aria-label", `Service ${name}`);
    this.gone.hidden = true;
    say(this.title, name);
    say(this.under, "\u00a0");
    fill(this.figures);
    fill(this.methods, h("p.nothing", null, "Asking the service"));
    fill(this.instances);
    this.failures.set([]);
    say(this.count, "");
    this.element.scrollTop = 0;
    this.title.focus({preventScroll: true});
    this._watch(name);
  }

  hide() {
    this.name = "";
    this.element.hidden = true;
    clearTimeout(this.timer);
  }

  /** The directory is known anew. */
  update(state) {
    if (!this.name) return;
    this.gone.hidden = state.services.has(this.name);
  }

  async _watch(name) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this._watch(name), PERIOD);
    if (document.hidden || !this.gone.hidden) return;
    clearTimeout(this.timer);
    try {
      const answer = await get("service", {name, describe: this.described === name ? "0" : "1"});
      if (name !== this.name) return;
      this._show(answer);
    } catch (problem) {
      if (name !== this.name) return;
      if (this.described !== name) fill(this.methods, h("p.nothing", null, problem.message));
    }
    this.timer = setTimeout(() => this._watch(name), PERIOD);
  }

  _show(answer) {
    const groups = [...new Set(answer.instances.flatMap((each) => each.groups))];
    say(this.under, groups.length ? `in ${groups.join(", ")}` : "in no group");
    this._figures(answer.summary);
    const more = answer.count - answer.instances.length;
    say(this.count, more > 0 ? `${count(answer.count)}, ${count(answer.instances.length)} shown` : count(answer.count));
    this._instances(answer.instances);
    this._failures(answer.instances);
    if (answer.description) {
      this.described = answer.name;
      const {methods, problem} = answer.description;
      const notes = problem ? [h("p.note", null, problem)] : methods.length ? [] : [h("p.nothing", null, "It exports no methods.")];
      fill(this.methods, [...notes, ...methods.map((each) => this._method(answer.name, each))]);
    }
  }

  _figures(summary) {
    const figures = [
      ["Calls/s", rate(summary.calls_per_second)],
      ["In flight", count(summary.running)],
      ["Served", count(summary.served)],
      ["Errors", count(summary.failed)],
      ["Refused", count(summary.refused)],
      ["Median", seconds(summary.median)],
      ["p99", seconds(summary.p99)],
    ];
    if (this.figures.children.length !== figures.length) {
      fill(this.figures, figures.map(([name]) => h("div", null, h("dt", null, name), h("dd"))));
    }
    figures.forEach(([, value], at) => say(this.figures.children[at].lastChild, value));
  }

  _instances(instances) {
    fill(
      this.instances,
      instances.map((each) => {
        const problem = each.statistics?.problem;
        const said = problem || `${rate(each.statistics?.calls_per_second)} calls/s, ${count(each.statistics?.running)} in flight`;
        return h(
          "li",
          null,
          h("code", {title: each.address}, each.address.slice(0, 8)),
          h("span.name", {title: each.process}, each.process),
          each.user ? h("span.user", null, each.user) : null,
          h(problem ? "span.amount.bad" : "span.amount", null, said),
        );
      }),
    );
  }

  _failures(instances) {
    const now = Date.now() / 1000;
    const failures = instances.flatMap((instance) =>
      instance.failures.map((each) => ({...each, service: this.name, address: instance.address, at: now - each.age})),
    );
    this.failures.set(gathered(failures));
  }

  _method(service, method) {
    const doc = (method.doc ?? "").trim();
    const details = h(
      "details.method",
      null,
      h("summary", null, h("code", null, h("b", null, method.name), method.signature ?? "")),
      doc ? h("p.doc", null, doc) : null,
    );
    if (method.root) {
      details.append(h("p.note", null, `Only the service ${method.root} may call it.`));
      return details;
    }
    details.addEventListener("toggle", () => {
      if (details.open && !details.querySelector("form")) details.append(new CallForm(service, method).element);
    });
    return details;
  }
}

/** A form that calls a method: a field for each argument, and what comes of the call below. */
class CallForm {
  constructor(service, method) {
    Object.assign(this, {service, method});
    const parameters = method.parameters ?? [{name: "args", kind: "arguments", annotation: "", required: false}];
    this.fields = parameters.map((parameter) => this._field(parameter));
    this.button = h("button.primary", {type: "submit"}, "Call");
    this.stop = h("button", {type: "button", hidden: true, onclick: () => this.calling?.abort()}, "Cancel");
    this.took = h("span.counted");
    this.answer = h("pre.answer", {tabindex: "0", hidden: true, role: "status", "aria-label": "Answer"});
    this.element = h(
      "form.call",
      {"aria-label": `Call ${method.name}`, novalidate: true},
      this.fields.map((field) => field.element),
      h("div.buttons", null, this.button, this.stop, this.took),
      this.answer,
    );
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this._call();
    });
  }

  _field(parameter) {
    const id = `field-${this.method.name}-${parameter.name}-${Math.random().toString(36).slice(2)}`;
    const shape = {arguments: "array", keywords: "object"}[parameter.kind];
    const about = shape ? `JSON ${shape}` : parameter.annotation || "JSON or text";
    const input = h("textarea", {id, rows: 1, spellcheck: "false", autocapitalize: "off", "aria-describedby": `${id}-kind`});
    const kind = h("small", {id: `${id}-kind`});
    const element = h(
      "div.field",
      null,
      h("label", {for: id}, {arguments: "*", keywords: "**"}[parameter.kind] ?? "", parameter.name, h("small", null, `${about}${parameter.required ? "" : ", may be left out"}`)),
      input,
      kind,
    );
    const tell = () => {
      const {text, problem} = kindOf(parameter, input.value);
      say(kind, text || "\u00a0");
      kind.dataset.tone = problem ? "bad" : "";
      input.setAttribute("aria-invalid", Boolean(problem));
    };
    input.addEventListener("input", () => {
      input.rows = Math.min(8, input.value.split("\n").length);
      tell();
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        this.element.requestSubmit();
      }
    });
    say(kind, "\u00a0");
    return {parameter, input, element, kind};
  }

  /** The body of the call; null when a field makes no sense, which then says so. */
  _body() {
    const args = [];
    const kwargs = [];
    let several = null;
    let leftOut = false;
    for (const {parameter, input, kind} of this.fields) {
      const given = argument(parameter, input.value);
      kind.dataset.tone = given.problem ? "bad" : "";
      if (given.problem) {
        say(kind, given.problem);
        input.setAttribute("aria-invalid", true);
        input.focus();
        return null;
      }
      if (given.json === null) leftOut ||= parameter.kind === "named" || parameter.kind === "positional";
      else if (parameter.kind === "arguments") args.push(...given.items);
      else if (parameter.kind === "keywords") several = given.json;
      else if (parameter.kind === "keyword" || (leftOut && parameter.kind === "named")) kwargs.push([parameter.name, given.json]);
      else args.push(given.json);
    }
    const named = kwargs.map(([name, json]) => `${JSON.stringify(name)}:${json}`);
    const inside = several === null ? "" : several.trim().slice(1, -1).trim();
    if (inside) named.push(inside);
    return `{"service":${JSON.stringify(this.service)},"method":${JSON.stringify(this.method.name)},"args":[${args.join(",")}],"kwargs":{${named.join(",")}}}`;
  }

  async _call() {
    if (this.calling) return;
    const body = this._body();
    if (body === null) return;
    this.calling = new AbortController();
    this.button.disabled = true;
    this.stop.hidden = false;
    say(this.took, "Calling");
    const began = performance.now();
    try {
      const {text} = await post("call?text", body, this.calling.signal);
      this._show("good", text);
    } catch (problem) {
      if (this.calling.signal.aborted) this._show("bad", "Cancelled");
      else this._show("bad", failureText(problem));
    }
    say(this.took, `after ${seconds((performance.now() - began) / 1000)}`);
    this.calling = null;
    this.button.disabled = false;
    this.stop.hidden = true;
    if (document.activeElement === document.body) this.button.focus();
  }

  _show(tone, text) {
    this.answer.hidden = false;
    this.answer.dataset.tone = tone;
    say(this.answer, text);
  }
}

function failureText(problem) {
  const lines = [`${problem.kind || "Failure"}: ${problem.message}`];
  if (problem.origin) lines.push(`from ${problem.origin}`);
  if (problem.details) lines.push(JSON.stringify(problem.details, null, 2));
  return lines.join("\n");
}
