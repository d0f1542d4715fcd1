// The leaderboard from a snapshot (bot/web/snapshot.py): searched, filtered, sorted and ranked in the browser, by the
// rules of leaderboard/search.py and bot/web/leaderboard_rows.py. tests/browser/site compares the two.
"use strict";

const MAX_CHARS = 1000, MAX_TERMS = 30, MAX_NEAR = 3, MAX_SUGGESTIONS = 8, MAX_PINNED = 5;

// --- the search language

const DASHES = /[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]/g;
const SPACES = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/g;
const casefold = (text) => [...text].map((one) => (one === "ı" ? one : one.toUpperCase().toLowerCase())).join("");
const joined = (text) => text.replace(SPACES, " ").replace(/^ | $/g, "");

// Ignores case, accents, width, kinds of dashes and spaces, and invisible characters.
export function fold(text) {
  if (/^[\x20-\x7e]*$/.test(text)) return joined(text.toLowerCase());
  const apart = casefold(text.replace(DASHES, "-")).normalize("NFKD").replace(SPACES, " ");
  return joined(casefold(apart.replace(/[\p{Mn}\p{Cf}\p{Cs}\p{Cc}]/gu, "").normalize("NFKC")));
}

const unquoted = (text) => text.replace(/^["']+|["']+$/g, "").trim();
const ADDRESS = /(?:https?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co)\/(?:models\/)?/;

// A query: names are alternatives, terms are conditions; a misread term matches nothing.
export function parse(text, columns) {
  const query = { names: [], terms: [], misread: [] };
  const characters = [...text];
  const parts = fold(characters.slice(0, MAX_CHARS + 1).join("")).split(";").map((part) => part.trim()).filter(Boolean);
  if (characters.length > MAX_CHARS || parts.length > MAX_TERMS) {
    query.misread.push({ said: characters.slice(0, 60).join(""), why: "too-long", near: [] });
    return query;
  }
  for (const part of parts) read(part.replace(ADDRESS, ""), columns, query);
  query.names = [...new Set(query.names)];
  return query;
}

function read(part, columns, query) {
  const match = /^([^:]{1,60}):(?!\/\/)(.*)$/su.exec(part);
  if (!match) {
    if (unquoted(part)) query.names.push(unquoted(part));
    return;
  }
  const head = match[1].trim(), value = unquoted(match[2].trim());
  const column = columns.find((one) => one.names.includes(head));
  const misread = (why, near = []) => query.misread.push({ said: part, why, near });
  if (!column) misread("column", columns.filter((one) => one.names.some((name) => likeness(head, name) >= 0.6)).map((one) => one.title).slice(0, MAX_NEAR));
  else if (!value) misread("empty");
  else {
    const fits = { words, number, "yes-no": yesNo }[column.kind](value);
    if (fits) query.terms.push({ column, fits });
    else misread(column.kind);
  }
}

function words(value) {
  const escaped = value.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  const whole = new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])`, "u");
  const beginsCommit = /^[0-9a-f]{7,39}$/.test(value);
  return (cell) => {
    if (typeof cell !== "string") return false;
    const text = fold(cell);
    return (beginsCommit && text.startsWith(value) && /^[0-9a-f]{40}$/.test(text)) || whole.test(text);
  };
}

const DIGITS = "-?\\d{1,12}(?:\\.\\d{1,9})?";
const COMPARED = new RegExp(`^(>=|<=|=|>|<)?\\s*(${DIGITS})\\s*[b%]?$`);
const BETWEEN = new RegExp(`^(${DIGITS})\\s*(?:\\.\\.|\\bto\\b|(?<=\\d)\\s*-\\s*)\\s*(${DIGITS})\\s*[b%]?$`);

function number(value) {
  const numeric = (test) => (cell) => typeof cell === "number" && Number.isFinite(cell) && test(cell);
  value = value.replaceAll("≥", ">=").replaceAll("≤", "<=");
  const between = BETWEEN.exec(value);
  if (between) {
    const [low, high] = [Number(between[1]), Number(between[2])].sort((one, other) => one - other);
    return numeric((cell) => low <= cell && cell <= high);
  }
  const comparison = COMPARED.exec(value);
  if (!comparison) return null;
  const bound = Number(comparison[2]), places = (comparison[2].split(".")[1] ?? "").length;
  const compare = { ">": (cell) => cell > bound, "<": (cell) => cell < bound, ">=": (cell) => cell >= bound, "<=": (cell) => cell <= bound };
  // A number alone finds what tables display: `30` finds 30.4, `30.41` does not find 30.42.
  return numeric(compare[comparison[1]] ?? ((cell) => Math.abs(cell - bound) <= 0.5 * 10 ** -places));
}

function yesNo(value) {
  const wanted = { yes: true, true: true, 1: true, no: false, false: false, 0: false }[value];
  return wanted === undefined ? null : (cell) => Boolean(cell) === wanted;
}

// The share of equal pairs of letters in two texts.
function likeness(one, other) {
  const pairs = (text) => new Set([...text].map((_, at) => text.slice(at, at + 2)).filter((pair) => pair.length === 2));
  const [first, second] = [pairs(one), pairs(other)];
  const common = [...first].filter((pair) => second.has(pair)).length;
  return first.size + second.size ? (2 * common) / (first.size + second.size) : 0;
}

// --- the rows

const TEXTS = ["model", "category", "precision", "weight_type", "licence", "architecture", "base_model", "revision", "asked", "uploaded"];
const NUMBERS = ["parameters", "likes", "generation", "co2", "chat_template", "merged", "moe", "official"];
const SEARCHED = { weights: "weight_type", base: "base_model" };
const unpacked = (column) => (Array.isArray(column) ? column : column.at.map((place) => column.of[place]));
const byName = (columns) => Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, unpacked(column)]));
const inOrder = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

export class Rows {
  constructor(snapshot) {
    this.snapshot = snapshot;
    const { scores, raw, errors, ...flat } = snapshot.rows;
    this.fields = byName(flat);
    [this.scores, this.raw, this.errors] = [byName(scores), byName(raw), byName(errors)];
    this.count = this.fields.id.length;
    this.benchmarks = Object.keys(this.scores);
    this.folded = this.fields.model.map(fold);
    this.places = new Map(this.fields.id.map((id, at) => [id, at]));
    this.orders = new Map();
    this.named = this.sorted(this.textRanks("model"), Uint32Array.from({ length: this.count }, (_, at) => at), true);
    this.last = { key: "", selected: null };
  }

  // A number for each row that sorts like its text; NaN for an empty one.
  textRanks(field) {
    const distinct = [...new Set(this.fields[field])].map((value) => [fold(value), value]);
    distinct.sort((one, other) => inOrder(one[0], other[0]));
    const ranks = new Map(distinct.map(([, value], at) => [value, value === "" ? NaN : at]));
    return Float64Array.from(this.fields[field], (value) => ranks.get(value));
  }

  // `rows` by `values`, equal ones as they were, those without a value last.
  sorted(values, rows, rising) {
    return rows.slice().sort((one, other) => {
      const [first, second] = [values[one], values[other]];
      if (Number.isNaN(first) || Number.isNaN(second)) return Number.isNaN(first) - Number.isNaN(second);
      return rising ? first - second : second - first;
    });
  }

  averages(selection) {
    const wanted = this.benchmarks.filter((name) => selection.benchmarks.includes(name));
    if (!selection.raw && (!wanted.length || wanted.length === this.benchmarks.length)) return numbers(this.fields.average);
    const columns = (wanted.length ? wanted : this.benchmarks).map((name) => numbers((selection.raw ? this.raw : this.scores)[name]));
    if (!columns.length) return numbers(this.fields.average);
    return Float64Array.from({ length: this.count }, (_, at) => columns.reduce((sum, column) => sum + column[at], 0) / columns.length);
  }

  order(sort, selection, averages, rising) {
    const key = JSON.stringify([sort, rising, selection.raw, sort === "average" && selection.benchmarks]);
    if (!this.orders.has(key)) {
      if (this.orders.size >= 16) this.orders.clear();
      let values;
      if (sort === "average") values = averages;
      else if (TEXTS.includes(sort)) values = this.textRanks(sort);
      else if (sort === "submitted") values = Float64Array.from(this.fields.time, (time) => time || NaN);
      else if (NUMBERS.includes(sort)) values = numbers(this.fields[sort]);
      else values = numbers((selection.raw ? this.raw : this.scores)[sort]);
      this.orders.set(key, this.sorted(values, this.named, rising));
    }
    return this.orders.get(key);
  }

  matches(selection, query, at) {
    const { fields } = this;
    if (query.names.length && !query.names.some((name) => this.folded[at].includes(name))) return false;
    if (selection.types.length && !selection.types.includes(fields.category[at])) return false;
    if (selection.precisions.length && !selection.precisions.includes(fields.precision[at])) return false;
    const size = fields.parameters[at] ?? NaN;
    if (selection.smallest !== null && !(size >= selection.smallest)) return false;
    if (selection.largest !== null && !(size <= selection.largest)) return false;
    return (selection.merges || !fields.merged[at]) && (selection.moe || !fields.moe[at])
      && (selection.deleted || fields.available[at]) && (!selection.official || fields.official[at]);
  }

  // A test of a row by one term; each distinct value is tested once.
  tester({ column, fits }) {
    const values = column.key === "organisation" ? this.fields.model.map((name) => name.slice(0, Math.max(0, name.lastIndexOf("/")))) : this.fields[SEARCHED[column.key] ?? column.key];
    const known = new Map();
    return (at) => {
      const value = values[at];
      if (!known.has(value)) known.set(value, fits(value));
      return known.get(value);
    };
  }

  // The selected rows in order, the rank of each row by average among them, and the number of hidden flagged ones.
  select(selection, query) {
    const key = JSON.stringify(selection);
    if (this.last.key === key) return this.last.selected;
    const averages = this.averages(selection);
    const testers = query.terms.map((term) => this.tester(term));
    const hides = !selection.flagged && !query.terms.some((term) => term.column.key === "flagged");
    const mask = new Uint8Array(this.count);
    let flagged = 0;
    for (let at = 0; at < this.count && !query.misread.length; at++) {
      if (!this.matches(selection, query, at) || !testers.every((test) => test(at))) continue;
      if (hides && this.fields.flagged[at]) flagged++;
      else mask[at] = 1;
    }
    let best = this.order("average", selection, averages, false).filter((at) => mask[at]);
    if (selection.perModel) {
      const seen = new Set();
      best = best.filter((at) => !seen.has(this.fields.model[at]) && seen.add(this.fields.model[at]));
      mask.fill(0);
      for (const at of best) mask[at] = 1;
    }
    const ranks = new Uint32Array(this.count);
    best.forEach((at, place) => {
      if (Number.isNaN(averages[at])) return;
      ranks[at] = place && averages[best[place - 1]] === averages[at] ? ranks[best[place - 1]] : place + 1;
    });
    const isRank = ["average", "rank"].includes(selection.sort);
    const all = this.order(isRank ? "average" : selection.sort, selection, averages, selection.rising !== (selection.sort === "rank"));
    this.last = { key, selected: { order: all.filter((at) => mask[at]), ranks, averages, flagged } };
    return this.last.selected;
  }

  row(selection, selected, at) {
    const named = (columns) => Object.fromEntries(Object.keys(columns).map((name) => [name, columns[name][at]]).filter(([, value]) => value !== null));
    const row = Object.fromEntries(Object.keys(this.fields).map((name) => [name, this.fields[name][at]]));
    const average = selected.averages[at];
    const scores = named(this.scores);
    if (selection.raw) for (const name of this.benchmarks) delete scores[name];
    const range = this.isWhole(selection) ? row.rank_range : null; // the snapshot's ranges are of the whole board
    return { ...row, rank: selected.ranks[at], rank_range: range, average: Number.isNaN(average) ? null : average, scores: { ...scores, ...(selection.raw ? named(this.raw) : {}) }, errors: this.errorsOf(selection, named(this.errors)) };
  }

  // Whether the evaluations that are shown at first are selected.
  isWhole(selection) {
    const benchmarks = selection.benchmarks.length === this.benchmarks.length ? [] : selection.benchmarks;
    const alike = (one) => JSON.stringify({ ...one, sort: "", rising: false });
    return alike({ ...selection, benchmarks }) === alike(selectionOf(new URLSearchParams(), [], []));
  }

  errorsOf(selection, errors) {
    if (selection.raw || !Object.keys(errors).length) return {};
    if (selection.benchmarks.length && selection.benchmarks.length < this.benchmarks.length) {
      delete errors.average;
      const parts = selection.benchmarks.filter((name) => name in errors).map((name) => errors[name]);
      if (parts.length === selection.benchmarks.length) errors.average = Math.hypot(...parts) / parts.length;
    }
    return errors;
  }
}

const numbers = (values) => Float64Array.from(values ?? [], (value) => (value === null ? NaN : Number(value)));

// The selection that the fields of an address describe.
export function selectionOf(fields, columns, benchmarks) {
  const size = (name) => (/^\d*\.?\d+$|^\d+\.$/.test(fields.get(name) ?? "") ? Number(fields.get(name)) : null);
  const sort = columns.some((column) => column.key === fields.get("sort") && column.kind !== "range") ? fields.get("sort") : "average";
  return {
    query: fields.get("q") ?? "", types: fields.getAll("type"), precisions: fields.getAll("precision"),
    smallest: size("smallest"), largest: size("largest"),
    merges: fields.get("merges") !== "0", moe: fields.get("moe") !== "0",
    flagged: fields.get("flagged") === "1", deleted: fields.get("deleted") === "1", official: fields.get("official") === "1",
    perModel: fields.get("per") === "model", raw: fields.get("raw") === "1",
    benchmarks: benchmarks.filter((name) => fields.getAll("column").includes(name)), sort, rising: fields.get("rising") === "1",
  };
}

// The fields of the same search, with what a view hides at first and without its filters.
function withoutFilters(fields) {
  const every = new URLSearchParams(fields);
  for (const name of ["type", "precision", "smallest", "largest", "merges", "moe", "official"]) every.delete(name);
  for (const name of ["flagged", "deleted"]) every.set(name, "1");
  return every;
}

// --- the source of leaderboard.js

class Missing extends Error {}

export class SnapshotSource {
  // `subject`: what the board takes, models or predictions.
  constructor(address, site, element, subject) {
    this.address = address;
    this.site = site;
    this.takesModels = subject === "models";
    this.target = "_blank"; // the Hub shows this page in a frame, and other pages of the Hub refuse to be in one
    this.element = element;
    this.hub = new URL(address).origin;
  }

  async load() {
    const answer = await fetch(this.address, { cache: "no-cache" });
    if (answer.status === 404) throw new Missing();
    if (!answer.ok) throw new Error(`the snapshot cannot be loaded: ${answer.status}`);
    this.rows = new Rows(await answer.json());
    this.hub = this.rows.snapshot.links.hub;
    return this.rows;
  }

  async read(fields, offset, limit) {
    const rows = this.rows ?? (await (this.loading ??= this.load().finally(() => (this.loading = null))));
    const { columns, search } = rows.snapshot;
    const selection = selectionOf(fields, columns, rows.benchmarks);
    const query = parse(selection.query, search);
    const selected = rows.select(selection, query);
    const row = (at) => rows.row(selection, selected, at);
    const pinned = [...new Set(fields.getAll("pin"))].slice(0, MAX_PINNED).map((id) => rows.places.get(id)).filter((at) => at !== undefined);
    return {
      columns, offset, count: selected.order.length, total: rows.count, flagged: selected.flagged,
      searched: { query: selection.query, misread: query.misread, names: query.names },
      rows: [...selected.order.slice(offset, offset + limit)].map(row), pinned: pinned.map(row),
    };
  }

  failure(error) {
    if (error instanceof Missing) return this.takesModels ? "No model was evaluated yet." : "No predictions were scored yet.";
    return "The table cannot be loaded at the moment. Try again in a minute.";
  }

  model(name) {
    const path = name.split("/").map(encodeURIComponent).join("/");
    return this.site ? `${this.site}/models/${path}` : `${this.hub}/${path}`;
  }

  suggest(text) {
    const rows = this.rows;
    if (!rows) return [];
    const at = text.lastIndexOf(";"), before = text.slice(0, Math.max(at, 0)), last = text.slice(at + 1);
    const { search } = rows.snapshot, colon = last.indexOf(":");
    let ends;
    if (colon >= 0) {
      const column = search.find((one) => one.names.includes(fold(last.slice(0, colon))));
      const counts = new Map(), typed = fold(last.slice(colon + 1));
      for (const value of column?.kind === "words" ? rows.fields[SEARCHED[column.key] ?? column.key] ?? [] : []) counts.set(value, (counts.get(value) ?? 0) + 1);
      const values = [...counts.keys()].filter((value) => value && fold(value).includes(typed));
      ends = values.sort((one, other) => counts.get(other) - counts.get(one)).map((value) => `${column.title}: ${value}`);
    } else {
      const typed = fold(last);
      const names = typed.length > 1 ? rows.fields.model.filter((_, place) => rows.folded[place].includes(typed)) : [];
      ends = [...search.filter((one) => typed && fold(one.title).startsWith(typed)).map((one) => `${one.title}: `), ...new Set(names)];
    }
    return ends.slice(0, MAX_SUGGESTIONS).map((end) => (at >= 0 ? `${before}; ${end}` : end));
  }

  // Says what a search missed, in the words of bot/web/templates; what has a request alone, a snapshot does not know.
  async explain(found, fields) {
    const { element } = this, { searched } = found;
    const note = (...children) => element("div", { class: "note", role: "status" }, element("p", {}, ...children));
    if (searched.misread.length)
      return searched.misread.map(({ said, why, near }) => element("div", { class: "note held", role: "alert" }, element("p", {}, ...this.misread(said, why, near))));
    const nothing = `Nothing was found for “${searched.query}”. `, every = withoutFilters(fields);
    const { count } = await this.read(every, 0, 0);
    if (count) {
      const [match, are, they, them] = count === 1 ? [" matches", "is", "it is", "it"] : ["s match", "are", "they are", "them"];
      const link = element("a", { href: `?${every}` }, `show ${them}`);
      return [note(`${nothing}${count.toLocaleString("en")} evaluation${match}, but ${are} hidden by a filter, or because ${they} flagged${this.takesModels ? " or gone from the Hub" : ""}: `, link, ".")];
    }
    const near = this.near(searched.names), links = near.flatMap((name, at) => [at ? ", " : "", element("a", { href: `?${new URLSearchParams({ q: name })}` }, name)]);
    const notes = [note(nothing, ...(links.length ? ["Did you mean ", ...links, "?"] : [`Check ${this.takesModels ? "that the name is spelt as on the Hub" : "the spelling of the name"}, or remove a term.`]))];
    const model = searched.query.trim().replace(new RegExp(`^${ADDRESS.source}`, "i"), "");
    if (this.site && this.takesModels && /^[\w.-]+\/[\w.-]+$/.test(model)) {
      const to = (page, text) => element("a", { href: `${this.site}/${page}?${new URLSearchParams({ model })}`, target: this.target }, text);
      notes.push(element("p", {}, "Is ", element("strong", {}, model), " a model on the Hub that was not evaluated yet? ", to("check", "Check it"), " or ", to("submit", "submit it"), "."));
    }
    return notes;
  }

  misread(said, why, near) {
    if (why === "column") return [`There is no column for “${said}”.`, near.length ? ` Did you mean ${near.join(" or ")}?` : ""];
    if (why === "number") return [`“${said}” needs a number, such as 30, >= 30 or 30..40.`];
    if (why === "yes-no") return [`“${said}” needs yes or no.`];
    if (why === "empty") return [`“${said}” needs a value after the colon.`];
    return ["This search is too long: use at most 1,000 characters and 30 terms."];
  }

  near(names) {
    const { fields, folded } = this.rows, found = new Map();
    for (const name of names.slice(0, MAX_NEAR))
      folded.forEach((one, at) => {
        const same = Math.max(likeness(name, one), likeness(name, one.slice(one.lastIndexOf("/") + 1)));
        if (same >= 0.6 && !names.some((wanted) => one.includes(wanted))) found.set(fields.model[at], Math.max(same, found.get(fields.model[at]) ?? 0));
      });
    return [...found.keys()].sort((one, other) => found.get(other) - found.get(one)).slice(0, MAX_NEAR);
  }

  // Fills in what the page cannot know: the columns, the precisions, and how many evaluations of each size there are.
  prepare(form, steps) {
    const { element } = this, { columns } = this.rows.snapshot, asked = new URLSearchParams(location.search);
    const checked = new Set(asked.has("column") ? asked.getAll("column") : columns.filter((one) => one.shown).map((one) => one.key));
    const box = (name, value, text, more) => {
      const input = element("input", { type: "checkbox", name, value, ...more });
      input.checked = name === "column" ? checked.has(value) : asked.getAll(name).includes(value);
      return element("label", { class: "check" }, input, ` ${text}`);
    };
    const choice = form.querySelector(".columns");
    choice.replaceChildren(choice.querySelector("legend"), ...columns.map((one) => box("column", one.key, one.title, { "data-first": one.shown ? "1" : "0" })));
    const precisions = document.getElementById("precisions");
    precisions.replaceChildren(precisions.querySelector("legend"), ...[...new Set(this.rows.fields.precision)].filter(Boolean).sort().map((one) => box("precision", one, one, {})));
    form.sort.replaceChildren(...columns.filter((one) => one.kind !== "range").map((one) => element("option", { value: one.key }, one.title)));
    form.sort.value = columns.some((one) => one.key === asked.get("sort")) ? asked.get("sort") : "average";
    const counts = steps.map(() => 0);
    for (const size of this.rows.fields.parameters) if (size !== null) counts[steps.findLastIndex((step) => step <= size)]++;
    const bars = document.querySelectorAll(".sizes rect"), most = Math.log1p(Math.max(...counts)) || 1;
    counts.forEach((count, at) => {
      const height = (40 * Math.log1p(count)) / most;
      bars[at].setAttribute("height", height);
      bars[at].setAttribute("y", 42 - height);
      bars[at].querySelector("title").textContent = `${steps[at]} B and more: ${count}`;
    });
  }

  // The Hub shows the page in a frame: its own address gets the state of the table, so that people can share it.
  share(fields) {
    if (window.parent !== window) window.parent.postMessage({ queryString: String(fields), hash: "" }, this.hub);
  }
}
