// Changes the table in place when a filter changes, and loads rows while the reader scrolls.
// Without this script the page is a form and a paged table. A page that names a snapshot (a static Space) reads that
// one, through snapshot.js; all others ask the server.
"use strict";

const form = document.getElementById("filters");
const table = document.getElementById("table");
const box = table.parentElement;
const body = document.getElementById("rows");
const CHUNK = 50; // rows of one answer
const STORED = 60; // answers that this tab keeps
const MAX_PINS = 5;
const answers = new Map(); // number of a chunk → its rows
let state = ""; // the query of the shown table
let pins = []; // the ids of the pinned rows; their boxes in the table follow it
let columns = []; // all columns, as the server describes them
let count = 0;
let rowHeight = 40;
let asked = 0;
const home = location.pathname;
const ranges = document.querySelector("[data-ranges]"); // says what a range of ranks is, where the table shows any

const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
};
const encoded = (path) => path.split("/").map(encodeURIComponent).join("/");

// --- the state of the table, as the fields of its address

function query() {
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    const text = value.trim();
    if (text === "" || ["pin", "column"].includes(name) || (name === "rising" && text === "0") || (name === "sort" && text === "average")) continue;
    fields.append(name, text);
  }
  for (const id of pins) fields.append("pin", id);
  const boxes = [...form.querySelectorAll("[name=column]")];
  if (boxes.some((one) => one.checked !== (one.dataset.first === "1")))
    for (const one of boxes) if (one.checked) fields.append("column", one.value);
  return fields;
}

function fill(fields) {
  pins = [...new Set(fields.getAll("pin"))].slice(0, MAX_PINS);
  for (const one of form.elements) {
    if (!one.name) continue;
    const values = fields.getAll(one.name);
    if (one.type === "checkbox")
      one.checked = one.name === "column" && !values.length ? one.dataset.first === "1" : values.includes(one.value);
    else one.value = values[0] ?? (one.name === "sort" ? "average" : one.name === "rising" ? "0" : "");
  }
  showSlider();
}

// The fields of a link that changes one thing of the view: `data-set` holds what it sets; an empty value ends a field.
// A quick filter that is on ends all that it sets.
function changed(fields, link) {
  const next = new URLSearchParams(fields), ends = link.closest(".quick") && isOn(fields, link);
  for (const [name, value] of new URLSearchParams(link.dataset.set))
    if (value && !ends) next.set(name, value);
    else next.delete(name);
  return next;
}

// Whether the fields are those that a quick filter, whose values are numbers, sets.
function isOn(fields, link) {
  const same = ([name, value]) => Object.is(parseFloat(fields.get(name)), parseFloat(value)); // NaN: no bound
  return [...new URLSearchParams(link.dataset.set)].every(same);
}

// --- reading

const server = {
  site: "",
  target: null,
  async read(fields, offset, limit) {
    const wanted = new URLSearchParams(fields);
    wanted.set("offset", offset);
    wanted.set("limit", limit);
    const answer = await fetch(`/api/leaderboard?${wanted}`);
    if (!answer.ok) throw new Error(`the table cannot be loaded: ${answer.status}`);
    return answer.json();
  },
  failure: () => "The table cannot be loaded at the moment. Try again in a minute.",
  model: (name) => `/models/${encoded(name)}`,
  async suggest(text) {
    const answer = await fetch(`/api/suggestions?${new URLSearchParams({ q: text })}`);
    return answer.ok ? (await answer.json()).suggestions : [];
  },
  // The server words what a search missed: the page has the sentences.
  async explain(_, fields) {
    const answer = await fetch(addressOf(fields), { headers: { accept: "text/html" } });
    if (!answer.ok) return [];
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return [...page.getElementById("outcome").childNodes];
  },
  share() {},
};
let source = server;
const read = (fields, offset) => source.read(fields, offset, CHUNK);

// `stay`: the reader changed the pins alone, and stays at the same rows. `from`: the row to begin with.
async function show({ push = true, stay = false, from = 0 } = {}) {
  const fields = query();
  const mine = ++asked;
  let found;
  try {
    found = await read(fields, 0);
  } catch (error) {
    if (mine === asked) document.getElementById("count").textContent = source.failure(error);
    return;
  }
  if (mine !== asked) return;
  const address = addressOf(fields);
  if (push && address !== `${location.pathname}${location.search}`) history.pushState(null, "", address);
  source.share(fields);
  const stays = stay && columns.length && withoutPins(state) === withoutPins(fields);
  state = String(fields);
  columns = found.columns;
  count = found.count;
  if (!stays) answers.clear();
  answers.set(0, found.rows);
  document.getElementById("pages")?.remove();
  showHead(fields);
  showPinned(found.pinned);
  showCount(found);
  if (!stays) showOutcome(found, fields);
  showLinks(fields);
  if (!stays && box.scrollHeight > box.clientHeight) box.scrollTop = 0;
  draw(!stays);
  if (from) scrollToRow(from);
}

