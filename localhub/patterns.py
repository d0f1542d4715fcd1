"""Patterns of `.gitattributes` and `.gitignore`, as far as uploads need them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_TOKENS = re.compile(r"/\*\*$|^\*\*/|/\*\*/|\\.|\*+|\?|\[[!^]?\]?[^\]]*\]|.", re.DOTALL)
_MAX_LINES = 5_000


@dataclass(frozen=True)
class _Rule:
    pattern: re.Pattern[str]
    value: bool


class Rules:
    """Rules of which the last that fits a path decides."""

    def __init__(self, rules: Iterable[_Rule]) -> None:
        self._rules = tuple(rules)

    def decide(self, path: str) -> bool:
        """What the last rule that fits says; False where none does."""
        for rule in reversed(self._rules):
            if rule.pattern.fullmatch(path):
                return rule.value
        return False


@lru_cache(maxsize=64)
def lfs_rules(attributes: str) -> Rules:
    """Which paths a `.gitattributes` sends to LFS: those whose `filter` it sets to `lfs`."""
    rules = []
    for line in attributes.splitlines()[:_MAX_LINES]:
        pattern, *settings = line.split()[:50] or [""]
        if not pattern or pattern.startswith(("#", "[attr]")):
            continue
        filters = [setting for setting in settings if setting.lstrip("-!").partition("=")[0] == "filter"]
        rules += [_Rule(_regex(pattern, below=False), setting == "filter=lfs") for setting in filters]
    return Rules(rules)


@lru_cache(maxsize=64)
def ignore_rules(ignore: str) -> Rules:
    """Which paths a `.gitignore` leaves out."""
    rules = []
    for line in ignore.splitlines()[:_MAX_LINES]:
        pattern = line.rstrip()
        if not pattern or pattern.startswith("#"):
            continue
        negated = pattern.startswith("!")
        rules.append(_Rule(_regex(pattern.removeprefix("!"), below=True), not negated))
    return Rules(rules)


def _regex(pattern: str, *, below: bool) -> re.Pattern[str]:
    """A pattern as an expression over whole paths; `below`: a folder that fits takes all in it along."""
    folder_only = pattern.endswith("/")
    pattern = pattern.rstrip("/")
    anchored = "/" in pattern
    body = "" if anchored else "(?:.*/)?"
    body += _body(pattern.removeprefix("/"))
    if below:
        body += "/.*" if folder_only else "(?:/.*)?"
    return re.compile(body, re.DOTALL)


def _body(pattern: str) -> str:
    return "".join(map(_token, _TOKENS.findall(pattern)))


def _token(token: str) -> str:
    fixed = {"/**": "/.*", "**/": "(?:.*/)?", "/**/": "/(?:.*/)?", "?": "[^/]"}
    if token in fixed:
        return fixed[token]
    if token[0] == "*":
        return "[^/]*"
    if token[0] == "\\" and len(token) == 2:
        return re.escape(token[1])
    if token[0] == "[" and len(token) > 2:
        return _set(token)
    return re.escape(token)


def _set(token: str) -> str:
    negated, inside = token[1] in "!^", token[1:-1].lstrip("!^")
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside)
    candidate = f"[{'^' if negated else ''}{escaped}]"
    try:
        re.compile(candidate)
    except re.error:  # such as a range that runs backwards: git lets it fit nothing
        return "(?!)"
    return candidate
