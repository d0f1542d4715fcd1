"""When an attempt stops using the answers of other machines."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from redis_state.jobs import EvaluationJob
from tests.support.workers.evaluation_inputs import plan
from workers.common.logs import BoundedLog
from workers.jobs.attempt_journals import AttemptJournals
from workers.jobs.journals import JournalStore
from workers.jobs.worker_context import WorkerContext
from workers.sandbox.stream import FailedMessage
from workers.sandbox.supervision import ChildExit

DIFFERS = FailedMessage(type="workers.errors.OfferedAnswersDiffer", text="a log-likelihood is 1 instead of 2")
OTHER = FailedMessage(type="workers.errors.NotANumber", text="nan")


@pytest.mark.parametrize(
    ("offered", "child_exit", "reason"),
    [
        (1, ChildExit(False, "evaluate", error=DIFFERS), "a log-likelihood is 1 instead of 2"),
        (1, ChildExit(False, "load", stopped="memory-limit"), "the child ended in the phase load"),
        (1, ChildExit(False, "start", signal=9), "the child ended in the phase start"),
        (1, ChildExit(False, "evaluate", error=OTHER), ""),  # the model's own failure
        (1, ChildExit(False, "load", stopped="cancelled"), ""),
        (1, ChildExit(True, "score"), ""),
        (0, ChildExit(False, "evaluate", error=DIFFERS), ""),  # and so never twice
        (0, ChildExit(False, "load", stopped="memory-limit"), ""),
    ],
)
def test_answers_of_other_machines_never_end_an_attempt(
    tmp_path: Path, offered: int, child_exit: ChildExit, reason: str
) -> None:
    """If they differ, or the child dies while it reads them, it runs again without them; the log says why."""
    log = BoundedLog()
    context: Any = SimpleNamespace()
    journals = AttemptJournals(cast(WorkerContext, context), cast(EvaluationJob, None), log, lambda: True)
    journals.held = JournalStore(tmp_path / "journals", 4 << 30).open("a" * 64, 1)
    assert journals.held is not None
    (journals.held.folder / "offered-00").touch()
    dropped = journals.drop_offered(plan(tmp_path).model_copy(update={"offered": offered}), child_exit)
    assert dropped == bool(reason) and reason in log.text()
    assert (journals.held.offered == ()) == dropped
    journals.release()
