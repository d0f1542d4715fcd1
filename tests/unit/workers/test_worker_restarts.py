"""A worker whose Redis does not answer, or refuses writes, restarts its loop instead of ending."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis

from workers.jobs import worker as module


class UnluckyWorker:
    """A worker that fails until `errors` is empty, at its start or at its end, and is then asked to stop."""

    errors: list[tuple[str, redis.RedisError]]
    other_errors: list[OSError]

    def __init__(self, *_: object, **__: object) -> None:
        self.stopping = self.broken = False
        self._fail("start")

    def work(self, **_: object) -> None:
        """Fail as RQ's loop does at its end, or end as it does after any other error, or be asked to stop."""
        self._fail("end")
        if self.other_errors:
            self.other_errors.pop()
        else:
            self.stopping = True

    def leave(self) -> None:
        """Do nothing."""

    def _fail(self, when: str) -> None:
        if self.errors and self.errors[0][0] == when:
            raise self.errors.pop(0)[1]


def ran(monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[float]]:
    """Run a worker, and return its exit code and the pauses that it made."""
    pauses = list[float]()
    monkeypatch.setattr(module, "EvaluationWorker", UnluckyWorker)
    monkeypatch.setattr(module, "_connect", lambda _: None)
    monkeypatch.setattr(module, "_end_on_signals", lambda: None)
    monkeypatch.setattr(module, "report_isolation", lambda _: None)
    monkeypatch.setattr("time.sleep", pauses.append)
    zygote_client = SimpleNamespace(start=lambda: None, wait_until_ready=lambda: None)
    worker_context = SimpleNamespace(
        board=SimpleNamespace(name="board", workers=None), account="", worker="worker", zygote_client=zygote_client,
        settings=SimpleNamespace(tiers=("all",), redis_url="redis://nowhere"),
    )  # fmt: skip
    return module.run_worker(cast(Any, worker_context)), pauses


@pytest.mark.parametrize(
    ("when", "error"),
    [
        ("end", redis.ConnectionError("no answer")),
        ("start", redis.ConnectionError("no answer")),
        ("end", redis.ReadOnlyError("You can't write against a read only replica.")),
        ("end", redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")),
    ],
)
def test_a_worker_begins_anew(when: str, error: redis.RedisError, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an error of Redis, which ends RQ's loop, the worker pauses and starts the loop again."""
    UnluckyWorker.errors, UnluckyWorker.other_errors = [(when, error)], []
    assert ran(monkeypatch) == (0, [module.RESTART_SECONDS])
    assert UnluckyWorker.errors == []


def test_a_worker_that_cannot_go_on_does_not_try_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """If RQ's loop ends for another reason, such as a full disk, the worker pauses before it starts the loop again."""
    UnluckyWorker.errors, UnluckyWorker.other_errors = [], [OSError(errno.ENOSPC, "full")] * 3
    assert ran(monkeypatch) == (0, [module.RESTART_SECONDS] * 3)
