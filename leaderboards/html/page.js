"use strict";
// Sorting, filters and the theme. Reading, and the choice of a metric, need none of this.

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
  const section = table.closest("section");

  // The value of a cell, or of its part for the chosen metric; undefined sorts last either way.
  const valueOf = (row, column) => {
    const metric = section.querySelector(".metrics :checked")?.value;
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
  section.querySelector(".metrics").addEventListener("change", sort);
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
  setUpFilters();
});
