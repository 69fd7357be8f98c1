// The top of the page: what needs attention, the numbers of this moment, and the last minutes drawn.

import { Panel, Shape, html, useState } from "./parts.js";
import { Chart } from "./chart.js";
import { NONE, bytes, count, many, part, rate, seconds, sentence } from "./words.js";
import { notices } from "./picture.js";

const RANGES = [[60, "1 min"], [300, "5 min"], [600, "10 min"]];
const MOST_NOTICES = 3;

/** What an operator must look at; one line when there is nothing. */
export function Attention({ picture }) {
  const found = picture.state ? notices(picture) : [];
  const [all, setAll] = useState(false);
  const backends = picture.upstreams.flatMap((upstream) => upstream.backends);
  const well = backends.length ? `Nothing needs attention: ${many(backends.length, "backend")} well.` : "Nothing needs attention.";
  return html`<div class="attention" role="status" aria-label="What needs attention">
    ${!picture.state && html`<p><${Shape} kind="trying" /> Listening …</p>`}
    ${picture.state && !found.length && html`<p><${Shape} kind="good" /> ${well}</p>`}
    ${found.slice(0, all ? undefined : MOST_NOTICES).map((one) => html`<p key=${one.text} class=${one.grave ? "grave" : "mild"}>
      <${Shape} kind=${one.grave ? "bad" : "warn"} /> <a href=${`#${one.where}`}>${sentence(one.text)}</a></p>`)}
    ${found.length > MOST_NOTICES && html`<button type="button" class="link" aria-expanded=${all} onClick=${() => setAll(!all)}>
      ${all ? "fewer" : `and ${found.length - MOST_NOTICES} more`}</button>`}
  </div>`;
}

/** The numbers of this moment, as large as they matter. */
export function Figures({ picture }) {
  const now = picture.samples[picture.samples.length - 1];
  const latency = now?.latency;
  const failed = now && now.requests > 0 ? now.classes["5xx"] / now.requests : now ? 0 : null;
  const figures = [
    ["Requests", rate(now?.requests), "per second", `${bytes(now?.bytes_out)}/s out`],
    ["Server errors", part(failed), "", `${rate(now?.classes["5xx"])}/s answered 5xx`],
    ["Latency p50", ...unit(seconds(latency?.p50)), `mean ${seconds(latency?.mean)}`],
    ["Latency p99", ...unit(seconds(latency?.p99)), `p90 ${seconds(latency?.p90)}`],
    ["In flight", count(now?.in_flight), "", "requests at backends"],
    ["Waiting", count(now?.waiting), "", "for a backend"],
    ["Refused", rate(now?.rejected), "per second", "by limits"],
    ["Connections", count(now?.connections), "", `${many(picture.workers.length, "worker")}`],
  ];
  return html`<dl class="figures" aria-label="Now">${figures.map(
    ([word, figure, of, more]) => html`<div key=${word}>
      <dt>${word}</dt><dd><span class="figure">${figure}</span> <span class="of">${of}</span></dd><dd class="more">${more}</dd>
    </div>`,
  )}</dl>`;
}

/** "12.3 ms" as its number and its unit. */
function unit(text) {
  if (text === NONE) return [text, ""];
  const cut = text.indexOf(" ");
  return [text.slice(0, cut), text.slice(cut + 1)];
}

const TRAFFIC = [
  { word: "all", colour: "blue", fill: "blue-fill", width: 2, of: (sample) => sample.requests },
  { word: "4xx", colour: "amber", dash: [6, 3], of: (sample) => sample.classes["4xx"] },
  { word: "5xx", colour: "red", dash: [2, 2], width: 2, of: (sample) => sample.classes["5xx"] },
];
const LATENCY = [
  { word: "p50", colour: "blue", width: 2, of: (sample) => sample.latency.p50 },
  { word: "p90", colour: "amber", dash: [6, 3], of: (sample) => sample.latency.p90 },
  { word: "p99", colour: "red", dash: [2, 2], width: 2, of: (sample) => sample.latency.p99 },
];
const LOAD = [
  { word: "in flight", colour: "blue", fill: "blue-fill", width: 2, of: (sample) => sample.in_flight },
  { word: "waiting", colour: "amber", dash: [6, 3], of: (sample) => sample.waiting },
  { word: "refused/s", colour: "red", dash: [2, 2], width: 2, of: (sample) => sample.rejected },
];

/** What is counted, most of it in whole numbers. */
function plain(value) {
  return rate(value).replace(/\.0$/, "");
}

/** The last minutes: traffic, latency and load, all over the same time. */
export function Charts({ picture }) {
  const [range, setRange] = useState(300);
  const choice = html`<fieldset class="choice"><legend class="unseen">Time shown</legend>${RANGES.map(
    ([value, word]) => html`<label><input type="radio" name="range" checked=${range === value}
      onChange=${() => setRange(value)} /><span>${word}</span></label>`,
  )}</fieldset>`;
  const common = { samples: picture.samples, range };
  return html`<${Panel} id="traffic" title="Traffic" aside=${choice}>
    <div class="charts">
      <${Chart} label="Requests per second" lines=${TRAFFIC} show=${rate} ...${common} />
      <${Chart} label="Latency" lines=${LATENCY} show=${seconds} ...${common} />
      <${Chart} label="Load and limits" lines=${LOAD} show=${plain} ...${common} />
    </div>
  <//>`;
}
