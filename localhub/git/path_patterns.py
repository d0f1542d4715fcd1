"""Patterns of `.gitattributes` and `.gitignore`, as far as uploads need them.

They are untrusted, so no pattern may take long: a pattern is matched name by name along the path, and the expressions
that `fnmatch` makes for one name do not backtrack.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

_MAX_LINES = 1_000
_ANY = None
"""`**`: any number of names."""


@dataclass(frozen=True)
class _PatternRule:
    names: tuple[re.Pattern[str] | None, ...]
    value: bool
    below: bool
    """Whether a match of a folder includes everything in it."""
    folder_only: bool

    def matches(self, path: list[str]) -> bool:
        ends = self._ends(path)
        if not self.below:
            return len(path) in ends
        return any(end > 0 for end in ends if end < len(path) or not self.folder_only)

    def _ends(self, path: list[str]) -> set[int]:
        """The numbers of names at the start of the path that the whole pattern can match."""
        ends = {0}
        for index, name in enumerate(self.names):
            if name is _ANY:
                # At the end of a pattern, `**` means the content of a folder: at least one name.
                at_least = min(ends) + (index == len(self.names) - 1)
                ends = set(range(at_least, len(path) + 1))
            else:
                ends = {end + 1 for end in ends if end < len(path) and name.match(path[end])}
            if not ends:
                break
        return ends


class PatternRules:
    """Rules; the last one that matches a path decides."""

    def __init__(self, rules: Iterable[_PatternRule]) -> None:
        self._rules = tuple(rules)

    def decide(self, path: str) -> bool:
        """The value of the last rule that matches the path; False if none does."""
        names = path.split("/")
        return next((rule.value for rule in reversed(self._rules) if rule.matches(names)), False)


@lru_cache(maxsize=64)
def lfs_rules(attributes: str) -> PatternRules:
    """The rules of a `.gitattributes`: True for paths whose `filter` is `lfs`."""
    rules = []
    for line in attributes.splitlines()[:_MAX_LINES]:
        pattern, *settings = line.split()[:50] or [""]
        if not pattern or pattern.startswith(("#", "[attr]")):
            continue
        filters = [setting for setting in settings if setting.lstrip("-!").partition("=")[0] == "filter"]
        rules += [_rule(pattern, setting == "filter=lfs", below=False) for setting in filters]
    return PatternRules(rules)


@lru_cache(maxsize=64)
def ignore_rules(ignore: str) -> PatternRules:
    """The rules of a `.gitignore`: True for ignored paths."""
    rules = []
    for line in ignore.splitlines()[:_MAX_LINES]:
        pattern = line.rstrip()
        if pattern.strip("/") and not pattern.startswith("#"):
            rules.append(_rule(pattern.removeprefix("!"), not pattern.startswith("!"), below=True))
    return PatternRules(rules)


def _rule(pattern: str, value: bool, *, below: bool) -> _PatternRule:
    folder_only = pattern.endswith("/")
    pattern = pattern.rstrip("/")
    # A pattern without a slash matches at any depth, one with a slash from the top.
    anywhere = [] if "/" in pattern else ["**"]
    names = tuple(_name(name) for name in [*anywhere, *pattern.removeprefix("/").split("/")])
    return _PatternRule(names, value, below=below, folder_only=folder_only)


def _name(name: str) -> re.Pattern[str] | None:
    if name == "**":
        return _ANY
    # fnmatch has no escape by backslash, and negates a set only by !.
    plain = re.sub(r"\\(.)", r"[\1]", name).replace("[^", "[!")
    try:
        return re.compile(translate(plain))
    except re.error:  # for example a set that no text can match
        return re.compile(r"(?!)")
