// The page: views behind the hashes of its address, the status line, the keyboard, and who may look.

import {basic, keep, takeToken} from "./api.js";
import {fill, h, say} from "./dom.js";
import {span} from "./format.js";
import {FailuresView} from "./failures.js";
import {GroupsView} from "./groups.js";
import {NetportsView} from "./netports.js";
import {OverviewView} from "./overview.js";
import {PeersView} from "./peers.js";
import {ReportsView} from "./reports.js";
import {ServicesView} from "./services.js";
import {State} from "./state.js";

const state = new State();
const place = document.getElementById("view");
const views = [OverviewView, ServicesView, GroupsView, PeersView, NetportsView, ReportsView, FailuresView].map(
  (View) => new View(state),
);
const links = new Map();
let current = null;
let lost = false;
let signIn = null;

/** Where the address points: a view, and what of it. */
function wanted() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  const view = views.find((each) => each.name === name) ?? views[0];
  let detail = "";
  try {
    detail = decodeURIComponent(rest.join("/"));
  } catch {
    // It was written by hand, and is nothing.
  }
  return {view, detail};
}

function show() {
  const {view, detail} = wanted();
  if (view !== current) {
    current?.leave?.();
    current = view;
    state.needs = view.needs;
    state.query = {};
    fill(place, signIn ?? view.element);
    document.title = `${view.title} · fireflyzmq`;
    for (const [each, link] of links) {
      if (each === view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    links.get(view).scrollIntoView({block: "nearest", inline: "nearest"});
    view.enter?.();
    state.hurry();
  }
  view.detail?.(detail);
  if (state.answer?.connected) view.update(state.answer);
}

function status(tone, text) {
  document.getElementById("dot").dataset.tone = tone;
  say(document.getElementById("status"), text);
  document.body.dataset.tone = tone;
}

state.heard = (answer) => {
  if (!answer.connected) {
    lost = true;
    status("warn", `The exchange is away (${answer.reason || "no connection"}). Connecting again by itself`);
    current.away?.();
    return;
  }
  status("good", lost ? "Connected again" : "Connected");
  lost = false;
  const where = answer.stats.addresses?.[0] ?? "";
  say(document.getElementById("where"), `${where}  ·  ${answer.stats.version}  ·  up ${span(answer.stats.uptime)}`);
  current.update(answer);
};

state.failed = (problem, wait) => {
  lost = true;
  const what = problem.status ? `The console refuses: ${problem.message}` : "The console does not answer";
  status("bad", `${what}. Trying again in ${Math.max(1, Math.round(wait / 1000))} s`);
  current.away?.();
};

/** Ask for a token, or a user and a password; it is done when one was given. */
state.refused = () =>
  new Promise((resolve) => {
    status("warn", "Sign in");
    const user = h("input", {id: "user", autocomplete: "username", spellcheck: "false", autocapitalize: "off"});
    const secret = h("input", {id: "secret", type: "password", autocomplete: "current-password", required: true});
    const form = h(
      "form.sign-in",
      {"aria-label": "Sign in"},
      h("h1", null, "Who are you?"),
      h("p", null, "This console wants a token, or a user with a password."),
      h("label", {for: "user"}, "User", h("small", null, "empty, for a token")),
      user,
      h("label", {for: "secret"}, "Token or password"),
      secret,
      h("button.primary", {type: "submit"}, "Sign in"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      keep(user.value ? basic(user.value, secret.value) : `Bearer ${secret.value.trim()}`);
      signIn = null;
      fill(place, current.element);
      status("warn", "Connecting");
      current.leave?.();
      current.enter?.();
      resolve();
    });
    signIn = form;
    fill(place, form);
    secret.focus();
  });

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    const filter = current.filter;
    if (!filter) return;
    event.preventDefault();
    filter.focus();
    filter.select();
  } else if (event.key === "Escape") {
    if (typing && typing === current.filter) {
      if (typing.value) {
        typing.value = "";
        typing.dispatchEvent(new Event("input"));
      } else {
        current.table?.focus();
      }
    } else {
      current.escape?.();
    }
  } else if (event.key === "ArrowDown" && typing && typing === current.filter && current.table) {
    event.preventDefault();
    current.table.focus();
  }
});

takeToken();
fill(
  document.querySelector("nav"),
  views.map((view) => {
    const link = h("a", {href: `#${view.name}`}, view.title);
    links.set(view, link);
    return link;
  }),
);
addEventListener("hashchange", () => {
  if (takeToken()) location.reload();
  else show();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  place.focus();
});
show();
state.run();
