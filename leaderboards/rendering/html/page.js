"use strict";
// Sorting, filters, pairs and the theme. Results, and the choice of a metric, need none of this.

const root = document.documentElement;
root.classList.add("script");

// Storage may be forbidden, for pages opened from a file above all; the theme then lasts as long
// as the page.
const stored = {
  get() { try { return localStorage.getItem("theme"); } catch { return null; } },
  set(value) { try { localStorage.setItem("theme", value); } catch { /* see above */ } },
};
const theme = stored.get();
if (theme === "dark" || theme === "light") root.dataset.theme = theme;

function setUpTheme() {
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const show = () => button.setAttribute("aria-pressed", isDark());
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    stored.set(root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
  show();
}

// --- sorting -----------------------------------------------------------------------------------

const collator = new Intl.Collator("en", { numeric: true });

function setUpSorting(table) {
  const body = table.tBodies[0];
  const firstOrder = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  const choice = table.closest("section").querySelector(".metrics");

  // The value of a cell, or of its part for the chosen metric; undefined sorts last either way.
  const valueOf = (row, column) => {
    const metric = choice?.querySelector(":checked").value;
    const cell = row.cells[column];
    return (cell.querySelector(`[data-metric="${metric}"]`) ?? cell).dataset.sort;
  };

  const sort = () => {
    const column = headings.findIndex((heading) => heading.ariaSort);
    if (column < 0) return body.append(...firstOrder);
    const sign = headings[column].ariaSort === "ascending" ? 1 : -1;
    const keyed = firstOrder.map((row) => [valueOf(row, column), row]);
    const defined = keyed.filter(([value]) => value);
    const undefinedLast = keyed.filter(([value]) => !value);
    const numeric = defined.every(([value]) => !Number.isNaN(Number(value)));
    const compare = numeric ? (a, b) => a - b : collator.compare;
    defined.sort(([a], [b]) => sign * compare(a, b));
    body.append(...[...defined, ...undefinedLast].map(([, row]) => row));
  };

  const next = (heading) => {
    const first = heading.dataset.first;
    const second = first === "ascending" ? "descending" : "ascending";
    if (!heading.ariaSort) return first;
    return heading.ariaSort === first ? second : null; // third: the first order again
  };

  for (const heading of headings) {
    const title = heading.querySelector(".sorts");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sorts";
    button.append(...title.childNodes);
    title.replaceWith(button);
    button.addEventListener("click", () => {
      const order = next(heading);
      for (const other of headings) other.removeAttribute("aria-sort");
      if (order) heading.ariaSort = order;
      sort();
    });
  }
  choice?.addEventListener("change", sort);
}

// --- pairs -------------------------------------------------------------------------------------

// Numbers come as whole units of their last digit, pairs in the order of combinations of names:
// effect, ends of the interval (distances from the effect where all three are numbers), place of
// the verdict, p in thousandths or nothing below one; empty where two rows are not compared.
// "single" has the places of rows with one run: what is said of them is said of checkpoints.
function readPair(packed) {
  if (!packed) return null;
  const read = (field) => (Number.isNaN(Number(field)) ? field : Number(field));
  const [effect, below, above, place, p] = packed.split(",").map(read);
  const numeric = [effect, below, above].every((value) => typeof value === "number");
  return [effect, numeric ? effect - below : below, numeric ? effect + above : above, p, place];
}

function drawPairs(container) {
  const data = JSON.parse(container.dataset.pairs);
  const { caption, mark, single, decimals, verdicts } = data;
  const names = data.names.split("\n");
  const pairs = data.pairs.split(";").map(readPair);
  const shown = (value) => (typeof value === "number"
    ? (value / 10 ** decimals).toFixed(decimals) : value).replace("-", "−");
  const signed = (value) => (value >= 0 ? "+" : "") + shown(value);
  const negative = (value) => {
    if (typeof value === "number") return value ? -value : 0;
    return value.startsWith("-") ? value.slice(1) : value === "inf" ? "-inf" : value;
  };
  const opposite = { better: "worse", worse: "better" };

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  const cell = (pair, flipped, self, checkpoints) => {
    if (!pair) return element("td", { className: self ? "self" : "" }, "·");
    const [effect, low, high, p, place] = pair;
    const verdict = flipped ? opposite[verdicts[place]] ?? verdicts[place] : verdicts[place];
    const [from, to] = flipped ? [negative(high), negative(low)] : [low, high];
    const words = checkpoints ? `checkpoint ${verdict}` : verdict;
    const said = p ? `p = ${typeof p === "number" ? (p / 1000).toFixed(3) : p}` : "p < .001";
    return element(
      "td",
      {
        className: checkpoints ? `${verdict} checkpoint` : verdict,
        title: `${words}; 95 % interval ${shown(from)} to ${shown(to)}; adjusted ${said}`,
      },
      mark + signed(flipped ? negative(effect) : effect),
      element("small", {}, element("span", { className: "sr" }, `${words}, `), said),
    );
  };

  const between = (row, column) => {
    const [one, other] = row < column ? [row, column] : [column, row];
    return pairs[one * names.length - (one * (one + 1)) / 2 + other - one - 1];
  };

  const heading = (scope, words, className = "") => element("th", { scope, className }, words);
  const body = names.map((name, row) => element(
    "tr",
    {},
    heading("row", name, "name"),
    ...names.map((_, column) => cell(
      row === column ? null : between(row, column), row > column, row === column,
      single.includes(row) || single.includes(column),
    )),
  ));
  const id = `${container.id}-caption`;
  const table = element(
    "table",
    { className: "pairs" },
    element("caption", { id }, element("span", {}, caption)),
    element("thead", {}, element(
      "tr",
      {},
      heading("col", "Row − column", "name"),
      ...names.map((name) => heading("col", name)),
    )),
    element("tbody", {}, ...body),
  );
  container.className = "scroll";
  container.tabIndex = 0;
  container.setAttribute("role", "region");
  container.setAttribute("aria-labelledby", id);
  container.replaceChildren(table);
  delete container.dataset.pairs;
}

function setUpPairs(details) {
  const choice = details.closest("section").querySelector(".metrics");
  const draw = () => {
    if (!details.open) return;
    for (const container of details.querySelectorAll("[data-pairs]")) {
      if (container.checkVisibility()) drawPairs(container);
    }
  };
  details.addEventListener("toggle", draw);
  choice?.addEventListener("change", draw);
  addEventListener("beforeprint", () => {
    for (const container of details.querySelectorAll("[data-pairs]")) drawPairs(container);
  });
}

// --- filters -----------------------------------------------------------------------------------

function setUpFilters() {
  const form = document.getElementById("filters");
  const rows = [...document.querySelectorAll(".results tbody tr")];
  const search = document.getElementById("search");
  const ranked = document.getElementById("ranked");
  const choices = [...form.querySelectorAll("[data-filter]")];

  const matches = (row) => {
    const words = search.value.toLowerCase().split(/\s+/);
    const name = row.cells[0].textContent.toLowerCase();
    return words.every((word) => name.includes(word))
      && choices.every(({ value, dataset }) => !value || row.dataset[dataset.filter] === value)
      && (!ranked.checked || "ranked" in row.dataset);
  };

  const apply = () => {
    for (const row of rows) row.hidden = !matches(row);
    for (const table of document.querySelectorAll(".results")) {
      const empty = !table.querySelector("tbody tr:not([hidden])");
      table.parentElement.nextElementSibling.hidden = !empty;
    }
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("count").textContent = `${shown} of ${rows.length} rows shown`;
  };

  form.addEventListener("input", apply);
  form.addEventListener("change", apply);
  form.addEventListener("reset", () => setTimeout(apply)); // after the fields are reset
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}

document.addEventListener("DOMContentLoaded", () => {
  setUpTheme();
  document.querySelectorAll(".results").forEach(setUpSorting);
  document.querySelectorAll("details:has([data-pairs])").forEach(setUpPairs);
  setUpFilters();
});
