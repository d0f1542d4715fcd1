"""The report of a run: as a table of text, as Markdown, and as JSON to attach to an issue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from localhub.contract.runner import FactResult

FORMAT = 1
_HIDDEN = "[token]"


@dataclass(frozen=True)
class ContractReport:
    """The results of one run. `secrets` are replaced wherever an answer of the Hub repeats them."""

    endpoint: str
    results: Sequence[FactResult]
    calls: int
    seconds: float
    at: str
    secrets: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """Sentences about what could not be removed."""

    @property
    def differs(self) -> bool:
        """Whether any fact differs."""
        return any(result.ending == "differs" for result in self.results)

    def summary(self) -> str:
        """The numbers of facts by their endings."""
        counts = Counter(result.ending for result in self.results)
        return " · ".join(f"{counts[ending]} {ending}" for ending in ("confirmed", "differs", "not tried"))

    def without_secrets(self, text: str) -> str:
        """Return `text` with its secrets replaced."""
        for secret in self.secrets:
            text = text.replace(secret, _HIDDEN)
        return text

    def as_text(self) -> str:
        """A table for a terminal."""
        lines = [f"{self.endpoint}, {self.at}: {self.calls} calls in {self.seconds:.1f} s"]
        group = ""
        for result in self.results:
            if result.fact.group != group:
                group = result.fact.group
                lines.append("")
            lines += self._text_lines(result)
        lines += ["", self.summary(), *self._notes()]
        return "\n".join(lines)

    def _text_lines(self, result: FactResult) -> Iterator[str]:
        yield f"{result.ending:<10} {result.fact.id:<36} {result.fact.sentence}"
        indent = " " * 11
        if result.ending == "differs":
            yield f"{indent}expected  {self.without_secrets(result.expected)}"
            yield f"{indent}got       {self.without_secrets(result.got)}"
        elif result.reason:
            yield f"{indent}because   {self.without_secrets(result.reason)}"

    def _notes(self) -> list[str]:
        notes = list(map(self.without_secrets, self.left))
        if any(result.fact.is_choice and result.ending == "differs" for result in self.results):
            notes.append(
                "Where a choice of localhub differs, the Hub answers a question that its documents leave open."
            )
        return notes

    def as_markdown(self) -> str:
        """A table for an issue."""
        lines = [f"`{self.endpoint}`, {self.at}: {self.summary()}; {self.calls} calls", ""]
        lines += ["| fact | | statement | expected | got |", "|---|---|---|---|---|"]
        for result in self.results:
            got = self.without_secrets(result.got or result.reason)
            cells = (result.fact.id, result.ending, result.fact.sentence, self.without_secrets(result.expected), got)
            lines.append("| " + " | ".join(map(_cell, cells)) + " |")
        return "\n".join([*lines, "", *self._notes()]).rstrip()

    def as_json(self) -> dict[str, Any]:
        """The whole report as JSON data, for programs."""
        return {
            "format": FORMAT,
            "endpoint": self.endpoint,
            "at": self.at,
            "calls": self.calls,
            "seconds": round(self.seconds, 1),
            "counts": dict(Counter(result.ending for result in self.results)),
            "left": list(map(self.without_secrets, self.left)),
            "facts": [self._item(result) for result in self.results],
        }

    def _item(self, result: FactResult) -> dict[str, Any]:
        texts = {"expected": result.expected, "got": result.got, "reason": result.reason}
        return {
            "id": result.fact.id,
            "statement": result.fact.statement,
            "is_choice": result.fact.is_choice,
            "ending": result.ending,
            "calls": result.calls,
            **{name: self.without_secrets(text) for name, text in texts.items() if text},
        }


def _cell(text: str) -> str:
    """Text as a cell of a Markdown table: it cannot end the cell, begin a tag or mention an account."""
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return escaped.replace("@", "@\u200b")
