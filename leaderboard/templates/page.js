"use strict";
// A page is complete without this script, which sorts tables, filters rows, keeps the view in the address and copies it.

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const form = document.querySelector(".filter");
const MOST = 200; // rows of a board that are laid out before somebody asks for all of them
const boards = [...document.querySelectorAll(".board")].map(read);
let sorted = null; // the board, column and direction that somebody chose last

function shownText(cell) {
  if (!cell.firstElementChild) return cell.textContent.trim();
  const copy = cell.cloneNode(true);
  for (const small of copy.querySelectorAll("small, sup")) small.remove();
  return copy.textContent.trim();
}

function asNumber(text) {
  const number = Number.parseFloat(text.replaceAll(",", ""));
  return Number.isNaN(number) ? null : number;
}

function read(board) {
  const table = board.querySelector("table");
  const heads = [...table.tHead.rows[0].cells];
  const labels = heads.map((head) => head.textContent.trim());
  const fields = new Map(heads.flatMap((head, at) => (head.dataset.field ? [[head.dataset.field, at]] : [])));
  const section = board.closest("section").querySelector("h2").textContent;
  const title = `${section} ${board.querySelector("h3").textContent} ${board.querySelector(".note code")?.textContent ?? ""}`;
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, text: row.textContent.toLowerCase(), texts: [] }));
  return { board, table, heads, labels, fields, title: title.toLowerCase(), rows, all: false };
}

// Not row.cells: a live collection of each row would be kept up to date with every other row that moves.
function cellsOf(entry) {
  return (entry.cells ??= [...entry.row.querySelectorAll(":scope > *")]);
}

function textAt(entry, at) {
  return (entry.texts[at] ??= shownText(cellsOf(entry)[at]));
}

// ---- sorting

function sort(each, at, direction) {
  const head = each.heads[at];
  for (const other of each.heads) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  const numeric = head.dataset.better !== undefined || !head.classList.contains("t");
  const sign = direction === "ascending" ? 1 : -1;
  const empty = (key) => key === null || key === "";
  const keyed = each.rows.map((entry) => [numeric ? asNumber(textAt(entry, at)) : textAt(entry, at), entry]);
  // a row without a value stays at the end in both directions
  keyed.sort(([a], [b]) => empty(a) - empty(b) || (empty(a) ? 0 : sign * (numeric ? a - b : collator.compare(a, b))));
  each.rows = keyed.map(([, entry]) => entry);
  const body = each.table.tBodies[0];
  body.replaceChildren(); // all at once: taken out one by one, thousands of rows take seconds
  body.append(...each.rows.map(({ row }) => row));
  sorted = { each, at, direction };
  curtail(each);
}

function next(head) {
  const was = head.getAttribute("aria-sort");
  if (was === null) return head.dataset.better === "higher" ? "descending" : "ascending";
  return was === "ascending" ? "descending" : "ascending";
}

for (const each of boards) {
  each.heads.slice(0, -1).forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    if (head.dataset.better) button.title = `${head.dataset.better} is better`;
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      sort(each, at, next(head));
      remember();
    });
  });
}

// ---- of very long boards only the first rows are laid out

function curtail(each) {
  let shown = 0;
  for (const { row } of each.rows) {
    if (!row.hidden) shown += 1;
    row.classList.toggle("later", !each.all && shown > MOST && !row.hidden);
  }
  if (!each.more) return;
  each.more.hidden = each.all || shown <= MOST;
  each.more.textContent = `Show all ${shown} rows`;
}

// ---- filters, which stand in the address: #board?q=…&input=…

function numbersAndTexts() {
  return [...form.querySelectorAll(".more [name]")].filter((input) => input.value !== "");
}

function passes({ fields }, entry, input) {
  const at = fields.get(input.name);
  const text = at === undefined ? "" : textAt(entry, at);
  if (input.type !== "number") return text === input.value;
  const number = asNumber(text);
  if (number === null) return false;
  return input.dataset.least === "true" ? number >= Number(input.value) : number <= Number(input.value);
}

function filter() {
  const wanted = form.elements.q.value.toLowerCase().split(/\s+/).filter(Boolean);
  const kinds = new Set([...form.querySelectorAll("[name=status]:checked")].map((box) => box.value));
  const chosen = numbersAndTexts();
  let shown = 0;
  for (const each of boards) {
    let here = 0;
    for (const entry of each.rows) {
      const { row, text } = entry;
      row.hidden =
        !kinds.has(row.dataset.status ?? "reported") ||
        !wanted.every((word) => text.includes(word) || each.title.includes(word)) ||
        !chosen.every((input) => passes(each, entry, input));
      here += row.hidden ? 0 : 1;
    }
    each.board.hidden = here === 0;
    curtail(each);
    shown += here;
  }
  for (const section of document.querySelectorAll("main > section")) {
    section.hidden = !section.querySelector(".board:not([hidden])");
  }
  document.getElementById("nothing").hidden = shown > 0;
  document.getElementById("shown").textContent = `${shown} rows`;
}

function address() {
  const [anchor] = location.hash.slice(1).split("?");
  const view = new URLSearchParams();
  if (form.elements.q.value) view.set("q", form.elements.q.value);
  const off = [...form.querySelectorAll("[name=status]:not(:checked)")].map((box) => box.value);
  if (off.length) view.set("without", off.join(","));
  for (const input of numbersAndTexts()) view.set(input.name, input.value);
  if (sorted) view.set("sort", `${sorted.each.board.id} ${sorted.at} ${sorted.direction}`);
  const words = view.toString();
  return anchor || words ? `#${anchor}${words ? `?${words}` : ""}` : "";
}

