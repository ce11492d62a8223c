
// --- tables to explore -------------------------------------------------------------------------

// Sorting is that of every table. To lay out thousands of rows takes seconds: the first of those
// that fit show, and the others when they are asked for.
const FIRST = 300;

function setUpExplorer(explore) {
  const form = explore.querySelector("form");
  const table = explore.querySelector("table");
  const body = table.tBodies[0];
  const words = new Map([...body.rows].map((row) => [row, row.textContent.toLowerCase()]));
  const search = form.querySelector("[type=search]");
  const facets = [...form.querySelectorAll("[data-facet]")];
  const more = explore.querySelector(".more");
  let most = FIRST;

  const apply = () => {
    const wanted = search.value.toLowerCase().split(/\s+/);
    const chosen = facets.filter(({ value }) => value);
    let fit = 0;
    for (const row of body.rows) {
      const fits = wanted.every((word) => words.get(row).includes(word))
        && chosen.every(({ value, dataset }) => row.dataset[dataset.facet] === value);
      fit += fits;
      row.hidden = !fits || fit > most;
    }
    const shown = Math.min(fit, most);
    explore.querySelector(".none").hidden = fit > 0;
    more.hidden = shown === fit;
    more.firstChild.textContent = `Show all ${fit}`;
    form.querySelector("output").textContent = `${shown} of ${words.size} shown`;
  };

  more.firstChild.addEventListener("click", () => { most = Infinity; apply(); });
  table.tHead.addEventListener("click", apply); // once it is sorted
  form.addEventListener("input", apply);
  form.addEventListener("change", apply);
  form.addEventListener("reset", () => setTimeout(apply)); // after the fields are reset
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".explorer").forEach(setUpSorting);
  document.querySelectorAll(".explore").forEach(setUpExplorer);
});
