"use strict";
// Figures: drawn when they come into view, in the colours of the page.
const drawn = new Set();
const hiddenHeads = new Set();

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return { text: of("text"), soft: of("soft"), line: of("line"), panel: of("panel"), font: of("font") };
}

function template() {
  const c = colours();
  const axis = { gridcolor: c.line, linecolor: c.line, zerolinecolor: c.line, tickcolor: c.line, automargin: true, color: c.soft };
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

async function draw(figure) {
  const plot = figure.querySelector(".plot");
  const { data, layout } = contentOf(figure);
  const log = figure.querySelector(".log");
  if (log) layout.yaxis = { ...layout.yaxis, type: log.checked ? "log" : "linear" };
  for (const trace of data) if (hiddenHeads.has(trace.legendgroup)) trace.visible = false;
  Object.assign(layout, { autosize: true, template: template(), uirevision: "kept" });
  drawn.add(figure);
  const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
  await Plotly.react(plot, data, layout, config);
}

const isShown = (figure) => {
  if (!figure.isConnected || !figure.getClientRects().length) return false;
  const box = figure.getBoundingClientRect();
  return box.bottom > -400 && box.top < innerHeight + 400;
};

function drawVisible() {
  for (const figure of document.querySelectorAll(".figure"))
    if (!drawn.has(figure) && isShown(figure)) draw(figure);
  // tabs change the width of nothing that is hidden
  for (const figure of drawn) if (isShown(figure)) Plotly.Plots.resize(figure.querySelector(".plot"));
}

function redrawAll() {
  for (const figure of drawn) figure.isConnected ? draw(figure) : drawn.delete(figure);
}

function startFigures() {
  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; drawVisible(); });
  };
  window.addEventListener("scroll", soon, { passive: true });
  window.addEventListener("resize", soon);
  document.addEventListener("toggle", soon, true);
  window.addEventListener("beforeprint", () => document.querySelectorAll(".figure").forEach(draw));
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
    document.documentElement.dataset.theme = next;
    try { localStorage.setItem("crossfield-theme", next); } catch { /* not kept then */ }
    redrawAll();
    document.dispatchEvent(new CustomEvent("themechange"));
  });
}

function markHidden() {
  for (const button of document.querySelectorAll(".legend button"))
    button.setAttribute("aria-pressed", String(!hiddenHeads.has(button.dataset.group)));
}
