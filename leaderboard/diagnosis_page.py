"""Writes docs/diagnosis.md from the table of causes: `python -m leaderboard.diagnosis_page > docs/diagnosis.md`."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping

from leaderboard.causes.cause import Cause, Retry
from leaderboard.failures import FAMILIES, SEEN

HEAD = """\
# Causes of failed evaluations

For submitters and operators: why evaluations fail, whose fault it is, what to do, and what is tried again.

One table maps the evidence of every failed evaluation (exception, exit status, signal, reason for stopping, phase, end
of the log) to a cause, its fault, a sentence, advice, and a retry policy. The first row with a matching sign decides.
A failure that no row matches is `unknown`; `steward unknown` lists these. All attempts of a request together are at
most the board's `attempts` (3 by default), including the first attempt and failures with other causes, until a person
relaunches the request.

This page is generated from the table (`python -m leaderboard.diagnosis_page`). *not seen* marks causes without evidence
from a real failure; their signs come from the sources of the libraries. The evidence of the other causes is in
`tests/unit/leaderboard/deaths.jsonl`. To add a cause, copy `evidence` from the `outcome.json` in the logs repo into
that file, name the cause, and add a row with a sign to `leaderboard/causes/`.
"""
TABLE = "| cause | fault | what people read | retried | signs |\n|---|---|---|---|---|\n"
FAULTS = {"submission": "the model", "us": "the leaderboard", "hub": "the Hub", "unknown": "unknown"}


def page(families: Mapping[str, tuple[Cause, ...]], seen: Collection[str]) -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    for name, rows in families.items():
        parts.append(f"\n## {name}\n\n{TABLE}")
        parts += [_row(row, row.code in seen) for row in rows]
    return "".join(parts)


def _row(row: Cause, seen: bool) -> str:
    note = "" if seen else " *not seen*"
    signs = "; ".join(sign.words for sign in row.signs) or "no other sign"
    words = f"{row.message.replace('{detail}', '…')} {row.advice}"
    return f"| `{row.code}`{note} | {FAULTS[row.fault]} | {_cell(words)} | {_again(row.retry)} | {_code(signs)} |\n"


def _again(retry: Retry) -> str:
    if not retry.times:
        return "no"
    often = "once" if retry.times == 1 else f"{retry.times} times"
    soon = "at once" if not retry.wait else f"after {retry.wait / 60:g} min"
    return f"{often}, {soon}{', on a larger tier' if retry.tier == 'larger' else ''}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _code(signs: str) -> str:
    """Return `signs` as code; an escape keeps the `|` of a pattern from ending the cell."""
    return f"`{signs.replace('`', chr(39)).replace('|', chr(92) + '|')}`"


if __name__ == "__main__":
    sys.stdout.write(page(FAMILIES, SEEN))
