// Changes an operator makes: asked once more, done, and the door's own answer shown.

import { Dialog, html, useRef, useState } from "./parts.js";
import { many, part, sentence } from "./words.js";
import { backendPath, change } from "./door.js";
import { takes } from "./picture.js";

const MOST_WEIGHT = 1000;

/** The dialog for a change {kind, upstream?, backend?, site?}. */
export function Change({ asked, onClose }) {
  const plan = PLANS[asked.kind](asked);
  const [told, setTold] = useState(null);
  const [busy, setBusy] = useState(false);
  const form = useRef(null);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const other = event.submitter?.value === "other";
      const body = other ? plan.other.body : plan.body ? plan.body(new FormData(form.current)) : {};
      const answer = await change(plan.path, body);
      setTold({ good: true, text: answer.sentence, holds: answer.holds });
    } catch (refusal) {
      setTold({ good: false, text: refusal.message });
    }
    setBusy(false);
  };
  return html`<${Dialog} title=${plan.title} onClose=${onClose}>
    <form ref=${form} onSubmit=${submit}>
      ${!told?.good && html`<p>${plan.text}</p>${plan.warning && html`<p class="warning">${plan.warning}</p>`}${plan.field}`}
      <div class="told" role="status">${told && html`<p class=${told.good ? "done" : "trouble"}>${sentence(told.text)}.
        ${told.holds && html` <span class="soft">It holds ${told.holds}.</span>`}</p>`}</div>
      <div class="choices">
        ${told?.good
          ? html`<button type="button" class="first" ref=${focused} onClick=${onClose}>Close</button>`
          : html`${plan.other && html`<button type="submit" class="other" value="other" disabled=${busy}>${plan.other.word}</button>`}
              <button type="button" onClick=${onClose} data-first=${plan.field ? undefined : ""}>Cancel</button>
              <button type="submit" class="first" disabled=${busy}>${busy ? "Asking …" : plan.word}</button>`}
      </div>
    </form>
  <//>`;
}

function focused(button) {
  if (button && !button.dataset.seen) {
    button.dataset.seen = "yes"; // once: a page that draws anew each second must not take the focus each second
    button.focus();
  }
}

const PLANS = {
  drain: ({ upstream, backend }) => ({
    title: `Drain ${backend.address}?`,
    word: "Drain",
    path: `${backendPath(upstream.name, backend.address)}/drain`,
    text: `It gets no new requests of ${upstream.name}. ${inFlight(backend)}${shareOf(backend)}`,
    warning: lastOne(upstream, backend),
  }),
  undrain: ({ upstream, backend }) => ({
    title: `Undrain ${backend.address}?`,
    word: "Undrain",
    path: `${backendPath(upstream.name, backend.address)}/undrain`,
    text: `It gets requests of ${upstream.name} again, as soon as it is well.`,
  }),
  enable: ({ upstream, backend }) => ({
    title: `Enable ${backend.address}?`,
    word: "Enable",
    path: `${backendPath(upstream.name, backend.address)}/enable`,
    text: `It is a backend of ${upstream.name} again, as soon as it is well.`,
  }),
  reset: ({ upstream, backend }) => ({
    title: `Reset the breaker of ${backend.address}?`,
    word: "Reset",
    path: `${backendPath(upstream.name, backend.address)}/breaker/reset`,
    text: "It is closed, and what it has counted is forgotten: the backend gets requests at once, well or not.",
  }),
  weight: ({ upstream, backend }) => ({
    title: `Weight of ${backend.address}`,
    word: "Set weight",
    path: `${backendPath(upstream.name, backend.address)}/weight`,
    body: (form) => ({ weight: Number(form.get("weight")) }),
    text: `Of ${many(upstream.backends.length, "backend")} of ${upstream.name}, it gets work in proportion to its weight. The configuration says ${backend.configured_weight}.`,
    other: backend.weight === backend.configured_weight ? null : { word: `Back to ${backend.configured_weight}`, body: { weight: null } },
    field: html`<${Weight} upstream=${upstream} backend=${backend} />`,
  }),
  reload: () => ({
    title: "Reload the configuration?",
    word: "Reload",
    path: "v1/reload",
    text: "The configuration is read anew from its file. No connection is lost, and if there is a mistake in it, the one in force stays.",
  }),
  renew: ({ site }) => ({
    title: `Renew the certificate of ${site}?`,
    word: "Renew",
    path: `v1/certificates/${encodeURIComponent(site)}/renew`,
    text: "It is ordered anew; the present one is shown until the new one is here.",
  }),
};

function inFlight(backend) {
  return backend.in_flight ? `The ${many(backend.in_flight, "request")} in flight there are finished. ` : "";
}

function shareOf(backend) {
  return backend.share ? `Its share, ${part(backend.share)}, goes to the others.` : "";
}

function lastOne(upstream, backend) {
  const others = upstream.backends.filter((one) => one.address !== backend.address && takes(one));
  return others.length ? "" : `No other backend of ${upstream.name} takes requests: clients will be refused.`;
}

function Weight({ upstream, backend }) {
  const [value, setValue] = useState(String(backend.weight));
  const others = upstream.backends.filter((one) => one.address !== backend.address && takes(one) && !one.backup);
  const sum = others.reduce((all, one) => all + one.weight, Number(value) || 0);
  return html`<div class="field">
    <label for="weight">Weight, 1 to ${MOST_WEIGHT}</label>
    <input id="weight" name="weight" type="number" min="1" max=${MOST_WEIGHT} step="1" required value=${value} data-first
      onInput=${(event) => setValue(event.target.value)} />
    <span class="soft" aria-live="polite">${Number(value) > 0 && sum ? `a fair share of ${part(Number(value) / sum)}` : ""}</span>
  </div>`;
}
