"use strict";
// The page is complete without this script, which only sorts tables, filters rows and opens what a link points to.

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function key(row, index) {
  const cell = row.cells[index];
  return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
}

function compare(a, b) {
  return typeof a === "number" && typeof b === "number" ? a - b : collator.compare(a, b);
}

function sort(button) {
  const header = button.closest("th");
  const was = header.getAttribute("aria-sort");
  const first = button.dataset.better === "higher" ? "descending" : "ascending";
  const next = was === null ? first : was === "ascending" ? "descending" : "ascending";
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", next);
  const body = header.closest("table").tBodies[0];
  const sign = next === "ascending" ? 1 : -1;
  const rows = [...body.rows].map((row) => [key(row, header.cellIndex), row]);
  // A row without a value stays at the end in both directions.
  rows.sort(([a], [b]) => (a === "") - (b === "") || sign * compare(a, b));
  body.append(...rows.map(([, row]) => row));
}

for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => sort(button));

const form = document.querySelector(".filter");
const words = document.getElementById("filter");
const boards = [...document.querySelectorAll(".board")].map((board) => ({
  board,
  title: `${board.closest("section").querySelector("h2").textContent} ${board.querySelector("h3").textContent}`.toLowerCase(),
  rows: [...board.querySelectorAll("tr[data-status]")].map((row) => ({ row, text: row.textContent.toLowerCase() })),
}));

function filter() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const kinds = new Set([...form.querySelectorAll("[name=status]:checked")].map((box) => box.value));
  let shown = 0;
  for (const { board, title, rows } of boards) {
    let here = 0;
    for (const { row, text } of rows) {
      row.hidden = !kinds.has(row.dataset.status) || !wanted.every((word) => text.includes(word) || title.includes(word));
      here += row.hidden ? 0 : 1;
    }
    board.hidden = here === 0;
    shown += here;
  }
  for (const section of document.querySelectorAll("main > section")) {
    section.hidden = !section.querySelector(".board:not([hidden])");
  }
  document.getElementById("nothing").hidden = shown > 0;
  document.getElementById("shown").textContent = `${shown} rows`;
}

form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", filter);
filter();

const menu = document.querySelector(".menu");
if (matchMedia("(max-width: 60rem)").matches) menu.open = false;

function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let node = target; node; node = node.parentElement) {
    if (node.tagName === "DETAILS") node.open = true;
    if (node.hidden) node.hidden = false;
  }
  target.scrollIntoView();
}

addEventListener("hashchange", reveal);
reveal();
addEventListener("beforeprint", () => document.querySelectorAll(".result").forEach((details) => (details.open = true)));
