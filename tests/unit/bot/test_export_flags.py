"""Which evaluations `steward export eee` leaves out as flagged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from bot.core.context import BoardContext
from bot.results.every_eval_export import _is_flagged
from leaderboard.evaluations import Evaluation, MeasuredResults
from leaderboard.requests import Request, parse_request
from leaderboard.scores import Scores

PATH = "ada/copy_eval_request_False_float16_Original.json"
WEIGHTS, NOW, BEFORE = "e" * 64, "a" * 40, "b" * 40


def context() -> BoardContext:
    """A board on which another model with these weights is flagged."""

    def flags(_models: Sequence[str], weights: str) -> tuple[str, ...]:
        return ("flag",) if weights == WEIGHTS else ()

    book = SimpleNamespace(scoped=lambda _models, _revision, _precision: ())
    return cast(BoardContext, SimpleNamespace(flags=flags, flag_book=book))


@pytest.mark.parametrize(("revision", "expected"), [(NOW, True), (BEFORE, False)])
def test_a_copy_of_flagged_weights_is_flagged_too(revision: str, expected: bool) -> None:
    """As on the leaderboard: the digest belongs to the newest commit, and an earlier one has other weights."""
    facts = {"revision": NOW, "weights": WEIGHTS}
    request = parse_request(PATH, json.dumps({"model": "ada/copy", "status": "FINISHED", "steward": facts}).encode())
    assert isinstance(request, Request)
    measured = MeasuredResults("ada/copy/results_1.json", Scores((), 0.0), revision=revision)
    assert _is_flagged(context(), Evaluation(request, measured)) is expected
