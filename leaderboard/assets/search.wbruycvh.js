// Searches the documentation: sections that hold every word, best first; what is found is a link with some of its words.
(() => {
  "use strict";
  const form = document.getElementById("search");
  const count = document.getElementById("count");
  const found = document.getElementById("found");
  const box = form.querySelector("input");
  const MOST = 20;
  const AROUND = 70;
  const fold = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  const sections = window.BENCH_DOCUMENTS.map(([title, page, heading, anchor, words]) => ({
    title, heading, words, href: anchor ? `${page}#${anchor}` : page, at: [fold(heading), fold(title), fold(words)],
  }));

  // A word counts most in the heading, less in the title of its page, least in the text.
  const weight = (section, word) => [4, 2, 1].reduce((sum, worth, place) => sum + (section.at[place].includes(word) ? worth : 0), 0);

  function matches(words) {
    return sections
      .map((section) => ({ section, weights: words.map((word) => weight(section, word)) }))
      .filter(({ weights }) => weights.every((each) => each > 0))
      .map(({ section, weights }) => ({ section, sum: weights.reduce((one, two) => one + two, 0) }))
      .sort((one, two) => two.sum - one.sum)
      .map(({ section }) => section);
  }

  function snippet(section, words) {
    const first = Math.min(...words.map((word) => section.at[2].indexOf(word)).filter((place) => place >= 0));
    const start = Number.isFinite(first) && first > AROUND ? section.words.lastIndexOf(" ", first - AROUND / 2) + 1 : 0;
    const end = section.words.indexOf(" ", start + 2 * AROUND);
    return `${start ? "… " : ""}${section.words.slice(start, end < 0 ? undefined : end)}${end < 0 ? "" : " …"}`;
  }

  function item(section, words) {
    const link = document.createElement("a");
    link.href = section.href;
    link.textContent = section.heading;
    const where = document.createElement("span");
    where.className = "quiet";
    where.textContent = section.heading === section.title ? "" : ` ${section.title}`;
    const text = document.createElement("p");
    text.className = "quiet";
    text.textContent = snippet(section, words);
    const line = document.createElement("li");
    line.append(link, where, text);
    return line;
  }

  function search() {
    const words = fold(box.value).split(/\s+/).filter(Boolean);
    const all = words.length ? matches(words) : [];
    count.hidden = found.hidden = !words.length;
    count.textContent = all.length > MOST ? `${all.length} places, the first ${MOST}:` : `${all.length || "No"} ${all.length === 1 ? "place" : "places"}${all.length ? ":" : " with all of these words."}`;
    found.replaceChildren(...all.slice(0, MOST).map((section) => item(section, words)));
  }

  box.addEventListener("input", search);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    found.querySelector("a")?.click();
  });
  // A browser that comes back to the page fills in what was typed before.
  addEventListener("pageshow", search);
  form.hidden = false;
})();