function scrollToRow(row) {
  const top = body.getBoundingClientRect().top + row * rowHeight;
  if (box.scrollHeight > box.clientHeight) box.scrollTop += top - table.tHead.getBoundingClientRect().bottom;
  else window.scrollBy(0, top);
}

function withoutPins(fields) {
  const others = new URLSearchParams(fields);
  others.delete("pin");
  return String(others);
}

// --- drawing

const visible = () => {
  const checked = new Set([...form.querySelectorAll("[name=column]:checked")].map((one) => one.value));
  return columns.filter((column) => checked.has(column.key));
};

function showHead(fields) {
  const sort = fields.get("sort") || "average";
  const all = columns.filter((column) => column.kind === "score" && column.key !== "average").length;
  const shown = visible();
  table.toggleAttribute("data-chosen", fields.has("column")); // on a phone, cards show all columns only if a reader chose them
  ranges.hidden = !shown.some((column) => column.kind === "range");
  const averaged = shown.filter((column) => column.kind === "score" && column.key !== "average").length;
  table.tHead.rows[0].replaceChildren(...shown.map((column) => {
    const mine = column.key === sort;
    const falls = ["score", "number", "count", "date", "flag"].includes(column.kind);
    const rises = mine ? fields.get("rising") === "1" : !falls;
    const next = new URLSearchParams({ sort: column.kind === "range" ? "rank" : column.key, rising: (mine ? !rises : rises) ? "1" : "0" });
    const part = column.key === "average" && averaged && averaged !== all ? ` of ${averaged}` : "";
    const link = element("a", { href: "", "data-set": next, title: part ? `of the ${averaged} benchmarks that are shown` : null }, column.title + part);
    if (mine) link.append(element("span", { "aria-hidden": "true" }, rises ? " ▲" : " ▼"));
    return element("th", { scope: "col", class: column.kind, "data-key": column.key, title: column.kind === "range" ? ranges.dataset.ranges : null, "aria-sort": mine ? (rises ? "ascending" : "descending") : null }, link);
  }));
}

const score = (value, error) => {
  if (value === null || value === undefined) return [];
  return error ? [`${value.toFixed(2)} `, element("small", {}, `±${error.toFixed(1)}`)] : [value.toFixed(2)];
};

const precise = (value) => String(Number(value.toPrecision(3)));

function cell(row, column) {
  const named = { class: column.kind === "score" ? "score" : `${column.kind} ${column.key}`, "data-name": column.title };
  if (column.kind === "rank") return element("td", { class: "rank" }, String(row.rank || "–"));
  if (column.kind === "range") return element("td", named, ...(row.rank_range ? [[...new Set(row.rank_range)].join("–")] : []));
  if (column.kind === "model") {
    const pin = element("input", { type: "checkbox", name: "pin", value: row.id, form: "filters", "aria-label": `Pin ${row.model} to compare` });
    pin.checked = pins.includes(row.id);
    return element("th", { scope: "row", class: "model" }, pin, element("span", { title: row.category }, row.symbol), " ",
      element("a", { href: source.model(row.model), title: row.model, target: source.target }, row.model),
      ...(row.flagged ? [" ", element("span", { class: "tag flagged" }, "flagged")] : []), ...(row.available ? [] : [" ", element("span", { class: "tag" }, "deleted")]),
      ...(row.other_questions ? [" ", element("span", { class: "tag", title: "It answered other questions than most evaluations here: scores cannot be compared" }, "other questions")] : []));
  }
  if (column.key === "average") return element("td", { class: "score average", "data-name": column.title }, element("strong", {}, ...score(row.average, row.errors.average)));
  if (column.kind === "score") return element("td", named, ...score(row.scores[column.key], row.errors[column.key]));
  const value = row[column.key];
  if (value === null || value === "") return element("td", named);
  if (value.length > 24) named.title = value;
  if (column.kind === "flag") return element("td", named, value ? "yes" : "no");
  if (column.kind === "number") return element("td", named, precise(value));
  if (column.kind === "count") return element("td", named, value.toLocaleString("en"));
  if (column.kind === "code") return element("td", named, element("code", { title: value }, value.slice(0, 8)));
  if (column.key === "base_model" && value.includes("/")) return element("td", named, element("a", { href: source.model(value), target: source.target }, value));
  return element("td", named, value);
}

