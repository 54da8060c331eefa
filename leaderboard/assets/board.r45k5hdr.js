// Makes a board searchable, sortable and comparable; its state lives in the address, by stable ids.
(() => {
  "use strict";
  const table = document.getElementById("board");
  const tools = document.getElementById("tools");
  const count = document.getElementById("count");
  const MOST = 6;
  const heads = [...table.tHead.rows[0].cells];
  // Quoted rows stand alone: there is nothing to compare them with point by point.
  const alone = table.hasAttribute("data-alone");
  const shift = alone ? 0 : 1;
  const keys = [...(alone ? [] : ["pick"]), ...heads.map((head) => head.dataset.key)];
  const ranked = keys.indexOf("rank");
  const robust = keys.indexOf("robust");
  const facets = heads.map((head, index) => (head.hasAttribute("data-facet") ? index + shift : -1)).filter((column) => column >= 0);
  const extras = heads.map((head, index) => (head.hasAttribute("data-extra") ? index + shift : -1)).filter((column) => column >= 0);
  // Headings of bands are no rows of data: they leave the table and come back wherever the view goes by band.
  const banded = keys.indexOf("band");
  const headings = new Map([...table.tBodies[0].querySelectorAll("tr.band")].map((line) => [line.dataset.band, line]));
  for (const line of headings.values()) line.remove();
  const lines = [...table.tBodies[0].rows];
  const values = new Map(lines.map((line) => [line.id, Object.fromEntries(facets.map((column) => [keys[column], line.cells[column - shift].textContent]))]));
  const names = new Map(lines.map((line) => [line.id, line.querySelector("th").textContent.trim()]));
  const title = (column) => heads[column - shift].textContent.replace(/\s+/g, " ").trim();
  const chosen = new Set();
  const wanted = {};
  let ready = false;

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };

  function inBands(wanted) {
    return wanted ? { pre: [[banded, "asc"]] } : {};
  }

  const head = make("th", { scope: "col", className: "pick" }, make("span", { className: "hidden" }, "Compare"));
  if (!alone) table.tHead.rows[0].prepend(head);
  for (const line of alone ? [] : lines) {
    const box = make("input", { type: "checkbox", "aria-label": `Compare ${names.get(line.id)}` });
    box.dataset.id = line.id;
    line.prepend(make("td", { className: "pick" }, box));
  }

  const board = new DataTable(table, {
    autoWidth: false,
    order: alone ? [] : [[robust, "desc"]],
    orderFixed: inBands(banded >= 0),
    pageLength: 100,
    paging: lines.length > 150,
    info: false,
    layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: lines.length > 150 ? "paging" : null },
    columnDefs: [
      ...(alone ? [] : [{ targets: 0, orderable: false, searchable: false }]),
      { targets: extras, visible: false },
      { targets: heads.map((cell, index) => (cell.classList.contains("n") ? index + shift : -1)).filter((index) => index >= 0), type: "num", orderSequence: ["desc", "asc"] },
      ...(alone ? [] : [{ targets: ranked, orderSequence: ["asc", "desc"] }]),
    ],
  });
  board.search.fixed("facets", (_, __, row) => {
    const line = board.row(row).node();
    return Object.entries(wanted).every(([key, value]) => !value || values.get(line.id)[key] === value);
  });

  const search = make("input", { type: "search", "aria-controls": "board" });
  tools.append(make("label", {}, "Search", search));
  search.addEventListener("input", () => board.search(search.value).draw());
  const selects = {};
  for (const column of facets) {
    const key = keys[column];
    const found = [...new Set([...values.values()].map((value) => value[key]))].sort();
    if (found.length < 2) continue;
    const select = make("select", {}, make("option", { value: "" }, "all"), ...found.map((value) => make("option", { value }, value)));
    selects[key] = select;
    tools.append(make("label", {}, title(column), select));
    select.addEventListener("change", () => {
      wanted[key] = select.value;
      board.draw();
    });
  }

  const boxes = {};
  const list = make("div");
  keys.forEach((key, column) => {
    if (key === "pick" || key === "entry") return;
    const box = make("input", { type: "checkbox", checked: board.column(column).visible() });
    boxes[key] = box;
    box.addEventListener("change", () => {
      board.column(column).visible(box.checked);
      headBands();
      remember();
    });
    list.append(make("label", {}, box, title(column)));
  });
  tools.append(make("details", {}, make("summary", {}, "Columns"), list));

  const bands = make("input", { type: "checkbox", checked: true });
  bands.addEventListener("change", () => board.order.fixed(inBands(bands.checked)).draw());
  const compare = make("button", { type: "button", disabled: true }, "Compare");
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
    const quote = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replace(/"/g, '""')}"`;
    const shown = keys.map((_, column) => column).filter((column) => keys[column] !== "pick" && board.column(column).visible());
    const rows = board.rows({ search: "applied", order: "applied" }).nodes().toArray();
    const text = [shown.map((column) => quote(title(column))), ...rows.map((row) => [...row.cells].slice(shift).map((cell) => quote(cell.textContent.trim())))];
    const link = make("a", { download: `${table.dataset.board}.csv`, href: URL.createObjectURL(new Blob([text.map((row) => row.join(",")).join("\n") + "\n"], { type: "text/csv" })) });
    link.click();
    URL.revokeObjectURL(link.href);
  });
  tools.append(...(alone ? [copy, csv] : [make("label", { className: "check" }, bands, "By band"), compare, copy, csv]));
  tools.hidden = false;

  table.addEventListener("change", (event) => {
    const id = event.target.dataset.id;
    if (!id) return;
    if (event.target.checked && chosen.size >= MOST) {
      event.target.checked = false;
      count.textContent = `At most ${MOST} entries can be compared.`;
      return;
    }
    if (event.target.checked) chosen.add(id);
    else chosen.delete(id);
    told();
    remember();
  });

  function told() {
    compare.disabled = chosen.size < 2;
    compare.textContent = chosen.size ? `Compare ${chosen.size}` : "Compare";
  }

  function headBands() {
    for (const line of headings.values()) line.remove();
    if (banded < 0 || !bands.checked) return;
    let last = null;
    for (const row of board.rows({ page: "current", search: "applied", order: "applied" }).nodes().toArray()) {
      const label = values.get(row.id).band;
      if (label !== last) {
        headings.get(label).cells[0].colSpan = row.cells.length;
        row.before(headings.get(label));
      }
      last = label;
    }
  }

  function say() {
    const [column, direction] = board.order()[0] || [];
    // The library reads the direction off the hidden column that holds the bands together.
    table.tHead.querySelector("[aria-sort]")?.setAttribute("aria-sort", direction === "asc" ? "ascending" : "descending");
    const sorted = column !== undefined ? `, sorted by ${title(column)}, ${direction === "asc" ? "ascending" : "descending"}` : "";
    const within = banded >= 0 && bands.checked ? " within each band" : "";
    count.textContent = `${board.rows({ search: "applied" }).count()} of ${lines.length} entries shown${sorted}${within}.`;
  }

  function remember() {
    if (!ready) return;
    const state = new URLSearchParams({ v: "1" });
    if (search.value) state.set("q", search.value);
    const [column, direction] = board.order()[0] || [];
    if (column !== undefined && !(!alone && column === robust && direction === "desc")) state.set("sort", `${keys[column]}.${direction}`);
    for (const [key, value] of Object.entries(wanted)) if (value) state.set(`is.${key}`, value);
    const changed = Object.keys(boxes).filter((key) => boxes[key].checked === extras.includes(keys.indexOf(key)));
    if (changed.length) state.set("columns", changed.join("~"));
    if (!bands.checked) state.set("flat", "1");
    if (chosen.size) state.set("pick", [...chosen].join("~"));
    const text = state.toString();
    try {
      history.replaceState(null, "", text === "v=1" ? location.pathname + location.search : `#${text}`);
    } catch {
      location.replace(`#${text}`);
    }
  }

  function restore() {
    const state = new URLSearchParams(location.hash.slice(1));
    if (state.get("v") !== "1") {
      const line = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (line) {
        line.classList.add("here");
        line.scrollIntoView({ block: "center" });
      }
      return;
    }
    search.value = state.get("q") || "";
    board.search(search.value);
    for (const [key, select] of Object.entries(selects)) {
      select.value = state.get(`is.${key}`) || "";
      wanted[key] = select.value;
    }
    for (const key of (state.get("columns") || "").split("~")) {
      if (!boxes[key]) continue;
      boxes[key].checked = !boxes[key].checked;
      board.column(keys.indexOf(key)).visible(boxes[key].checked);
    }
    for (const id of (state.get("pick") || "").split("~")) {
      if (!alone && names.has(id) && chosen.size < MOST) chosen.add(id);
    }
    for (const line of alone ? [] : lines) line.querySelector("input").checked = chosen.has(line.id);
    const [key, direction] = (state.get("sort") || "").split(".");
    if (keys.includes(key)) board.order([[keys.indexOf(key), direction === "asc" ? "asc" : "desc"]]);
    bands.checked = banded < 0 || state.get("flat") !== "1";
    board.order.fixed(inBands(banded >= 0 && bands.checked));
    told();
    board.draw();
  }

  restore();
  board.on("draw", () => {
    headBands();
    say();
    remember();
  });
  ready = true;
  headBands();
  say();
})();
