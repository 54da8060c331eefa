// Makes a board searchable, sortable and comparable, page by page; its state lives in the address, by stable ids.
(() => {
  "use strict";
  const table = document.getElementById("board");
  const tools = document.getElementById("tools");
  const count = document.getElementById("count");
  const MOST = 6;
  const heads = new Map([...table.tHead.rows[0].cells].map((head) => [head.dataset.key, head]));
  const keys = [...heads.keys()];
  const titles = new Map(keys.map((key) => [key, heads.get(key).textContent.replace(/\s+/g, " ").trim()]));
  const numeric = new Set(keys.filter((key) => heads.get(key).classList.contains("n")));
  const facets = keys.filter((key) => heads.get(key).hasAttribute("data-facet"));
  const hidden = new Set(keys.filter((key) => heads.get(key).hasAttribute("data-extra")));
  // Quoted rows stand alone: there is nothing to compare them with point by point, and they have no bands.
  const alone = table.hasAttribute("data-alone");
  const usual = alone ? null : ["robust", "desc"];
  const rows = window.benchRows(table.tBodies[0], keys, numeric);
  const size = Number(table.dataset.rows) || Math.max(1, rows.ids.length);
  const start = Number(table.dataset.page) || 1;
  const chosen = new Set();
  const wanted = {};
  let order = usual;
  let found = [];
  let page = start;
  let marked = "";

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };
  const spell = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const full = ([text, , small]) => (small ? `${text} ${small}` : text);
  const pages = () => Math.max(1, Math.ceil(found.length / size));
  const shown = () => keys.filter((key) => boxes[key]?.checked ?? true);

  if (!alone) table.tHead.rows[0].prepend(make("th", { scope: "col", className: "pick" }, make("span", { className: "hidden" }, "Compare")));
  for (const [key, head] of heads) {
    const button = make("button", { type: "button", className: "sort" }, ...head.childNodes, make("span", { className: "arrow", "aria-hidden": "true" }));
    head.append(button);
    button.addEventListener("click", () => {
      const first = numeric.has(key) && key !== "rank" ? "desc" : "asc";
      const turned = order?.[1] === "asc" ? "desc" : "asc";
      order = [key, order?.[0] === key ? turned : first];
      renew();
    });
  }
  for (const part of table.caption.querySelectorAll(".part")) part.remove(); // what the line above the table says as it stands
  const region = table.parentElement;
  const turner = region.parentElement.querySelector("nav.pages") || make("nav");

  const search = make("input", { type: "search", "aria-controls": "board" });
  tools.append(make("label", {}, "Search", search));
  search.addEventListener("input", renew);
  const selects = {};
  for (const key of facets) {
    const values = rows.values(key);
    if (values.length < 2) continue;
    const select = make("select", {}, make("option", { value: "" }, "all"), ...values.map((value) => make("option", { value }, value)));
    selects[key] = select;
    tools.append(make("label", {}, titles.get(key), select));
    select.addEventListener("change", () => {
      wanted[key] = select.value;
      renew();
    });
  }

  const boxes = {};
  const list = make("div");
  for (const key of keys) {
    if (key === "entry") continue;
    boxes[key] = make("input", { type: "checkbox", checked: !hidden.has(key) });
    boxes[key].addEventListener("change", draw);
    list.append(make("label", {}, boxes[key], titles.get(key)));
  }
  tools.append(make("details", {}, make("summary", {}, "Columns"), list));

  const bands = make("input", { type: "checkbox", checked: !alone });
  bands.addEventListener("change", renew);
  const compare = make("button", { type: "button" });
  compare.addEventListener("click", () => {
    const link = new URLSearchParams({ v: "1", board: table.dataset.board, ids: [...chosen].join("~") });
    location.href = `../compare.html#${link}`;
  });
  const copy = make("button", { type: "button" }, "Copy link");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Copy the address bar";
    }
  });
  const csv = make("button", { type: "button" }, "CSV of this view");
  csv.addEventListener("click", () => {
    const quote = (value) => (value === "" || typeof value === "number" ? value : `"${(/^[=+\-@\t\r]/.test(value) ? `'${value}` : value).replace(/"/g, '""')}"`);
    const columns = [["id", found.map((row) => rows.ids[row])], ...shown().flatMap(data)];
    const text = [columns.map(([title]) => title), ...found.map((_, line) => columns.map(([, values]) => values[line]))];
    const lines = text.map((line) => `${line.map(quote).join(",")}\n`);
    const link = make("a", { download: `${table.dataset.board}.csv`, href: URL.createObjectURL(new Blob(lines, { type: "text/csv" })) });
    link.click();
    URL.revokeObjectURL(link.href);
  });
  tools.append(...(alone ? [copy, csv] : [make("label", { className: "check" }, bands, "By band"), compare, copy, csv]));

  table.addEventListener("change", ({ target }) => {
    const { id } = target.dataset;
    if (!id) return;
    if (target.checked && chosen.size >= MOST) {
      target.checked = false;
      count.textContent = `At most ${MOST} entries can be compared.`;
      return;
    }
    if (target.checked) chosen.add(id);
    else chosen.delete(id);
    told();
    remember();
  });

  function told() {
    compare.disabled = chosen.size < 2;
    compare.textContent = chosen.size ? `Compare ${chosen.size}` : "Compare";
  }

  // A column as data: numbers as numbers, what is missing as nothing, ranges and intervals as their ends.
  function data(key) {
    const cells = found.map((row) => rows.cell(key, row));
    const title = titles.get(key);
    const range = /^([\d.]+)–([\d.]+)/;
    const number = ([text, order]) => {
      const said = Number(text.replace("−", "-").replace("∞", "Infinity"));
      if (text && !Number.isNaN(said)) return Number.isFinite(said) ? said : "inf";
      return typeof order === "number" && Math.abs(order) < 1e9 ? order : "";
    };
    const end = (text, place) => Number(range.exec(text)?.[place] ?? Number.NaN);
    const known = (value) => (Number.isNaN(value) ? "" : value);
    if (!numeric.has(key)) return [[title, cells.map(([text]) => text)], ...note(key === "entry" ? "Variant" : `${title}, note`, cells)];
    const main = cells.some(([text]) => range.test(text))
      ? [1, 2].map((place) => [`${title}, ${place === 1 ? "best" : "worst"}`, cells.map(([text]) => known(range.test(text) ? end(text, place) : Number(text)))])
      : [[title, cells.map(number)]];
    const small = cells.map(([, , words]) => words || "");
    if (!small.some((words) => range.test(words))) return [...main, ...note(`${title}, note`, cells)];
    return [...main, ...[1, 2].map((place) => [`${title}, ${place === 1 ? "low" : "high"}`, small.map((words) => known(end(words, place)))])];
  }

  function note(title, cells) {
    return cells.some(([, , words]) => words) ? [[title, cells.map(([, , words]) => words || "")]] : [];
  }

  // The same elements as those of a printed page.
  function cell(key, row) {
    const [text, , small, link] = rows.cell(key, row);
    const element = key === "entry" ? make("th", { scope: "row" }) : make("td");
    if (numeric.has(key)) element.className = "n";
    if (key === "rank") element.append(make("i", { className: `dot ${rows.classes[row] ? "hollow" : "full"}` }));
    element.append(link ? make("a", { href: link }, text) : text);
    if (small) element.append(" ", make("span", { className: "ci" }, small));
    return element;
  }

  function line(row, columns) {
    const id = rows.ids[row];
    const element = make("tr", { id });
    if (rows.classes[row]) element.className = rows.classes[row];
    if (id === marked) element.classList.add("here");
    if (!alone) {
      const box = make("input", { type: "checkbox", checked: chosen.has(id), "aria-label": `Compare ${full(rows.cell("entry", row))}` });
      box.dataset.id = id;
      element.append(make("td", { className: "pick" }, box));
    }
    element.append(...columns.map((key) => cell(key, row)));
    return element;
  }

  function heading(label, width) {
    const [title, says] = rows.heads[label];
    const element = make("tr", { className: "band" }, make("th", { scope: "rowgroup", colSpan: width }, make("span", {}, `${title} `, make("span", { className: "ci" }, says))));
    element.dataset.band = label;
    return element;
  }

  function arrange() {
    found = rows.sort(rows.find(search.value, wanted), [...(bands.checked ? [["band", "asc"]] : []), ...(order ? [order] : [])]);
  }

  function print() {
    const columns = shown();
    const lines = [];
    let last = null;
    for (const row of found.slice((page - 1) * size, page * size)) {
      const label = bands.checked ? rows.cell("band", row)[0] : null;
      if (label !== last) lines.push(heading(label, columns.length + 1));
      last = label;
      lines.push(line(row, columns));
    }
    for (const [key, head] of heads) {
      head.hidden = !columns.includes(key);
      if (order?.[0] === key) head.setAttribute("aria-sort", order[1] === "asc" ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
    table.tBodies[0].replaceChildren(...lines);
    turn();
    say();
  }

  function turn() {
    const last = pages();
    const near = [...new Set([1, page - 2, page - 1, page, page + 1, page + 2, last])].filter((number) => number >= 1 && number <= last);
    const button = (label, number) => {
      const element = make("button", { type: "button" }, label);
      if (label === String(page)) element.setAttribute("aria-current", "page");
      element.addEventListener("click", () => {
        page = number;
        draw();
        region.focus({ preventScroll: true });
        region.scrollIntoView({ behavior: "instant" });
      });
      return element;
    };
    const numbers = near.flatMap((number, index) => [...(index && number > near[index - 1] + 1 ? ["…"] : []), button(String(number), number)]);
    turner.replaceChildren(...(page > 1 ? [button("Previous", page - 1)] : []), ...numbers, ...(page < last ? [button("Next", page + 1)] : []));
    turner.hidden = last === 1;
  }

  function say() {
    const of = `${spell(found.length)} of ${spell(rows.ids.length)} entries`;
    const part = pages() > 1 ? ` fit, ${spell((page - 1) * size + 1)}–${spell(Math.min(page * size, found.length))} shown` : " shown";
    const sorted = order ? `, sorted by ${titles.get(order[0])}, ${order[1] === "asc" ? "ascending" : "descending"}` : "";
    count.textContent = `${of}${part}${sorted}${bands.checked ? " within each band" : ""}.`;
  }

  function draw() {
    print();
    remember();
  }

  function renew() {
    page = 1;
    arrange();
    draw();
  }

  function remember() {
    const state = new URLSearchParams({ v: "1" });
    if (search.value) state.set("q", search.value);
    if (order && String(order) !== String(usual)) state.set("sort", order.join("."));
    for (const [key, value] of Object.entries(wanted)) if (value) state.set(`is.${key}`, value);
    const changed = Object.keys(boxes).filter((key) => boxes[key].checked === hidden.has(key));
    if (changed.length) state.set("columns", changed.join("~"));
    if (!alone && !bands.checked) state.set("flat", "1");
    if (chosen.size) state.set("pick", [...chosen].join("~"));
    if (page !== start) state.set("page", page);
    const text = state.toString();
    try {
      history.replaceState(null, "", text === "v=1" ? location.pathname + location.search : `#${text}`);
    } catch {
      location.replace(`#${text}`);
    }
  }

  function restore(state) {
    search.value = state.get("q") || "";
    for (const [key, select] of Object.entries(selects)) {
      select.value = state.get(`is.${key}`) || "";
      wanted[key] = select.value;
    }
    for (const key of (state.get("columns") || "").split("~")) {
      if (Object.hasOwn(boxes, key)) boxes[key].checked = !boxes[key].checked;
    }
    const known = new Set(rows.ids);
    for (const id of (state.get("pick") || "").split("~")) {
      if (!alone && known.has(id) && chosen.size < MOST) chosen.add(id);
    }
    const [key, direction] = (state.get("sort") || "").split(".");
    if (heads.has(key)) order = [key, direction === "asc" ? "asc" : "desc"];
    bands.checked = !alone && state.get("flat") !== "1";
    page = Number.parseInt(state.get("page"), 10) || start;
  }

  const state = new URLSearchParams(location.hash.slice(1));
  if (state.get("v") === "1") restore(state);
  arrange();
  const row = rows.ids.indexOf(location.hash.slice(1));
  if (row >= 0) {
    marked = rows.ids[row];
    page = Math.floor(found.indexOf(row) / size) + 1;
  }
  page = Math.min(Math.max(page, 1), pages());
  told();
  print();
  tools.hidden = false;
  if (marked) document.getElementById(marked).scrollIntoView({ block: "center" });
})();
