"""Writes the rules in docs/submitting.md from the tables of rules.

python -m leaderboard.admission.docs docs/submitting.md     rewrites that part of the page
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from leaderboard.admission.rules import RULES
from leaderboard.admission.submission import AdmissionRule
from leaderboard.boards import Board
from leaderboard.policy import AdmissionPolicy

BEGIN, END = "<!-- rules: begin -->", "<!-- rules: end -->"
_PRECISIONS: tuple[str, ...] = Board.model_fields["precisions"].default


def submitting(page: str, policy: AdmissionPolicy | None = None) -> str:
    """Return `page` with the part between the two marks rewritten for a board with `policy`."""
    part = f"{BEGIN}\n\n{rules(policy or AdmissionPolicy())}\n\n{END}"
    return re.sub(f"{BEGIN}.*{END}", lambda _: part, page, flags=re.DOTALL)


def rules(policy: AdmissionPolicy) -> str:
    """Return the size limits, and every rule with its explanation and its source."""
    return "\n".join([*_sizes(policy), "", *(line for rule in RULES for line in _rule(rule, policy))]).rstrip()


def _sizes(policy: AdmissionPolicy) -> Iterator[str]:
    yield "| precision | largest model |"
    yield "|---|---:|"
    for precision, billions in policy.max_billions.items():
        yield f"| {precision} | {billions:g} billion parameters |"


def _rule(rule: AdmissionRule, policy: AdmissionPolicy) -> Iterator[str]:
    base = " \\*" if rule.of_base else ""
    off = "" if policy.holds(rule.name) else " (off, unless a board turns it on)"
    yield f"**{rule.title}**{base} · `{rule.name}`{off}  "
    yield explanation(rule, policy, _PRECISIONS) + "  "
    yield f"<sub>{rule.source}.</sub>"
    yield ""


def explanation(rule: AdmissionRule, policy: AdmissionPolicy, precisions: Iterable[str]) -> str:
    """Return the explanation of `rule` with the numbers of a board with `policy` and `precisions`."""
    words = {
        "policy": policy,
        "precisions": ", ".join(precisions),
        "private": "public models, and private models that its account can read"
        if policy.private_models
        else "public models",
        "gated": "accepted if its account has access" if policy.gated_models else "not accepted",
    }
    return rule.explains.format(**words)


def main(path: str) -> None:
    """Rewrite the rules in the file at `path`."""
    page = Path(path)
    page.write_text(submitting(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
