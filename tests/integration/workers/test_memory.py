"""Memory and disk limits of an evaluation's child process: retries with smaller batches, a bound on written bytes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.workers.worker_process import AttemptQueue, WorkerProcess, job

Start = Callable[..., WorkerProcess]


def test_out_of_memory_is_tried_again_with_smaller_batches(bot: AttemptQueue, start_worker: Start) -> None:
    """If a child runs out of memory, the worker halves the batch size until it fits, and logs each retry."""
    asked, worker = job("hungry"), start_worker(STEWARD_BATCH_SIZE="4")
    bot.enqueue(asked)
    bot.grant(asked)
    outcome, _ = bot.outcome(asked)
    assert outcome.ok, outcome.failure
    log = (worker.folder / "published.log").read_text()
    assert "with batch size 4; it runs again with 2" in log
    assert "with batch size 2; it runs again with 1" in log
    assert "pid" in json.loads((worker.folder / "published.json").read_text())


@pytest.mark.long("a second of a processor")
def test_the_last_retry_computes_with_the_harness(bot: AttemptQueue, start_worker: Start) -> None:
    """If the shared-prefix engine runs out of memory with batch size 1, the worker retries with the harness alone."""
    asked, worker = job("frugal"), start_worker(engine="shared-prefix", STEWARD_BATCH_SIZE="1")
    bot.enqueue(asked)
    bot.grant(asked)
    outcome, _ = bot.outcome(asked)
    assert outcome.ok, outcome.failure
    assert "with batch size 1; it runs again with 1" in (worker.folder / "published.log").read_text()
    assert json.loads((worker.folder / "published.json").read_text()) == {"batch_size": 1}


def test_a_model_that_is_larger_than_the_machine_is_not_begun(bot: AttemptQueue, start_worker: Start) -> None:
    """A model too large for the machine fails before it is loaded, with both sizes in the message."""
    worker = start_worker(STEWARD_MEMORY_BYTES="1000000")
    (worker.folder / "model").mkdir()
    (worker.folder / "model" / "model.safetensors").write_bytes(bytes(4_000_000))
    asked = job("fine")
    bot.enqueue(asked)
    bot.grant(asked)
    outcome, _ = bot.outcome(asked)
    assert outcome.failure and outcome.failure.cause == "out-of-memory"
    assert "its weights take 0.0 GB" in outcome.failure.message


def test_a_child_that_writes_too_many_small_files_is_stopped(bot: AttemptQueue, start_worker: Start) -> None:
    """A child that writes too many bytes in total is killed, even if each file is small."""
    asked, _ = job("littering"), start_worker(STEWARD_SPOOL_BYTES=str(20 << 20))
    bot.enqueue(asked)
    bot.grant(asked)
    outcome, _ = bot.outcome(asked)
    assert outcome.failure and outcome.failure.cause == "file-limit"
