"use strict";
/* Figures, in the colours of the page: drawn when they come into view, each in a frame of its own, so that the
   page can be read and used while many are still to come. */
const drawn = new Map(); // figures that are as they should be, and the widths they were drawn for
const hiddenHeads = new Set();
const CONFIG = { displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d", "sendChartToCloud"] };

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return { text: of("text"), soft: of("soft"), line: of("line"), panel: of("panel"), font: of("font") };
}

function template() {
  const c = colours();
  const axis = { gridcolor: c.line, linecolor: c.line, zerolinecolor: c.line, tickcolor: c.line, automargin: true, color: c.soft, title: { standoff: 8 } };
  const space = { gridcolor: c.line, zerolinecolor: c.line, backgroundcolor: "rgba(0,0,0,0)", color: c.soft };
  return {
    layout: {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: c.text, family: c.font, size: 12.5 },
      xaxis: axis, yaxis: axis, scene: { xaxis: space, yaxis: space, zaxis: space },
      polar: { bgcolor: "rgba(0,0,0,0)", angularaxis: { gridcolor: c.line, linecolor: c.line }, radialaxis: { gridcolor: c.line, linecolor: c.line, color: c.soft } },
      hoverlabel: { bgcolor: c.panel, bordercolor: c.soft, font: { color: c.text, family: c.font }, align: "left" },
      legend: { font: { color: c.text } }, margin: { l: 58, r: 14, t: 26, b: 44 },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: c.soft, activecolor: c.text },
      annotationdefaults: { font: { color: c.soft, size: 12 } },
    },
  };
}

const contentOf = (figure) => JSON.parse(figure.querySelector('script[type="application/json"]').textContent);

// a density is written as the cells that have something: steps from each to the next, and counts
function fill(trace) {
  const { bins, steps, counts } = trace.filled;
  const square = () => Array.from({ length: bins }, () => new Array(bins).fill(null));
  trace.z = square();
  trace.customdata = square();
  let cell = 0;
  counts.forEach((count, n) => {
    cell += steps[n];
    const row = Math.floor(cell / bins), column = cell % bins;
    trace.z[row][column] = Math.log10(count);
    trace.customdata[row][column] = count;
  });
  delete trace.filled;
}

async function draw(figure) {
  const plot = figure.querySelector(".plot");
  drawn.set(figure, plot.clientWidth);
  const { data, layout } = contentOf(figure);
  const log = figure.querySelector(".log");
  if (log) layout.yaxis = { ...layout.yaxis, type: log.checked ? "log" : "linear" };
  data.filter((trace) => trace.filled).forEach(fill);
  for (const trace of data) if (hiddenHeads.has(trace.legendgroup)) trace.visible = false;
  Object.assign(layout, { autosize: true, template: template(), uirevision: "kept" });
  await Plotly.react(plot, data, layout, CONFIG);
}

const near = new Set(); // figures in sight, or nearly so
let drawing = false;
const sight = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) near[isIntersecting ? "add" : "delete"](target);
  drawSoon();
}, { rootMargin: "400px" });

function watchFigures() {
  for (const figure of document.querySelectorAll(".figure")) sight.observe(figure);
}

// what is to be drawn next: the nearest figure that is not drawn yet, or not for its width; null: nothing
function nextFigure() {
  let next = null, least = Infinity;
  for (const figure of near) {
    if (drawn.has(figure) && drawn.get(figure) === figure.querySelector(".plot").clientWidth) continue;
    const box = figure.getBoundingClientRect();
    const away = Math.max(0, -box.bottom, box.top - innerHeight);
    if (box.width && away < least) [next, least] = [figure, away];
  }
  return next;
}

function drawSoon() {
  if (drawing) return;
  drawing = true;
  // after the frame: what is there already is shown first
  requestAnimationFrame(() => setTimeout(async () => {
    const figure = nextFigure();
    try {
      if (figure && drawn.has(figure)) {
        drawn.set(figure, figure.querySelector(".plot").clientWidth);
        await Plotly.Plots.resize(figure.querySelector(".plot"));
      } else if (figure) await draw(figure);
    } finally {
      drawing = false;
      if (figure) drawSoon();
    }
  }));
}

function redrawAll() {
  drawn.clear();
  drawSoon();
}

function useTheme(name) {
  document.documentElement.dataset.theme = name;
  redrawAll();
  document.dispatchEvent(new CustomEvent("themechange"));
}

// on paper: all tabs, nothing folded away, and the light colours; then as it was
function startPrinting() {
  let folded = [], theme = null;
  window.addEventListener("beforeprint", () => {
    document.body.classList.add("printing"); // gives figures in all tabs their width
    folded.push(...document.querySelectorAll("details:not([open])"));
    for (const each of folded) each.open = true;
    theme ??= document.documentElement.dataset.theme;
    if (theme === "dark") useTheme("light");
    document.querySelectorAll(".figure").forEach(draw);
  });
  window.addEventListener("afterprint", () => {
    document.body.classList.remove("printing");
    for (const each of folded) each.open = false;
    folded = [];
    if (theme === "dark") useTheme("dark");
    theme = null;
    drawSoon();
  });
}

function startFigures() {
  watchFigures();
  startPrinting();
  window.addEventListener("resize", drawSoon);
  document.addEventListener("change", (event) => {
    if (event.target.matches(".log")) draw(event.target.closest(".figure"));
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".legend button");
    if (!button) return;
    const show = button.getAttribute("aria-pressed") === "false";
    hiddenHeads[show ? "delete" : "add"](button.dataset.group);
    markHidden();
    redrawAll();
  });
  document.getElementById("theme").addEventListener("click", () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("crossfield-theme", next); } catch { /* not kept then */ }
    useTheme(next);
  });
}

function markHidden() {
  for (const button of document.querySelectorAll(".legend button"))
    button.setAttribute("aria-pressed", String(!hiddenHeads.has(button.dataset.group)));
}
