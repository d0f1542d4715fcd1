"""`steward pause`, `resume`, `hold`, `unhold`, `priority`, `cancel`: what operators decide about the queue.

Each stages an edit of a file on the Hub, which a sync process writes within seconds; dispatch goes by it from then on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steward.commands.board import AsJson, operator
from steward.commands.saying import ending, say

if TYPE_CHECKING:
    from bot.core.context import BoardContext
    from bot.read_models.queue_texts import QueueCommandResult

UNCHANGED = 1
"""Exit status where nothing will change: it was so already, or it cannot be done. The sentence says which."""

Path = Annotated[str, typer.Argument(help="Of the request file: org/model_eval_request_False_bfloat16_Original.json")]
What = Annotated[str, typer.Argument(help="board, tier:small, tier:medium, tier:large, or suite:NAME")]
Level = Annotated[Literal["high", "normal", "low"], typer.Argument(help="Of its turn.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; everyone can read it.")]
By = Annotated[str, typer.Option(help="Name on the Hub of whoever decided it; yours on this machine if left out.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `steward`."""
    for command in (pause, resume, hold, unhold, priority, cancel):
        app.command()(command)


def pause(what: What, reason: Reason, by: By = "", as_json: AsJson = False) -> None:
    """Give nothing of the board, of a tier or of a suite a turn; what runs goes on."""
    from bot.queue import rulings

    _rule(lambda context: rulings.pause(context, what, reason, by or operator()), as_json)


def resume(what: What, as_json: AsJson = False) -> None:
    """Give what was paused its turns again."""
    from bot.queue import rulings

    _rule(lambda context: rulings.resume(context, what), as_json)


def hold(path: Path, reason: Reason, by: By = "", as_json: AsJson = False) -> None:
    """Give one request no turn until it is unheld; if it runs, it goes on."""
    from bot.queue import rulings

    _rule(lambda context: rulings.hold(context, path, reason, by or operator()), as_json)


def unhold(path: Path, as_json: AsJson = False) -> None:
    """Give a request that is on hold its turn again."""
    from bot.queue import rulings

    _rule(lambda context: rulings.unhold(context, path), as_json)


def priority(path: Path, level: Level, as_json: AsJson = False) -> None:
    """Have a request's turn come before those of lower priority."""
    from bot.queue import rulings

    _rule(lambda context: rulings.set_priority(context, path, level), as_json)


def cancel(path: Path, reason: Reason, by: By = "", as_json: AsJson = False) -> None:
    """Withdraw a request, wherever it is; if it runs, its worker stops."""
    from bot.queue import rulings

    _rule(lambda context: rulings.cancel(context, path, reason, by or operator()), as_json)


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
