"""The supervisor of `steward up`: it restarts processes that end, and stops all processes together."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from redis_state.stopping import Stop
from steward.exit_statuses import AWAY, MISCONFIGURED
from steward.supervisor import SupervisedProcess, Supervisor
from steward.testing.waiting import wait_until


def run(supervisor: Supervisor, stop: Stop) -> tuple[threading.Thread, list[int]]:
    """Run the supervisor in a thread, and return its exit status."""
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(supervisor.run(stop)))
    thread.start()
    return thread, ended


def test_a_killed_process_is_restarted_and_all_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process is restarted, and after a stop no process is left."""
    monkeypatch.setattr("steward.supervisor.FIRST_WAIT", 0.05)
    sleeper, messages, stop = (sys.executable, "-c", "import time; time.sleep(60)"), list[str](), Stop()
    supervisor = Supervisor([SupervisedProcess(name, sleeper, {}) for name in ("one", "two")], messages.append)
    thread, ended = run(supervisor, stop)
    try:
        wait_until(lambda: all(part.process for part in supervisor.parts))
        first = supervisor.parts[0].process
        assert first is not None
        first.kill()
        wait_until(lambda: supervisor.parts[0].process not in (None, first))
        assert messages == ["one ended with status -9; it restarts in 0 s."]
    finally:
        stop.set()
        thread.join(20)
    assert ended == [0]
    assert all(part.process is not None and part.process.poll() is not None for part in supervisor.parts)


@pytest.mark.parametrize("status", [MISCONFIGURED, AWAY])
def test_what_cannot_start_ends_everything_with_its_status(status: int) -> None:
    """A process that reports a wrong setting, or an unavailable service, at its start is not restarted."""
    messages: list[str] = []
    misconfigured = SupervisedProcess("serve", (sys.executable, "-c", f"raise SystemExit({status})"), {})
    assert Supervisor([misconfigured], messages.append).run(Stop()) == status
    assert messages == ["serve cannot start; correct the problem in its message above first."]


def test_what_ran_well_once_is_tried_again_whatever_it_says() -> None:
    """A process that ran for a day is restarted even if its exit status reports a wrong setting."""

    class Ended:
        """A process that has ended with this status."""

        def __init__(self, status: int) -> None:
            self.poll = lambda: status

    messages: list[str] = []
    supervisor = Supervisor([SupervisedProcess("sync", (), {})], messages.append)
    (part,) = supervisor.parts
    for now, status in ((86_400.0, 1), (86_402.0, 2)):
        part.process = Ended(status)  # type: ignore[assignment]
        assert supervisor._poll(part, now) == 0
        part.since = now
    assert messages[-1] == "sync ended with status 2; it restarts in 2 s."
