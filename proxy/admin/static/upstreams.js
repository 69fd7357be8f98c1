// Each upstream with its backends: state, share, load, latency, and what an operator can do about them.

import { Bar, Panel, Shape, State, Table, html } from "./parts.js";
import { count, many, part, rate, seconds } from "./words.js";

const COLUMNS = [
  { word: "Backend" },
  { word: "State", width: "13%" },
  { word: "Share", width: "13%" },
  { word: "In flight", width: "13%" },
  { word: "Requests/s", kind: "number", width: "8%" },
  { word: "p50", kind: "number", width: "7%" },
  { word: "p99", kind: "number", width: "7%" },
  { word: "Failed", kind: "number", width: "6%" },
  { word: "Change", kind: "act", width: "200px" },
];

const FAIR = html`<span class="soft legend"><span class="bar" aria-hidden="true"><span class="mark"></span></span>fair share by weight</span>`;

/** All upstreams. `act(kind, upstream, backend)` asks the operator for a change. */
export function Upstreams({ upstreams, act, may }) {
  return html`<${Panel} id="backends" title="Backends" aside=${FAIR}>
    ${!upstreams.length && html`<p class="nothing">No upstream is configured.</p>`}
    ${upstreams.map((upstream) => html`<${Upstream} key=${upstream.name} upstream=${upstream} act=${act} may=${may} />`)}
  <//>`;
}

function Upstream({ upstream, act, may }) {
  const weights = upstream.backends.filter(shares).reduce((sum, one) => sum + one.weight, 0);
  const most = Math.max(1, ...upstream.backends.map((one) => one.in_flight));
  const rows = upstream.backends.map((backend) => ({
    key: backend.address,
    tone: backend.state === "down" || backend.breaker === "open" ? "grave" : "",
    cells: cells(upstream, backend, weights, most, act, may),
  }));
  return html`<div class="group">
    <div class="title"><h3>${upstream.name}</h3>
      <span class="mono">${upstream.balance}</span>
      <span class=${upstream.waiting ? "mild" : ""}>${many(upstream.waiting, "request")} waiting</span>
      <span>${count(upstream.retries)} tried again</span>
    </div>
    <${Table} label=${`Backends of ${upstream.name}`} columns=${COLUMNS} rows=${rows} empty="It has no backend now." cards="backends" />
  </div>`;
}

/** Whether a backend gets its part of the work while all is well. */
function shares(backend) {
  return backend.state === "up" || backend.state === "probing";
}

function cells(upstream, backend, weights, most, act, may) {
  const fair = shares(backend) && weights ? backend.weight / weights : null;
  const bound = backend.max_conns;
  const load = bound ? `${backend.in_flight} of ${bound}` : count(backend.in_flight);
  const full = bound && backend.in_flight >= bound;
  return [
    html`<span class="address" title=${backend.address}>${backend.address}</span>${backend.why && html`<span class="why">${backend.why}</span>`}`,
    html`<${State} word=${backend.state} why=${backend.why} />${breaker(upstream, backend, act, may)}`,
    html`<${Bar} of=${backend.share ?? 0} mark=${fair} text=${part(backend.share)} />`,
    html`<${Bar} of=${backend.in_flight / (bound || most)} kind=${full ? "full" : "plain"} text=${load} />`,
    rate(backend.rate),
    seconds(backend.latency.p50 ?? backend.latency.mean),
    seconds(backend.latency.p99),
    html`<span class=${backend.failures ? "mild" : ""}>${count(backend.failures)}</span>`,
    html`<${Buttons} upstream=${upstream} backend=${backend} act=${act} may=${may} />`,
  ];
}

function breaker(upstream, backend, act, may) {
  if (backend.breaker === "closed") return null;
  return html`<span class="breaker"><${Shape} kind=${backend.breaker === "open" ? "bad" : "trying"} />breaker ${backend.breaker}
    <button type="button" class="link" disabled=${!may} onClick=${() => act("reset", upstream, backend)}
      aria-label=${`Reset the breaker of ${backend.address}`}>reset</button></span>`;
}

function Buttons({ upstream, backend, act, may }) {
  const off = backend.drained || backend.disabled;
  const kind = backend.disabled ? "enable" : backend.drained ? "undrain" : "drain";
  const word = { drain: "Drain", undrain: "Undrain", enable: "Enable" }[kind];
  const changed = backend.weight !== backend.configured_weight;
  return html`<span class="buttons">
    <button type="button" class=${off ? "on" : ""} disabled=${!may} onClick=${() => act(kind, upstream, backend)}
      aria-label=${`${word} ${backend.address}`}>${word}</button>
    <button type="button" class=${changed ? "on" : ""} disabled=${!may} onClick=${() => act("weight", upstream, backend)}
      title=${changed ? `the configuration says ${backend.configured_weight}` : undefined}
      aria-label=${`Weight of ${backend.address}, now ${backend.weight}`}>Weight <b>${backend.weight}</b></button>
  </span>`;
}
