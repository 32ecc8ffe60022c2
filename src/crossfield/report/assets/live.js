"use strict";
// While a run goes on: ask for what has changed, and put it in place without losing tab, zoom or focus.
const EVERY = 2000; // ms

function say(text) {
  const place = document.getElementById("live");
  if (place.textContent !== text) place.textContent = text;
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
  const focused = panel.contains(document.activeElement) ? document.activeElement : null;
  const heading = panel.querySelector("h2");
  panel.replaceChildren(heading, next.content);
  if (focused?.isConnected) focused.focus({ preventScroll: true });
  markHidden();
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
      say(`live, changed ${new Date().toLocaleTimeString()}`);
    } else if (reply.status === 304) {
      if (!document.getElementById("live").textContent.startsWith("live")) say("live");
    } else {
      say(`cannot be read now: ${(await reply.text()).slice(0, 200)}`);
    }
  } catch {
    say("no connection; trying again");
    after = 3 * EVERY;
  }
  setTimeout(poll, document.hidden ? 5 * EVERY : after);
}

const settings = JSON.parse(document.getElementById("settings").textContent);
startTables();
startFigures();
startTabs();
if (settings.live) poll();
