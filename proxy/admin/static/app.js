// The page: who may see it, what is heard, and where each panel stands.

import { Shape, html, render, useCallback, useEffect, useReducer, useState } from "./parts.js";
import { Attention, Charts, Figures } from "./overview.js";
import { Upstreams } from "./upstreams.js";
import { Limits } from "./limits.js";
import { Errors, Live, Slowest } from "./exchanges.js";
import { Asking, Explanation } from "./explain.js";
import { Apps, Certificates, Configuration, Sites, Workers, useApps } from "./host.js";
import { Change } from "./changes.js";
import { Login } from "./login.js";
import { EMPTY, after, learned, lost } from "./picture.js";
import { ask, follow, leave } from "./door.js";
import { sentence, span } from "./words.js";

const STALE = 3000; // ms without news
const PLACES = [["traffic", "Traffic"], ["backends", "Backends"], ["limits", "Limits"], ["errors", "Errors"], ["host", "Host"]];

function step(picture, event) {
  if (event.lost) return lost(picture, event.lost);
  if (event.facts) return learned(picture, event.facts);
  return after(picture, event.name, event.body, event.now);
}

/** Asks the door who we are, until it says so. */
function App() {
  const [session, setSession] = useState(null);
  const look = useCallback(() => {
    const again = () => setTimeout(look, 2000);
    ask("session").then(setSession, again);
  }, []);
  useEffect(look, []);
  if (!session) return html`<p class="before">Asking the door how it is …</p>`;
  if (session.required && session.rights === "none") return html`<${Login} enter=${setSession} />`;
  return html`<${Page} session=${session} left=${() => setSession({ ...session, rights: "none" })} recheck=${look} />`;
}

function Page({ session, left, recheck }) {
  const [picture, tell] = useReducer(step, EMPTY);
  const [dialog, setDialog] = useState(null);
  const learn = (facts) => tell({ facts });
  useEffect(() => {
    const catchUp = () => {
      ask("v1/errors?most=50").then((answer) => learn({ errors: answer.errors }), () => {});
      ask("v1/exchanges/slowest?most=20").then((answer) => learn({ slowest: answer.exchanges }), () => {});
    };
    const hear = (name, body) => {
      if (name === "hello") catchUp(); // what happened while nobody listened
      tell({ name, body, now: performance.now() });
    };
    const broken = (tries) => {
      tell({ lost: tries });
      recheck(); // perhaps the door wants the token again
    };
    return follow(hear, broken);
  }, []);
  useApps(learn, picture.link === "live");
  const close = useCallback(() => setDialog(null), []);
  const explain = useCallback((id) => setDialog({ id }), []);
  const act = useCallback((kind, upstream, backend, site) => setDialog({ asked: { kind, upstream, backend, site } }), []);
  const may = session.rights === "write";
  const now = picture.samples[picture.samples.length - 1]?.at ?? 0;
  return html`
    <a class="skip" href="#traffic">Skip to the numbers</a>
    <${Top} picture=${picture} session=${session} explain=${explain} left=${left} />
    ${!picture.known ? html`<p class="before">Listening …</p>` : html`<main class=${picture.link === "live" ? "" : "old"}>
      <${Attention} picture=${picture} />
      <${Figures} picture=${picture} />
      <${Charts} picture=${picture} />
      <${Upstreams} upstreams=${picture.upstreams} act=${act} may=${may} />
      <div class="pair">
        <${Limits} limits=${picture.limits} charged=${picture.charged} now=${now} />
        <${Slowest} exchanges=${picture.slowest} explain=${explain} />
      </div>
      <${Errors} errors=${picture.errors} explain=${explain} />
      <${Live} explain=${explain} />
      <div class="pair">
        <div class="stack">
          <${Sites} sites=${picture.sites} />
          <${Workers} workers=${picture.workers} state=${picture.state} />
        </div>
        <div class="stack">
          <${Certificates} certificates=${picture.certificates} act=${act} may=${may} />
          <${Apps} apps=${picture.apps} />
        </div>
      </div>
      <${Configuration} state=${picture.state} act=${act} may=${may} />
    </main>`}
    <${Said} said=${picture.said} />
    ${dialog?.asked && html`<${Change} asked=${dialog.asked} onClose=${close} />`}
    ${dialog?.id && html`<${Explanation} id=${dialog.id} onClose=${close} />`}
  `;
}

function Top({ picture, session, explain, left }) {
  const { state } = picture;
  return html`<header class="top">
    <div class="name"><img src="static/icon.svg" alt="" width="22" height="22" /><h1>frontgate</h1>
      <span class="soft">${state?.version ?? session.version}</span></div>
    <nav aria-label="Parts of the page">${PLACES.map(([id, word]) => html`<a href=${`#${id}`}>${word}</a>`)}</nav>
    <${News} picture=${picture} />
    <${Asking} explain=${explain} />
    <${Theme} />
    ${session.required && html`<button type="button" class="quiet" onClick=${() => leave().then(left, left)}>Log out</button>`}
  </header>`;
}

/** Whether what is shown is true now. */
function News({ picture }) {
  const [, again] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => again((number) => number + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const silent = picture.heard ? performance.now() - picture.heard : 0;
  const stale = picture.link === "live" && silent > STALE;
  const [kind, word] = picture.link === "connecting" ? ["trying", "Connecting"]
    : picture.link === "lost" ? ["bad", "No connection"]
    : stale ? ["warn", "Stale"] : ["good", "Live"];
  const more = picture.link === "live" && !stale
    ? `up ${span(picture.state?.uptime)}`
    : picture.heard ? `for ${span(silent / 1000)}; trying again` : "";
  return html`<div class=${`news ${kind}`}><span role="status"><${Shape} kind=${kind} /><b>${word}</b></span><span class="soft">${more}</span></div>`;
}

const THEMES = [["auto", "Auto"], ["light", "Light"], ["dark", "Dark"]];

function Theme() {
  const [chosen, setChosen] = useState(window.theme.chosen);
  const choose = (word) => {
    window.theme.choose(word);
    setChosen(word);
  };
  return html`<fieldset class="choice theme"><legend class="unseen">Colours</legend>${THEMES.map(
    ([word, shown]) => html`<label><input type="radio" name="theme" checked=${chosen === word}
      onChange=${() => choose(word)} /><span>${shown}</span></label>`,
  )}</fieldset>`;
}

const SHOWN = 8000; // ms

/** What anybody has changed at the door, shown for a moment and read aloud. */
function Said({ said }) {
  const [over, setOver] = useState(0);
  const last = said[0]?.number ?? 0;
  useEffect(() => {
    const timer = setTimeout(() => setOver(last), SHOWN);
    return () => clearTimeout(timer);
  }, [last]);
  return html`<div class="said" role="status" aria-label="Changes">${said.filter((one) => one.number > over).map(
    (one) => html`<p key=${one.number} class=${one.good ? "" : "grave"}><${Shape} kind=${one.good ? "good" : "bad"} />${sentence(one.text)}</p>`,
  )}</div>`;
}

render(html`<${App} />`, document.getElementById("page"));
