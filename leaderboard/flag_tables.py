"""Tables of flags that others kept by hand: `model id → address of a discussion`, with keys that silently did nothing.

Such a table is JSON, YAML, or the text of a dictionary in Python with its comments. Nothing in it is run. Each key
either names a model, perhaps after it was tidied, or is told as what it is; none is passed over in silence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import yaml

from leaderboard.links import HUB
from leaderboard.reasons import Problem, Reason, bounded, table
from leaderboard.requests import is_model

MAX_TABLE = 5_000_000
"""Characters of a table that is read."""
_ADDRESS = re.compile(rf"^{HUB}", re.IGNORECASE)
_URL = re.compile(r"^https?://[^\s<>\"']{4,1000}$")

REASONS = table(
    (
        Reason("blanks", "'{key}' has blanks in or around it; read as {model}.", "It did nothing until now."),
        Reason("address", "'{key}' is an address, not a name; read as {model}.", "It did nothing until now."),
        Reason("invisible", "'{key}' holds characters that nobody sees; read as {model}.", "It did nothing until now."),
        Reason("look-alike", "'{key}' holds letters that only look like those of a name.", "Write it anew by hand."),
        Reason("no-name", "'{key}' is no model: nothing on the Hub can be called so.", "Drop it, or write its name."),
        Reason("twice", "'{key}' stands there more than once; the last address counts.", "Drop the others."),
        Reason("no-thread", "'{key}' has no address of a discussion: '{value}'.", "Say where it is spoken about."),
        Reason("case", "'{key}' is called {model}, with other capitals.", "It did nothing until now."),
        Reason("renamed", "'{key}' is called {model} now.", "Both names are flagged."),
        Reason("moved", "'{key}' is spoken about at {thread} by now.", "That address is written."),
        Reason("unknown", "There is no model '{key}', neither on the Hub nor on the board.", "Drop it, or mend it."),
    )
)
"""What can be wrong with a key, and what became of it."""
LOST = frozenset({"look-alike", "no-name", "no-thread", "unknown"})
"""Codes of keys that are not imported."""


@dataclass(frozen=True)
class FlagTableRow:
    """One flag of a table: its key as it stands there, the model that it seems to mean, and the address."""

    key: str
    model: str
    thread: str


class BadFlagTable(ValueError):
    """It is no table of names and addresses; the message says why."""


def read_table(text: str) -> tuple[list[FlagTableRow], list[Problem]]:
    """The rows of a table, and what is wrong with its keys as far as words alone tell. Raises BadTable."""
    found: dict[str, FlagTableRow] = {}
    problems: list[Problem] = []
    for key, value in _pairs(text):
        tidied = tidy(key)
        code = _trouble(key, tidied)
        if code:
            problems.append(REASONS[code].problem(key=key, model=tidied))
        if code in LOST:
            continue
        if not _URL.match(value):
            problems.append(REASONS["no-thread"].problem(key=key, value=value))
            continue
        if tidied.casefold() in found:
            problems.append(REASONS["twice"].problem(key=key))
        found[tidied.casefold()] = FlagTableRow(key, tidied, value)
    return list(found.values()), problems


def tidy(name: str) -> str:
    """A model's name as people wrote it, without blanks, an address around it, and characters that nobody sees."""
    shown = "".join(one for one in name if unicodedata.category(one) not in ("Cc", "Cf", "Co", "Cn"))
    return re.sub(r"\s+", "", _ADDRESS.sub("", shown.strip())).strip("/")


def _trouble(key: str, tidied: str) -> Literal["", "address", "blanks", "invisible", "look-alike", "no-name"]:
    if not is_model(tidied) or "/" not in tidied:
        return "look-alike" if not tidied.isascii() and tidied else "no-name"
    if key == tidied:
        return ""
    if _ADDRESS.match(key.strip()):
        return "address"
    return "blanks" if re.sub(r"\s+", "", key).strip("/") == tidied else "invisible"


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Keys and values in the order in which they stand there, doubles among them."""
    if len(text) > MAX_TABLE:
        raise BadFlagTable(f"it has more than {MAX_TABLE:,} characters")
    try:
        node = yaml.compose(_braces(text), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadFlagTable(f"it cannot be read: {bounded(error)}") from error
    if not isinstance(node, yaml.MappingNode):
        raise BadFlagTable("it is no table: it should map names of models to addresses")
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else ""
        yield name, str(value.value) if isinstance(value, yaml.ScalarNode) else ""


def _braces(text: str) -> str:
    """Of a program's text the dictionary: `FLAGGED_MODELS = {…}`."""
    assignment = re.search(r"^\w+\s*(?::[^=\n]*)?=\s*(?=\{)", text, re.MULTILINE)
    if assignment is None:
        return text
    body = text[assignment.end() :]
    end = re.search(r"^\}", body, re.MULTILINE)
    return body[: end.end()] if end else body
