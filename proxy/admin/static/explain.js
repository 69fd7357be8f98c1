// Why this backend: one exchange with its candidates, its attempts and where its time went.

import { Bar, Dialog, Scroll, State, Table, html, useEffect, useState } from "./parts.js";
import { NONE, bytes, clock, count, many, seconds, sentence } from "./words.js";
import { Status } from "./exchanges.js";
import { ask } from "./door.js";

const CANDIDATES = [
  { word: "Candidate" },
  { word: "State", width: "16%" },
  { word: "In flight", width: "24%" },
  { word: "Weight", kind: "number", width: "12%" },
  { word: "Choice", width: "18%" },
];
const TRIES = [
  { word: "Attempt" },
  { word: "Connected", kind: "number", width: "18%" },
  { word: "Answered", kind: "number", width: "18%" },
  { word: "Outcome", width: "34%" },
];

/** The explanation of an exchange, in a dialog. */
export function Explanation({ id, onClose }) {
  const [found, setFound] = useState(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    ask(`v1/exchanges/${encodeURIComponent(id)}`).then(setFound, (refusal) => setTrouble(refusal.message));
  }, [id]);
  return html`<${Dialog} title="Why this backend" onClose=${onClose} wide>
    <p class="soft mono identity">${id}</p>
    <div aria-live="polite">
      ${trouble && html`<p class="trouble">${sentence(trouble)}</p>`}
      ${!trouble && !found && html`<p class="soft">Asking …</p>`}
      ${found && html`<${Told} found=${found} />`}
    </div>
  <//>`;
}

function Told({ found }) {
  return html`
    <p class="lead">${found.sentence}</p>
    ${found.reason && !found.sentence.includes(found.reason) && html`<p class="trouble">${sentence(found.reason)}</p>`}
    <dl class="facts">
      <div><dt>Answer</dt><dd><${Status} of=${found.status} /></dd></div>
      <div><dt>Began</dt><dd>${clock(found.started)}</dd></div>
      <div><dt>Took</dt><dd>${seconds(found.seconds)}</dd></div>
      <div><dt>Waited in queue</dt><dd>${found.queue ? seconds(found.queue.seconds) : "no"}</dd></div>
      <div><dt>Limits</dt><dd>${[found.limits || "none", found.limit].filter(Boolean).join(" by ")}</dd></div>
      <div><dt>Client</dt><dd class="mono">${found.client || NONE}</dd></div>
      <div><dt>Site, route</dt><dd>${[found.site, found.route].filter(Boolean).join(" ") || NONE}</dd></div>
      <div><dt>Bytes in, out</dt><dd>${bytes(found.bytes_in)}, ${bytes(found.bytes_out)}</dd></div>
    </dl>
    <${Timeline} found=${found} />
    ${found.picks.map((pick, place) => html`<${Pick} key=${place} pick=${pick} place=${place} of=${found.picks.length} />`)}
    ${!found.picks.length && html`<p class="soft">${unpicked(found)}</p>`}
    ${found.tries.length > 0 && html`<h3>${many(found.tries.length, "attempt")}</h3>
      <${Table} label="Attempts" columns=${TRIES} rows=${found.tries.map(attempt)} empty="" />`}
  `;
}

function unpicked(found) {
  if (!found.upstream) return "No backend was asked: the door answered this itself.";
  return "Why it was picked was not written down: set keep in [explain] to keep that for exchanges that went well, too.";
}

/** Where the time went: each step from where it began to where the next one did. */
function Timeline({ found }) {
  const whole = Math.max(found.seconds, ...found.timeline.map((step) => step.after), 1e-6);
  if (!found.timeline.length) return null;
  return html`<h3>Timeline</h3><ol class="timeline">${found.timeline.map((step, place) => {
    const end = found.timeline[place + 1]?.after ?? whole;
    const style = { left: `min(${(step.after / whole) * 100}%, calc(100% - 2px))`, width: `max(2px, ${((end - step.after) / whole) * 100}%)` };
    return html`<li><span class="number">${seconds(step.after)}</span><span class="what">${step.what}</span>
      <span class="lane" aria-hidden="true"><span class="span" style=${style}></span></span></li>`;
  })}</ol>`;
}

function Pick({ pick, place, of }) {
  const most = Math.max(1, ...pick.candidates.map((one) => one.in_flight));
  const rows = pick.candidates.map((one) => ({
    key: one.address,
    tone: one.chosen ? "chosen" : "",
    cells: [
      html`<span class="address">${one.address}</span>${one.why && html`<span class="why">${one.why}</span>`}`,
      html`<${State} word=${one.state} why=${one.why} />`,
      html`<${Bar} of=${one.in_flight / (one.max_conns || most)} text=${one.max_conns ? `${one.in_flight} of ${one.max_conns}` : count(one.in_flight)} />`,
      count(one.weight),
      html`<b>${one.chosen ? "✓ picked" : one.tried ? "tried before" : ""}</b>`,
    ],
  }));
  return html`<h3>${of > 1 ? `Choice ${place + 1} of ${of}` : "The choice"}
    <span class="soft"> ${pick.strategy}, after ${seconds(pick.after)}</span></h3>
    <p>${sentence(pick.why)}${pick.left_out ? ` (${many(pick.left_out, "more candidate")} not shown)` : ""}</p>
    <${Table} label=${`Candidates of choice ${place + 1}`} columns=${CANDIDATES} rows=${rows} empty="There was no candidate." />`;
}

function attempt(one, place) {
  return {
    key: place,
    cells: [
      html`<span class="address">${one.backend}</span>`,
      one.connected == null ? NONE : seconds(one.connected - (one.after ?? 0)),
      one.answered == null ? NONE : seconds(one.answered - (one.after ?? 0)),
      one.fault ? html`<span class="grave">${one.fault.replaceAll("_", " ")}</span>` : html`<${Status} of=${one.status} />`,
    ],
  };
}

/** Asks for an explanation by an exchange's id, as logs and the X-Request-ID field show it. */
export function Asking({ explain }) {
  const submit = (event) => {
    event.preventDefault();
    const id = new FormData(event.target).get("id").trim();
    if (id) explain(id);
  };
  return html`<form class="asking" onSubmit=${submit} role="search">
    <label class="unseen" for="request-id">Request ID</label>
    <input id="request-id" name="id" placeholder="Request ID" autocomplete="off" spellcheck="false" required />
    <button type="submit">Explain</button>
  </form>`;
}
