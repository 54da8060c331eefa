// Replaces the printed figures by interactive ones, from the same definition, when they come into view.
(() => {
  "use strict";
  const views = new WeakMap();

  const quiet = { mode: "vega", renderer: "svg", actions: false, defaultStyle: false, logLevel: 1, tooltip: { disableDefaultStyle: true, sanitize: escape } };

  function escape(value) {
    return String(value).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
  }

  // Turns columns into rows.
  function rows(columns) {
    const [first = []] = Object.values(columns);
    return first.map((_, index) => Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[index]])));
  }

  async function draw(figure) {
    if (views.has(figure)) return views.get(figure);
    const made = (async () => {
      const plot = figure.querySelector(".plot");
      const place = document.createElement("div");
      const printed = figure.querySelector(".rows");
      const spec = structuredClone(window.BENCH_CHARTS[printed.dataset.kind]);
      const sets = JSON.parse(printed.textContent);
      for (const part of spec.data) if (part.name in sets) part.values = rows(sets[part.name]);
      // A name in the legend is cut where it would be wider than the page, beside the axis that it starts at.
      const { legend } = spec.config;
      legend.labelLimit = Math.min(legend.labelLimit, plot.clientWidth - 96);
      const { view } = await window.drawVega(place, spec, quiet);
      const svg = place.querySelector("svg");
      svg.setAttribute("aria-hidden", "true");
      svg.setAttribute("focusable", "false");
      view.addEventListener("click", (_, item) => {
        const address = item && item.datum && item.datum.address;
        if (address) location.href = figure.dataset.up + address;
      });
      plot.replaceChildren(place);
      await fit(plot, view);
      offer(figure, view);
      return view;
    })();
    views.set(figure, made);
    return made;
  }

  // Lays a figure out anew where it is wider than its place, instead of making its letters small.
  async function fit(plot, view) {
    const surplus = () => plot.querySelector("svg").getAttribute("width") - plot.clientWidth;
    const given = view.width();
    const before = surplus();
    for (let turn = 0; turn < 3 && surplus() > 0; turn += 1) {
      await view.width(Math.max(120, view.width() - surplus())).resize().runAsync();
    }
    // A legend as wide as the figure leaves nothing to win.
    if (before > 0 && surplus() >= before) await view.width(given).resize().runAsync();
  }

  // Swaps the rows of named data sets.
  async function fill(figure, sets) {
    const view = await draw(figure);
    for (const [name, rows] of Object.entries(sets)) {
      view.change(name, view.changeset().remove(() => true).insert(rows));
    }
    await view.resize().runAsync();
    await fit(figure.querySelector(".plot"), view);
    const svg = figure.querySelector("svg");
    svg.setAttribute("aria-hidden", "true");
    svg.setAttribute("focusable", "false");
  }

  function offer(figure, view) {
    const title = figure.querySelector("figcaption").textContent;
    const made = [["SVG", () => save(view)], ["PDF", () => print(figure)]].map(([kind, act]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "link";
      button.textContent = kind;
      button.setAttribute("aria-label", `${kind} of “${title}”`);
      button.addEventListener("click", act);
      return button;
    });
    figure.querySelector(".downloads").prepend(...made);
  }

  // Gives a drawing colours of its own, the light ones, as the printed files have them.
  async function save(view) {
    const probe = document.createElement("span");
    document.body.append(probe);
    probe.style.colorScheme = "light";
    const svg = (await view.toSVG()).replace(/var\((--[a-z0-9]+)\)/g, (call) => {
      probe.style.color = call;
      return getComputedStyle(probe).color;
    });
    probe.remove();
    const link = document.createElement("a");
    link.download = "figure.svg";
    link.href = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // A dialogue is the one way from a page to a PDF; the style sheet leaves nothing but the figure.
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
  }
  window.benchCharts = { draw, fill };
})();
