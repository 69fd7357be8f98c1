// What the page knows of the door, and how each event changes it. Pure: no clock, no network, no document.

const MOST_SAMPLES = 600; // ten minutes
const MOST_ERRORS = 50;
const MOST_SAID = 5;
const WINDOW = 10; // seconds that rates of limits are taken over

export const EMPTY = {
  state: null, samples: [], sites: [], upstreams: [], limits: [], workers: [], apps: [], certificates: null,
  errors: null, slowest: null, said: [], link: "connecting", known: false, tries: 0, heard: 0, charged: [],
};

/** The picture after something was heard. `now` is in milliseconds, on any clock that only goes forward. */
export function after(picture, event, body, now) {
  const heard = { ...picture, link: "live", tries: 0, heard: now };
  switch (event) {
    case "hello":
      return { ...heard, state: body.state, samples: joined(picture.samples, body.history) };
    case "tick":
      return ticked(heard, body);
    case "errors":
      return { ...heard, errors: added(picture.errors ?? [], body.errors) };
    case "slowest":
      return { ...heard, slowest: body.exchanges };
    case "certificates":
      return { ...heard, certificates: body.certificates };
    case "change":
      return { ...heard, said: told(picture.said, body.sentence, true) };
    case "reload":
      return { ...heard, said: told(picture.said, reloaded(body), body.good) };
    default:
      return heard;
  }
}

/** The picture after the stream has broken: what was known stays, and is called old. */
export function lost(picture, tries) {
  return { ...picture, link: "lost", tries };
}

/** The picture with what was asked for, in one piece. */
export function learned(picture, facts) {
  return { ...picture, ...facts };
}

function ticked(picture, body) {
  const samples = joined(picture.samples, [body.sample]);
  const counts = Object.fromEntries(body.limits.map((limit) => [limit.name, limit]));
  const charged = [...picture.charged, { at: body.sample.at, counts }].filter((one) => one.at >= body.sample.at - WINDOW);
  const { state, sites, upstreams, limits, workers } = body;
  return { ...picture, known: true, state, sites, upstreams, limits, workers, samples, charged };
}

/** New errors before the old ones, each once: what was asked for may have come as an event, too. */
function added(old, fresh) {
  const name = (one) => `${one.request_id} ${one.at}`;
  const known = new Set(fresh.map(name));
  return [...fresh, ...old.filter((one) => !known.has(name(one)))].slice(0, MOST_ERRORS);
}

/** Old and new samples, each second once, in order. Those of a clock that was set back begin anew. */
function joined(old, fresh) {
  if (!fresh.length) return old;
  const kept = old.filter((one) => one.at < fresh[0].at);
  return [...kept, ...fresh].slice(-MOST_SAMPLES);
}

function told(said, text, good) {
  const number = (said[0]?.number ?? 0) + 1;
  return [{ number, text, good }, ...said].slice(0, MOST_SAID);
}

function reloaded(body) {
  return body.good ? "the configuration is read anew and in force" : "the new configuration is refused: see the error log";
}

/** How often a limit did something in the last seconds, per second; null before that can be said. */
export function limitRate(charged, name, word) {
  const first = charged.find((one) => one.counts[name]);
  const last = charged[charged.length - 1];
  if (!first || !last?.counts[name] || last.at <= first.at) return null;
  return Math.max(0, last.counts[name][word] - first.counts[name][word]) / (last.at - first.at);
}

/** What an operator must look at, worst first: {grave, text, where}. */
export function notices(picture) {
  const found = [];
  const { state, upstreams, certificates } = picture;
  for (const upstream of upstreams) {
    const open = upstream.backends.filter(takes);
    if (upstream.backends.length && !open.length) {
      found.push({ grave: true, text: `no backend of ${upstream.name} takes requests`, where: "backends" });
    }
    for (const backend of upstream.backends) found.push(...ofBackend(upstream, backend));
    if (upstream.waiting) {
      found.push({ grave: false, text: `${upstream.waiting} waiting for a backend of ${upstream.name}`, where: "backends" });
    }
  }
  if (state && !state.reload.good) {
    found.push({ grave: true, text: "the last reload was refused: the old configuration is in force", where: "host" });
  }
  for (const app of picture.apps) {
    for (const one of app.workers.filter((worker) => worker.state === "broken")) {
      found.push({ grave: true, text: `worker ${one.name} of ${app.name} is dead, and is tried again`, where: "apps" });
    }
  }
  for (const one of certificates ?? []) found.push(...ofCertificate(one));
  return found.sort((a, b) => Number(b.grave) - Number(a.grave));
}

function ofBackend(upstream, backend) {
  const name = upstream.backends.length ? `${backend.address} of ${upstream.name}` : backend.address;
  if (backend.state === "down") {
    return [{ grave: true, text: `${name} is down${backend.why ? `: ${backend.why}` : ""}`, where: "backends" }];
  }
  if (backend.breaker !== "closed") {
    return [{ grave: true, text: `the breaker of ${name} is ${backend.breaker}`, where: "backends" }];
  }
  if (backend.state === "draining" || backend.state === "disabled") {
    return [{ grave: false, text: `${name} is ${backend.state}`, where: "backends" }];
  }
  return [];
}

function ofCertificate(one) {
  if (one.days == null) return [{ grave: false, text: `${one.site} waits for its certificate`, where: "host" }];
  if (one.days < 0) return [{ grave: true, text: `the certificate of ${one.site} has ended`, where: "host" }];
  if (one.days > 14) return [];
  const left = one.days < 1 ? "ends today" : `ends in ${Math.floor(one.days)} days`;
  return [{ grave: one.days < 7, text: `the certificate of ${one.site} ${left}`, where: "host" }];
}

/** Whether a backend gets new requests. */
export function takes(backend) {
  return backend.state === "up" || backend.state === "probing" || backend.state === "backup";
}
