"""What a worker does if the bot refuses its calls, or if its heartbeats fail or would come too late."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest
from rq.job import Job

from workers.common.devices import Device
from workers.errors import CallRefused
from workers.evaluation import machine
from workers.jobs import once
from workers.jobs.attempt import AttemptRun
from workers.jobs.background_call import AttemptStopped
from workers.jobs.once import TakenAttempt
from workers.jobs.rq_worker import EvaluationWorker
from workers.jobs.zygote_starter import ZygoteStarter
from workers.settings import WorkerSettings


def run_with(*, refusal: CallRefused | None, cancelled: bool = False, stopping: bool = False) -> AttemptRun:
    """An attempt whose last successful beat was long ago."""
    run = AttemptRun.__new__(AttemptRun)
    run.attempt_heartbeat = cast(Any, SimpleNamespace(silence=lambda: 1e6, refusal=refusal, cancelled=cancelled))
    run.worker_context = cast(Any, SimpleNamespace(stopping=lambda: stopping))
    return run


def test_an_attempt_whose_beats_are_refused_does_not_wait_for_one() -> None:
    """If the bot refuses an attempt's beats, the worker raises the refusal and does not wait for a successful beat."""
    with pytest.raises(CallRefused, match="the phase is too long"):
        run_with(refusal=CallRefused("the phase is too long"))._confirm_current()


@pytest.mark.parametrize(
    ("cancelled", "stopping", "reason"), [(True, False, "cancelled"), (False, True, "handed-back")]
)
def test_a_wait_ends_with_its_attempt(*, cancelled: bool, stopping: bool, reason: str) -> None:
    """A publication that waits for the Hub stops with the worker, and when the request is cancelled."""
    with pytest.raises(AttemptStopped, match=reason):
        run_with(refusal=None, cancelled=cancelled, stopping=stopping)._wait(60.0)


def test_an_attempt_that_the_bot_refuses_is_not_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker does not hand back an attempt that the bot refuses: the next worker would evaluate it in vain."""
    handed_back: list[str] = []

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise CallRefused("too large")

    monkeypatch.setattr(once, "open_worker_context", refuse)
    monkeypatch.setattr(once, "_hand_back", lambda *_: handed_back.append("attempt"))
    link = SimpleNamespace(worker="w", is_refused=False)
    taken = cast(TakenAttempt, SimpleNamespace(link=link, board=None, suite=None, job=None, seconds=1.0))
    with pytest.raises(CallRefused):
        once._run(cast(WorkerSettings, None), taken, cast(Any, None), None)
    assert handed_back == []


def test_a_job_goes_on_when_its_worker_cannot_beat() -> None:
    """An unexpected error of the worker's heartbeat does not end the running job."""

    def fail(**_: Any) -> NoReturn:
        raise RuntimeError("unexpected")

    worker = EvaluationWorker.__new__(EvaluationWorker)
    worker.worker_heartbeat = cast(Any, SimpleNamespace(announce=fail))
    worker.maintain_heartbeats(cast(Job, SimpleNamespace(id="job")), None)


def test_a_worker_beats_while_its_libraries_load() -> None:
    """The worker sends heartbeats while its libraries load, which can take minutes, so that it keeps its job."""
    announced = list[str]()
    loads = SimpleNamespace(alive=lambda: True, wait_until_ready=lambda stop: [stop() for _ in range(3)])
    worker = EvaluationWorker.__new__(EvaluationWorker)
    worker.zygote_starter = ZygoteStarter(cast(Any, SimpleNamespace(zygote_client=loads)), cast(Any, None))
    worker.worker_heartbeat = cast(Any, SimpleNamespace(announce=lambda doing: announced.append(doing)))
    worker.stop_asked = None
    assert worker._zygote_is_ready(doing="attempt")
    assert announced == ["attempt"] * 3


def test_a_machine_with_many_kinds_of_gpus_has_a_bounded_description() -> None:
    """The description of a machine's devices has at most 200 characters, the limit in records and results."""
    devices = [
        Device(number, f"GPU-{number}", f"NVIDIA RTX {number:04} Ada Generation", 1 << 30) for number in range(16)
    ]
    description = machine.description(devices)
    assert len(description) <= 200
    assert description.startswith("1 x NVIDIA RTX 0000") and description.endswith("GiB)")
    assert machine.description(devices[:1]).startswith("1 x NVIDIA RTX 0000 Ada Generation (")
