// What each limit decides, and whom it refuses most.

import { Bar, Panel, Scroll, Table, html } from "./parts.js";
import { count, rate } from "./words.js";
import { limitRate } from "./picture.js";

const COLUMNS = [
  { word: "Limit" },
  { word: "Allows", width: "26%" },
  { word: "Passed/s", kind: "number", width: "14%" },
  { word: "Delayed/s", kind: "number", width: "14%" },
  { word: "Refused/s", kind: "number", width: "14%" },
];
const KEYS = [
  { word: "Key" },
  { word: "By limit", width: "22%" },
  { word: "Refused", width: "28%" },
  { word: "Last", kind: "number", width: "18%" },
];
const MOST_KEYS = 20;

/** The limits, and below them the keys that were refused, most first. `now`: seconds since 1970 at the door. */
export function Limits({ limits, charged, now }) {
  const rows = limits.map((limit) => ({
    key: limit.name,
    cells: [
      html`<b>${limit.name}</b> <span class="soft">by ${limit.key}</span>`,
      allowed(limit),
      ...["passed", "delayed", "rejected"].map((word) => rate(limitRate(charged, limit.name, word))),
    ],
  }));
  return html`<${Panel} id="limits" title="Limits">
    <${Table} label="Limits" columns=${COLUMNS} rows=${rows} empty="No limit is configured." cards="limits" />
    <h3 class="below">Who is being limited</h3>
    <${Scroll} label="Keys that were refused"><${Table} label="Keys that were refused" columns=${KEYS} rows=${keys(limits, now)} cards="keys"
      empty="Nobody was refused lately." /><//>
  <//>`;
}

/** "10/s, burst 20"; slow rates are said per minute. */
function allowed(limit) {
  if (!limit.rate) return limit.in_flight ? `${count(limit.in_flight)} at a time` : "nothing";
  const often = limit.rate >= 1 ? `${rate(limit.rate).replace(/\.0$/, "")}/s` : `${rate(limit.rate * 60).replace(/\.0$/, "")}/min`;
  return limit.burst ? `${often}, burst ${count(limit.burst)}` : often;
}

function keys(limits, now) {
  const all = limits.flatMap((limit) => (limit.keys ?? []).map((one) => ({ ...one, limit: limit.name })));
  all.sort((a, b) => b.rejected - a.rejected);
  const most = all[0]?.rejected || 1;
  return all.slice(0, MOST_KEYS).map((one) => ({
    key: `${one.limit} ${one.key}`,
    cells: [
      html`<span class="address">${one.key}</span>`,
      one.limit,
      html`<${Bar} of=${one.rejected / most} text=${count(one.rejected)} />`,
      since(now, one.last),
    ],
  }));
}

function since(now, at) {
  const passed = Math.max(0, Math.round(now - at));
  return passed < 2 ? "now" : passed < 60 ? `${passed} s ago` : `${Math.floor(passed / 60)} min ago`;
}
