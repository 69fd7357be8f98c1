// What the host itself is like: sites, workers, certificates, the applications it runs, the configuration in force.

import { Bar, Panel, Scroll, Shape, Table, html, useEvery, useState } from "./parts.js";
import { NONE, bytes, clock, count, day, many, rate, seconds, span } from "./words.js";
import { ask } from "./door.js";

const SITES = [
  { word: "Site" },
  { word: "Requests/s", kind: "number", width: "15%" },
  { word: "p50", kind: "number", width: "14%" },
  { word: "p99", kind: "number", width: "14%" },
  { word: "5xx", kind: "number", width: "13%" },
  { word: "Sent", kind: "number", width: "15%" },
];
const WORKERS = [
  { word: "Worker", width: "16%" },
  { word: "Process", kind: "number", width: "18%" },
  { word: "Connections", width: "26%" },
  { word: "Accepted", kind: "number", width: "20%" },
  { word: "Up", kind: "number", width: "20%" },
];
const CERTIFICATES = [
  { word: "Site", width: "24%" },
  { word: "Certificate" },
  { word: "Ends", width: "30%" },
  { word: "Change", kind: "act", width: "15%" },
];
const APPS = [
  { word: "Worker" },
  { word: "Process", kind: "number", width: "13%" },
  { word: "State", width: "17%" },
  { word: "Requests", kind: "number", width: "14%" },
  { word: "In flight", kind: "number", width: "12%" },
  { word: "Memory", kind: "number", width: "14%" },
  { word: "Restarts", kind: "number", width: "13%" },
];
const APP_STATES = { serving: "good", starting: "trying", draining: "leaving", stopping: "leaving", broken: "bad" };
const YEAR = 90; // days that a bar is full at
const LOOK = 5000; // ms

/** Sites, with what they answered. */
export function Sites({ sites }) {
  const rows = sites.map((site) => ({
    key: site.name,
    cells: [
      html`<b>${site.name}</b> <span class="soft">${(site.names ?? []).join(", ")}</span>`,
      rate(site.rate),
      seconds(site.latency.p50),
      seconds(site.latency.p99),
      count(site.requests["5xx"] ?? 0),
      bytes(site.bytes_out),
    ],
  }));
  return html`<${Panel} id="sites" title="Sites"><${Table} label="Sites" columns=${SITES} rows=${rows} empty="No site is configured." cards="sites" /><//>`;
}

/** The worker processes. */
export function Workers({ workers, state }) {
  const most = Math.max(1, ...workers.map((one) => one.connections));
  const rows = workers.map((one) => ({
    key: one.slot,
    cells: [
      one.slot,
      one.pid,
      html`<${Bar} of=${one.connections / most} text=${count(one.connections)} />`,
      count(one.accepted),
      span(one.uptime),
    ],
  }));
  const aside = state && html`<span class=${state.restarts ? "mild" : "soft"}>${many(state.restarts, "restart")}</span>`;
  return html`<${Panel} id="host" title="Workers" aside=${aside}>
    <${Table} label="Workers" columns=${WORKERS} rows=${rows} empty="No worker is up." /><//>`;
}

/** The certificates that sites show, and how long they still last. */
export function Certificates({ certificates, act, may }) {
  const rows = (certificates ?? []).map((one) => ({
    key: `${one.site} ${one.certificate}`,
    cells: [
      html`<b>${one.site}</b>`,
      html`<span class="address">${one.ordered ? "ordered by the door" : one.certificate}</span>`,
      html`<${Left} one=${one} />`,
      one.ordered && html`<button type="button" disabled=${!may} onClick=${() => act("renew", null, null, one.site)}
        aria-label=${`Renew the certificate of ${one.site}`}>Renew</button>`,
    ],
  }));
  return html`<${Panel} id="certificates" title="Certificates"><${Table} label="Certificates" columns=${CERTIFICATES} rows=${rows}
    empty=${certificates ? "No site shows a certificate." : "Asking …"} cards="certificates" /><//>`;
}

