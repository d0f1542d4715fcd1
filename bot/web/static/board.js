// Pages work without this. It keeps the parts marked `data-live` as they are on the server, and says how far off times are.
"use strict";

const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function sayTimes(root) {
  for (const one of root.querySelectorAll("time[datetime]")) {
    const seconds = (Date.parse(one.dateTime) - Date.now()) / 1000;
    const [name, length] = STEPS.find(([, length]) => Math.abs(seconds) >= length) || ["minute", 60];
    if (!Number.isNaN(seconds)) one.title = relative.format(Math.round(seconds / length), name);
  }
}

function showProgress(running) {
  for (const bar of document.querySelectorAll("progress[data-path]")) {
    const now = running.find((one) => one.path === bar.dataset.path);
    if (!now || !now.total) continue;
    bar.max = now.total;
    bar.value = now.done;
    const words = bar.parentElement.querySelector("[data-words]");
    if (words) words.textContent = `${now.done} of ${now.total}`;
  }
}

let asked = 0;

async function refresh() {
  const mine = ++asked;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok || mine !== asked) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (!fresh || fresh.innerHTML === part.innerHTML) continue;
    if (part.contains(document.activeElement)) continue; // nobody's place in the page is taken from under them
    part.replaceChildren(...fresh.childNodes);
    sayTimes(part);
  }
}

function later() {
  // Not everybody at once: many may watch the same queue.
  clearTimeout(later.timer);
  later.timer = setTimeout(() => refresh().catch(() => {}), 100 + 900 * Math.random());
}

function listen() {
  const state = document.getElementById("live-state");
  const events = new EventSource("/events");
  let isFirst = true;
  events.addEventListener("open", () => { state.textContent = "Live: this page follows the queue."; });
  events.addEventListener("error", () => { state.textContent = "Not live at the moment; reload to see the newest."; });
  events.addEventListener("progress", (event) => showProgress(JSON.parse(event.data)));
  events.addEventListener("lists", () => {
    if (!isFirst) later();
    isFirst = false;
  });
}

sayTimes(document);
if (document.querySelector("[data-live]")) listen();
