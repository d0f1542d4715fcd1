"""The kinds of submissions that a board takes: models, predictions or both. Pages, answers and forms name no others."""

from __future__ import annotations

from dataclasses import dataclass

from leaderboard.boards import Board
from leaderboard.prediction_submissions import models_problem
from leaderboard.suites import Suite


@dataclass(frozen=True)
class SubmissionKinds:
    """Whether a board takes models and predictions, and which options they have."""

    models: bool = True
    predictions: bool = False
    seasons: bool = False
    """Whether predictions have seasons."""
    chat_templates: bool = True
    """Whether a request may ask for a model's chat template: an evaluator that needs none does not use it."""


MODELS_ALONE = SubmissionKinds()
"""A board of models that lm-eval evaluates."""


def submission_kinds(board: Board, suite: Suite) -> SubmissionKinds:
    """Return the kinds of submissions that `board` takes, whose suite is `suite`."""
    rules, evaluator = suite.predictions, suite.evaluator
    models = models_problem(board.precisions, takes_predictions=rules is not None) is None
    return SubmissionKinds(
        models=models,
        predictions=rules is not None,
        seasons=rules is not None and bool(rules.seasons),
        chat_templates=models and (evaluator is None or evaluator.needs.chat_template),
    )
