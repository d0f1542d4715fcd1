"""The board's private answers, read with the bot's token at the commit that the suite pins.

The memory of the process alone holds them: no key in Redis, no lasting file, no log and no message has one.
"""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.predictions.tables import Cell, cell_of
from hub.errors import BadRequest, Denied, NotFound, TooLarge
from hub.records import Repo
from leaderboard.prediction_scores import AnswerCells, AnswerKey, BadAnswers, answer_key
from leaderboard.predictions import MAX_BYTES, MAX_ROWS, PredictionRules, format_of


class AnswersUnusable(RuntimeError):
    """The board's answers cannot be read; the message says why, and quotes nothing of them."""


class NoPredictions(RuntimeError):
    """The board's suite takes no predictions."""


def rules_of(context: BoardContext) -> PredictionRules:
    """The suite's rules for predictions. Raises NoPredictions."""
    if context.suite.predictions is None:
        raise NoPredictions("the suite of this board takes no predictions")
    return context.suite.predictions


def load_answers(context: BoardContext) -> AnswerKey:
    """The board's answers. Two calls the first time in a process, then none. Raises AnswersUnusable and HubError."""
    known = context.answers_memory
    if known is not None and known[0] == context.suite.digest:
        return known[1]
    key = _read(context, rules_of(context))
    context.answers_memory = (context.suite.digest, key)
    return key


def _read(context: BoardContext, rules: PredictionRules) -> AnswerKey:
    source = rules.answers
    repo = Repo("dataset", source.repo)
    try:
        if not context.hub.is_private(repo):
            raise AnswersUnusable(f"the repo of the answers, {source.repo}, is public: make it private")
        file = context.hub.find_file(repo, source.file, source.revision, max_bytes=MAX_BYTES)
    except TooLarge:
        raise AnswersUnusable(f"{source.file} has more than {MAX_BYTES:,} bytes") from None
    except (NotFound, Denied, BadRequest):
        raise AnswersUnusable(f"the bot cannot read {source.repo} at {source.revision[:8]}") from None
    if file is None:
        raise AnswersUnusable(f"{source.repo} has no {source.file} at {source.revision[:8]}")
    columns = [rules.id, rules.answer, rules.split, *([rules.task] if rules.task else [])]
    cells = context.probe.predictions(file.data, format_of(source.file), columns, max_rows=MAX_ROWS)
    if cells.error or cells.bad_count:
        raise AnswersUnusable(f"{source.file} cannot be read as a table ({cells.error or 'predictions-lines'})")
    try:
        return answer_key([_answer_cells(row) for _, row in cells.rows], context.suite, rules)
    except BadAnswers as error:
        raise AnswersUnusable(f"{source.file} is not usable: {error}") from None


def _answer_cells(row: tuple[object, ...]) -> AnswerCells:
    id_cell, answer, part, *task = (cell_of(value) for value in row)
    named: Cell = task[0] if task else None
    return (id_cell, answer, part, named)
