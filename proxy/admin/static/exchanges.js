// Single exchanges: those that failed, the slowest, those in flight; each leads to its explanation.

import { Bar, Panel, Scroll, Table, html, useEvery, useState } from "./parts.js";
import { clock, many, seconds } from "./words.js";
import { ask } from "./door.js";

const ERRORS = [
  { word: "Time", width: "92px" },
  { word: "Status", width: "64px" },
  { word: "Request" },
  { word: "Reason", width: "46%" },
];
const SLOWEST = [
  { word: "Took", width: "34%" },
  { word: "Status", width: "64px" },
  { word: "Request" },
];
const LIVE = [
  { word: "For", kind: "number", width: "90px" },
  { word: "State", width: "110px" },
  { word: "Request" },
  { word: "Backend", width: "22%" },
  { word: "Client", width: "18%" },
];
const LOOK = 2000; // ms between two looks at what is in flight

/** What went wrong lately, newest first. */
export function Errors({ errors, explain }) {
  const rows = (errors ?? []).map((one) => ({
    key: `${one.request_id} ${one.at}`,
    cells: [
      html`<span class="soft time">${clock(one.at).slice(-8)}</span>`,
      html`<${Status} of=${one.status} />`,
      html`<${Request} one=${one} explain=${explain} />`,
      html`<span class="reason">${one.reason}</span><${Where} one=${one} />`,
    ],
  }));
  return html`<${Panel} id="errors" title="Recent errors" wide>
    <${Scroll} label="Recent errors" tall><${Table} label="Recent errors" columns=${ERRORS} rows=${rows} cards="errors"
      empty=${errors ? "Nothing has failed." : "Asking …"} /><//>
  <//>`;
}

/** Where it went wrong, unless the reason has said so. */
function Where({ one }) {
  const tried = one.attempts > 1 && !one.reason.includes("attempt") ? `after ${many(one.attempts, "attempt")}` : "";
  const where = one.backend && !one.reason.includes(one.backend) ? one.backend : "";
  const words = [where, tried].filter(Boolean).join(", ");
  return words && html`<span class="why">${words}</span>`;
}

/** The slowest of the last minutes. */
export function Slowest({ exchanges, explain }) {
  const most = exchanges?.[0]?.seconds || 1;
  const rows = (exchanges ?? []).map((one) => ({
    key: `${one.request_id} ${one.at}`,
    cells: [
      html`<${Bar} of=${one.seconds / most} text=${seconds(one.seconds)} />`,
      html`<${Status} of=${one.status} />`,
      html`<${Request} one=${one} explain=${explain} />`,
    ],
  }));
  return html`<${Panel} id="slowest" title="Slowest exchanges" aside=${html`<span class="soft">last 5 minutes</span>`}>
    <${Scroll} label="Slowest exchanges" tall><${Table} label="Slowest exchanges" columns=${SLOWEST} rows=${rows}
      empty=${exchanges ? "Nothing was slow." : "Asking …"} /><//>
  <//>`;
}

/** What is in flight now; asked for only while it is open, since every worker writes it down for us. */
export function Live({ explain }) {
  const [open, setOpen] = useState(false);
  const toggle = html`<button type="button" aria-expanded=${open} onClick=${() => setOpen(!open)}>${open ? "Hide" : "Show"}</button>`;
  return html`<${Panel} id="live" title="In flight now" wide aside=${toggle}>
    ${open ? html`<${LiveTable} explain=${explain} />` : html`<p class="nothing">Requests that are under way, looked up when you ask.</p>`}
  <//>`;
}

function LiveTable({ explain }) {
  const [found, setFound] = useState({ exchanges: [], reason: "Asking …" });
  const look = () => ask("v1/exchanges/live?most=100").then(
    (answer) => setFound({ exchanges: answer.exchanges, reason: "Nothing is in flight." }),
    (refusal) => setFound({ exchanges: [], reason: refusal.message }),
  );
  useEvery(look, LOOK);
  const rows = [...found.exchanges].sort((a, b) => b.seconds - a.seconds).map((one) => ({
    key: `${one.worker} ${one.request_id} ${one.started}`,
    cells: [
      seconds(one.seconds),
      one.state,
      html`<${Request} one=${one} explain=${explain} />`,
      html`<span class="address">${one.backend ?? "not chosen yet"}</span>`,
      html`<span class="address">${one.client}</span>`,
    ],
  }));
  return html`<${Scroll} label="In flight now" tall><${Table} label="In flight now" columns=${LIVE} rows=${rows} empty=${found.reason} cards="live" /><//>`;
}

/** A status, marked when it is one of ours or a backend's failure. */
export function Status({ of }) {
  return html`<span class=${`status s${String(of)[0]}`}>${of || "cut"}</span>`;
}

function Request({ one, explain }) {
  const words = html`<span class="method">${one.method}</span> ${one.target}`;
  if (!one.request_id) return html`<span class="target" title=${one.target}>${words}</span>`;
  return html`<button type="button" class="link target" title=${`Explain ${one.method} ${one.target}`}
    onClick=${() => explain(one.request_id)}>${words}</button>`;
}
