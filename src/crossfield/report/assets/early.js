"use strict";
const settings = JSON.parse(document.getElementById("settings").textContent);

// the part of the page that the address names; nothing if it is no name, as #100%
function addressed() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; }
}

// plotly.js takes the browser a moment: it is read when the first figure is drawn, or when there is time
Object.defineProperty(window, "Plotly", {
  configurable: true,
  get() {
    delete window.Plotly;
    const context = HTMLCanvasElement.prototype.getContext; // it reads most that it draws: faster, if this is known
    HTMLCanvasElement.prototype.getContext = function (kind, options) {
      return context.call(this, kind, kind === "2d" ? { willReadFrequently: true, ...options } : options);
    };
    const script = document.createElement("script");
    script.textContent = document.getElementById("plotly").textContent;
    document.head.append(script);
    return window.Plotly;
  },
});
window.addEventListener("load", () => {
  const later = window.requestIdleCallback ?? ((run) => setTimeout(run, 500));
  later(() => window.Plotly);
});

// before anything is drawn, so that a dark page does not flash
(() => {
  let kept = null;
  try { kept = localStorage.getItem("crossfield-theme"); } catch { /* pages in files may have no storage */ }
  const dark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  for (const panel of document.querySelectorAll('[role="tabpanel"]')) panel.hidden = true;
  const wanted = document.getElementById(`panel-${addressed()}`);
  (wanted ?? document.querySelector('[role="tabpanel"]')).hidden = false;
})();
