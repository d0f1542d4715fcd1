"""The heartbeat of an attempt continues after a beat fails."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from redis_state.attempts import AttemptProgress
from workers.errors import BoardUnreachable, CallRefused
from workers.jobs import attempt_heartbeat
from workers.jobs.attempt_heartbeat import AttemptHeartbeat
from workers.jobs.board_link import AttemptsLink

SECONDS = 20.0


class FailingAttempts:
    """A fake link to the bot whose first beats raise these errors."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.has_failed, self.may_go_on, self.has_beaten = threading.Event(), threading.Event(), threading.Event()

    def beat(self, attempt: str, progress: AttemptProgress, **_: Any) -> bool:
        """Raise the next error; when no error is left, accept the beat."""
        if self.errors:
            raise self.errors.pop(0)
        self.has_failed.set()
        self.may_go_on.wait(SECONDS)
        self.has_beaten.set()
        return True


@pytest.mark.parametrize("error", [RuntimeError("unexpected"), CallRefused("the phase is too long")])
def test_a_heartbeat_survives_an_unexpected_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The heartbeat thread beats again after an unexpected error, so that the attempt does not count as silent."""
    monkeypatch.setattr(attempt_heartbeat, "BEAT", 0.01)
    monkeypatch.setattr(attempt_heartbeat, "MIN_BEAT_SECONDS", 0.01)
    attempts = FailingAttempts(error)
    heartbeat = AttemptHeartbeat(lambda: cast(AttemptsLink, attempts), "a", worker="w", path="p")
    with heartbeat:
        assert attempts.has_failed.wait(SECONDS)
        assert heartbeat.refusal is (error if isinstance(error, CallRefused) else None)
        attempts.may_go_on.set()
        assert attempts.has_beaten.wait(SECONDS)
    assert heartbeat.refusal is None
    assert not heartbeat.cancelled


def test_a_bot_that_does_not_answer_any_more_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A beat that cannot reach the bot clears an earlier refusal, because the bot may accept the next beat."""
    monkeypatch.setattr(attempt_heartbeat, "BEAT", 0.01)
    monkeypatch.setattr(attempt_heartbeat, "MIN_BEAT_SECONDS", 0.01)
    attempts = FailingAttempts(CallRefused("the phase is too long"), BoardUnreachable("no route"))
    heartbeat = AttemptHeartbeat(lambda: cast(AttemptsLink, attempts), "a", worker="w", path="p")
    with heartbeat:
        assert attempts.has_failed.wait(SECONDS)
        assert heartbeat.refusal is None
        attempts.may_go_on.set()
