// Panels of benchmarks: opened by the names in the tables, and filled then.
const filled = new WeakSet();

async function openPanel(button) {
  const panel = document.getElementById(button.getAttribute("aria-controls"));
  const open = button.getAttribute("aria-expanded") === "false";
  button.setAttribute("aria-expanded", String(open));
  panel.hidden = !open;
  if (!open) return;
  if (!filled.has(panel)) { filled.add(panel); await fillPanel(panel); }
  panel.scrollIntoView({ block: "start" });
  panel.querySelector("h5").focus({ preventScroll: true });
}

function closePanel(panel) {
  const button = document.querySelector(`.bench-open[aria-controls="${panel.id}"]`);
  panel.hidden = true;
  button.setAttribute("aria-expanded", "false");
  button.focus();
}

async function fillPanel(panel) {
  const data = await unpack(`${panel.id}-data`);
  const place = panel.querySelector(".bench-entries");
  if (data.entries.name.length) place.append(...entriesOf(data, panel.id));
  const list = panel.querySelector(".bench-problem-list");
  if (list) {
    const text = (name) => ({ value: (row) => data.problems[name][row] });
    const table = sheet({ caption: "Problems", columns: [
      { name: "Kind", ...text("kind") }, { name: "Of", ...text("name") }, { name: "Reason", ...text("reason") }] });
    table.show(data.problems.kind.map((_, row) => row));
    list.append(table.node);
  }
}

/* Parity plot, table and structures of the entries of a benchmark, which go together: what is chosen in one is
   shown in the others. */
function entriesOf(data, id) {
  const e = data.entries;
  const error = e.name.map((_, n) => e.predicted[n] === null || e.reference[n] === null ? null : e.predicted[n] - e.reference[n]);
  const kind = (n) => [e.quantity[n], e.unit[n]].filter(Boolean).join(", ") || "value";
  const kinds = [...new Set(e.name.map((_, n) => kind(n)))];
  const groups = [...new Set(e.group)];
  const referred = e.reference.some((value) => value !== null);
  const chosen = { kind: kinds[0], group: "", text: "", missing: false, errors: false, entry: null };
  const looked = lookAt(data, id);
  const places = new Map(kinds.map((name) => [name, decimalsOf(e.name.map((_, n) => n).filter((n) => kind(n) === name), e, error)]));
  const decimals = (n) => places.get(kind(n));

  const table = sheet({ caption: "Entries", rowAttributes: (n) => ({ class: n === chosen.entry ? "chosen" : null }), columns: [
    { name: "Name", value: (n) => e.name[n], cell: (n) =>
      make("button", { type: "button", class: "entry", "aria-pressed": String(n === chosen.entry), onclick: () => choose(n) }, e.name[n]) },
    ...(groups.length > 1 ? [{ name: "Subset", value: (n) => e.group[n] }] : []),
    ...(kinds.length > 1 ? [{ name: "Quantity", value: (n) => e.quantity[n] }] : []),
    ...(referred ? [{ name: "Reference", number: true, decimals, value: (n) => e.reference[n] }] : []),
    { name: "Predicted", number: true, decimals, descending: !referred, value: (n) => e.predicted[n] },
    ...(referred ? [{ name: "Error", number: true, decimals, descending: true, value: (n) => error[n], sort: (n) => error[n] === null ? null : Math.abs(error[n]) }] : []),
    { name: "Unit", value: (n) => e.unit[n] },
    ...(e.note.some(Boolean) ? [{ name: "Note", value: (n) => e.note[n] }] : []),
  ] });

  const rows = () => e.name.map((_, n) => n).filter((n) =>
    (!chosen.group || e.group[n] === chosen.group) && (!chosen.missing || e.predicted[n] === null) &&
    (!chosen.text || `${e.name[n]} ${e.group[n]} ${e.note[n]}`.toLowerCase().includes(chosen.text)));

  const plot = make("div", { class: "parity", role: "img" });
  const compared = error.some((value) => value !== null);
  const draw = compared && plotIn(plot, () => {
    const what = chosen.errors ? "Errors (predicted − reference)" : "Predicted";
    const of = chosen.group ? `, of ${chosen.group}` : "";
    plot.setAttribute("aria-label", `${what} against reference: ${chosen.kind}${of}; the numbers stand in the table of entries`);
    return parity(e, error, chosen, kind, groups);
  }, (drawn) =>
    drawn.on("plotly_click", (event) => { const n = event.points[0]?.customdata; if (n !== undefined && n !== null) choose(n, true); }));

  function narrow() { table.show(rows()); draw?.(); }
  async function choose(n, fromPlot = false) {
    chosen.entry = n;
    if (fromPlot && !rows().includes(n)) return;
    table.refresh();
    const line = table.reveal(n);
    if (fromPlot && line) table.node.scrollTop = line.offsetTop - table.node.clientHeight / 2; // the page stays
    line?.querySelector("button").focus({ preventScroll: true });
    draw?.();
    const drawn = looked.show(e.name[n], e.items[n]);
    if (!fromPlot) looked.node.scrollIntoView({ block: "nearest" }); // on narrow screens it is far above
    await drawn;
  }

  const tools = make("div", { class: "tools" });
  if (kinds.length > 1) tools.append(chooser("In the figure", kinds, chosen.kind, (value) => { chosen.kind = value; narrow(); }).label);
  if (groups.length > 1) tools.append(chooser("Subset", [["", "all"], ...groups.map((g) => [g, g || "–"])], "", (value) => { chosen.group = value; narrow(); }).label);
  const search = make("input", { type: "search", oninput: later(() => { chosen.text = search.value.trim().toLowerCase(); narrow(); }, 150) });
  tools.append(make("label", { class: "chooser" }, make("span", {}, "Find"), search));
  const check = (label, name) => {
    const box = make("input", { type: "checkbox", onchange: () => { chosen[name] = box.checked; narrow(); } });
    return make("label", { class: "check" }, box, label);
  };
  if (e.predicted.some((value) => value === null)) tools.append(check("only what was not calculated", "missing"));
  if (compared) tools.append(check("errors instead of values in the figure", "errors"));

  table.show(rows());
  requestAnimationFrame(() => draw?.());
  return [tools, make("div", { class: "side" }, ...(compared ? [plot] : []), looked.node), table.node];
}

