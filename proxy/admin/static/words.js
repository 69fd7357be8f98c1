// Numbers as people read them. Nothing here knows of the page; what is not known is NONE.

export const NONE = "–";

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SIZES = ["B", "kB", "MB", "GB", "TB", "PB"];

/** A count: 12,345. */
export function count(value) {
  return value == null ? NONE : WHOLE.format(value);
}

/** Something per second: 0, 0.4, 12.5, 1,204. */
export function rate(value) {
  if (value == null) return NONE;
  if (value === 0) return "0";
  if (value < 0.05) return "<0.1";
  return value < 99.95 ? value.toFixed(1) : WHOLE.format(value);
}

/** Seconds, three digits of them: 420 µs, 12.3 ms, 1.24 s, 2 min 5 s. */
export function seconds(value) {
  if (value == null) return NONE;
  if (value === 0) return "0 ms";
  if (value < 0.0009995) return `${Math.max(1, Math.round(value * 1e6))} µs`;
  if (value < 0.9995) return `${digits(value * 1e3)} ms`;
  if (value < 99.95) return `${digits(value)} s`;
  return span(value);
}

function digits(value) {
  return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

/** Bytes: 999 B, 1.24 MB. */
export function bytes(value) {
  if (value == null) return NONE;
  let left = value;
  let unit = 0;
  while (left >= 999.5 && unit < SIZES.length - 1) {
    left /= 1000;
    unit += 1;
  }
  return unit === 0 ? `${Math.round(left)} B` : `${digits(left)} ${SIZES[unit]}`;
}

/** A long time in its two largest units: 3 d 4 h. */
export function span(value) {
  if (value == null) return NONE;
  const whole = Math.max(0, Math.floor(value));
  if (whole >= 86400) return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  if (whole >= 60) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${whole} s`;
}

/** A part of one: 33 %, <1 %. */
export function part(value) {
  if (value == null) return NONE;
  if (value > 0 && value < 0.01) return "<1 %";
  return `${Math.round(value * 100)} %`;
}

/** A time of day, and the date too when it is not today's. `at`: seconds since 1970. */
export function clock(at) {
  if (at == null) return NONE;
  const then = new Date(at * 1000);
  const time = then.toLocaleTimeString("en-GB");
  return then.toDateString() === new Date().toDateString() ? time : `${day(at)} ${time}`;
}

/** A date: 2026-11-23. */
export function day(at) {
  if (at == null) return NONE;
  const then = new Date(at * 1000);
  const two = (number) => String(number).padStart(2, "0");
  return `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())}`;
}

/** 1 backend, 2 backends. */
export function many(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

/** A sentence begins with a capital and needs no more than its own words. */
export function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : "";
}
