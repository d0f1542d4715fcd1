"""Whether the suite's questions can be read, and the private answers of a board that takes predictions are private."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.predictions.answers import AnswersUnusable, load_answers
from bot.setup.doctor.findings import Check, Checks
from hub.client import Hub
from hub.errors import Denied, NotFound
from hub.records import Repo
from leaderboard.predictions import PREDICTIONS
from leaderboard.suites import dataset_sources


def questions(context: BoardContext, worker: Hub | None) -> Checks:
    """Whether the datasets that the suite's tasks read are on the Hub, as the workers' token sees them."""
    hub = context.hub if worker is None else worker
    for source in dataset_sources(context.suite, context.board.questions):
        if hub.repo_exists(Repo("dataset", source.repo)):
            pin = f"at {source.revision}" if source.revision else "at its newest commit: `steward suite pin` keeps one"
            yield Check("questions", "ok", f"The suite {context.suite.name} reads the dataset {source.repo} {pin}.")
        else:
            words = f"There is no dataset {source.repo} that workers may see: the suite {context.suite.name} reads it."
            fix = "Correct the suite's `datasets`, or get access; `steward suite check` tries all of the suite."
            yield Check("questions", "error", words, fix)


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
