// Applies the reader's choice of colours before the page is painted; without a choice the system decides.
(() => {
  "use strict";
  const root = document.documentElement;
  const choices = ["system", "light", "dark"];
  const read = () => {
    try { return localStorage.getItem("bench-theme") || "system"; } catch { return "system"; }
  };
  const apply = (choice) => {
    if (choice === "system") delete root.dataset.theme;
    else root.dataset.theme = choice;
  };
  apply(read());
  addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("button.theme");
    const label = () => { button.textContent = `Colours: ${read()}`; };
    button.hidden = false;
    label();
    button.addEventListener("click", () => {
      const next = choices[(choices.indexOf(read()) + 1) % choices.length];
      try { localStorage.setItem("bench-theme", next); } catch { return; }
      apply(next);
      label();
    });
  });
})();
