"""`steward doctor` reports an error that prevents a check as the finding of that check."""

from __future__ import annotations

from typing import cast

import pytest
import redis

from bot.core.context import BoardContext
from bot.probe.process import ProbeDied, ProbeStarved
from bot.setup.doctor import agreement, examining
from hub.errors import Unreachable

ERRORS = [
    (Unreachable("The Hub does not answer."), "The Hub does not answer."),
    (ProbeStarved("the question about the predictions hardly got CPU time"), "hardly got CPU time."),
    (ProbeDied("the probe ended with status 1 before its first question"), "the probe ended with status 1"),
    (redis.ConnectionError("refused"), "the queue server does not answer (ConnectionError)."),
    (redis.TimeoutError("too slow"), "the queue server does not answer (TimeoutError)."),
    (redis.ResponseError("unknown command"), "unknown command"),
]


@pytest.mark.parametrize(("error", "words"), ERRORS)
def test_an_error_of_a_service_is_a_finding(monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
    """An error of the Hub, the probe or Redis becomes a finding with its reason and what to do, not a traceback."""

    def fail(_context: BoardContext) -> None:
        raise error

    monkeypatch.setattr(examining, "disagreements", fail)
    (check,) = agreement(cast(BoardContext, None))
    assert (check.name, check.state) == ("consistency", "error")
    assert words in check.words
    assert "run the doctor again" in check.mend.lower()
