"""The supervisor of `steward up`, without real processes."""

from __future__ import annotations

import pytest

from redis_state.stopping import Stop
from steward import supervisor
from steward.supervisor import SupervisedProcess, Supervisor


def test_a_program_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a program cannot be started, as during an upgrade, the supervisor tries again later."""
    monkeypatch.setattr(supervisor, "FIRST_WAIT", 0.001)
    messages, stop = list[str](), Stop()

    def say(words: str) -> None:
        messages.append(words)
        if len(messages) == 2:
            stop.set()

    assert Supervisor([SupervisedProcess("sync", ["/no/such/program"], {})], say).run(stop) == 0
    assert all("sync cannot be started" in words and "it restarts in" in words for words in messages)


def test_a_process_may_die_any_number_of_times() -> None:
    """A process that died thousands of times is still restarted, after at most a minute."""
    messages = list[str]()
    part = SupervisedProcess("work", ["/no/such/program"], {}, deaths=5_000)
    Supervisor([part], messages.append)._start(part, 0.0)
    assert messages[0].endswith("it restarts in 60 s.")
