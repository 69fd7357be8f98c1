// Light or dark, before anything is painted: what was chosen here once, else what the system prefers.
// "auto" leaves the choice to the system; the choice is kept by this browser alone.
(function () {
  "use strict";
  const KEPT = "frontgate.theme";
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = "auto";
  try {
    chosen = window.localStorage.getItem(KEPT) || "auto";
  } catch {
    // a browser that keeps nothing
  }

  function show() {
    const dark = chosen === "dark" || (chosen === "auto" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    window.dispatchEvent(new Event("theme"));
  }

  window.theme = {
    get chosen() {
      return chosen;
    },
    choose(word) {
      chosen = word;
      try {
        window.localStorage.setItem(KEPT, word);
      } catch {
        // then it holds until the page is closed
      }
      show();
    },
  };
  system.addEventListener("change", show);
  show();
})();
