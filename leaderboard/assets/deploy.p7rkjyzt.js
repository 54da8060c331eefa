// Answers what to deploy within a budget, by the same rule as the printed tables; the question lives in the address.
(() => {
  "use strict";
  const { percent, signed, metric, duration, wilson, mcnemar, difference, pValue, verdict, bits, pair, element, options, remember, recall, copier } = window.benchNumbers;
  const { rules, protocols, entries } = window.BENCH;
  const find = (id) => document.getElementById(id);
  const controls = find("controls");
  if (!controls) return;
  const MOST = 12;
  const NUMBER = /^\d*\.?\d+(e[-+]?\d+)?$/i;
  const LATENCY = "latency on ";
  const KINDS = { weights: "non-zero weights", left: "weights left, % of all", bytes: "packed bytes", macs: "non-zero MACs", work: "MACs left, % of the parent's" };
  const COUNTS = [["0", "one"], ["3", "thousand (k)"], ["6", "million (M)"], ["9", "billion (G)"]];
  const BYTES = [["0", "B"], ["3", "kB"], ["6", "MB"], ["9", "GB"]];
  const TIMES = [["-6", "µs an image"], ["-3", "ms an image"], ["0", "s an image"]];
  const UNITS = { weights: COUNTS, left: [["0", "%"]], bytes: BYTES, macs: COUNTS, work: [["0", "%"]] };
  const ZEROS = {
    dense: "Nothing was pruned.",
    unstructured: "Its zeros stand in place: they save bytes once packed, and time only with a runtime that skips them.",
    "2of4": "Its zeros stand in place, two of every four weights: they save bytes once packed, and time only on hardware that skips this pattern.",
    channel: "Its channels are gone, so that any runtime saves their work.",
  };
  const USUAL = { protocol: "", threat: "", kind: "weights", most: "", unit: "", clean: "", everyone: "" };
  const state = { ...USUAL };

  const timed = (kind) => kind.startsWith(LATENCY);
  const units = (kind) => UNITS[kind] || TIMES;
  const here = () => entries.filter((entry) => entry.protocol === state.protocol && entry.alive);
  const norms = () => (state.threat === "all" ? protocols[state.protocol].all : [state.threat]);
  const threats = () => {
    const { threats: single, all } = protocols[state.protocol];
    return [...single.map((threat) => [threat.norm, threat.label]), ...(all.length ? [["all", "all norms at once"]] : [])];
  };
  const label = () => threats().find(([name]) => name === state.threat)[1];
  const kinds = () => [...Object.keys(KINDS), ...[...new Set(here().flatMap((entry) => Object.keys(entry.sizes).filter(timed)))].sort()];

  // The decimal that was typed, moved by a power of ten and rounded once.
  function scaled(text, power) {
    const [digits, exponent = "0"] = text.toLowerCase().split("e");
    return Number(`${digits}e${Number(exponent) + Number(power)}`);
  }

  // What cannot be meant is left out of the question, and said.
  const TAKES = { most: "At most takes a number from 0", clean: "Clean at least takes a percentage from 0 to 100" };
  const refused = {};
  function refuse(name, wrong) {
    refused[name] = wrong;
    find(name).setAttribute("aria-invalid", String(wrong));
    const said = Object.keys(TAKES).filter((other) => refused[other]).map((other) => `${TAKES[other]}; what stands there is left out of the answer.`);
    find("refused").textContent = said.join(" ");
    find("refused").hidden = said.length === 0;
  }

  function typed(name) {
    const valid = find(name).checkValidity();
    refuse(name, !valid);
    return valid ? find(name).value : "";
  }

  function write(name, text) {
    find(name).value = NUMBER.test(text) ? text : "";
    state[name] = typed(name);
    find(name).value = state[name];
    refuse(name, state[name] !== text);
  }

  // Fills the choices that exist and falls back to the first where a link names one that does not.
  function offer() {
    const one = (value, choices) => (choices.some(([name]) => name === value) ? value : choices[0][0]);
    const names = Object.entries(protocols).map(([name, protocol]) => [name, protocol.title]);
    state.protocol = one(state.protocol, names);
    options(find("protocol"), names, state.protocol);
    state.threat = one(state.threat, threats());
    options(find("threat"), threats(), state.threat);
    const offered = kinds().map((kind) => [kind, KINDS[kind] || kind]);
    const before = state.kind;
    state.kind = one(state.kind, offered);
    options(find("kind"), offered, state.kind);
    if (state.kind !== before) write("most", "");
    state.unit = one(state.unit, units(state.kind));
    options(find("unit"), units(state.kind), state.unit);
    state.everyone = state.everyone === "1" ? "1" : "";
    find("everyone").checked = state.everyone === "1";
  }

  function standing(entry) {
    const total = protocols[entry.protocol].points;
    const each = norms().map((norm) => bits(entry.survivors[norm], total));
    return each[0].map((_, point) => (each.every((found) => found[point]) ? 1 : 0));
  }

  const count = (found) => found.reduce((sum, bit) => sum + bit, 0);
  const first = (...keys) => keys.find((key) => key !== 0) || 0;
  const byName = (one, two) => (one.entry.id < two.entry.id ? -1 : 1);
  const byWorth = (one, two) => first(two.robust - one.robust, two.entry.clean - one.entry.clean, one.size - two.size, byName(one, two));

  // The most robust entry that fits; the others that fit, held against it, all tests together at one level.
  function choose() {
    const total = protocols[state.protocol].points;
    const most = state.most === "" ? Infinity : scaled(state.most, state.unit);
    const clean = Number(state.clean);
    const asked = here()
      .filter((entry) => (state.everyone || entry.again) && norms().every((norm) => norm in entry.survivors) && state.kind in entry.sizes)
      .map((entry) => ({ entry, size: entry.sizes[state.kind], stands: standing(entry) }))
      .map((found) => ({ ...found, robust: count(found.stands) }))
      .filter((found) => found.robust > 0);
    const accurate = asked.filter(({ entry }) => 100 * entry.clean / total >= clean);
    const [take, ...others] = accurate.filter(({ size }) => size <= most).sort(byWorth);
    if (!take) {
      const bySize = (one, two) => first(one.size - two.size, byWorth(one, two));
      const byClean = (one, two) => first(two.entry.clean - one.entry.clean, one.size - two.size, byName(one, two));
      return { rivals: [], fitting: 0, enough: accurate.length > 0, nearest: accurate.length ? accurate.sort(bySize)[0] : asked.sort(byClean)[0] };
    }
    const rivals = others
      .map((found) => ({ ...found, pair: pair(found.stands, take.stands) }))
      .filter((found) => mcnemar(found.pair.first, found.pair.second) * others.length >= rules.significance);
    return { take, rivals, fitting: others.length + 1 };
  }

  function spelt(kind, size) {
    if (timed(kind)) return `${duration(size)} an image`;
    if (kind === "left") return `${size.toFixed(1)} % of its weights`;
    if (kind === "work") return `${size.toFixed(1)} % of the MACs of its parent`;
    return kind === "bytes" ? `${metric(size)}B` : `${metric(size)} ${kind === "macs" ? "MACs" : "weights"}`;
  }

  const share = (number, total) => `${percent(number / total)} (${wilson(number, total).map((end) => percent(end)).join("–")})`;
  const tag = (entry) => [entry.structure === "dense" && !entry.title.endsWith("dense") && "dense", !entry.again && entry.level].filter(Boolean);
  const named = (entry) => `${entry.title}${tag(entry).length ? ` (${tag(entry).join(", ")})` : ""}`;

  function say(answer) {
    const total = protocols[state.protocol].points;
    if (answer.take) {
      const { entry, robust, size } = answer.take;
      const more = answer.rivals.length;
      const ends = wilson(robust, total).map((end) => percent(end));
      return `Take ${named(entry)}: ${percent(robust / total)} % robust (${ends.join("–")}) under ${label()}, ${percent(entry.clean / total)} % clean, with ${spelt(state.kind, size)}. ${answer.fitting === 1 ? "Nothing else fits." : `${answer.fitting} fit; ${more ? `${more} of them cannot` : "none of them can"} be told apart from it.`}`;
    }
    const who = state.everyone ? "was measured" : "was measured again and signed";
    if (!answer.nearest) return `Nothing that ${who} can be asked this.`;
    const { entry, size } = answer.nearest;
    if (answer.enough) return `Nothing that ${who} fits: the smallest${state.clean ? " that is accurate enough" : ""}, ${named(entry)}, has ${spelt(state.kind, size)}.`;
    return `Nothing that ${who} is so accurate: the most accurate, ${named(entry)}, is right on ${percent(entry.clean / total)} % clean.`;
  }

  function row(head, cells) {
    const made = document.createElement("tr");
    made.append(head instanceof Node ? head : element("th", head, { scope: "row" }), ...cells.map((text) => element("td", text, { class: "n" })));
    return made;
  }

  function linked(entry, attributes = {}) {
    const cell = element("th", "", attributes);
    cell.append(element("a", entry.title, { href: entry.address }));
    for (const word of tag(entry)) cell.append(" ", element("span", word, { class: "ci" }));
    return cell;
  }

  const heads = (row, words) => row.replaceChildren(...words.map((word, index) => (word instanceof Node ? word : element("th", word, { scope: "col", ...(index ? { class: "n" } : {}) }))));

  function compared(found, total) {
    const ends = difference(found);
    return `${signed((found.first - found.second) / total)} (${signed(ends[0])} to ${signed(ends[1])}), ${verdict(found)}`;
  }

  function costs({ entry, stands, robust }) {
    const total = protocols[state.protocol].points;
    const known = entries.find((other) => other.protocol === entry.protocol && other.id === entry.parent);
    const parent = known && known.survivors && norms().every((norm) => norm in known.survivors) ? known : undefined;
    const kept = parent && standing(parent);
    const right = (one) => bits(one.correct, total);
    const part = (one, other) => (other ? `${percent(one / other)} %` : "–");
    const sizes = [["non-zero weights", "weights", metric], ["packed size", "bytes", (size) => `${metric(size)}B`], ["non-zero MACs", "macs", metric], ...Object.keys(entry.sizes).filter(timed).map((kind) => [kind, kind, duration])];
    heads(find("header"), [document.createElement("td"), linked(entry, { scope: "col", class: "n" }), ...(parent ? [linked(parent, { scope: "col", class: "n" }), "Difference, points, 95 % interval; size as part"] : [])]);
    find("costs").replaceChildren(
      row("robust %", [share(robust, total), ...(parent ? [share(count(kept), total), compared(pair(stands, kept), total)] : [])]),
      row("clean %", [share(entry.clean, total), ...(parent ? [share(parent.clean, total), compared(pair(right(entry), right(parent)), total)] : [])]),
      ...sizes.map(([head, kind, spell]) => row(head, [spell(entry.sizes[kind]), ...(parent ? [kind in parent.sizes ? spell(parent.sizes[kind]) : "–", timed(kind) ? "–" : part(entry.sizes[kind], parent.sizes[kind])] : [])])),
    );
    const alone = entry.structure === "dense" ? "" : " Its dense parent has not been measured under this threat, so what it costs is not known.";
    find("limits").textContent = `${ZEROS[entry.structure]}${Object.keys(entry.sizes).some(timed) ? "" : " Its latency was not measured."}${parent ? "" : alone}`;
  }

  function load(entry) {
    const [says, commands, python] = entry.load;
    find("at-hand").textContent = says;
    find("shell").hidden = commands === "";
    find("commands").textContent = commands;
    find("python").textContent = python;
  }

  function others(answer) {
    const total = protocols[state.protocol].points;
    const { rivals, fitting } = answer;
    const smallest = rivals.reduce((best, found) => (first(found.size - best.size, byName(found, best)) < 0 ? found : best), answer.take);
    const rest = rivals.length > MOST ? ` The first ${MOST} are shown.` : "";
    const less = smallest.size < answer.take.size ? ` The smallest of them, ${smallest.entry.title}, has ${spelt(state.kind, smallest.size)}.` : "";
    find("rivals-say").textContent = rivals.length
      ? `Each is held against it by the exact McNemar test on the same points, all ${fitting - 1} tests together at ${100 * rules.significance} %; interval and p are those of one test alone.${less}${rest}`
      : "Every other entry that fits is worse, by the exact McNemar test on the same points, or nothing else fits.";
    find("rivals-scroll").hidden = rivals.length === 0;
    heads(find("rivals-header"), ["Entry", "Robust %", "Clean %", timed(state.kind) ? "Latency" : "Size", "Difference, points", "95 % interval", "p"]);
    find("rivals").replaceChildren(...rivals.slice(0, MOST).map(({ entry, robust, size, pair: found }) => {
      const ends = difference(found);
      return row(linked(entry, { scope: "row" }), [share(robust, total), percent(entry.clean / total), spelt(state.kind, size), signed((found.first - found.second) / total), `${signed(ends[0])} to ${signed(ends[1])}`, pValue(mcnemar(found.first, found.second))]);
    }));
  }

  function show() {
    const answer = choose();
    find("answer").textContent = say(answer);
    find("result").hidden = !answer.take;
    if (answer.take) {
      costs(answer.take);
      load(answer.take.entry);
      others(answer);
    }
  }

  function change() {
    offer();
    show();
    remember(Object.fromEntries(Object.entries(state).filter(([, value]) => value !== "")));
  }

  for (const name of ["protocol", "threat", "kind", "unit"]) {
    find(name).addEventListener("change", () => {
      state[name] = find(name).value;
      if (name === "kind") {
        state.unit = "";
        write("most", "");
      }
      change();
    });
  }
  for (const name of ["most", "clean"]) {
    find(name).addEventListener("input", () => {
      state[name] = typed(name);
      change();
    });
  }
  find("everyone").addEventListener("change", () => {
    state.everyone = find("everyone").checked ? "1" : "";
    change();
  });
  controls.addEventListener("submit", (event) => event.preventDefault());
  function restore() {
    const told = recall();
    for (const name of Object.keys(USUAL)) state[name] = told[name] ?? USUAL[name];
    write("most", state.most);
    write("clean", state.clean);
    offer();
    show();
  }

  // An address without a question names a part of this page and leaves the answer as it is.
  function follow() {
    const there = document.getElementById(location.hash.slice(1));
    if (there?.matches("details")) there.open = true;
  }

  addEventListener("hashchange", () => {
    if (recall().v) restore();
    else follow();
  });
  copier(find("copy"));
  controls.hidden = false;
  find("answer").hidden = false;
  restore();
  follow();
})();
