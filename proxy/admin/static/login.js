// Asks for the token where one is needed. It is sent once, and never kept here: the door gives a cookie that scripts
// cannot read.

import { html, useEffect, useRef, useState } from "./parts.js";
import { sentence } from "./words.js";
import { change } from "./door.js";

/** A form; `enter(session)` is called when the door has let us in. */
export function Login({ enter }) {
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  const submit = async (event) => {
    event.preventDefault();
    const form = event.target;
    setBusy(true);
    setTrouble("");
    try {
      enter(await change("session", { token: new FormData(form).get("token").trim() }));
    } catch (refusal) {
      setBusy(false);
      setTrouble(refusal.message);
      field.current.select();
    }
  };
  return html`<main class="login"><form onSubmit=${submit}>
    <img src="static/icon.svg" alt="" width="40" height="40" />
    <h1>frontgate</h1>
    <label for="token">Token</label>
    <input id="token" name="token" type="password" autocomplete="current-password" required ref=${field}
      aria-describedby="token-trouble" aria-invalid=${trouble ? "true" : undefined} />
    <button type="submit" class="first" disabled=${busy}>${busy ? "Asking …" : "Log in"}</button>
    <p id="token-trouble" class="trouble" role="alert">${sentence(trouble)}</p>
    <p class="soft">The token stands in the file that <code>token</code> or <code>read_token</code> of <code>[admin]</code> names.</p>
  </form></main>`;
}
