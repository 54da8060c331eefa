// The rows of a board, column by column, each distinct cell once as [text, order, small print, link]: those of a long board
// come with its script, those of a short one stand on the page. Sorting and searching weigh distinct cells, not rows.
(() => {
  "use strict";

  function cell(element) {
    const small = element.querySelector(".ci");
    const text = [...element.childNodes].filter((node) => node !== small).map((node) => node.textContent).join("").trim();
    const { order } = element.dataset;
    return [text, order === undefined ? null : Number(order), small?.textContent, element.querySelector("a")?.getAttribute("href")];
  }

  function printed(body, keys) {
    const lines = [...body.rows].filter((line) => line.id);
    const heads = [...body.querySelectorAll("tr.band")].map((line) => {
      const [title, , says] = cell(line.cells[0].firstElementChild);
      return [line.dataset.band, [title, says]];
    });
    const column = (_, index) => ({ at: lines.map((_, row) => row), cells: lines.map((line) => cell(line.cells[index])) });
    return {
      ids: lines.map((line) => line.id),
      classes: lines.map((line) => line.className),
      heads: Object.fromEntries(heads),
      columns: Object.fromEntries(keys.map((key, index) => [key, column(key, index)])),
    };
  }

  function scripted({ ids, ranked, heads, columns }) {
    return { ids, classes: ranked.map((given) => (given ? "" : "u")), heads, columns };
  }

  window.benchRows = (body, keys, numeric) => {
    const { ids, classes, heads, columns } = window.ROWS ? scripted(window.ROWS) : printed(body, keys);
    const collator = new Intl.Collator("en", { numeric: true });
    const weights = {};
    const words = {};

    const values = (key) => [...new Set(columns[key].cells.map(([text]) => text))].sort();

    // What the cells of a column sort by: their order, their number, or else their place in the alphabet.
    function weigh(key) {
      const { cells } = columns[key];
      const places = numeric.has(key) ? null : new Map(values(key).sort(collator.compare).map((text, place) => [text, place]));
      const weight = ([text, order]) => order ?? (places ? places.get(text) : Number(text));
      return cells.map((each) => (Number.isNaN(weight(each)) ? -Infinity : weight(each)));
    }

    // Rows in the order of the first key, those alike in that of the second, and so on, then as written.
    function sort(rows, orders) {
      const parts = orders.map(([key, direction]) => [(weights[key] ??= weigh(key)), columns[key].at, direction === "desc" ? -1 : 1]);
      return rows.sort((one, two) => {
        for (const [weight, at, sign] of parts) {
          const [first, second] = [weight[at[one]], weight[at[two]]];
          if (first !== second) return first < second ? -sign : sign;
        }
        return one - two;
      });
    }

    // Rows with these values in which each word, or each phrase in quotation marks, stands in some cell, hidden or not.
    function find(query, wanted) {
      let rows = [...ids.keys()];
      for (const [key, value] of Object.entries(wanted)) {
        const { at, cells } = columns[key];
        const fits = cells.map(([text]) => !value || text === value);
        rows = rows.filter((row) => fits[at[row]]);
      }
      for (const word of query.toLowerCase().match(/"[^"]*"|[^\s"]+/g) || []) {
        const places = keys.map((key) => {
          words[key] ??= columns[key].cells.map(([text, , small]) => `${text} ${small || ""}`.toLowerCase());
          return [columns[key].at, words[key].map((text) => text.includes(word.replaceAll('"', "")))];
        });
        const held = places.filter(([, fits]) => fits.includes(true));
        rows = rows.filter((row) => held.some(([at, fits]) => fits[at[row]]));
      }
      return rows;
    }

    return { ids, classes, heads, values, sort, find, cell: (key, row) => columns[key].cells[columns[key].at[row]] };
  };
})();
