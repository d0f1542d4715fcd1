"""The command line that repeats the evaluation of a request, made from its results file."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.read_models.details_models import ReproductionView
from leaderboard.command_lines import NotReproducible
from leaderboard.predictions import PREDICTIONS
from leaderboard.reproduction import reproduction_command
from leaderboard.results import MAX_BYTES, read_results
from leaderboard.scores import BadResults
from redis_state.board.entry import IndexEntry

_NO_RESULTS = "It has no results yet."
_NO_FILE = "Its results file is not in the results repo."
_OTHER_RESULTS = "Its results are of an earlier suite, or from before Steward, so not all of its settings are known."


def reproduction_of(context: BoardContext, entry: IndexEntry) -> ReproductionView:
    """How to repeat the evaluation whose results the board shows. One call. Raises HubError."""
    path = entry.standing.results or (entry.kept.results if entry.kept is not None else None)
    if not path:
        return ReproductionView(message=_NO_RESULTS)
    file = context.hub.find_file(context.results, path, max_bytes=MAX_BYTES)
    if file is None:
        return ReproductionView(message=_NO_FILE)
    try:
        results = read_results(file.data, context.suite)
    except BadResults:
        return ReproductionView(message=_OTHER_RESULTS)
    attempt = results.block.attempt
    try:
        command = reproduction_command(results, context.suite)
    except NotReproducible as error:
        return ReproductionView(message=str(error), attempt="" if results.block.precision == PREDICTIONS else attempt)
    return ReproductionView(command=command.line, notes=list(command.notes), attempt=attempt)
