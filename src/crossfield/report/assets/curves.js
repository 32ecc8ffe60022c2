// Curves, one at a time: by pair of elements, or by group and name.
const STEEP = 20; // a curve that spans more than this times its well is shown around the well first

async function fillCurves(place) {
  const all = await unpack(place.dataset.id);
  const plot = make("div", { class: "parity", role: "img", tabindex: "0" });
  const picker = make("div", { class: "tools" }), above = make("div", { class: "tools" }), map = make("div", { class: "pair-map" });
  let set = all[0], curve = set.curves[0];
  const draw = plotIn(plot, () => curveFigure(set, curve));

  function showCurve(next) {
    if (next) curve = next;
    plot.setAttribute("aria-label", `${curve.labels[1]} against ${curve.labels[0]} of ${curve.name}`);
    draw();
  }
  function chooseSet(name) {
    set = all.find((each) => each.name === name);
    curve = set.curves[0];
    map.replaceChildren();
    const byPair = set.curves.every((each) => each.pair);
    picker.replaceChildren(...(byPair ? pairPicker(set, showCurve, map) : namePicker(set, showCurve)));
    map.hidden = !map.childNodes.length;
    showCurve(curve);
  }
  if (all.length > 1) above.append(chooser("Benchmark", all.map((each) => [each.name, each.title]), set.name, chooseSet).label);
  place.append(above, picker, make("div", { class: "side" }, plot, map));
  chooseSet(set.name);
}

function stepper(list, get, set) {
  const move = (by) => { const at = list().indexOf(get()); set(list()[(at + by + list().length) % list().length]); };
  return [make("button", { type: "button", onclick: () => move(-1) }, "‹ Previous"), make("button", { type: "button", onclick: () => move(1) }, "Next ›")];
}

function namePicker(set, show) {
  const groups = [...new Set(set.curves.map((each) => each.group))];
  let group = groups[0], current = set.curves[0];
  const list = () => set.curves.filter((each) => each.group === group);
  const names = make("span", { class: "names" });
  function choose(next) { current = next; refresh(); show(next); }
  function refresh() {
    const texts = list().map((each, n) => [String(n), each.name]);
    names.replaceChildren(chooser("Curve", texts, String(list().indexOf(current)), (n) => choose(list()[Number(n)])).label);
  }
  refresh();
  const head = groups.length > 1 ? [chooser("Group", groups.map((g) => [g, g || "–"]), group, (g) => { group = g; choose(list()[0]); }).label] : [];
  return [...head, names, ...stepper(list, () => current, choose)];
}

function pairPicker(set, show, map) {
  const of = new Map();
  for (const each of set.curves) { of.set(each.pair.join(" "), each); of.set(each.pair.slice().reverse().join(" "), each); }
  let [a, b] = set.curves[0].pair, current = set.curves[0];
  const said = make("span", { class: "hint", "aria-live": "polite" });
  const first = chooser("Elements", set.elements, a, (name) => { a = name; choosePair(); });
  const second = chooser("and", set.elements, b, (name) => { b = name; choosePair(); });
  function choosePair() {
    const found = of.get(`${a} ${b}`);
    said.textContent = found ? "" : `No curve is kept for ${a}-${b}; there are ${set.curves.length} curves.`;
    if (found) { current = found; show(found); }
  }
  function setPair(pair) {
    [a, b] = pair;
    first.select.value = a;
    second.select.value = b;
    choosePair();
  }
  if (set.pairs.length) map.append(...pairMap(set, setPair));
  return [first.label, second.label, ...stepper(() => set.curves, () => current, (next) => setPair(next.pair)), said];
}

