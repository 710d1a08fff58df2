// What the page asks of the console. The token, when one is needed, is kept for this tab alone.

const KEY = "fireflyzmq.authorization";

/** What an answer of the console says is wrong: `kind`, `status`, `details`. */
export class Refusal extends Error {
  constructor(status, error) {
    super(error?.description ?? `status ${status}`);
    this.status = status;
    this.kind = error?.kind ?? "";
    this.origin = error?.origin ?? "";
    this.details = error?.details ?? null;
  }
}

/** Take the token out of `#token=...`, so that it stands in no history; whether there was one. */
export function takeToken() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (!found) return false;
  let token = found[1];
  try {
    token = decodeURIComponent(token);
  } catch {
    // It was written by hand, and is what it says.
  }
  keep(`Bearer ${token}`);
  history.replaceState(null, "", location.pathname);
  return true;
}

export function keep(authorization) {
  sessionStorage.setItem(KEY, authorization);
}

/** The value of an Authorization header for a user's password (RFC 7617: UTF-8). */
export function basic(user, password) {
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

function headers(more) {
  const authorization = sessionStorage.getItem(KEY);
  return authorization ? {...more, Authorization: authorization} : {...more};
}

async function request(path, options) {
  const response = await fetch(path, {...options, headers: headers(options.headers), cache: "no-store"});
  if (response.ok) return response;
  let error = null;
  try {
    const text = await response.text();
    error = text.startsWith("{") ? JSON.parse(text).error : {description: text.trim()};
  } catch {
    // The status says enough.
  }
  throw new Refusal(response.status, error);
}

export async function get(path, query = {}, signal = undefined) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const search = given.length ? `?${new URLSearchParams(given)}` : "";
  const limit = signal ?? AbortSignal.timeout(15000);
  return (await request(`api/${path}${search}`, {signal: limit})).json();
}

/** POST a text that is JSON already: numbers that JavaScript cannot hold stay what they are. */
export async function post(path, body, signal = undefined) {
  const options = {method: "POST", body, headers: {"Content-Type": "application/json"}, signal};
  return (await request(`api/${path}`, options)).json();
}

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10000;

/** The pause before the next attempt: longer each time, and never the same for all pages. */
export function pause(attempt) {
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** attempt) * (0.75 + Math.random() / 2);
}

export const sleep = (milliseconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), {once: true});
  });

/**
 * Follow a stream of server-sent events until `signal` aborts; it is opened again when it breaks. EventSource cannot
 * show a token, so this reads the stream itself (WHATWG HTML, 9.2.6). `told(state, problem)` hears how it stands.
 */
export async function follow(path, query, heard, told, signal) {
  let attempt = 0;
  while (!signal.aborted) {
    try {
      const response = await request(`api/${path}?${new URLSearchParams(query)}`, {signal});
      told("open", null);
      attempt = 0;
      await read(response.body, heard);
      told("broken", null);
    } catch (problem) {
      if (signal.aborted) return;
      const refused = problem instanceof Refusal && problem.status < 500 && problem.status !== 429; // that is for a moment
      told(refused ? "refused" : "broken", problem);
      if (refused) return;
    }
    await sleep(pause(attempt++), signal);
  }
}

async function read(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
      if (data.length) heard(JSON.parse(data.join("\n")));
    }
  }
}
