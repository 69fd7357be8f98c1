// The small parts that every panel is made of. Colour never speaks alone: a shape or a word says the same.

import { html, useEffect, useLayoutEffect, useRef } from "./vendor/htm-preact-standalone.js";

export * from "./vendor/htm-preact-standalone.js";

const SHAPES = {
  good: html`<circle cx="6" cy="6" r="4.5" class="full" />`,
  spare: html`<circle cx="6" cy="6" r="3.9" class="line" />`,
  leaving: html`<g><circle cx="6" cy="6" r="3.9" class="line" /><path d="M6 2.1 a3.9 3.9 0 0 1 0 7.8 z" class="full" /></g>`,
  trying: html`<path d="M6 1.2 L11 10.4 L1 10.4 Z" class="line" />`,
  bad: html`<path d="M6 0.8 L11.2 6 L6 11.2 L0.8 6 Z" class="full" />`,
  off: html`<g><rect x="1.8" y="1.8" width="8.4" height="8.4" rx="1" class="line" /><path d="M3 9 L9 3" class="line" /></g>`,
  warn: html`<path d="M6 0.9 L11.6 11 L0.4 11 Z" class="full" />`,
};

/** A shape for a state; the word beside it says what it means. */
export function Shape({ kind }) {
  return html`<svg class=${`shape ${kind}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">${SHAPES[kind]}</svg>`;
}

const STATES = {
  up: "good", backup: "spare", draining: "leaving", probing: "trying", down: "bad", disabled: "off",
  open: "bad", out: "bad", full: "warn", held: "trying", // of a candidate, when a backend was chosen
};

/** The state of a backend, in shape and word. */
export function State({ word, why }) {
  return html`<span class="state" title=${why || undefined}><${Shape} kind=${STATES[word] ?? "off"} />${word}</span>`;
}

/** A bar: `of` is the part of one that is filled, `mark` where a fair share would end, `text` what stands behind it. */
export function Bar({ of, mark, kind = "plain", text }) {
  const wide = `${Math.round(Math.min(1, Math.max(0, of ?? 0)) * 1000) / 10}%`;
  return html`<span class="measure">
    <span class=${`bar ${kind}`} aria-hidden="true">
      <span class="fill" style=${{ width: wide }}></span>
      ${mark != null && html`<span class="mark" style=${{ left: `${Math.min(1, mark) * 100}%` }}></span>`}
    </span>
    <span class="number">${text}</span>
  </span>`;
}

/** A part of the page with a heading; `aside` stands at the heading's right. */
export function Panel({ id, title, aside, wide, children }) {
  return html`<section id=${id} class=${`panel${wide ? " wide" : ""}`} aria-labelledby=${`${id}-title`} tabindex="-1">
    <header><h2 id=${`${id}-title`}>${title}</h2>${aside && html`<div class="aside">${aside}</div>`}</header>
    ${children}
  </section>`;
}

/**
 * A table. Columns are {word, width?, kind?: "number" | "act"}; rows are {key, cells, tone?}. With `cards`, a name of
 * style.css, each row becomes a card on a phone; the roles that `display: grid` would take away are said aloud.
 */
export function Table({ label, columns, rows, empty, cards }) {
  return html`<table class=${cards ? `cards ${cards}` : undefined} role="table" aria-label=${label}>
    <thead role="rowgroup"><tr role="row">${columns.map(
      (column) => html`<th role="columnheader" scope="col" class=${column.kind ?? ""} style=${{ width: column.width }}>${column.word}</th>`,
    )}</tr></thead>
    <tbody role="rowgroup">
      ${rows.map((row) => html`<tr role="row" key=${row.key} class=${row.tone ?? ""}>${row.cells.map(
        (cell, place) => html`<td role="cell" class=${columns[place].kind ?? ""} data-word=${columns[place].word}>${cell}</td>`,
      )}</tr>`)}
      ${!rows.length && html`<tr role="row" class="empty"><td role="cell" colspan=${columns.length}>${empty}</td></tr>`}
    </tbody>
  </table>`;
}

/** What scrolls by itself, and can be scrolled with the keyboard. */
export function Scroll({ label, children, tall }) {
  return html`<div class=${`scroll${tall ? " tall" : ""}`} role="group" aria-label=${label} tabindex="0">${children}</div>`;
}

/** A dialog that is open as long as it is on the page; Escape and its backdrop close it, and focus returns. */
export function Dialog({ title, onClose, children, wide }) {
  const box = useRef(null);
  useLayoutEffect(() => {
    const dialog = box.current;
    dialog.showModal();
    dialog.querySelector("[data-first]")?.focus(); // else it is the button that closes it
    return () => dialog.close();
  }, []);
  const outside = (event) => event.target === box.current && box.current.close();
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} aria-labelledby="dialog-title" onClose=${onClose} onMouseDown=${outside}>
    <div class="inside">
      <header>
        <h2 id="dialog-title">${title}</h2>
        <button type="button" class="quiet" aria-label="Close" onClick=${() => box.current.close()}>
          <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true"><path d="M2 2 L10 10 M10 2 L2 10" class="line" /></svg>
        </button>
      </header>
      ${children}
    </div>
  </dialog>`;
}

/** Do `look` at once and every `pause` ms, as long as the part is shown. */
export function useEvery(look, pause, when = []) {
  useEffect(() => {
    look();
    const timer = setInterval(look, pause);
    return () => clearInterval(timer);
  }, when);
}
