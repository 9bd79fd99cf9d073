"use strict";
// Comfort only: everything on the page can be read without it.
(() => {
  const form = document.getElementById("filter");
  const find = document.getElementById("find");
  const pick = document.getElementById("pick");
  const shown = document.getElementById("shown");
  const rows = [...document.querySelectorAll(".verdicts tbody tr")];
  const apply = () => {
    const text = find.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const fits = (!pick.value || row.className === "r-" + pick.value) && row.textContent.toLowerCase().includes(text);
      row.hidden = !fits;
      count += fits ? 1 : 0;
    }
    shown.textContent = count === rows.length ? "" : count + " of " + rows.length;
  };
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  find.addEventListener("input", apply);
  pick.addEventListener("change", apply);
})();
