"""Kinds of problems as data (`Reason`), the problems of single cases (`Problem`), and helpers that word them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

MAX_WORD = 200
"""Characters of an untrusted text in a sentence."""
_PLAIN_WORDS: Mapping[str, str] = {
    "extra_forbidden": "there is no such field",
    "missing": "the field is missing",
    "finite_number": "not a finite number",
}
"""Type of a validation error → the text for it, where pydantic's message is hard to understand."""


class Problem(BaseModel):
    """One problem of a submission, with advice and an optional link to more information."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    advice: str = ""
    link: str = ""

    def at(self, link: str) -> Problem:
        """Return this problem with a link to its subject."""
        return self.model_copy(update={"link": link})

    def reworded(self, *, code: str, message: str, advice: str) -> Problem:
        """Return this problem with another code and other sentences."""
        return self.model_copy(update={"code": code, "message": message, "advice": advice})


@dataclass(frozen=True)
class Reason:
    """A kind of problem, as a row of a rule's table: sentences with a `{word}` for each detail of the case.

    `problem` makes the `Problem` of one case. `code` is stable, because request files and statistics store it.
    """

    code: str
    message: str
    advice: str

    def problem(self, **words: object) -> Problem:
        """Return the problem with `words` filled in, each bounded and on one line."""
        safe = {name: bounded(word) for name, word in words.items()}
        return Problem(code=self.code, message=self.message.format(**safe), advice=self.advice.format(**safe))


def table(rows: Iterable[Reason]) -> Mapping[str, Reason]:
    """Return the rows by code. Raises ValueError if two rows share a code."""
    by_code: dict[str, Reason] = {}
    for row in rows:
        if row.code in by_code:
            raise ValueError(f"two reasons are called {row.code}")
        by_code[row.code] = row
    return by_code


def bounded(word: object, limit: int = MAX_WORD) -> str:
    """Return `word` on one line, without invisible characters, cut at `limit`."""
    shown = "".join(char if char.isprintable() else " " for char in str(word)[: 4 * limit])
    line = re.sub(r" +", " ", shown).strip()
    return line if len(line) <= limit else line[: limit - 2].rstrip() + " …"


def names(words: Iterable[str], *, limit: int = 3) -> str:
    """Join untrusted names for a sentence: `'a', 'b' and 'c'`, or `'a', 'b', 'c' and 7 more`."""
    quoted = [f"'{bounded(word, 60)}'" for word in words]
    if len(quoted) > limit:
        return f"{', '.join(quoted[:limit])} and {len(quoted) - limit} more"
    return " and ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1]))) if quoted else ""


def choice(words: Iterable[str]) -> str:
    """Join trusted words for a sentence: `a, b or c`."""
    *others, last = list(words) or [""]
    return f"{', '.join(others)} or {last}" if others else last


def describe_errors(error: ValidationError, *, limit: int | None = None) -> str:
    """Return the first `limit` validation errors (None: all) of a file on one line: `repos.flags: the error; …`."""
    return "; ".join(map(_described, error.errors(include_url=False)[:limit]))


def _described(item: ErrorDetails) -> str:
    """One error with its field, if it has one."""
    field = ".".join(map(str, item["loc"]))
    words = _PLAIN_WORDS.get(item["type"]) or item["msg"].removeprefix("Value error, ")
    # In an untrusted file, the name of a field may contain control characters for terminals.
    return "".join(char if char.isprintable() else "?" for char in (f"{field}: {words}" if field else words))
