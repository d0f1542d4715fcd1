"""`steward check`: would a model be accepted? By the rules that a submission meets, without submitting it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bot.checking import Checked
    from bot.texts.check import CheckLine

REFUSED = 1
MARKS = {"passed": "ok", "failed": "FAIL", "not-looked-at": "-"}


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(check)


def check(
    model: Annotated[str, typer.Argument(help="The model's id on the Hub: org/name.")],
    precision: Annotated[str, typer.Option(help="At which it would be evaluated.")] = "float16",
    revision: Annotated[str, typer.Option(help="A branch, a tag or a commit.")] = "main",
    weight_type: Annotated[str, typer.Option(help="Original, Delta or Adapter.")] = "Original",
    submitter: Annotated[str, typer.Option(help="Whose quota counts; nobody's in particular if left out.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say which rules of admission a model passes, and which it fails. Exit status 1 where it would be refused."""
    from bot.checking import check as judge
    from hub.errors import HubError
    from steward.commands.board import MISCONFIGURED, open_board

    with open_board() as desk:
        try:
            found = judge(
                desk,
                model,
                revision=revision,
                precision=precision,
                weight_type=weight_type,
                submitter=submitter,
                public=False,
            )
        except HubError as error:
            print(f"steward: {error}", file=sys.stderr)
            raise typer.Exit(MISCONFIGURED) from error
    print(json.dumps(_fields(found)) if as_json else "\n".join([*map(_shown, found.lines), _end(found)]))
    raise typer.Exit(0 if found.accepted else REFUSED)


def _fields(found: Checked) -> dict[str, object]:
    lines = [
        {
            "rule": line.rule,
            "title": line.title,
            "outcome": line.outcome,
            "reasons": [reason.model_dump() for reason in line.reasons],
        }
        for line in found.lines
    ]
    known = {"model": found.model, "accepted": found.accepted, "revision": found.verdict.sha, "access": found.access}
    return {**known, "rules": lines}


def _shown(line: CheckLine) -> str:
    from bot.texts.render import printable  # a stranger's words, without what moves a terminal's cursor

    told = [f"{MARKS[line.outcome]:5} {line.title}"]
    for reason in line.reasons:
        told.append(f"      {printable(reason.message)}{f' (See {reason.link})' if reason.link else ''}")
        told += [f"      → {printable(reason.advice)}"] if reason.advice else []
    return "\n".join(told)


def _end(found: Checked) -> str:
    failed = sum(line.outcome == "failed" for line in found.lines)
    if found.accepted:
        return f"{found.model} would be accepted at {(found.verdict.sha or '')[:8]}."
    return f"{found.model} would not be accepted: {failed} of {len(found.lines)} rules fail."