function remember() {
  history.replaceState(null, "", address() || "#");
}

function restore() {
  const view = new URLSearchParams(location.hash.slice(1).split("?")[1] ?? "");
  form.elements.q.value = view.get("q") ?? "";
  const off = new Set((view.get("without") ?? "").split(","));
  for (const box of form.querySelectorAll("[name=status]")) box.checked = !off.has(box.value);
  for (const input of form.querySelectorAll(".more [name]")) input.value = view.get(input.name) ?? "";
  form.querySelector(".more").open = numbersAndTexts().length > 0;
  const [id, column, direction] = (view.get("sort") ?? "").split(" ");
  const each = boards.find(({ board }) => board.id === id);
  if (each?.heads[column] && ["ascending", "descending"].includes(direction)) sort(each, Number(column), direction);
}

function reveal() {
  const [anchor] = location.hash.slice(1).split("?");
  const target = anchor && document.getElementById(decodeURIComponent(anchor));
  if (!target) return;
  for (let node = target; node; node = node.parentElement) {
    if (node.tagName === "DETAILS") node.open = true;
    if (node.hidden) node.hidden = false;
  }
  // boards above are laid out when they come near, and push it away
  let left = 5;
  const again = () => {
    target.scrollIntoView();
    left -= 1;
    if (left) requestAnimationFrame(again);
  };
  again();
}

function choices() {
  for (const select of form.querySelectorAll(".more select")) {
    const values = new Set();
    for (const { fields, rows } of boards) {
      const at = fields.get(select.name);
      if (at !== undefined) for (const entry of rows) values.add(textAt(entry, at));
    }
    values.delete("");
    select.append(...[...values].sort(collator.compare).map((value) => new Option(value.slice(0, 60), value)));
  }
}

// ---- copying what is shown

const ESCAPED = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" };
const WAYS = {
  Markdown: (rows) => {
    const line = (cells) => `| ${cells.map((cell) => cell.text.replace(/([\\|*_`<>])/g, "\\$1")).map((text, at) => (cells[at].best ? `**${text}**` : text)).join(" | ")} |`;
    return [line(rows[0]), `|${" --- |".repeat(rows[0].length)}`, ...rows.slice(1).map(line)].join("\n");
  },
  LaTeX: (rows) => {
    const plain = (text) => text.replace(/[\\~^&%$#_{}]/g, (sign) => ESCAPED[sign] ?? `\\${sign}`);
    const line = (cells) => `${cells.map((cell) => (cell.best ? `\\textbf{${plain(cell.text)}}` : plain(cell.text))).join(" & ")} \\\\`;
    const body = [line(rows[0]), "\\midrule", ...rows.slice(1).map(line)];
    return [`\\begin{tabular}{${"l".repeat(rows[0].length)}}`, "\\toprule", ...body, "\\bottomrule", "\\end{tabular}"].join("\n");
  },
  CSV: (rows) => {
    const plain = (text) => (/^[=+@\-＝＋－＠]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text).replaceAll('"', '""');
    return rows.map((cells) => cells.map((cell) => `"${plain(cell.text)}"`).join(",")).join("\n");
  },
};

function view({ rows, labels }) {
  const cells = rows
    .filter(({ row }) => !row.hidden)
    .map((entry) => cellsOf(entry).map((cell, at) => ({ text: textAt(entry, at), best: cell.classList.contains("best") })));
  return [labels.map((text) => ({ text, best: false })), ...cells];
}

async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.rows = 10;
    area.setAttribute("aria-label", "Text to copy");
    button.parentElement.after(area);
    area.select();
  }
}

function tools(each) {
  const bar = document.createElement("p");
  bar.className = "tools";
  for (const [name, way] of Object.entries(WAYS)) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Copy as ${name}`;
    button.addEventListener("click", () => copy(button, way(view(each))));
    bar.append(button);
  }
  const print = document.createElement("button");
  print.type = "button";
  print.textContent = "Print this table";
  print.addEventListener("click", () => {
    document.body.classList.add("one");
    each.board.classList.add("chosen");
    window.print();
    document.body.classList.remove("one");
    each.board.classList.remove("chosen");
  });
  each.more = document.createElement("button");
  each.more.type = "button";
  each.more.addEventListener("click", () => {
    each.all = true;
    curtail(each);
    each.table.parentElement.focus();
  });
  bar.append(print, each.more);
  each.table.parentElement.after(bar);
}

// ---- rows as cards where there is no room for columns; a table keeps its meaning for those who hear it

function cards() {
  for (const { table, labels, heads, rows } of boards) {
    table.classList.add("cards");
    table.setAttribute("role", "table");
    for (const part of [table.tHead, table.tBodies[0]]) part.setAttribute("role", "rowgroup");
    for (const [row, cells] of [[table.tHead.rows[0], heads], ...rows.map((entry) => [entry.row, cellsOf(entry)])]) {
      row.setAttribute("role", "row");
      cells.forEach((cell, at) => {
        cell.dataset.label = labels[at];
        cell.setAttribute("role", cell.tagName === "TD" ? "cell" : cell.scope === "row" ? "rowheader" : "columnheader");
      });
    }
  }
}

if (form) {
  choices();
  boards.forEach(tools);
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    filter();
    remember();
  });
  const go = () => {
    restore();
    filter();
    reveal();
  };
  addEventListener("hashchange", go);
  if (matchMedia("(max-width: 40rem)").matches) cards();
  if (matchMedia("(max-width: 60rem)").matches) document.querySelector(".menu").open = false;
  addEventListener("beforeprint", () => document.querySelectorAll("details.board").forEach((each) => (each.open = true)));
  go();
}
