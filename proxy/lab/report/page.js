// The page is whole without this: it adds the choice of colours and the buttons that copy.
"use strict";
const root = document.documentElement;
const theme = document.getElementById("theme");
const kept = {
  get() { try { return localStorage.getItem("frontgate-report-theme") || ""; } catch { return ""; } },
  set(value) { try { localStorage.setItem("frontgate-report-theme", value); } catch { /* then it is not kept */ } },
};
function paint(value) {
  if (value) root.dataset.theme = value; else delete root.dataset.theme;
}
theme.value = kept.get();
paint(theme.value);
theme.closest("label").hidden = false;
theme.addEventListener("change", () => { kept.set(theme.value); paint(theme.value); });

for (const button of document.querySelectorAll("[data-copies]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = document.getElementById(button.dataset.copies);
    const said = document.getElementById("copied");
    try {
      await navigator.clipboard.writeText(code.textContent);
      said.textContent = "Copied.";
    } catch { // a file has no clipboard in some browsers
      getSelection().selectAllChildren(code);
      said.textContent = "It is selected: copy it with Ctrl-C.";
    }
  });
}