function Left({ one }) {
  if (one.days == null) return html`<span class="state"><${Shape} kind="trying" />still to come</span>`;
  const kind = one.days < 7 ? "bad" : one.days <= 14 ? "warn" : "good";
  const words = one.days < 0 ? "ended" : `${Math.floor(one.days)} days left`;
  return html`<span class="state" title=${day(one.ends)}><${Shape} kind=${kind} />${words}</span>
    <span class="lifetime" aria-hidden="true"><span style=${{ width: `${Math.min(1, Math.max(0, one.days) / YEAR) * 100}%` }}></span></span>`;
}

/** The applications' own workers, where this program runs them. */
export function Apps({ apps }) {
  if (!apps.length) return null;
  return html`<${Panel} id="apps" title="Application workers">${apps.map((app) => html`<div class="group" key=${app.name}>
    <div class="title"><h3>${app.name}</h3><span class="mono">${app.app}</span><span>${app.server}</span>
      <span>${many(app.rolls, "rolling restart")}</span>
      ${app.rollbacks > 0 && html`<span class="mild">${count(app.rollbacks)} rolled back</span>`}</div>
    <${Table} label=${`Application workers of ${app.name}`} columns=${APPS} rows=${app.workers.map(appWorker)}
      empty="It has no worker now." cards="apps" />
  </div>`)}<//>`;
}

function appWorker(one) {
  return {
    key: `${one.seat} ${one.pid}`,
    cells: [
      html`<span class="address" title=${one.address}>${one.name}</span>`,
      one.pid || NONE,
      html`<span class="state" title=${`for ${span(one.age)}`}><${Shape} kind=${APP_STATES[one.state] ?? "off"} />${one.state}</span>`,
      count(one.requests),
      count(one.in_flight),
      bytes(one.memory || null),
      html`<span class=${one.restarts ? "mild" : ""}>${count(one.restarts)}</span>`,
    ],
  };
}

/** Keeps `learn({apps})` told. */
export function useApps(learn, when) {
  useEvery(() => {
    if (when) ask("v1/apps").then((answer) => learn({ apps: answer.apps }), () => {});
  }, LOOK, [when]);
}

const VALUES = [{ word: "Key", width: "34%" }, { word: "Value" }, { word: "From", width: "30%" }];

/** The configuration as it was read, with the file and line that each value came from. */
export function Configuration({ state, act, may }) {
  const [values, setValues] = useState(null);
  const [trouble, setTrouble] = useState("");
  const [wanted, setWanted] = useState("");
  const [all, setAll] = useState(false);
  const look = () => ask("v1/config").then((answer) => setValues(answer.values), (refusal) => setTrouble(refusal.message));
  const toggle = () => (values ? setValues(null) : look());
  const shown = (values ?? []).filter((one) => (all || one.said) && one.key.includes(wanted.trim()));
  const rows = shown.map((one) => ({
    key: one.key,
    cells: [
      html`<span class="address">${one.key}</span>`,
      html`<span class="address">${JSON.stringify(one.value)}</span>`,
      html`<span class="soft">${one.file ? `${one.file.split("/").pop()}${one.line ? `:${one.line}` : ""}` : "default"}</span>`,
    ],
  }));
  const aside = html`
    <span class="soft">${state ? `in force since ${clock(state.reload.at)}` : ""}</span>
    <button type="button" disabled=${!may} onClick=${() => act("reload")}>Reload</button>
    <button type="button" aria-expanded=${values != null} onClick=${toggle}>${values ? "Hide" : "Show"}</button>`;
  return html`<${Panel} id="configuration" title="Configuration" wide aside=${aside}>
    ${trouble && html`<p class="trouble">${trouble}</p>`}
    ${!values && html`<p class="nothing">${state?.configuration ?? "What is configured, and the line that says so."}</p>`}
    ${values && html`<div class="filter">
      <label for="wanted">Keys with</label><input id="wanted" value=${wanted} onInput=${(event) => setWanted(event.target.value)} />
      <label><input type="checkbox" checked=${all} onChange=${() => setAll(!all)} /> defaults too</label></div>
      <${Scroll} label="Configuration" tall><${Table} label="Configuration" columns=${VALUES} rows=${rows} empty="Nothing of that name." /><//>`}
  <//>`;
}
