// Elements, data that are unpacked when they are first wanted, and long tables that are shown in parts.
const PART = 100; // rows shown at once
const { colours: COLOURS, symbols: SYMBOLS, neutral: NEUTRAL } = settings.palette;

// everything from outside becomes text, never markup
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// figures read a little HTML in their labels
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

const unpacked = new WeakMap(); // by element: a page that changes brings new ones
function unpack(id) {
  const element = document.getElementById(id);
  if (!unpacked.has(element)) unpacked.set(element, inflate(element));
  return unpacked.get(element);
}

async function inflate(element) {
  const letters = atob(element.textContent);
  const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

// `decimals`: as many in all numbers of a column, so that they can be compared at a glance
function amount(value, decimals = null) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (decimals !== null && size < 1e7) return value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  if (size >= 1000 && size < 1e7) return value.toLocaleString("en", { maximumFractionDigits: 1 });
  return size !== 0 && (size < 1e-3 || size >= 1e7) ? value.toExponential(3) : String(Number(value.toPrecision(5)));
}

// a choice with a label; `choices` are texts, or [value, text]
function chooser(label, choices, chosen, onchoice) {
  const select = make("select", { "aria-label": label, onchange: () => onchoice(select.value) });
  for (const choice of choices) {
    const [value, text] = Array.isArray(choice) ? choice : [choice, choice];
    const option = make("option", { value }, text);
    option.selected = value === chosen;
    select.append(option);
  }
  return { label: make("label", { class: "chooser" }, make("span", {}, label), select), select };
}

function later(action, wait) {
  let timer = 0;
  return () => { clearTimeout(timer); timer = setTimeout(action, wait); };
}

/* A table of rows. columns: { name, number, decimals: row => digits after the point, value: row => number or text or null, sort: row => ...,
   cell: row => node or text }; `rowAttributes(row)` gives attributes of a row. Sorted by the heads of columns;
   `show(rows)` says which rows, and `reveal(row)` shows one that may be further down. */
function sheet({ caption, columns, rowAttributes = () => ({}) }) {
  const state = { rows: [], ordered: [], shown: PART, by: -1, down: false };
  const body = make("tbody");
  const heads = columns.map((column, at) =>
    make("th", { scope: "col", class: column.number ? "number" : null },
      make("button", { type: "button", class: "sort", onclick: (event) => { event.stopPropagation(); sort(at); } }, column.name)));
  const more = make("button", { type: "button", class: "more", onclick: () => { state.shown += 10 * PART; fill(); } });
  const title = make("caption", {}, caption);
  const node = make("div", { class: "table", role: "region", "aria-label": caption, tabindex: "0" },
    make("table", {}, title, make("thead", {}, make("tr", {}, ...heads)), body), more);

  const key = (column, row) => (column.sort ?? column.value)(row);
  function order() {
    state.ordered = state.rows.slice();
    if (state.by < 0) return;
    const column = columns[state.by], sign = state.down ? -1 : 1;
    state.ordered.sort((a, b) => {
      const u = key(column, a), v = key(column, b);
      if (u === null || v === null) return (u === null) - (v === null); // what is missing comes last
      return sign * (typeof u === "number" ? u - v : String(u).localeCompare(String(v), undefined, { numeric: true })) || a - b;
    });
  }
  function sort(at) {
    state.down = state.by === at ? !state.down : Boolean(columns[at].descending);
    state.by = at;
    heads.forEach((head, i) => i === at ? head.setAttribute("aria-sort", state.down ? "descending" : "ascending") : head.removeAttribute("aria-sort"));
    order();
    fill();
  }
  function fill() {
    body.replaceChildren(...state.ordered.slice(0, state.shown).map(line));
    const left = state.ordered.length - state.shown;
    more.hidden = left <= 0;
    more.textContent = `Show more (${left.toLocaleString("en")} left)`;
  }
  function line(row) {
    return make("tr", { "data-row": row, ...rowAttributes(row) }, ...columns.map((column, at) => {
      const content = column.cell ? column.cell(row) : column.number ? amount(column.value(row), column.decimals?.(row)) : column.value(row) ?? "–";
      const attributes = { class: column.number ? "number" : null };
      return at === 0 ? make("th", { scope: "row", ...attributes }, content) : make("td", attributes, content);
    }));
  }
  return {
    node,
    show(rows) { state.rows = rows; state.shown = PART; order(); fill(); title.textContent = `${caption}: ${rows.length.toLocaleString("en")}`; },
    refresh: fill,
    reveal(row) {
      const at = state.ordered.indexOf(row);
      if (at < 0) return null;
      if (at >= state.shown) { state.shown = at + PART; fill(); }
      return body.querySelector(`[data-row="${row}"]`);
    },
  };
}

// a plot of its own, drawn in the colours of the page and again when these change
function plotIn(element, figureOf, afterwards = () => {}) {
  let first = true;
  async function redraw() {
    if (!element.isConnected) return;
    const { data, layout } = figureOf(element);
    await Plotly.react(element, data, { ...layout, autosize: true, template: template() }, { ...CONFIG, responsive: true });
    if (first) afterwards(element);
    first = false;
  }
  document.addEventListener("themechange", redraw);
  return redraw;
}
