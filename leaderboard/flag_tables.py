"""Reads hand-written tables of flags: `model id → address of a discussion`, some of whose keys never matched a model.

A table is JSON, YAML, or the text of a Python dictionary with comments; no code in it runs. Each key either names a
model, perhaps after normalisation, or is reported as a problem; no key is ignored silently.
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
from leaderboard.request_paths import is_model

MAX_TABLE = 5_000_000
"""Maximal characters of a table."""
_ADDRESS = re.compile(rf"^{HUB}", re.IGNORECASE)
_URL = re.compile(r"^https?://[^\s<>\"']{4,1000}$")

REASONS = table(
    (
        Reason("blanks", "'{key}' contains spaces; it was read as {model}.", "It had no effect until now."),
        Reason("address", "'{key}' is a URL, not a model id; it was read as {model}.", "It had no effect until now."),
        Reason(
            "invisible",
            "'{key}' contains invisible characters; it was read as {model}.",
            "It had no effect until now.",
        ),
        Reason("look-alike", "'{key}' contains letters that only look like ASCII letters.", "Type the model id again."),
        Reason("no-name", "'{key}' cannot be a model id on the Hub.", "Remove it, or write the model id."),
        Reason("twice", "'{key}' occurs more than once; the last address counts.", "Remove the other entries."),
        Reason(
            "no-thread", "'{key}' has no address of a discussion: '{value}'.", "Write the URL of the flag's discussion."
        ),
        Reason("case", "'{key}' is called {model}, with different capitals.", "It had no effect until now."),
        Reason("renamed", "'{key}' is called {model} now.", "Both names are flagged."),
        Reason("moved", "The discussion about '{key}' is now at {thread}.", "The new address is used."),
        Reason(
            "unknown", "There is no model '{key}' on the Hub or on this board.", "Remove it, or correct the model id."
        ),
    )
)
"""The problems of keys, and what happens with each key."""
LOST = frozenset({"look-alike", "no-name", "no-thread", "unknown"})
"""Codes of the keys that are not imported."""


@dataclass(frozen=True)
class FlagTableRow:
    """One flag of a table: the key as written, the model that it means, and the address."""

    key: str
    model: str
    thread: str


class BadFlagTable(ValueError):
    """The text is no table of model ids and addresses; the message says why."""


def read_table(text: str) -> tuple[list[FlagTableRow], list[Problem]]:
    """Return the rows of a table and the problems of its keys, without asking the Hub. Raises BadFlagTable."""
    rows: dict[str, FlagTableRow] = {}
    problems: list[Problem] = []
    for key, value in _pairs(text):
        tidied = tidy(key)
        code = _trouble(key, tidied)
        if code:
            problems.append(REASONS[code].problem(key=key, model=tidied))
        if code in LOST:
            continue
        if not _URL.fullmatch(value):
            problems.append(REASONS["no-thread"].problem(key=key, value=value))
            continue
        if tidied.casefold() in rows:
            problems.append(REASONS["twice"].problem(key=key))
        rows[tidied.casefold()] = FlagTableRow(key, tidied, value)
    return list(rows.values()), problems


def tidy(name: str) -> str:
    """Return a hand-written model id without spaces, URL prefix and invisible characters."""
    shown = "".join(char for char in name if unicodedata.category(char) not in ("Cc", "Cf", "Co", "Cn"))
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
    """Yield keys and values in the order of the text, including repeated keys."""
    if len(text) > MAX_TABLE:
        raise BadFlagTable(f"it has more than {MAX_TABLE:,} characters")
    try:
        node = yaml.compose(_braces(text), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadFlagTable(f"it cannot be read: {bounded(error)}") from error
    if not isinstance(node, yaml.MappingNode):
        raise BadFlagTable("it is no table: it must map model ids to addresses")
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else ""
        yield name, str(value.value) if isinstance(value, yaml.ScalarNode) else ""


def _braces(text: str) -> str:
    """Return the dictionary in the text of a program (`FLAGGED_MODELS = {…}`)."""
    assignment = re.search(r"^\w+\s*(?::[^=\n]*)?=\s*(?=\{)", text, re.MULTILINE)
    if assignment is None:
        return text
    body = text[assignment.end() :]
    end = re.search(r"^\}", body, re.MULTILINE)
    return body[: end.end()] if end else body
