"""The texts on charts and their descriptions: the macros of `templates/charts.txt`, as plain text.

Nothing is escaped here: a chart is built as a tree of XML, and a page escapes its values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from leaderboard.timings import End

ENDS: Mapping[End, str] = {
    "finished": "finished",
    "submission": "failed: the submission",
    "us": "failed: our fault",
    "hub": "failed: the Hub",
    "unknown": "failed: unknown cause",
}
_STEPS = ((86_400.0, "days", "day"), (3_600.0, "h", "h"), (60.0, "min", "min"), (1.0, "s", "s"))


def short_span(seconds: float) -> str:
    """A duration as short as possible: `2.1 h`, `40 min`, `1 day`."""
    for length, plural, singular in _STEPS:
        if seconds >= 0.995 * length:
            count = seconds / length
            number = f"{count:.0f}" if count >= 9.95 else f"{count:.1f}".removesuffix(".0")
            return f"{number} {singular if number == '1' else plural}"
    return "under 1 s"


@cache
def _macros() -> Any:
    environment = Environment(
        loader=PackageLoader("bot.web", "templates"),
        autoescape=False,  # noqa: S701  plain text: charts and pages escape it
        undefined=StrictUndefined,
    )
    environment.filters["span"] = short_span
    return environment.get_template("charts.txt").module


class Words:
    """The macros by name; each renders a line of text."""

    def __getattr__(self, name: str) -> Callable[..., str]:
        macro = getattr(_macros(), name)
        return lambda *values: " ".join(str(macro(*values)).split())


words = Words()
