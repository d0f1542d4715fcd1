"""A board of predictions: submissions by commit and by pull request, their scores, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bot.probe import Probe
from tests.support.board.predictions import PredictionsDriver, predictions, predictions_board


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[PredictionsDriver]:
    """A board that takes predictions."""
    with predictions_board(tmp_path, connection, probe) as made:
        yield made


def test_a_committed_file_is_scored_without_a_worker(stand: PredictionsDriver) -> None:
    """Its public part is scored and rounded; the request is FINISHED, and the row says that it is predictions."""
    path = stand.submit_predictions(predictions(public=7, private=2))
    file = stand.file(path)
    assert file["status"] == "FINISHED", file
    found = stand.results(path)
    assert found["results"] == {"colours": {"accuracy,none": 0.7}}
    assert found["steward"]["precision"] == "predictions"
