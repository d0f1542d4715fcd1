"""The search language, one for pages, the API and `/search`: names, licences and every other column.

    llama                                   models whose name holds it
    yi-34b; mixtral                         either of them
    Hub License: mit                        by licence
    mixtral; Hub License: apache-2.0        a name and a licence, in any order
    Type: merge; Average: >= 30             every `SearchColumn: value` must match
    #Params: 7; Average: 30..40             numbers: as they are shown, compared, or between two

Names are alternatives, columns are conditions. What is compared is folded: case, accents, full-width letters, dashes
and blanks of any kind do not count, and no character means anything but itself. A value is found where whole words of
it are, so that `mit` finds no `permissive`, and `apache` finds `apache-2.0`.
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

LONGEST, MOST = 1_000, 30
"""Characters of a query, and terms of it, that are looked at."""
NEAR = 3
"""Names that are suggested where nothing was found, and names of a query for which any are looked for: each of these is
compared with very many, letter by letter."""

Value = str | float | bool | None


@dataclass(frozen=True)
class SearchColumn:
    """One column that can be searched: `title` as tables show it, other names that people write, what it holds."""

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
    SearchColumn("average", "Average", ("average ⬆️", "score"), "number"),
    SearchColumn("parameters", "#Params (B)", ("params", "#params", "params (b)", "parameters", "size"), "number"),
    SearchColumn("flagged", "Flagged", (), "yes-no"),
)


@dataclass(frozen=True)
class SearchRow:
    """What can be found: the name of a model, and its values by the key of their column."""

    name: str
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Term:
    """`column: value` of a query, as it was written; `fits` says whether a value of that column is meant."""

    column: SearchColumn
    said: str
    fits: Callable[[Value], bool]


@dataclass(frozen=True)
class MisreadTerm:
    """A term that means nothing: a column nobody knows, or a value that its column cannot have."""

    said: str
    why: Literal["column", "number", "yes-no", "empty", "too-long"]
    near: tuple[str, ...] = ()
    """Titles of columns that are like it."""


@dataclass(frozen=True)
class Query:
    """A query: a row is found if its name holds any of `names` and every one of `terms` fits. One that was misread in
    part finds nothing, lest somebody take too much for the answer."""

    names: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    misread: tuple[MisreadTerm, ...] = ()

    def finds(self, row: SearchRow) -> bool:
        """Whether `row` is meant."""
        if self.misread:
            return False
        name = fold(row.name)
        is_named = not self.names or any(one in name for one in self.names)
        return is_named and all(term.fits(row.values.get(term.column.key)) for term in self.terms)


_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−﹘﹣－", "-"))
_ADDRESS = re.compile(HUB)
_HEAD = re.compile(r"([^:]{1,60}):(?!//)(.*)", re.DOTALL)


def fold(text: str) -> str:
    """`text` as it is compared: case, accents, width, kinds of dash and of blank, and what cannot be seen left out."""
    if text.isascii() and text.isprintable():  # nearly every name, licence and commit: the same, much quicker
        return " ".join(text.lower().split())
    apart = unicodedata.normalize("NFKD", text.translate(_DASHES).casefold())
    kept = "".join(" " if c.isspace() else c for c in apart if unicodedata.category(c) not in ("Mn", "Cf", "Cs"))
    shown = "".join(c for c in kept if unicodedata.category(c) != "Cc")
    return " ".join(unicodedata.normalize("NFKC", shown).casefold().split())


def parse(text: str, columns: Sequence[SearchColumn] = COLUMNS) -> Query:
    """What `text` asks for. Never raises; a text without a term finds everything."""
    # Full-width semicolons and colons are as good as the others; folding makes them so.
    parts = [part for part in fold(text[: LONGEST + 1]).split(";") if part.strip()]
    if len(text) > LONGEST or len(parts) > MOST:
        return Query(misread=(MisreadTerm(text[:60], "too-long"),))
    names: list[str] = []
    terms: list[Term] = []
    misread: list[MisreadTerm] = []
    for part in map(str.strip, parts):
        found = _read(part, columns)
        if isinstance(found, Term):
            terms.append(found)
        elif isinstance(found, MisreadTerm):
            misread.append(found)
        elif found:
            names.append(found)
    return Query(tuple(dict.fromkeys(names)), tuple(terms), tuple(misread))


def _read(part: str, columns: Sequence[SearchColumn]) -> Term | MisreadTerm | str:
    """One term; the name that it is, where it is none of a column."""
    part = _ADDRESS.sub("", part, count=1)
    found = _HEAD.fullmatch(part)
    if found is None:
        return part.strip("\"'").strip()
    head, value = found[1].strip(), found[2].strip().strip("\"'").strip()
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
    return next((one for one in columns if head in map(fold, (one.title, one.key, *one.also))), None)


def _near(head: str, columns: Sequence[SearchColumn]) -> tuple[str, ...]:
    names = {fold(name): one.title for one in columns for name in (one.title, *one.also)}
    return tuple(dict.fromkeys(names[near] for near in difflib.get_close_matches(head, names, n=3, cutoff=0.6)))


def _words(value: str) -> Callable[[Value], bool]:
    # Not \b: a value may begin or end with a sign, and `c` is not meant to find `c++`'s neighbours only.
    whole = re.compile(rf"(?<![^\W_]){re.escape(value)}(?![^\W_])")
    return lambda said: isinstance(said, str) and whole.search(fold(said)) is not None


_DIGITS = r"-?\d{1,12}(?:\.\d{1,9})?"
_COMPARED = re.compile(rf"(>=|<=|=|>|<)?\s*({_DIGITS})\s*[b%]?")
_BETWEEN = re.compile(rf"({_DIGITS})\s*(?:\.\.|\bto\b|(?<=\d)\s*-\s*)\s*({_DIGITS})\s*[b%]?")


def _number(value: str) -> Callable[[Value], bool] | None:
    value = value.replace("≥", ">=").replace("≤", "<=")
    if (ends := _BETWEEN.fullmatch(value)) is not None:
        low, high = sorted((float(ends[1]), float(ends[2])))
        return _numeric(lambda n: low <= n <= high)
    if (one := _COMPARED.fullmatch(value)) is None:
        return None
    bound, places = float(one[2]), len(one[2].partition(".")[2])
    compare: dict[str | None, Callable[[float], bool]] = {
        ">": lambda n: n > bound,
        "<": lambda n: n < bound,
        ">=": lambda n: n >= bound,
        "<=": lambda n: n <= bound,
    }
    # A bare number means what tables show: `30` finds 30.4, `30.41` does not find 30.42.
    return _numeric(compare.get(one[1], lambda n: abs(n - bound) <= 0.5 * 10**-places))


def _numeric(test: Callable[[float], bool]) -> Callable[[Value], bool]:
    def fits(said: Value) -> bool:
        return isinstance(said, int | float) and not isinstance(said, bool) and math.isfinite(said) and test(said)

    return fits


def _yes_no(value: str) -> Callable[[Value], bool] | None:
    wanted = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}.get(value)
    return None if wanted is None else lambda said: bool(said) is wanted


def search(rows: Iterable[SearchRow], query: Query) -> list[SearchRow]:
    """Those of `rows` that are meant, in their order."""
    return [row for row in rows if query.finds(row)]


def near_names(names: Iterable[str], query: Query) -> list[str]:
    """Names that are like the first that were asked for, the likest first, for when nothing was found."""
    by_fold: dict[str, str] = {}
    for name in names:
        folded = fold(name)
        by_fold.setdefault(folded, name)
        by_fold.setdefault(folded.rpartition("/")[2], name)
    asked = query.names[:NEAR]
    found = [near for one in asked for near in difflib.get_close_matches(one, by_fold, n=NEAR, cutoff=0.6)]
    return list(dict.fromkeys(by_fold[near] for near in found))[:NEAR]
