// Replaces the printed figures by interactive ones, from the same definition, when they come into view.
(() => {
  "use strict";
  const views = new WeakMap();

  const quiet = { mode: "vega", renderer: "svg", actions: false, defaultStyle: false, logLevel: 1, tooltip: { disableDefaultStyle: true, sanitize: escape } };

  function escape(value) {
    return String(value).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
  }

  async function draw(figure) {
    if (views.has(figure)) return views.get(figure);
    const made = (async () => {
      const plot = figure.querySelector(".plot");
      const place = document.createElement("div");
      const spec = JSON.parse(figure.querySelector(".spec").textContent);
      const { view } = await window.drawVega(place, spec, quiet);
      const svg = place.querySelector("svg");
      svg.setAttribute("aria-hidden", "true");
      svg.setAttribute("focusable", "false");
      view.addEventListener("click", (_, item) => {
        const address = item && item.datum && item.datum.address;
        if (address) location.href = figure.dataset.up + address;
      });
      plot.replaceChildren(place);
      return view;
    })();
    views.set(figure, made);
    return made;
  }

  // Swaps the rows of a named data set of a figure.
  async function fill(figure, sets) {
    const view = await draw(figure);
    for (const [name, rows] of Object.entries(sets)) {
      view.change(name, view.changeset().remove(() => true).insert(rows));
    }
    await view.resize().runAsync();
    const svg = figure.querySelector("svg");
    svg.setAttribute("aria-hidden", "true");
    svg.setAttribute("focusable", "false");
  }

  function print(figure) {
    const finish = () => {
      document.body.classList.remove("one-figure");
      figure.classList.remove("printed");
    };
    document.body.classList.add("one-figure");
    figure.classList.add("printed");
    addEventListener("afterprint", finish, { once: true });
    window.print();
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        seen.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, { rootMargin: "200px" });

  for (const figure of document.querySelectorAll("figure.chart")) {
    seen.observe(figure);
    const button = figure.querySelector("[data-print]");
    button.hidden = false;
    button.addEventListener("click", () => print(figure));
  }
  window.benchCharts = { draw, fill };
})();
