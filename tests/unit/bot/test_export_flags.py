"""Which evaluations `steward export eee` leaves out, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from bot.core.context import BoardContext
from bot.results.every_eval_export import left_out_because
from leaderboard.evaluations import Evaluation, MeasuredResults
from leaderboard.predictions import PREDICTIONS
from leaderboard.requests import Request, parse_request
from leaderboard.scores import Scores

WEIGHTS, NOW, BEFORE = "e" * 64, "a" * 40, "b" * 40


def context() -> BoardContext:
    """A board on which another model with these weights is flagged, and the authors of `ada/shy` opted out."""

    def flags(_models: Sequence[str], weights: str) -> tuple[str, ...]:
        return ("flag",) if weights == WEIGHTS else ()

    def has_opted_out(models: Sequence[str]) -> bool:
        return models == ["ada/shy"]

    book = SimpleNamespace(scoped=lambda _models, _revision, _precision: (), has_opted_out=has_opted_out)
    return cast(BoardContext, SimpleNamespace(flags=flags, flag_book=book))


def evaluation(model: str, revision: str, precision: str = "") -> Evaluation:
    """An evaluation at `revision`, of a request whose newest commit has the weights of the flagged model."""
    facts = {"revision": NOW, "weights": WEIGHTS}
    path = f"{model}_eval_request_False_float16_Original.json"
    request = parse_request(path, json.dumps({"model": model, "status": "FINISHED", "steward": facts}).encode())
    assert isinstance(request, Request)
    measured = MeasuredResults(f"{model}/results_1.json", Scores((), 0.0), revision=revision, precision=precision)
    return Evaluation(request, measured)


@pytest.mark.parametrize(
    ("model", "revision", "precision", "reason"),
    [
        ("ada/copy", NOW, "", "the model is flagged"),
        ("ada/copy", BEFORE, "", ""),
        ("ada/shy", BEFORE, "", "the model's authors opted out"),
        ("ada/copy", BEFORE, PREDICTIONS, "it is of predictions, not of a model"),
    ],
)
def test_what_the_table_hides_is_not_exported(model: str, revision: str, precision: str, reason: str) -> None:
    """The export leaves out what the table hides; a flag that matches by weights covers the newest commit only."""
    assert left_out_because(context(), evaluation(model, revision, precision)) == reason
