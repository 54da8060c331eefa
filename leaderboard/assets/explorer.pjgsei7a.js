// Answers which entry is best for the reader's scenario, with the same rule as the printed table.
(() => {
  "use strict";
  const { percent, metric, wilson, element, options, remember, recall, copier } = window.benchNumbers;
  const { protocols, entries } = window.BENCH;
  const find = (id) => document.getElementById(id);
  const controls = find("controls");
  if (!controls) return;
  const LINES = 6;
  const fields = ["protocol", "norm", "epsilon", "knowledge", "size", "which"];
  const figure = document.querySelector("figure.chart");
  const state = { which: "all", size: "any", knowledge: "white-box", p: "50", ...recall() };

  const here = () => entries.filter((entry) => entry.protocol === state.protocol && entry.alive);
  const rule = () => protocols[state.protocol].threats.find((threat) => threat.norm === state.norm);

  // Fills the choices that exist and falls back to the first where a link names one that does not.
  function offer() {
    const names = Object.keys(protocols);
    if (!names.includes(state.protocol)) state.protocol = names[0];
    const protocol = protocols[state.protocol];
    options(find("protocol"), names.map((name) => [name, protocols[name].title]), state.protocol);
    if (!rule()) state.norm = protocol.threats[0].norm;
    options(find("norm"), protocol.threats.map((threat) => [threat.norm, threat.symbol]), state.norm);
    const scenarios = [...new Set(here().flatMap((entry) => Object.keys(entry.scenarios).filter((name) => state.norm in entry.scenarios[name])))].sort();
    if (!scenarios.includes(state.knowledge)) state.knowledge = "white-box";
    const words = { "white-box": "knows the network", transfer: "knows the dense parent", "black-box": "may only query" };
    options(find("knowledge"), ["white-box", ...scenarios].map((name) => [name, words[name] || name]), state.knowledge);
    const radii = (state.knowledge === "white-box" && protocol.curves[state.norm]) || [rule().epsilon];
    if (!radii.includes(state.epsilon)) state.epsilon = rule().epsilon;
    const all = radii.includes(rule().epsilon) ? radii : [...radii, rule().epsilon];
    options(find("epsilon"), all.filter((radius) => radius !== "0").map((radius) => [radius, radius === rule().epsilon ? `${radius} (ranks)` : radius]), state.epsilon);
    const sizes = [...new Set(here().map((entry) => entry.nonzero))].sort((one, two) => two - one);
    if (state.size !== "any" && !sizes.includes(Number(state.size))) state.size = "any";
    options(find("size"), [["any", "any"], ...sizes.map((size) => [String(size), `${metric(size)} weights`])], state.size);
    find("which").value = state.which === "again" ? "again" : "all";
    find("share").value = state.p;
    state.p = find("share").value;
  }

  function survivors(entry) {
    if (state.knowledge !== "white-box") return entry.scenarios[state.knowledge]?.[state.norm];
    if (state.epsilon === rule().epsilon) return entry.robust[state.norm];
    return entry.curves[state.norm]?.[protocols[state.protocol].curves[state.norm].indexOf(state.epsilon)];
  }

  function lines() {
    const total = protocols[state.protocol].points;
    return here()
      .filter((entry) => state.which === "all" || entry.again)
      .filter((entry) => state.size === "any" || entry.nonzero <= Number(state.size))
      .filter((entry) => survivors(entry) !== undefined)
      .map((entry) => ({ entry, clean: entry.clean / total, robust: survivors(entry) / total }));
  }

  const at = (line, p) => (1 - p) * line.clean + p * line.robust;
  const crossing = (best, line) => (best.clean - line.clean) / (best.clean - line.clean + line.robust - best.robust);
  const smaller = (one, two) => one.entry.nonzero - two.entry.nonzero || (one.entry.id < two.entry.id ? -1 : 1);

  function envelope(found) {
    const reigns = [];
    let start = 0;
    let rest = [...found].sort((one, two) => two.clean - one.clean || two.robust - one.robust || smaller(one, two));
    while (rest.length) {
      const best = rest[0];
      const later = rest.slice(1).filter((line) => line.robust - line.clean > best.robust - best.clean && crossing(best, line) < 1);
      const end = later.length ? Math.min(...later.map((line) => crossing(best, line))) : 1;
      if (end > start || !later.length) reigns.push({ line: best, start, end });
      later.sort((one, two) => crossing(best, one) - crossing(best, two) || two.robust - two.clean - (one.robust - one.clean) || smaller(one, two));
      rest = later;
      start = end;
    }
    return reigns;
  }

  function show() {
    const p = Number(state.p) / 100;
    find("p").textContent = `${state.p} %`;
    const found = lines();
    const reigns = envelope(found);
    const winners = reigns.map((reign) => reign.line).slice(0, LINES);
    const others = found.filter((line) => !winners.includes(line)).sort((one, two) => at(two, p) - at(one, p) || smaller(one, two));
    const drawn = [...winners, ...others.slice(0, LINES - winners.length)];
    const label = `${protocols[state.protocol].title}, ${rule().symbol} ${state.epsilon}`;
    const winner = reigns.find((reign) => p >= reign.start && p <= reign.end);
    find("answer").textContent = winner
      ? `With ${state.p} % attacked traffic, ${winner.line.entry.title} is best: ${percent(at(winner.line, p))} % right (${percent(winner.line.clean)} % clean, ${percent(winner.line.robust)} % robust, ${wilson(Math.round(winner.line.robust * protocols[state.protocol].points), protocols[state.protocol].points).map((end) => percent(end)).join("–")}).`
      : "No entry fits this scenario; allow a larger size or all entries.";
    find("basis").textContent = `${label}, ${state.knowledge}. Collapsed, withheld and superseded entries cannot win${state.knowledge === "transfer" ? ", nor can dense networks, which have no parent" : ""}. At other strengths than the board's own an entry counts by the nearest images that were found.`;
    find("answers").replaceChildren(...reigns.map(({ line, start, end }) => {
      const row = document.createElement("tr");
      const cell = document.createElement("td");
      cell.append(element("a", line.entry.title, { href: line.entry.address }));
      row.append(element("th", label, { scope: "row" }), element("td", `${percent(start)} – ${percent(end)} %`, { class: "n" }), cell, element("td", percent(line.clean), { class: "n" }), element("td", percent(line.robust), { class: "n" }), element("td", line.entry.sparsity, { class: "n" }));
      return row;
    }));
    const titles = drawn.map((line) => line.entry.title);
    const names = new Map(drawn.map((line, index) => [line, titles.filter((title) => title === titles[index]).length > 1 ? `${titles[index]} (${line.entry.id})` : titles[index]]));
    remember(Object.fromEntries([...fields, "p"].map((name) => [name, state[name]])));
    return window.benchCharts.fill(figure, {
      lines: drawn.flatMap((line) => [0, 1].map((share) => ({ p: share, accuracy: at(line, share), series: names.get(line) }))),
      crossings: reigns.slice(1).map(({ line, start }) => ({ p: start, accuracy: at(line, start), says: `from here ${line.entry.title}` })),
      best: reigns.flatMap(({ line, start, end }) => [start, end].map((share) => ({ p: share, accuracy: at(line, share) }))),
      here: [{ p }],
    });
  }

  function change() {
    offer();
    show();
  }

  for (const name of fields) {
    find(name).addEventListener("change", () => {
      state[name] = find(name).value;
      change();
    });
  }
  find("share").addEventListener("input", () => {
    state.p = find("share").value;
    change();
  });
  controls.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => {
    Object.assign(state, recall());
    change();
  });
  copier(find("copy"));
  controls.hidden = false;
  find("answer").hidden = false;
  offer();
  show();
})();
