"""`steward check`: checks a model by the rules for submissions, without submitting it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from leaderboard.options import DEFAULT_PRECISION
from steward.commands.board import AsJson, model_named, open_board

if TYPE_CHECKING:
    from bot.read_models.check_models import CheckResponse, RuleResultView
    from leaderboard.reasons import Problem

Model = Annotated[str, typer.Argument(help="The model's id on the Hub, org/name, or the address of its page.")]
Precision = Annotated[str, typer.Option(help="The precision of the evaluation.")]
Revision = Annotated[str, typer.Option(help="A branch, a tag or a commit.")]
WeightType = Annotated[str, typer.Option(help="Original, Delta or Adapter.")]

REFUSED = 1
MARKS = {"passed": "ok", "failed": "FAIL"}


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(check)


def check(
    model: Model,
    precision: Precision = DEFAULT_PRECISION,
    revision: Revision = "main",
    weight_type: WeightType = "Original",
    submitter: Annotated[str, typer.Option(help="The Hub user whose quota is checked; none if left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show which rules for submissions a model passes and which it fails. Exit status 1 if it would be refused."""
    from bot.requests.verb_check import check_model

    with open_board() as context:
        result = check_model(
            context,
            model_named(model, context.hub.endpoint),
            revision=revision,
            precision=precision,
            weight_type=weight_type,
            submitter=submitter,
            public=False,
        )
    checked = [rule for rule in result.rules if rule.outcome in MARKS]
    as_words = "\n".join([*map(_rule_words, checked), _end(result)])
    print(json.dumps({**result.model_dump(), "access": result.access}) if as_json else as_words)
    raise typer.Exit(0 if result.accepted else REFUSED)


def _rule_words(rule: RuleResultView) -> str:
    reasons = (words for reason in rule.reasons for words in reason_lines(reason, " " * 6))
    return "\n".join([f"{MARKS[rule.outcome]:5} {rule.title}", *reasons])


def _end(result: CheckResponse) -> str:
    if result.accepted:
        return f"{result.model} would be accepted at {(result.revision or '')[:8]}."
    outcomes = [rule.outcome for rule in result.rules]
    failed, unchecked = outcomes.count("failed"), outcomes.count("not-looked-at")
    more = f" {unchecked} others do not apply, or could not be checked." if unchecked else ""
    return f"{result.model} would not be accepted: {failed} rule{' fails' if failed == 1 else 's fail'}.{more}"


def reason_lines(reason: Problem, mark: str) -> Iterator[str]:
    """Yield one reason after `mark`, and its advice in the next line."""
    from bot.core.render import printable

    yield f"{mark}{printable(reason.message)}{f' (See {reason.link})' if reason.link else ''}"
    if reason.advice:
        yield f"{' ' * len(mark)}→ {printable(reason.advice)}"
