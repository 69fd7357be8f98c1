// How the page speaks with the admin door: questions, changes, and the stream of events.
// A Refusal carries the door's own sentence. Nothing is sent anywhere else.

export class Refusal extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

const JSON_BODY = { "Content-Type": "application/json" };
const PATIENCE = 10_000; // ms

async function speak(method, path, body) {
  const asked = { method, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(PATIENCE) };
  if (body !== undefined) Object.assign(asked, { headers: JSON_BODY, body: JSON.stringify(body) });
  let answer;
  try {
    answer = await fetch(path, asked);
  } catch {
    throw new Refusal(0, "the door does not answer");
  }
  const found = await answer.json().catch(() => null);
  if (answer.ok) return found;
  throw new Refusal(answer.status, found?.error?.reason ?? `the door answers ${answer.status}`);
}

/** What GET answers at a path below api/. */
export function ask(path) {
  return speak("GET", `api/${path}`);
}

/** Do something at the door; gives its answer. */
export function change(path, body = {}) {
  return speak("POST", `api/${path}`, body);
}

/** Log out. */
export function leave() {
  return speak("DELETE", "api/session", {});
}

/** The path of a backend below api/. */
export function backendPath(upstream, backend) {
  return `v1/upstreams/${encodeURIComponent(upstream)}/backends/${encodeURIComponent(backend)}`;
}

const EVENTS = ["hello", "tick", "errors", "slowest", "change", "reload", "certificates"];
const FIRST_PAUSE = 500; // ms
const LONGEST_PAUSE = 8000;
const SILENCE = 6000; // ms without a tick: the connection is dead, whatever the browser believes

/**
 * Follow the door. `hear(event, body)` is called for each event, `lost(tries)` when the stream has broken, before it is
 * tried again (after 0.5 s, then ever longer up to 8 s). Gives a function that ends it.
 */
export function follow(hear, lost) {
  let source = null;
  let tries = 0;
  let again = 0;
  let watch = 0;
  let over = false;

  function open() {
    source = new EventSource("api/events");
    source.onerror = broken;
    for (const name of EVENTS) source.addEventListener(name, (event) => told(name, event));
    listen();
  }

  function listen() {
    clearTimeout(watch);
    watch = setTimeout(broken, SILENCE);
  }

  function told(name, event) {
    tries = 0;
    listen();
    hear(name, JSON.parse(event.data));
  }

  function broken() {
    if (over) return;
    source.close(); // the browser's own way to try again knows no bounds and does not see a dead connection
    clearTimeout(watch);
    clearTimeout(again);
    tries += 1;
    lost(tries);
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tries - 1));
    again = setTimeout(open, pause * (0.75 + Math.random() / 2));
  }

  open();
  return () => {
    over = true;
    clearTimeout(watch);
    clearTimeout(again);
    source.close();
  };
}
