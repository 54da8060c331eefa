// Compares up to six entries of one board point by point; the choice lives in the address.
(() => {
  "use strict";
  const { percent, signed, metric, wilson, mcnemar, difference, pValue, verdict, bits, pair, element, options, remember, recall, copier } = window.benchNumbers;
  const { protocols, entries } = window.BENCH;
  const find = (id) => document.getElementById(id);
  const controls = find("controls");
  if (!controls) return;
  const MOST = 6;
  const [bars, curves] = ["differences", "curves"].map((name) => find(`fig-${name}`));
  const boards = Object.entries(protocols).flatMap(([name, protocol]) => protocol.threats.map((threat) => ({ key: `${name}-${threat.norm.toLowerCase()}`, protocol: name, ...threat, title: `${protocol.title}, ${threat.label}` })));
  let board = boards[0];
  let chosen = [];

  const here = () => entries.filter((entry) => entry.protocol === board.protocol && !entry.withheld && board.norm in entry.robust).sort((one, two) => two.robust[board.norm] - one.robust[board.norm] || two.clean - one.clean || (one.id < two.id ? -1 : 1));
  const known = (id) => here().find((entry) => entry.id === id);

  function restore() {
    const state = recall();
    board = boards.find((each) => each.key === state.board) || boards[0];
    chosen = (state.ids || "").split("~").filter((id, index, all) => known(id) && all.indexOf(id) === index).slice(0, MOST);
    if (!chosen.length) chosen = here().slice(0, 4).map((entry) => entry.id);
  }

  function titles(shown) {
    const names = shown.map((entry) => entry.title);
    return shown.map((entry, index) => (names.filter((name) => name === names[index]).length > 1 ? `${entry.title} (${entry.id})` : entry.title));
  }

  function line(head, cells, numbers) {
    const row = document.createElement("tr");
    row.append(element("th", head, { scope: "row" }), ...cells.map((text, index) => element("td", text, numbers && index < cells.length - 1 ? { class: "n" } : {})));
    return row;
  }

  function pickers() {
    options(find("board"), boards.map((each) => [each.key, each.title]), board.key);
    const rest = here().filter((entry) => !chosen.includes(entry.id));
    options(find("add"), [["", chosen.length < MOST ? "choose" : `${MOST} at most`], ...rest.map((entry) => [entry.id, entry.title])], "");
    find("add").disabled = chosen.length >= MOST;
    find("chosen").replaceChildren(...chosen.map((id) => {
      const button = element("button", `✕ ${known(id).title}`, { type: "button", class: "link", "aria-label": `Remove ${known(id).title}` });
      button.addEventListener("click", () => {
        chosen = chosen.filter((each) => each !== id);
        show();
        find("add").focus();
      });
      const holder = document.createElement("div");
      holder.append(button);
      return holder;
    }));
  }

  function show() {
    pickers();
    const total = protocols[board.protocol].points;
    const shown = chosen.map(known);
    const names = titles(shown);
    const share = (count) => `${percent(count / total)} (${wilson(count, total).map((end) => percent(end)).join("–")})`;
    find("under").textContent = board.title;
    find("header").replaceChildren(document.createElement("td"), ...shown.map((entry, index) => {
      const cell = element("th", "", { scope: "col" });
      cell.append(element("a", names[index], { href: entry.address }));
      return cell;
    }));
    find("metrics").replaceChildren(
      line("rank", shown.map((entry) => entry.ranks[board.norm])),
      line("level", shown.map((entry) => entry.level)),
      line("robust %", shown.map((entry) => share(entry.robust[board.norm]))),
      ...protocols[board.protocol].threats.filter((threat) => threat.norm !== board.norm).map((threat) => line(`${threat.label} %`, shown.map((entry) => (threat.norm in entry.robust ? share(entry.robust[threat.norm]) : "–")))),
      line("clean %", shown.map((entry) => share(entry.clean))),
      line("sparsity %", shown.map((entry) => entry.sparsity)),
      line("weights left", shown.map((entry) => metric(entry.nonzero))),
      line("MACs", shown.map((entry) => metric(entry.macs))),
    );
    const outcomes = shown.map((entry) => bits(entry.survivors[board.norm], total));
    const pairs = outcomes.slice(1).map((outcome) => pair(outcome, outcomes[0]));
    find("against").textContent = shown.length ? `Against ${names[0]}` : "Nothing chosen";
    find("outcomes").replaceChildren(...pairs.map((found, index) => {
      const ends = difference(found);
      return line(names[index + 1], [found.both, found.first, found.second, found.neither, signed((found.first - found.second) / total), `${signed(ends[0])} to ${signed(ends[1])}`, pValue(mcnemar(found.first, found.second)), verdict(found)], true);
    }));
    find("count").textContent = `${shown.length} of at most ${MOST} entries compared.`;
    remember({ board: board.key, ids: chosen.join("~") });
    fillCurves(shown, names, total);
    bars.querySelector("figcaption").textContent = shown.length ? `Paired difference to ${names[0]}` : "Paired difference";
    return window.benchCharts.fill(bars, {
      differences: pairs.map((found, index) => {
        const [low, high] = difference(found);
        return { name: names[index + 1], difference: (found.first - found.second) / total, low, high, verdict: verdict(found), says: pValue(mcnemar(found.first, found.second)) };
      }),
    });
  }

  function fillCurves(shown, names, total) {
    const radii = protocols[board.protocol].curves[board.norm] || [];
    const number = (text) => {
      const [above, below = 1] = text.split("/");
      return above / below;
    };
    return window.benchCharts.fill(curves, {
      curves: shown.flatMap((entry, index) => (entry.curves[board.norm] || []).map((count, place) => {
        const [low, high] = wilson(count, total);
        return { epsilon: number(radii[place]), says: radii[place], robust: count / total, low, high, series: names[index] };
      })),
      headline: [{ epsilon: number(board.epsilon), says: board.epsilon }],
    });
  }

  find("board").addEventListener("change", () => {
    board = boards.find((each) => each.key === find("board").value);
    chosen = chosen.filter(known);
    if (!chosen.length) chosen = here().slice(0, 4).map((entry) => entry.id);
    show();
  });
  find("add").addEventListener("change", () => {
    if (find("add").value) chosen.push(find("add").value);
    show();
  });
  controls.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => {
    restore();
    show();
  });
  copier(find("copy"));
  controls.hidden = false;
  restore();
  show();
})();