const line = (row, at) => element("tr", at === null ? {} : { "aria-rowindex": at + 2 }, ...visible().map((column) => cell(row, column)));
const space = (height, wide) =>
  element("tr", { class: "space", "aria-hidden": "true" }, element("td", { colspan: wide, height: Math.round(height) }));

let drawn = "";

// Draws the chunks in view, with space for all rows above and below them.
function draw(always = false) {
  if (!columns.length) return; // the server's rows stay until there are others
  const top = body.getBoundingClientRect().top - Math.max(0, box.getBoundingClientRect().top);
  const first = Math.max(0, Math.floor(-top / rowHeight / CHUNK));
  const last = Math.min(Math.max(0, Math.ceil(count / CHUNK) - 1), Math.floor((window.innerHeight - top) / rowHeight / CHUNK));
  const chunks = [];
  for (let chunk = Math.min(first, last); chunk <= last; chunk++) chunks.push(chunk);
  const key = chunks.map((chunk) => `${chunk}${answers.has(chunk) ? "" : "?"}`).join();
  if (!always && key === drawn) return;
  drawn = key;
  const wide = visible().length || 1;
  const focused = body.contains(document.activeElement) ? document.activeElement.value ?? document.activeElement.getAttribute("href") : null;
  const lines = [space(chunks[0] * CHUNK * rowHeight, wide)];
  for (const chunk of chunks) {
    const rows = answers.get(chunk);
    if (rows) lines.push(...rows.map((row, at) => line(row, chunk * CHUNK + at)));
    else {
      lines.push(space(Math.min(CHUNK, count - chunk * CHUNK) * rowHeight, wide));
      load(chunk);
    }
  }
  lines.push(space(Math.max(0, count - (last + 1) * CHUNK) * rowHeight, wide));
  body.replaceChildren(...lines);
  table.setAttribute("aria-rowcount", count + 1);
  if (focused !== null) [...body.querySelectorAll("input, a")].find((one) => (one.value ?? one.getAttribute("href")) === focused)?.focus({ preventScroll: true });
  measure();
}

function measure() {
  const rows = body.querySelectorAll("tr:not(.space)");
  if (rows.length < 2) return;
  const height = (rows[rows.length - 1].getBoundingClientRect().top - rows[0].getBoundingClientRect().top) / (rows.length - 1);
  if (height > 8 && Math.abs(height - rowHeight) > 0.5) {
    rowHeight = height;
    draw(true);
  }
}

const loading = new Set();

async function load(chunk) {
  const mine = state;
  if (loading.has(`${mine} ${chunk}`)) return;
  loading.add(`${mine} ${chunk}`);
  try {
    const found = await read(new URLSearchParams(mine), chunk * CHUNK);
    if (mine !== state) return;
    count = found.count;
    while (answers.size >= STORED) answers.delete(answers.keys().next().value);
    if (found.offset === chunk * CHUNK) answers.set(chunk, found.rows);
    draw();
  } catch {
    setTimeout(() => { if (mine === state) draw(true); }, 3000);
  } finally {
    loading.delete(`${mine} ${chunk}`);
  }
}

// --- pins, the outcome of a search, suggestions, the size slider

function showPinned(rows) {
  document.getElementById("pinned").replaceChildren(...rows.map((row) => line(row, null)));
  const compare = document.getElementById("compare");
  compare.hidden = !rows.length;
  const link = document.getElementById("comparison");
  if (link) link.href = `${source.site}/compare?${new URLSearchParams(rows.map((row) => ["pin", row.id]))}`;
}

function showLinks(fields) {
  for (const link of document.querySelectorAll("[data-set]")) link.href = addressOf(changed(fields, link));
  for (const link of document.querySelectorAll("[data-export]")) link.search = String(fields);
  for (const link of document.querySelectorAll(".quick [data-set]"))
    if (isOn(fields, link)) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
}

function showCount(found) {
  const words = [`${found.count.toLocaleString("en")} of ${found.total.toLocaleString("en")} evaluation${found.total === 1 ? "" : "s"}`];
  if (found.flagged)
    words.push(`; ${found.flagged} flagged ${found.flagged === 1 ? "one is" : "ones are"} hidden (`, element("a", { href: "", "data-set": "flagged=1" }, "include"), ")");
  document.getElementById("count").replaceChildren(...words, ".");
}

