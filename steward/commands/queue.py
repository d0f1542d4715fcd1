"""`steward pause`, `resume`, `hold`, `unhold`, `priority`, `cancel`: operators' control of the queue.

Each command stages an edit of a file on the Hub; a sync process commits it within seconds, and dispatch obeys it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steward.commands.board import AsJson, operator
from steward.commands.output import ending, say
from steward.commands.status import What, WhichPrecision, WhichWeightType, one_request

if TYPE_CHECKING:
    from bot.core.context import BoardContext
    from bot.queue.rulings import QueueCommandResult

UNCHANGED = 1
"""Exit status if nothing changes, because of the present state or an error; the message says which."""

Part = Annotated[str, typer.Argument(help="board, tier:small, tier:medium, tier:large, or suite:NAME")]
Level = Annotated[Literal["high", "normal", "low"], typer.Argument(help="The priority of the request.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="The reason, which is public.")]
By = Annotated[str, typer.Option(help="Hub name of the person who decided it; your local user name if left out.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `steward`."""
    for command in (pause, resume, hold, unhold, priority, cancel):
        app.command()(command)


def pause(what: Part, reason: Reason, by: By = "", as_json: AsJson = False) -> None:
    """Start no more evaluations of the board, of a tier or of a suite; running ones continue."""
    from bot.queue import rulings

    _rule(lambda context: rulings.pause(context, what, reason, by or operator()), as_json)


def resume(what: Part, as_json: AsJson = False) -> None:
    """End a pause."""
    from bot.queue import rulings

    _rule(lambda context: rulings.resume(context, what), as_json)


def hold(
    model: What,
    reason: Reason,
    precision: WhichPrecision = "",
    weight_type: WhichWeightType = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Hold one request until `unhold`; a running evaluation continues."""
    from bot.queue import rulings

    target = (model, precision, weight_type)
    _rule_request(lambda context, path: rulings.hold(context, path, reason, by or operator()), target, as_json)


def unhold(
    model: What, precision: WhichPrecision = "", weight_type: WhichWeightType = "", as_json: AsJson = False
) -> None:
    """End the hold of a request."""
    from bot.queue import rulings

    _rule_request(rulings.unhold, (model, precision, weight_type), as_json)


def priority(
    model: What,
    level: Level,
    precision: WhichPrecision = "",
    weight_type: WhichWeightType = "",
    as_json: AsJson = False,
) -> None:
    """Set a request's priority; requests of higher priority run first."""
    from bot.queue import rulings

    target = (model, precision, weight_type)
    _rule_request(lambda context, path: rulings.set_priority(context, path, level), target, as_json)


def cancel(
    model: What,
    reason: Reason,
    precision: WhichPrecision = "",
    weight_type: WhichWeightType = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Withdraw a request; a running evaluation stops."""
    from bot.queue import rulings

    target = (model, precision, weight_type)
    _rule_request(lambda context, path: rulings.cancel(context, path, reason, by or operator()), target, as_json)


def _rule_request(
    decide: Callable[[BoardContext, str], QueueCommandResult], target: tuple[str, str, str], as_json: bool
) -> None:
    """Decide about the one request that `target` names: a model or path, a precision and a type of weights."""
    from leaderboard.request_paths import is_request_path

    what, precision, weight_type = target

    def decide_request(context: BoardContext) -> QueueCommandResult:
        if is_request_path(what):  # even one that is not indexed yet
            return decide(context, what)
        return decide(context, one_request(context, what, precision=precision, weight_type=weight_type).path)

    _rule(decide_request, as_json)


def _rule(decide: Callable[[BoardContext], QueueCommandResult], as_json: bool) -> None:
    from hub.errors import HubError
    from steward.commands.board import open_board

    with open_board() as context:
        try:
            ruling = decide(context)
        except HubError as error:
            raise ending(error, UNCHANGED) from error
    words = ruling.words.replace("`", "")
    print(json.dumps({"done": ruling.done, "code": ruling.code, "message": words})) if as_json else say(words)
    raise typer.Exit(0 if ruling.done else UNCHANGED)
