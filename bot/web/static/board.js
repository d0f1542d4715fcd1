// Pages work without this script. It keeps the parts marked `data-live` up to date and adds relative times.
"use strict";

const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const sent = new WeakMap(); // part of the page → its HTML as the server last sent it
let asked = 0;
let isBehind = false; // the page changed, and this tab could not show it yet

function sayTimes(root) {
  for (const one of root.querySelectorAll("time[datetime]")) {
    const seconds = (Date.parse(one.dateTime) - Date.now()) / 1000;
    if (Number.isNaN(seconds)) continue;
    const [name, length] = STEPS.find(([, length]) => Math.abs(seconds) >= length) || ["minute", 60];
    one.title = one.dataset.far = relative.format(Math.round(seconds / length), name);
  }
}

function showProgress(running) {
  for (const bar of document.querySelectorAll("progress[data-path]")) {
    const now = running.find((one) => one.path === bar.dataset.path);
    if (!now || !now.total) continue;
    bar.max = now.total;
    bar.value = now.done;
    const words = bar.parentElement.querySelector("[data-words]");
    if (words) words.textContent = `${now.done.toLocaleString("en")} of ${now.total.toLocaleString("en")}`;
    const replayed = bar.parentElement.querySelector("[data-replayed]");
    if (replayed) replayed.textContent = now.replayed ? `, ${now.replayed.toLocaleString("en")} of them computed before` : "";
  }
}

async function refresh() {
  const mine = ++asked;
  isBehind = false;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (mine !== asked) return;
  if (!answer.ok) throw new Error(`the page cannot be loaded: ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (!fresh || fresh.innerHTML === sent.get(part)) continue;
    if (part.contains(document.activeElement) || part.querySelector("details[open] form")) {
      isBehind = true; // replacing the part would take the focus away, or what was typed
      continue;
    }
    sent.set(part, fresh.innerHTML);
    part.replaceChildren(...fresh.childNodes);
    sayTimes(part);
  }
}

function later() {
  isBehind = true;
  if (document.hidden) return; // the page is refreshed when the tab is visible again
  // At a random moment, because many may watch the same queue.
  clearTimeout(later.timer);
  later.timer = setTimeout(() => refresh().catch(again), 100 + 900 * Math.random());
}

function again() { // the server announces a change only once
  clearTimeout(later.timer);
  later.timer = setTimeout(later, 3000);
}

function listen() {
  const state = document.getElementById("live-state");
  const say = (words) => { if (state && state.textContent !== words) state.textContent = words; };
  const events = new EventSource("/events");
  events.addEventListener("open", () => say("Live: this page follows the queue."));
  events.addEventListener("error", () => say("Not live at the moment; reload to see the newest state."));
  events.addEventListener("progress", (event) => showProgress(JSON.parse(event.data)));
  // Also on the first event: the queue may have changed between the rendering of this page and the first read.
  events.addEventListener("lists", later);
  document.addEventListener("visibilitychange", () => { if (isBehind) later(); });
  document.addEventListener("toggle", () => { if (isBehind) later(); }, { capture: true });
  document.addEventListener("focusout", (event) => {
    if (isBehind && !event.relatedTarget?.closest("[data-live]")) later();
  });
}

const parts = document.querySelectorAll("[data-live]");
for (const part of parts) sent.set(part, part.innerHTML);
sayTimes(document);
setInterval(() => sayTimes(document), 30000);
const menu = document.querySelector("nav details");
if (menu) {
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") menu.open = false; });
}
if (parts.length) listen();
if (window.top !== window.self) {
  // In a frame, as on a Space, links to other sites would open in that frame too, and most sites refuse that.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (link && link.origin !== location.origin) Object.assign(link, { target: "_blank", rel: "noopener" });
  });
}