// decimals of all numbers of one quantity: three digits of a middling value, and two of a middling error
function decimalsOf(list, e, error) {
  const middling = (values) => { const known = values.filter((v) => v).map(Math.abs).sort((a, b) => a - b); return known[known.length >> 1] ?? 1; };
  const needed = (value, digits) => digits - 1 - Math.floor(Math.log10(value));
  const value = middling(list.flatMap((n) => [e.reference[n], e.predicted[n]]));
  return Math.min(6, Math.max(0, needed(value, 3), needed(middling(list.map((n) => error[n])), 2)));
}

function parity(e, error, chosen, kind, groups) {
  const colours = groups.length > 1 && groups.length <= COLOURS.length;
  const wanted = e.name.map((_, n) => n).filter((n) => error[n] !== null && kind(n) === chosen.kind && (!chosen.group || e.group[n] === chosen.group));
  const y = (n) => chosen.errors ? error[n] : e.predicted[n];
  const same = new Set(wanted.map((n) => e.reference[n])).size <= 1; // all compared with one value: side by side then
  const places = new Map(wanted.map((n, place) => [n, place + 1])), x = (n) => same ? places.get(n) : e.reference[n];
  const label = (n) => `<b>${plain(e.name[n])}</b>${e.group[n] ? `<br>${plain(e.group[n])}` : ""}<br>reference ${amount(e.reference[n])}<br>` +
    `predicted ${amount(e.predicted[n])}<br>error ${amount(error[n])} ${plain(e.unit[n])}`;
  const points = (list, at, name) => ({
    type: "scatter", mode: "markers", name: plain(name || "–"), x: list.map(x), y: list.map(y),
    customdata: list, hovertext: list.map(label), hoverinfo: "text",
    marker: { color: COLOURS[at % COLOURS.length], symbol: SYMBOLS[at % SYMBOLS.length], size: list.length > 300 ? 5 : 8, opacity: 0.8 },
  });
  let low = Infinity, high = -Infinity;
  for (const value of [...wanted.map(x), ...(chosen.errors || same ? [] : wanted.map(y))]) { low = Math.min(low, value); high = Math.max(high, value); }
  const ends = chosen.errors ? [0, 0] : same ? [e.reference[wanted[0]], e.reference[wanted[0]]] : [low, high];
  const line = { type: "scatter", mode: "lines", x: [low, high], y: ends, hoverinfo: "skip", showlegend: false, line: { color: NEUTRAL, width: 1, dash: "dot" } };
  const data = [line, ...(colours ? groups.map((g, at) => points(wanted.filter((n) => e.group[n] === g), at, g)) : [points(wanted, 0, "")])];
  if (wanted.includes(chosen.entry)) data.push({ ...points([chosen.entry], 0, ""), hoverinfo: "skip", showlegend: false,
    marker: { color: "rgba(0,0,0,0)", size: 15, line: { color: template().layout.font.color, width: 2 } } });
  const unitOf = wanted.length ? e.unit[wanted[0]] : "";
  return { data, layout: {
    xaxis: { title: { text: same ? "entries, side by side" : plain(`reference${unitOf && `, ${unitOf}`}`), standoff: 6 }, showticklabels: !same }, showlegend: colours,
    yaxis: { title: { text: plain(`${chosen.errors ? "predicted − reference" : "predicted"}${unitOf && `, ${unitOf}`}`) } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom" }, margin: { l: 62, r: 14, t: 14, b: 58 }, hovermode: "closest",
    uirevision: `${chosen.kind} ${chosen.group} ${chosen.errors}` } };
}

let stage = null; // one for all panels, since browsers draw in few places at a time

// the structures that an entry follows from, one role at a time
function lookAt(data, id) {
  const hint = () => make("p", { class: "hint" }, data.structures
    ? "Choose an entry, in the figure or in the table, to see its structures."
    : "No structures are kept for this benchmark.");
  const node = make("div", { class: "look", onleave: () => node.replaceChildren(hint()) }, hint());
  async function show(entry, items) {
    const known = data.structures ? await unpack(`${id}-structures`) : { items: {}, elements: {} };
    const choices = items.flatMap((item) => Object.keys(known.items[item] ?? {}).map((role) => [item, role]));
    if (!choices.length) { node.replaceChildren(make("p", { class: "hint" }, `No structure is kept for ${entry}.`)); return; }
    stage ??= viewer();
    const former = stage.node.closest(".look");
    if (former !== node) former?.dispatchEvent(new Event("leave"));
    const several = new Set(choices.map(([item]) => item)).size > 1;
    const draw = (value) => {
      const [item, role] = choices[Number(value)];
      return stage.show(item, role, known.items[item][role], known.elements);
    };
    const texts = choices.map(([item, role], n) => [String(n), several ? `${item}: ${role}` : role]);
    const head = make("div", { class: "tools" }, make("b", {}, entry), ...(choices.length > 1 ? [chooser("Structure", texts, "0", draw).label] : []));
    node.replaceChildren(head, stage.node);
    await draw("0");
  }
  return { node, show };
}
