"""The search language of the pages, the API and `/search`: model names, licences and every other column.

    llama                                   models whose name contains it
    yi-34b; mixtral                         either of them
    Hub License: mit                        by licence
    mixtral; Hub License: apache-2.0        a name and a licence, in any order
    Type: merge; Average: >= 30             every `column: value` must match
    #Params: 7; Average: 30..40             numbers: as displayed, compared, or a range
    Model sha: 5f6b6d1                      a commit, by 7 or more of its first digits

Names are alternatives, columns are conditions. Comparisons ignore case, accents, full-width forms and kinds of dashes
and spaces, and there are no wildcards. A value matches whole words: `mit` does not match `permissive`, and `apache`
matches `apache-2.0`.
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from leaderboard.links import HUB

MAX_CHARS, MAX_TERMS = 1_000, 30
"""Characters and terms of a query."""
MAX_SUGGESTIONS = 3
"""Suggested names after an empty result, and names of a query that get suggestions; each comparison is expensive."""

Value = str | float | bool | None


@dataclass(frozen=True)
class SearchColumn:
    """A searchable column: its `title` in tables, other names that people use, and its type of value."""

    key: str
    title: str
    also: tuple[str, ...] = ()
    kind: Literal["words", "number", "yes-no"] = "words"


COLUMNS = (
    SearchColumn("licence", "Hub License", ("license", "licence", "hub licence")),
    SearchColumn("precision", "Precision"),
    SearchColumn("weights", "Weight type", ("weights",)),
    SearchColumn("category", "Type", ("category", "model type")),
    SearchColumn("architecture", "Architecture", ("architectures",)),
    SearchColumn("status", "Status", ("state",)),
    SearchColumn("submitter", "Submitted by", ("submitter", "by", "user")),
    SearchColumn("organisation", "Organisation", ("organization", "org", "author", "owner")),
    SearchColumn("base", "Base model", ("base",)),
    SearchColumn("revision", "Model sha", ("sha", "revision", "commit")),
    SearchColumn("asked", "Asked", ("questions",)),
    SearchColumn("average", "Average", ("average ⬆️", "score"), "number"),
    SearchColumn("parameters", "#Params (B)", ("params", "#params", "params (b)", "parameters", "size"), "number"),
    SearchColumn("flagged", "Flagged", (), "yes-no"),
)


@dataclass(frozen=True)
class SearchRow:
    """A searchable row: the name of a model, and its values by the key of their column."""

    name: str
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Term:
    """A term `column: value` of a query; `said` is its text, `fits` tests a value of that column."""

    column: SearchColumn
    said: str
    fits: Callable[[Value], bool]


@dataclass(frozen=True)
class MisreadTerm:
    """A term with an unknown column, or with a value that its column cannot have."""

    said: str
    why: Literal["column", "number", "yes-no", "empty", "too-long"]
    near: tuple[str, ...] = ()
    """Titles of similar columns."""


@dataclass(frozen=True)
class Query:
    """A query: it matches a row whose name contains any of `names` and that fits all `terms`.

    A query with a misread term matches nothing, so that people do not take a wider result for the answer.
    """

    names: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    misread: tuple[MisreadTerm, ...] = ()

    def finds(self, row: SearchRow) -> bool:
        """Whether the query matches `row`."""
        if self.misread:
            return False
        name = fold(row.name)
        is_named = not self.names or any(wanted in name for wanted in self.names)
        return is_named and all(term.fits(row.values.get(term.column.key)) for term in self.terms)


_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−﹘﹣－", "-"))
_ADDRESS = re.compile(HUB)
_HEAD = re.compile(r"([^:]{1,60}):(?!//)(.*)", re.DOTALL)


def fold(text: str) -> str:
    """Fold `text` for comparison: ignore case, accents, width, kinds of dashes and spaces, and invisible characters."""
    if text.isascii() and text.isprintable():  # a fast path for nearly every name, licence and commit
        return " ".join(text.lower().split())
    apart = unicodedata.normalize("NFKD", text.translate(_DASHES).casefold())
    kept = "".join(" " if c.isspace() else c for c in apart if unicodedata.category(c) not in ("Mn", "Cf", "Cs"))
    shown = "".join(c for c in kept if unicodedata.category(c) != "Cc")
    return " ".join(unicodedata.normalize("NFKC", shown).casefold().split())


def parse(text: str, columns: Sequence[SearchColumn] = COLUMNS) -> Query:
    """Parse a query. Never raises; a text without a term matches every row."""
    # Folding turns full-width semicolons and colons into plain ones.
    parts = [part for part in fold(text[: MAX_CHARS + 1]).split(";") if part.strip()]
    if len(text) > MAX_CHARS or len(parts) > MAX_TERMS:
        return Query(misread=(MisreadTerm(text[:60], "too-long"),))
    names: list[str] = []
    terms: list[Term] = []
    misread: list[MisreadTerm] = []
    for part in map(str.strip, parts):
        term = _read(part, columns)
        if isinstance(term, Term):
            terms.append(term)
        elif isinstance(term, MisreadTerm):
            misread.append(term)
        elif term:
            names.append(term)
    return Query(tuple(dict.fromkeys(names)), tuple(terms), tuple(misread))


def _read(part: str, columns: Sequence[SearchColumn]) -> Term | MisreadTerm | str:
    """Parse one term; return its text if it is a name."""
    part = _ADDRESS.sub("", part, count=1)
    match = _HEAD.fullmatch(part)
    if match is None:
        return part.strip("\"'").strip()
    head, value = match[1].strip(), match[2].strip().strip("\"'").strip()
    column = _column(head, columns)
    if column is None:
        return MisreadTerm(part, "column", _near(head, columns))
    if not value:
        return MisreadTerm(part, "empty")
    reads = {"words": _words, "number": _number, "yes-no": _yes_no}
    fits = reads[column.kind](value)
    return (
        Term(column, part, fits)
        if fits is not None
        else MisreadTerm(part, "number" if column.kind == "number" else "yes-no")
    )


def _column(head: str, columns: Sequence[SearchColumn]) -> SearchColumn | None:
    return next((column for column in columns if head in map(fold, (column.title, column.key, *column.also))), None)


def _near(head: str, columns: Sequence[SearchColumn]) -> tuple[str, ...]:
    names = {fold(name): column.title for column in columns for name in (column.title, *column.also)}
    return tuple(dict.fromkeys(names[near] for near in difflib.get_close_matches(head, names, n=3, cutoff=0.6)))


_COMMIT, _BEGINNING_OF_COMMIT = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{7,39}")


def _words(value: str) -> Callable[[Value], bool]:
    # Not \b, because a value such as `c++` may begin or end with a sign.
    whole = re.compile(rf"(?<![^\W_]){re.escape(value)}(?![^\W_])")
    begins_commit = _BEGINNING_OF_COMMIT.fullmatch(value) is not None

    def fits(cell: Value) -> bool:
        if not isinstance(cell, str):
            return False
        text = fold(cell)
        is_commit = begins_commit and text.startswith(value) and _COMMIT.fullmatch(text) is not None
        return is_commit or whole.search(text) is not None

    return fits


_DIGITS = r"-?\d{1,12}(?:\.\d{1,9})?"
_COMPARED = re.compile(rf"(>=|<=|=|>|<)?\s*({_DIGITS})\s*[b%]?")
_BETWEEN = re.compile(rf"({_DIGITS})\s*(?:\.\.|\bto\b|(?<=\d)\s*-\s*)\s*({_DIGITS})\s*[b%]?")


def _number(value: str) -> Callable[[Value], bool] | None:
    value = value.replace("≥", ">=").replace("≤", "<=")
    if (ends := _BETWEEN.fullmatch(value)) is not None:
        low, high = sorted((float(ends[1]), float(ends[2])))
        return _numeric(lambda n: low <= n <= high)
    if (comparison := _COMPARED.fullmatch(value)) is None:
        return None
    bound, places = float(comparison[2]), len(comparison[2].partition(".")[2])
    compare: dict[str | None, Callable[[float], bool]] = {
        ">": lambda n: n > bound,
        "<": lambda n: n < bound,
        ">=": lambda n: n >= bound,
        "<=": lambda n: n <= bound,
    }
    # A bare number matches what tables display: `30` matches 30.4, `30.41` does not match 30.42.
    return _numeric(compare.get(comparison[1], lambda n: abs(n - bound) <= 0.5 * 10**-places))


def _numeric(test: Callable[[float], bool]) -> Callable[[Value], bool]:
    def fits(cell: Value) -> bool:
        return isinstance(cell, int | float) and not isinstance(cell, bool) and math.isfinite(cell) and test(cell)

    return fits


def _yes_no(value: str) -> Callable[[Value], bool] | None:
    wanted = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}.get(value)
    return None if wanted is None else lambda cell: bool(cell) is wanted


def near_names(names: Iterable[str], query: Query) -> list[str]:
    """Return names similar to the first names of `query`, the most similar first, for an empty result."""
    by_fold: dict[str, str] = {}
    for name in names:
        folded = fold(name)
        by_fold.setdefault(folded, name)
        by_fold.setdefault(folded.rpartition("/")[2], name)
    matches = [
        near
        for wanted in query.names[:MAX_SUGGESTIONS]
        for near in difflib.get_close_matches(wanted, by_fold, n=MAX_SUGGESTIONS, cutoff=0.6)
    ]
    return list(dict.fromkeys(by_fold[near] for near in matches))[:MAX_SUGGESTIONS]
