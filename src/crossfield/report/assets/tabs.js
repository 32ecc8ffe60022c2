"use strict";
// Tabs: click, arrow keys, Home and End; the address names the open one.
const tabs = () => [...document.querySelectorAll('[role="tab"]')];
const panelOf = (tab) => document.getElementById(tab.getAttribute("aria-controls"));

function select(tab, { focus = false, record = false } = {}) {
  for (const other of tabs()) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    panelOf(other).hidden = !chosen;
  }
  if (record) history.pushState(null, "", tab.hash);
  if (focus) tab.focus();
  const strip = tab.parentElement;
  strip.scrollLeft = tab.offsetLeft - strip.offsetLeft - (strip.clientWidth - tab.offsetWidth) / 2;
}

function followAddress() {
  const id = addressed();
  const named = document.getElementById(`tab-${id}`);
  const inside = id && document.getElementById(id)?.closest('[role="tabpanel"]');
  select(named ?? (inside ? document.getElementById(inside.getAttribute("aria-labelledby")) : current()));
  if (inside && !named) document.getElementById(id).scrollIntoView();
}

const current = () => document.querySelector('[role="tab"][aria-selected="true"]') ?? tabs()[0];

function startTabs() {
  const strip = document.getElementById("tabs");
  strip.addEventListener("click", (event) => {
    const tab = event.target.closest('[role="tab"]');
    if (!tab || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    select(tab, { record: true });
  });
  strip.addEventListener("keydown", (event) => {
    const all = tabs(), at = all.indexOf(event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    select(all[(to + all.length) % all.length], { focus: true, record: true });
  });
  window.addEventListener("hashchange", followAddress);
  window.addEventListener("popstate", followAddress);
  followAddress();
}
