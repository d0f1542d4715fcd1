"""Whether the private answers of a board that takes predictions can be used, and are private."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.predictions.answers import AnswersUnusable, load_answers
from bot.setup.doctor.findings import Check, Checks
from hub.client import Hub
from hub.errors import Denied, NotFound
from hub.records import Repo
from leaderboard.predictions import PREDICTIONS


def private_answers(context: BoardContext, worker: Hub | None) -> Checks:
    """Whether the bot can read the answers, and whether the workers' token cannot."""
    rules = context.suite.predictions
    if rules is None:
        return
    try:
        key = load_answers(context)
    except AnswersUnusable as error:
        fix = "Correct the repo or the suite's `predictions.answers`: submissions wait until then."
        yield Check("answers", "error", f"The private answers cannot be used: {error}.", fix)
        return
    words = f"The bot can read the answers to {len(key.by_id):,} questions in {rules.answers.repo}."
    yield Check("answers", "ok", words)
    if worker is not None and _may_read(worker, rules.answers.repo):
        fix = "Remove the workers' account from it, and from teams that may read it."
        yield Check("answers", "error", f"The workers' token can read {rules.answers.repo}.", fix)
    if PREDICTIONS not in context.board.precisions:
        fix = "Write `precisions: [predictions]` into the board file, so that the table can be filtered by it."
        yield Check("answers", "warning", "The board's precisions do not name predictions.", fix)


def _may_read(worker: Hub, repo: str) -> bool:
    try:
        worker.head(Repo("dataset", repo))
    except (NotFound, Denied):
        return False
    return True
