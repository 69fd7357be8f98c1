// A chart over time: uPlot in the page's colours. Lines differ by dash as well as by colour.
// A chart is one picture for who cannot see it: its label says what the lines are at now.

import { html, useEffect, useRef, useState } from "./parts.js";
import { NONE, clock } from "./words.js";

const HEIGHT = 188;
const AXIS = 54; // px: fixed, so that nothing moves when numbers grow
const GAP = 2.5; // seconds without a sample: the line breaks
const SYNC = "time";

/** Lines are {word, colour: a name of tokens.css, dash?, fill?, of(sample)}; `show` writes a value. */
export function Chart({ label, lines, samples, range, show }) {
  const place = useRef(null);
  const drawn = useRef(null);
  const reach = useRef(range);
  const [at, setAt] = useState(null);
  const [theme, setTheme] = useState(document.documentElement.dataset.theme);
  const columns = columnsOf(samples, lines);
  reach.current = range;

  useEffect(() => {
    const changed = () => setTheme(document.documentElement.dataset.theme);
    window.addEventListener("theme", changed);
    return () => window.removeEventListener("theme", changed);
  }, []);

  useEffect(() => {
    const chart = new window.uPlot(options(place.current.clientWidth, lines, reach, show, setAt), columns, place.current);
    drawn.current = chart;
    const fit = new ResizeObserver(() => chart.setSize({ width: place.current.clientWidth, height: HEIGHT }));
    fit.observe(place.current);
    return () => {
      fit.disconnect();
      chart.destroy();
    };
  }, [theme]);

  useEffect(() => drawn.current.setData(columns), [samples, range]);

  const pointed = at == null ? undefined : samples.find((one) => one.at === at);
  const shown = pointed ?? samples[samples.length - 1];
  const spoken = lines.map((line) => `${line.word} ${shown ? show(line.of(shown)) : NONE}`).join(", ");
  return html`<figure class=${`chart ${show.name}`}>
    <figcaption>
      <span class="title"><h3>${label}</h3><span class="when">${pointed ? clock(pointed.at).slice(-8) : "now"}</span></span>
      ${lines.map((line) => html`<span class="key"><${Dash} line=${line} /><span class="word">${line.word}</span>
        <span class="number">${shown ? show(line.of(shown)) : NONE}</span></span>`)}
    </figcaption>
    <div class="canvas" ref=${place} role="img" aria-label=${`${label}: ${spoken}`}></div>
  </figure>`;
}

function Dash({ line }) {
  return html`<svg class="dash" viewBox="0 0 22 8" width="22" height="8" aria-hidden="true">
    <path d="M0 4 H22" style=${{ stroke: `var(--${line.colour})` }} stroke-dasharray=${(line.dash ?? []).join(" ")} />
  </svg>`;
}

/** Times and values in columns, as uPlot wants them, with a hole where seconds are missing. */
export function columnsOf(samples, lines) {
  const times = [];
  const values = lines.map(() => []);
  let before = null;
  for (const sample of samples) {
    if (before != null && sample.at - before > GAP) {
      times.push(before + 1);
      for (const column of values) column.push(null);
    }
    times.push(sample.at);
    lines.forEach((line, place) => values[place].push(line.of(sample)));
    before = sample.at;
  }
  return [times, ...values];
}

function options(width, lines, reach, show, setAt) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const axis = {
    stroke: colour("soft"),
    font: `11px ${style.getPropertyValue("--sans")}`,
    grid: { stroke: colour("hair"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    padding: [8, 16, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: SYNC }, drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { range: (chart, from, to) => [(to ?? 0) - reach.current, to ?? 0] },
      y: { range: (chart, from, to) => [0, Math.max(to ?? 0, 1e-3) * 1.12] },
    },
    axes: [
      { ...axis, size: 26, space: 58, values: (chart, ticks) => ticks.map((tick) => timeOf(tick, reach.current)) },
      { ...axis, size: AXIS, space: 34, values: (chart, ticks) => ticks.map((tick) => short(show(tick))) },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        stroke: colour(line.colour),
        width: line.width ?? 1.5,
        dash: line.dash,
        fill: line.fill ? colour(line.fill) : undefined,
        points: { show: false },
        spanGaps: false,
      })),
    ],
    hooks: { setCursor: [(chart) => setAt(chart.cursor.idx == null ? null : chart.data[0][chart.cursor.idx])] },
  };
}

/** "50.0 ms" is "50 ms" at an axis. */
function short(text) {
  return text.replace(/(\d)\.0+(?=\D|$)/, "$1");
}

/** The time of day at a tick, with seconds only where little time is shown. */
function timeOf(tick, range) {
  const whole = clock(tick).slice(-8);
  return range > 120 ? whole.slice(0, 5) : whole;
}
