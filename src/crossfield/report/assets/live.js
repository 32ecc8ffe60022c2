"use strict";
// While a run goes on: ask for what has changed, and put it in place without losing tab, zoom or focus.
const EVERY = 2000; // ms

// read aloud when it becomes another one; when the page last changed is beside it, and is not
function say(text) {
  const place = document.getElementById("live");
  if (place.textContent !== text) place.textContent = text;
}

const keyOfTable = (table) => [...table.querySelectorAll("thead th")].map((head) => head.textContent).join("|");

// pairs of what was there and what is there now, of those that are called the same
function paired(before, after, key) {
  const rest = [...after];
  return before.flatMap((old) => {
    const at = rest.findIndex((fresh) => key(fresh) === key(old));
    return at < 0 ? [] : [[old, rest.splice(at, 1)[0]]];
  });
}

// what the reader has sorted and scrolled, in the tables that are there now; call it before the old ones go
function restoring(panel) {
  const known = [...panel.querySelectorAll(".table")];
  const places = known.map((table) => [table.scrollTop, table.scrollLeft]);
  return () => {
    for (const [old, fresh] of paired(known, panel.querySelectorAll(".table"), keyOfTable)) {
      const sorted = old.querySelector("[aria-sort]"), place = places[known.indexOf(old)];
      if (sorted) sortRows(fresh.querySelectorAll("thead th")[sorted.cellIndex], sorted.getAttribute("aria-sort") === "descending");
      [fresh.scrollTop, fresh.scrollLeft] = place;
    }
  };
}

/* What has the focus is found again by its table, its kind and its text, else by its place among its kind: numbers
   in names change from step to step. */
function refocusing(panel) {
  const focused = document.activeElement;
  if (focused === panel || !panel.contains(focused)) return () => {};
  const kind = (element) => `${element.closest(".table") ? keyOfTable(element.closest(".table")) : ""}|${element.tagName}|${element.type ?? ""}`;
  const alike = () => [...panel.querySelectorAll(focused.tagName)].filter((element) => kind(element) === kind(focused));
  const at = alike().indexOf(focused), text = focused.textContent;
  return () => {
    const found = alike();
    const to = focused.isConnected ? focused : found[at]?.textContent === text ? found[at] : found.find((element) => element.textContent === text) ?? found[at];
    (to ?? panel).focus({ preventScroll: true });
  };
}

function replacePanel(panel, section) {
  const next = document.createElement("template");
  next.innerHTML = section.html;
  const kept = [...panel.querySelectorAll(".figure")];
  const open = [...panel.querySelectorAll("details")].map((d) => d.open);
  [...next.content.querySelectorAll("details")].forEach((d, i) => { d.open = open[i] ?? d.open; });
  for (const fresh of next.content.querySelectorAll(".figure")) {
    const title = (figure) => figure.querySelector(".plot").getAttribute("aria-label");
    const at = kept.findIndex((figure) => title(figure) === title(fresh));
    if (at < 0) continue;
    const [old] = kept.splice(at, 1);
    const script = 'script[type="application/json"]';
    if (old.querySelector(script).textContent !== fresh.querySelector(script).textContent) {
      old.querySelector(script).textContent = fresh.querySelector(script).textContent;
      drawn.delete(old);
    }
    fresh.replaceWith(old);
  }
  const again = [restoring(panel), refocusing(panel)];
  const heading = panel.querySelector("h2");
  panel.replaceChildren(heading, next.content);
  markHidden();
  for (const each of again) each();
}

function update(report) {
  const known = tabs().map((tab) => tab.hash.slice(1)).join(" ");
  const scripts = JSON.stringify(report.scripts);
  if (known !== report.sections.map((s) => s.id).join(" ") || scripts !== JSON.stringify(settings.scripts)) {
    location.reload(); // the run has ended, or something new is there; the address keeps the tab
    return;
  }
  for (const section of report.sections) {
    if (settings.hashes[section.id] === section.hash) continue;
    settings.hashes[section.id] = section.hash;
    replacePanel(document.getElementById(`panel-${section.id}`), section);
  }
  watchFigures();
  drawSoon();
}

async function poll() {
  let after = EVERY;
  try {
    const headers = settings.version ? { "If-None-Match": `"${settings.version}"` } : {};
    const reply = await fetch(settings.live, { headers, cache: "no-store" });
    if (reply.status === 200) {
      const report = await reply.json();
      settings.version = report.version;
      update(report);
      say("live");
      document.getElementById("changed").textContent = `changed ${new Date().toLocaleTimeString()}`;
    } else if (reply.status === 304) {
      say("live");
    } else {
      say(`cannot be read now: ${(await reply.text()).slice(0, 200)}`);
    }
  } catch {
    say("no connection; trying again");
    after = 3 * EVERY;
  }
  setTimeout(poll, document.hidden ? 5 * EVERY : after);
}

startTables();
startFigures();
startTabs();
if (settings.live) poll();