// every pair at once, by what was found of it
function pairMap(set, choose) {
  const plot = make("div", { class: "pairs", role: "img" });
  let quantity = set.pairs[0];
  const draw = plotIn(plot, () => {
    const seen = new Set(quantity.values.flatMap(([a, b]) => [a, b])), names = set.elements.filter((name) => seen.has(name));
    const at = new Map(names.map((name, n) => [name, n])), z = names.map(() => names.map(() => null));
    for (const [a, b, value] of quantity.values) { z[at.get(a)][at.get(b)] = value; z[at.get(b)][at.get(a)] = value; }
    plot.setAttribute("aria-label", `Map of ${quantity.quantity} of ${quantity.values.length} pairs of elements; the choices above reach the same curves`);
    return {
      data: [{ type: "heatmap", x: names, y: names, z, colorscale: "Cividis", xgap: 0.5, ygap: 0.5, hoverongaps: false,
        hovertemplate: `%{y}-%{x}: %{z:.4g} ${plain(quantity.unit)}<extra></extra>`, colorbar: { thickness: 12, title: { text: plain(quantity.unit) } } }],
      layout: { xaxis: { type: "category", showgrid: false, tickfont: { size: 9 } }, yaxis: { type: "category", showgrid: false, autorange: "reversed", tickfont: { size: 9 } },
        margin: { l: 34, r: 10, t: 10, b: 34 } },
    };
  }, (drawn) => drawn.on("plotly_click", (event) => {
    choose([event.points[0].y, event.points[0].x]);
  }));
  requestAnimationFrame(draw);
  const label = (each) => each.quantity || "value";
  const head = set.pairs.length > 1
    ? [make("div", { class: "tools" }, chooser("Map of", set.pairs.map((each, n) => [String(n), label(each)]), "0", (n) => { quantity = set.pairs[Number(n)]; draw(); }).label)]
    : [make("p", { class: "hint" }, `Map of ${label(quantity)}: choose a pair to see its curve.`)];
  return [...head, plot];
}

function curveFigure(set, curve) {
  const x = set.grids[curve.grid], y = curve.y;
  const data = [{ type: "scatter", mode: x.length > 80 ? "lines" : "lines+markers", name: "predicted", x, y, line: { color: COLOURS[0], width: 2 }, hovertemplate: "%{x:.4g}: %{y:.5g}<extra>predicted</extra>" }];
  if (curve.reference) data.push({ type: "scatter", mode: curve.reference[0].length > 80 ? "lines" : "lines+markers", name: plain(set.reference || "reference"), x: curve.reference[0], y: curve.reference[1],
    line: { color: COLOURS[1], width: 2, dash: "dash" }, marker: { symbol: "square" }, hovertemplate: "%{x:.4g}: %{y:.5g}<extra>reference</extra>" });
  const range = wellRange(y, curve.reference?.[1] ?? []);
  return { data, layout: {
    title: { text: plain(curve.name), x: 0.02, font: { size: 15 } }, xaxis: { title: { text: plain(curve.labels[0]), standoff: 6 } },
    yaxis: { title: { text: plain(curve.labels[1]) }, ...(range ? { range } : { autorange: true }) },
    legend: { orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom" }, showlegend: data.length > 1, margin: { l: 66, r: 14, t: 40, b: 58 },
    uirevision: `${set.name} ${curve.name}` } };
}

// around the well of a curve with a steep wall; null: all of it
function wellRange(y, reference) {
  const known = [...y, ...reference].filter((value) => value !== null);
  if (known.length < 5) return null;
  const sorted = known.slice().sort((a, b) => a - b);
  const low = sorted[0], high = sorted[sorted.length - 1], end = sorted[Math.floor(0.6 * (sorted.length - 1))];
  const depth = Math.max(end - low, 1e-3 * (high - low));
  return high - low > STEEP * depth ? [low - 0.2 * depth, low + 4 * depth] : null;
}

document.addEventListener("click", (event) => {
  const open = event.target.closest(".bench-open"), close = event.target.closest(".bench-close");
  if (open) openPanel(open);
  if (close) closePanel(close.closest(".bench-panel"));
});
const waiting = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (!isIntersecting || filled.has(target)) continue;
    filled.add(target);
    fillCurves(target);
  }
});
const watchCurves = () => document.querySelectorAll(".bench-curves").forEach((place) => waiting.observe(place));
watchCurves();
const changed = new MutationObserver(watchCurves); // a live page replaces what is in a tab
for (const panel of document.querySelectorAll('[role="tabpanel"]')) changed.observe(panel, { childList: true });