function showOutcome(found, fields) {
  for (const one of document.querySelectorAll("[data-raw]")) one.hidden = one.dataset.raw !== (fields.get("raw") ?? "0");
  const outcome = document.getElementById("outcome");
  outcome.replaceChildren();
  if (found.searched.misread.length || (fields.get("q") && !found.count)) explain(outcome, found, fields);
}

const addressOf = (fields) => (fields.size ? `${home}?${fields}` : home);

async function explain(outcome, found, fields) {
  const mine = asked;
  const words = await source.explain(found, fields);
  if (mine !== asked) return;
  outcome.replaceChildren(...words);
  askHub(4);
}

async function askHub(tries) {
  // The server has no answer until a sync process has asked the Hub; without one, the page's first sentence stays.
  const part = document.querySelector("[data-ask-hub]");
  if (!part) return;
  const query = new URLSearchParams({ model: part.dataset.askHub });
  const answer = await fetch(`/check/exists?${query}`).catch(() => null);
  if (!answer?.ok || !part.isConnected) return;
  const { exists } = await answer.json();
  if (exists === null && tries > 1) setTimeout(() => askHub(tries - 1), 2000);
  if (exists === null) return;
  for (const one of part.children) one.hidden = one.dataset.exists !== String(exists);
}

async function suggest() {
  const typed = form.q.value;
  const ends = await source.suggest(typed);
  if (typed !== form.q.value) return;
  document.getElementById("suggestions").replaceChildren(...ends.map((one) => element("option", { value: one })));
}

const slider = document.getElementById("slider");
const steps = slider.dataset.steps.split(",").map(Number);
const [low, high] = slider.querySelectorAll("input");

function showSlider() {
  const place = (text, otherwise) => {
    if (text === "") return otherwise;
    const at = steps.findIndex((step) => step >= Number(text));
    return at < 0 ? steps.length : at;
  };
  low.value = place(form.smallest.value, 0);
  high.value = place(form.largest.value, steps.length);
  sayRange();
}

function sayRange() {
  low.setAttribute("aria-valuetext", `${steps[low.value] ?? "more"} billion`);
  high.setAttribute("aria-valuetext", high.value >= steps.length ? "no limit" : `${steps[high.value]} billion`);
}

function slide(event) {
  if (Number(low.value) > Number(high.value)) (event.target === low ? high : low).value = event.target.value;
  form.smallest.value = low.value > 0 ? steps[Math.min(low.value, steps.length - 1)] : "";
  form.largest.value = high.value < steps.length ? steps[high.value] : "";
  sayRange();
}

// --- events

const later = (call, wait) => {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(call, wait);
  };
};
const showLater = later(() => show(), 120);
const suggestLater = later(() => suggest().catch(() => {}), 150);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  show();
});
form.addEventListener("input", (event) => {
  if (event.target === form.q) suggestLater();
  if (slider.contains(event.target)) slide(event);
  showLater();
});
table.addEventListener("change", ({ target }) => {
  if (target.name !== "pin") return;
  pins = pins.filter((id) => id !== target.value);
  if (target.checked) pins = [...pins, target.value].slice(-MAX_PINS);
  for (const one of table.querySelectorAll("[name=pin]")) one.checked = pins.includes(one.value);
  show({ stay: true });
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || link.origin !== location.origin || link.pathname !== home) return;
  if (!link.closest(".filters, thead, #outcome, #compare, #count")) return;
  event.preventDefault();
  // What a reader typed or ticked since the table was shown stays.
  fill(link.dataset.set === undefined ? new URLSearchParams(link.search) : changed(query(), link));
  show();
});
window.addEventListener("popstate", () => {
  fill(new URLSearchParams(location.search));
  show({ push: false });
});
let waits = false;
document.addEventListener("scroll", () => {
  if (waits) return;
  waits = true;
  requestAnimationFrame(() => {
    waits = false;
    draw();
  });
}, { capture: true, passive: true });
window.addEventListener("resize", () => draw(true));

async function start() {
  const { snapshot, module, site, subject } = table.dataset;
  if (snapshot) {
    const { SnapshotSource } = await import(module);
    source = new SnapshotSource(snapshot, site, element, subject);
    try {
      await source.load();
      source.prepare(form, steps);
    } catch (error) {
      document.getElementById("count").textContent = source.failure(error);
      return;
    }
    fill(new URLSearchParams(location.search));
  } else pins = [...new Set(new FormData(form).getAll("pin"))];
  slider.hidden = false;
  showSlider();
  // A page of the table without this script is a place in the whole one.
  if (new URLSearchParams(location.search).has("page")) history.replaceState(null, "", addressOf(query()));
  show({ push: false, from: Number(form.dataset.offset) });
}

start();
