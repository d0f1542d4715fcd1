// Pages with forms work without this script. It checks a form as it is filled in, and looks again for answers that were
// not ready.
"use strict";

const form = document.querySelector("form[data-live-check]");
let turn = 0; // of the newest request for an outcome: older answers are dropped
let timer = 0;

function address() {
  const fields = new FormData(form);
  for (const name of ["csrf", "key", "do", "publish_scores"]) fields.delete(name);
  return `${location.pathname}?${new URLSearchParams(fields)}`;
}

function say(part, words) {
  const note = document.createElement("p");
  note.className = "quiet";
  note.textContent = words;
  part.replaceChildren(note);
}

async function suggest(words) {
  // Without an answer, as while the Hub is away, a person types on without suggestions.
  const answer = await fetch(`/check/names?${new URLSearchParams({ q: words })}`).catch(() => null);
  if (!answer?.ok || form.elements.model.value.trim() !== words) return;
  const names = await answer.json();
  document.getElementById("models").replaceChildren(...names.map((name) => new Option(name, name)));
}

function again(part) {
  const pending = part.querySelector("[data-again]");
  const limited = part.querySelector("[data-retry]:not([data-retry=''])");
  const seconds = Number(pending?.dataset.again || limited?.dataset.retry || 0);
  clearTimeout(timer);
  if (seconds > 0) timer = setTimeout(() => look(true), seconds * 1000);
}

function fill(page) {
  // What the server guessed goes into fields that are still empty; a field that a person filled in stays.
  for (const fresh of page.querySelectorAll("form[data-live-check] :is(input, select)[name]")) {
    if (["csrf", "key"].includes(fresh.name)) continue;
    if (fresh.type === "radio") {
      const chosen = form.querySelector(`[name="${fresh.name}"]:checked`);
      if (fresh.checked && !chosen?.value) form.querySelector(`[name="${fresh.name}"][value="${CSS.escape(fresh.value)}"]`).checked = true;
    } else if (fresh.value && !form.elements[fresh.name].value) {
      form.elements[fresh.name].value = fresh.value;
    } else continue;
    const hint = page.getElementById(`hint-${fresh.name}`);
    const here = document.getElementById(`hint-${fresh.name}`);
    if (hint?.textContent && here) here.textContent = hint.textContent;
  }
}

function forget() {
  // Guesses about another model go; what a person chose stays.
  for (const hint of document.querySelectorAll(".hint")) {
    const name = hint.id.replace("hint-", "");
    if (!hint.textContent || name === "model") continue;
    hint.textContent = "";
    for (const field of form.querySelectorAll(`[name="${name}"]`)) {
      if (field.type === "radio") field.checked = false;
      else field.value = "";
    }
  }
}

async function look(isAgain) {
  const mine = ++turn;
  const part = document.getElementById("outcome");
  const url = form ? address() : location.href;
  if (form && !isAgain) say(part, "Checking …");
  try {
    const answer = await fetch(url, { headers: { accept: "text/html" } });
    if (mine !== turn) return;
    if (!form && answer.redirected && new URL(answer.url).pathname !== location.pathname) {
      location.assign(answer.url);
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("outcome");
    if (mine !== turn) return;
    if (!fresh && !answer.ok) throw new Error(`the outcome cannot be loaded: ${answer.status}`);
    if (!fresh) { // the session ended
      say(part, `You are signed out here. ${form ? "Press a button: after signing in, the form comes back with what you typed." : "Sign in to see the outcome."}`);
      return;
    }
    part.replaceChildren(...fresh.childNodes);
    if (form) {
      fill(page);
      history.replaceState(null, "", address());
    }
    again(part);
  } catch {
    if (mine !== turn) return;
    say(part, `The server does not answer at the moment. This page tries again${form ? "; what you typed stays" : ""}.`);
    timer = setTimeout(() => look(true), 5000);
  }
}

if (form) {
  let typing = 0;
  form.elements.model.addEventListener("input", () => {
    clearTimeout(typing);
    const words = form.elements.model.value.trim();
    if (words.length > 2 && !words.includes(":")) typing = setTimeout(() => suggest(words), 300);
  });
  form.addEventListener("change", (event) => {
    const hint = document.getElementById(`hint-${event.target.name}`);
    if (hint) hint.textContent = ""; // it is a person's choice now
    if (event.target.name === "model") forget();
    if (form.elements.model.value.trim()) look(false);
  });
  if (form.elements.model.value !== form.elements.model.defaultValue) look(false); // typed before this script was there
}
const outcome = document.getElementById("outcome");
if (outcome) again(outcome);
