"""Why a submission is refused, as data: a sentence for what is wrong and why, and one for what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

MAX_WORD = 200
"""Characters of a stranger's text in a sentence."""


class Problem(BaseModel):
    """One thing that is wrong with a submission, what to do about it, and where there is more to read, if anywhere."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    advice: str = ""
    link: str = ""

    def at(self, link: str) -> Problem:
        """The same, with the address of what it speaks of."""
        return self.model_copy(update={"link": link})


@dataclass(frozen=True)
class Reason:
    """One row: `code` is stable, as request files and statistics hold it; `{word}` is filled in by a rule."""

    code: str
    message: str
    advice: str

    def problem(self, **words: object) -> Problem:
        """The reason with its words filled in, each bounded and on one line."""
        said = {name: bounded(word) for name, word in words.items()}
        return Problem(code=self.code, message=self.message.format(**said), advice=self.advice.format(**said))


def table(rows: Iterable[Reason]) -> Mapping[str, Reason]:
    """The rows by code; a code may stand there once."""
    by_code: dict[str, Reason] = {}
    for row in rows:
        if row.code in by_code:
            raise ValueError(f"two reasons are called {row.code}")
        by_code[row.code] = row
    return by_code


def bounded(word: object, limit: int = MAX_WORD) -> str:
    """`word` on one line, without characters that nobody can see, cut at `limit`."""
    shown = "".join(char if char.isprintable() else " " for char in str(word)[: 4 * limit])
    line = re.sub(r" +", " ", shown).strip()
    return line if len(line) <= limit else line[: limit - 2].rstrip() + " …"


def names(words: Iterable[str], *, most: int = 3) -> str:
    """`'a', 'b' and 'c'`, or `'a', 'b', 'c' and 7 more`: strangers' names in a sentence."""
    quoted = [f"'{bounded(word, 60)}'" for word in words]
    if len(quoted) > most:
        return f"{', '.join(quoted[:most])} and {len(quoted) - most} more"
    return " and ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1]))) if quoted else ""


def choice(words: Iterable[str]) -> str:
    """`a, b or c`: our own words."""
    *others, last = list(words) or [""]
    return f"{', '.join(others)} or {last}" if others else last
