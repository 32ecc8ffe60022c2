"use strict";
// Tables that sort, and the periodic table.
const valueOf = (cell) => {
  const value = cell.dataset.value;
  if (value === undefined) return cell.textContent;
  if (value === "inf") return Infinity; // what is missing comes last
  return value !== "" && !Number.isNaN(Number(value)) ? Number(value) : value;
};

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a === b ? 0 : a < b ? -1 : 1;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sortBy(button) {
  const head = button.closest("th");
  sortRows(head, head.getAttribute("aria-sort") === "ascending");
}

function sortRows(head, down) {
  const table = head.closest("table"), at = head.cellIndex;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row.cells[at]), row]);
  const missing = (value) => value === Infinity;
  rows.sort(([a], [b]) => missing(a) - missing(b) || (down ? -1 : 1) * compare(a, b));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function tellElement(button) {
  const panel = button.closest('[role="tabpanel"]').querySelector(".element-details");
  panel.textContent = button.getAttribute("aria-label");
}

function moveElement(event) {
  const from = event.target.closest(".elements button");
  const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
  if (!from || !step) return;
  event.preventDefault();
  let row = Number(from.dataset.row), column = Number(from.dataset.column), to = null;
  while (!to && row >= 1 && row <= 10 && column >= 1 && column <= 18) {
    row += step[0];
    column += step[1];
    to = from.parentElement.querySelector(`[data-row="${row}"][data-column="${column}"]`);
  }
  if (!to) return;
  from.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}

function startTables() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".sort");
    if (button) sortBy(button);
  });
  for (const kind of ["focusin", "pointerover"])
    document.addEventListener(kind, (event) => {
      const button = event.target.closest?.(".elements button");
      if (button) tellElement(button);
    });
  document.addEventListener("keydown", moveElement);
}
