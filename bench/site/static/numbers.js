// The same arithmetic as the printed pages: intervals, the exact paired test, how numbers are spelt.
(() => {
  "use strict";
  const { significance, quantile: Z } = window.BENCH.rules;

  const percent = (share, digits = 1) => (100 * share).toFixed(digits);

  const signed = (share) => {
    const text = Math.abs(100 * share).toFixed(1);
    if (Number(text) === 0) return "0.0";
    return (share > 0 ? "+" : "−") + text;
  };

  function metric(count) {
    for (const [bound, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (count >= bound) {
        const value = count / bound;
        return `${value < 999.5 ? String(Number(value.toPrecision(3))) : value.toFixed(0)}\u202f${unit}`;
      }
    }
    return count.toFixed(0);
  }

  function duration(seconds) {
    const [scale, unit] = [[1, "s"], [1e3, "ms"], [1e6, "µs"], [1e9, "ns"]].find(([scale, unit]) => seconds * scale >= 0.9995 || unit === "ns");
    return `${Number((seconds * scale).toPrecision(3))}\u202f${unit}`;
  }

  function wilson(count, total) {
    const share = count / total;
    const centre = share + Z * Z / (2 * total);
    const half = Z * Math.sqrt(share * (1 - share) / total + Z * Z / (4 * total * total));
    const scale = 1 + Z * Z / total;
    return [count === 0 ? 0 : (centre - half) / scale, count === total ? 1 : (centre + half) / scale];
  }

  // Two-sided exact McNemar test: twice the binomial tail, summed in logarithms.
  function mcnemar(first, second) {
    const total = first + second;
    const fewer = Math.min(first, second);
    if (2 * fewer >= total) return 1;
    let term = -total * Math.LN2;
    let tail = Math.exp(term);
    for (let index = 0; index < fewer; index += 1) {
      term += Math.log((total - index) / (index + 1));
      tail += Math.exp(term);
    }
    return Math.min(1, 2 * tail);
  }

  // Every difference that is not rejected: zero by the exact test, any other by Tango's score test.
  function difference(pair) {
    const total = pair.both + pair.first + pair.second + pair.neither;
    if (!total) return [-1, 1];
    const ends = [lower(pair.first, pair.second, total), -lower(pair.second, pair.first, total)];
    return mcnemar(pair.first, pair.second) < significance ? ends : [Math.min(ends[0], 0), Math.max(ends[1], 0)];
  }

  function lower(first, second, total) {
    let [low, high] = [-1, (first - second) / total];
    for (let step = 0; step < 40; step += 1) {
      const middle = (low + high) / 2;
      if (score(first, second, total, middle) > Z) low = middle;
      else high = middle;
    }
    return high;
  }

  function score(first, second, total, value) {
    const middle = -first - second + (2 * total - first + second) * value;
    const product = -second * value * (1 - value);
    const spread = Math.sqrt(Math.max(0, middle * middle - 8 * total * product));
    const share = middle <= 0 ? (spread - middle) / (4 * total) : -2 * product / (middle + spread);
    const variance = total * (2 * share + value * (1 - value));
    const distance = first - second - total * value;
    return variance > 0 ? distance / Math.sqrt(variance) : distance ? Math.sign(distance) * Infinity : 0;
  }

  const pValue = (value) => (value < 0.001 ? "< 0.001" : value.toFixed(value < 0.1 ? 3 : 2));

  function verdict(pair) {
    if (mcnemar(pair.first, pair.second) >= significance) return "not separated";
    return pair.first > pair.second ? "better" : "worse";
  }

  function bits(text, length) {
    const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    return Array.from({ length }, (_, index) => (bytes[index >> 3] >> (7 - (index & 7))) & 1);
  }

  function pair(one, two) {
    const found = { both: 0, first: 0, second: 0, neither: 0 };
    one.forEach((bit, index) => {
      found[bit ? (two[index] ? "both" : "first") : two[index] ? "second" : "neither"] += 1;
    });
    return found;
  }

  function element(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  function options(select, choices, current) {
    select.replaceChildren(...choices.map(([value, label]) => {
      const option = element("option", label, { value });
      option.selected = value === current;
      return option;
    }));
  }

  function remember(state) {
    const text = new URLSearchParams({ v: "1", ...state }).toString();
    try {
      history.replaceState(null, "", `#${text}`);
    } catch {
      location.replace(`#${text}`);
    }
  }

  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    return state.get("v") === "1" ? Object.fromEntries(state) : {};
  }

  function copier(button) {
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(location.href);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Copy the address bar";
      }
    });
  }

  window.benchNumbers = { percent, signed, metric, duration, wilson, mcnemar, difference, pValue, verdict, bits, pair, element, options, remember, recall, copier };
})();
