"""Prefetching: while one attempt runs, the next model is downloaded from a real Hub to a bounded store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localhub.testing import LocalHub
from steward.testing.waiting import wait_until
from tests.support.workers.evaluation_inputs import MODEL, WORLD, access, upload
from tests.support.workers.real_worker import RealWorker
from tests.support.workers.worker_process import AttemptQueue, WorkerProcess, job
from workers.models import downloads
from workers.models.downloads import fetch_model, pin_model
from workers.models.tiny_model import model

Start = Callable[..., WorkerProcess]
WEIGHTS = os.urandom(300_000)


@contextmanager
def away(hub: LocalHub, route: str) -> Iterator[None]:
    """Make the Hub fail on `route` inside the block."""
    rules = [hub.state.faults.fail(f"{verb} {route}", times=None) for verb in ("GET", "HEAD")]
    try:
        yield
    finally:
        for rule in rules:
            hub.state.faults.remove(rule.id)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A Hub with large files in LFS."""
    with LocalHub(tmp_path_factory.mktemp("prefetch"), WORLD) as running:
        yield running


def test_a_readme_commit_costs_no_byte_of_weights(hub: LocalHub, tmp_path: Path) -> None:
    """A commit that changes only the README is available even if the weights cannot be downloaded."""
    files = {"config.json": b"{}", "model.safetensors": WEIGHTS, "README.md": b"# old"}
    first = fetch_model(MODEL, upload(hub, MODEL, files), access(hub), tmp_path)
    second = upload(hub, MODEL, {"README.md": b"# new", "config.json": b'{"new": 1}'})
    with away(hub, "*/resolve/*/model.safetensors"):
        folder = fetch_model(MODEL, second, access(hub), tmp_path)
    assert (folder / "config.json").read_bytes() == b'{"new": 1}'
    assert (folder / "model.safetensors").samefile(first / "model.safetensors")


def test_the_store_stays_within_its_bound(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of six models in a store for three, the newest and the pinned one stay."""
    monkeypatch.setattr(downloads, "RESERVED_BYTES", 0)
    most = 3 * 301_000
    commits = {}
    for name in "abcdef":
        content = {"config.json": b"{}", "model.safetensors": name.encode() * 300_000}
        commits[name] = upload(hub, f"ada/{name}", content)
    used = pin_model("ada/a", commits["a"], access(hub), tmp_path, max_bytes=most)
    for name in "bcdef":
        fetch_model(f"ada/{name}", commits[name], access(hub), tmp_path, max_bytes=most)
        assert sum(blob.stat().st_size for blob in (tmp_path / "blobs").iterdir()) <= most
    assert sorted(mark.parent.name for mark in tmp_path.glob("snapshots/*/*.complete")) == [
        "ada--a",
        "ada--e",
        "ada--f",
    ]
    assert (used.folder / "model.safetensors").read_bytes() == b"a" * 300_000


def test_the_next_model_is_downloaded_before_its_turn(real_worker: RealWorker) -> None:
    """While the first attempt waits for its claim, the worker downloads the second's model, which then needs no Hub."""
    stand = real_worker
    first, second = (
        stand.job(f"ada/{name}", stand.upload(f"ada/{name}", model(bos_token_id=i))) for i, name in enumerate("ab")
    )
    for queued in (first, second):
        stand.queue.enqueue(queued)
    stand.queue.reaches(first, "taken", seconds=90)
    store = stand.folder / "work" / "models" / "snapshots" / "ada--b"
    wait_until(lambda: (store / f"{second.revision}.complete").exists(), seconds=60)
    assert stand.queue.state(second) == "queued"
    with away(stand.hub, "/ada/b/resolve/*"):
        for queued in (first, second):
            outcome, _ = stand.end_of(queued)
            assert outcome.ok, outcome.failure


def test_a_download_ahead_ends_with_its_worker(bot: AttemptQueue, start_worker: Start) -> None:
    """A killed worker's prefetch ends with it, and the prefetched attempt stays in the queue."""
    worker = start_worker(download=30)
    first, second = job("slow"), job("fine")
    for queued in (first, second):
        bot.enqueue(queued)
    bot.reaches(first, "taken")
    wait_until(lambda: f"fetch {second.attempt}" in worker.hub_calls())
    worker.processes()
    worker.kill("worker")
    assert worker.nothing_left()
    assert bot.state(second) == "queued"
