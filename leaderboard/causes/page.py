"""docs/diagnosis.md, made from the table: `python -m leaderboard.causes.page > docs/diagnosis.md`."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping

from leaderboard.causes.cause import Cause, Retry

HEAD = """\
# What evaluations die of

Every death of an evaluation is looked up in one table: from evidence (exception, exit status, signal, why it was
stopped, phase, the end of the log) to a cause, whose fault it is, a sentence, what to do, and whether it is tried
again. The first row of which a sign fits decides; what no row knows is `unknown`, and is listed by `steward unknown`.
All attempts together are at most the board's `attempts`, 3 unless it says otherwise: the first one counts, and so does
one that died of another cause.

This page is made from the table (`python -m leaderboard.causes.page`). *not seen* marks causes for which there is no
evidence recorded from a real death yet; they are told by what the libraries' sources say. The records of the others
lie in `tests/unit/leaderboard/deaths.jsonl`. A death of a new kind becomes a row like this: copy `evidence` from the
`outcome.json` in the logs repo into that file, name the cause, add a row with a sign to `leaderboard/causes/`.
"""
TABLE = "| cause | whose fault | what people read | tried again | told by |\n|---|---|---|---|---|\n"
FAULTS = {"submission": "submission", "us": "ours", "hub": "the Hub's", "unknown": "unknown"}


def page(families: Mapping[str, tuple[Cause, ...]], seen: Collection[str]) -> str:
    """The page as Markdown."""
    parts = [HEAD]
    for name, rows in families.items():
        parts.append(f"\n## {name}\n\n{TABLE}")
        parts += [_row(row, row.code in seen) for row in rows]
    return "".join(parts)


def _row(row: Cause, seen: bool) -> str:
    mark = "" if seen else " *not seen*"
    signs = "; ".join(sign.words for sign in row.signs) or "nothing more precise"
    words = f"{row.message.replace('{detail}', '…')} {row.advice}"
    return f"| `{row.code}`{mark} | {FAULTS[row.fault]} | {_cell(words)} | {_again(row.retry)} | {_code(signs)} |\n"


def _again(retry: Retry) -> str:
    if not retry.times:
        return "no"
    often = "once" if retry.times == 1 else f"{retry.times} times"
    soon = "at once" if not retry.wait else f"after {retry.wait / 60:g} min"
    return f"{often}, {soon}{', on a larger tier' if retry.tier == 'larger' else ''}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _code(signs: str) -> str:
    """As code, where `|` of a pattern has to be kept from ending the cell."""
    return f"`{signs.replace('`', chr(39)).replace('|', chr(92) + '|')}`"


if __name__ == "__main__":
    from leaderboard.failures import FAMILIES, SEEN

    sys.stdout.write(page(FAMILIES, SEEN))
