"""RQ's alarm and what it must not interrupt."""

from __future__ import annotations

import signal

import pytest

from workers.jobs.rq_job import deferred_alarm


class WentOff(Exception):
    """Raised by the alarm's handler."""


@pytest.fixture
def alarm() -> object:
    """Install a handler that raises, as RQ's does; restore the old one afterwards."""

    def ring(_number: int, _frame: object) -> None:
        raise WentOff

    before = signal.signal(signal.SIGALRM, ring)
    yield ring
    signal.signal(signal.SIGALRM, before)


def test_an_alarm_inside_is_raised_right_after(alarm: object) -> None:
    """The block runs to its end; then the alarm's handler runs."""
    steps = []
    with pytest.raises(WentOff):
        with deferred_alarm():
            signal.raise_signal(signal.SIGALRM)
            steps.append("to its end")
        steps.append("never")
    assert steps == ["to its end"]
    assert signal.getsignal(signal.SIGALRM) is alarm


def test_without_an_alarm_nothing_is_raised(alarm: object) -> None:
    """An error inside the block passes through unchanged."""
    with deferred_alarm():
        pass
    with pytest.raises(ZeroDivisionError), deferred_alarm():
        _ = 1 / 0
    assert signal.getsignal(signal.SIGALRM) is alarm
