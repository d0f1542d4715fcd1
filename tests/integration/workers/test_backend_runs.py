"""The same requests through workers that take jobs from RQ, through Jobs on the Hub, and through Slurm: they end alike.

Slurm is used only if it is installed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.probe import Probe
from leaderboard.backend_settings import CostLimits, JobsBackend
from leaderboard.tiers import TIERS
from steward.testing.waiting import wait_until
from tests.support.board.slurm_cluster import missing_for_slurm, slurm_cluster
from tests.support.workers.backend_board import (
    IMAGE,
    BackendBoard,
    RequestEnd,
    backend_board,
    backend_stand,
    jobs_platforms,
    slurm_platforms,
)

pytestmark = [
    pytest.mark.timeout(1_800),
    pytest.mark.long("twenty requests by real jobs"),
]
REQUESTS = 20
PATIENCE = 90.0 * REQUESTS


@pytest.fixture(scope="module")
def with_rq(tmp_path_factory: pytest.TempPathFactory, probe: Probe) -> dict[str, RequestEnd]:
    """How the requests end with a worker that takes jobs from RQ."""
    folder = tmp_path_factory.mktemp("rq")
    with backend_stand(folder) as stand:
        stand.start_worker(STEWARD_TIERS="all")
        with backend_board(stand, folder, probe, {}, {}) as board:
            ends = board.ends(board.submit(REQUESTS), PATIENCE)
    assert {end.status for end in ends.values()} == {"FINISHED", "FAILED"}
    return ends


@pytest.mark.skipif(bool(missing_for_slurm()), reason=missing_for_slurm())
def test_requests_end_through_slurm_as_through_rq(
    with_rq: dict[str, RequestEnd],
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    probe: Probe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Requests that run as Slurm jobs get the same status, cause and scores as with RQ; each attempt has one job."""
    with slurm_cluster(tmp_path_factory.mktemp("slurm")) as cluster, backend_stand(tmp_path) as stand:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        backend, platforms = slurm_platforms(stand, tmp_path)
        with backend_board(stand, tmp_path, probe, dict.fromkeys(TIERS, backend), platforms) as board:
            assert board.ends(board.submit(REQUESTS), PATIENCE) == with_rq
            _each_attempt_ran_once(board)


def test_requests_end_through_jobs_as_through_rq(with_rq: dict[str, RequestEnd], tmp_path: Path, probe: Probe) -> None:
    """Requests that run as Jobs on the Hub get the same status, cause and scores as with RQ, by one Job per attempt."""
    with backend_stand(tmp_path) as stand:
        costs = CostLimits(hourly=2.5, by_day=10_000)
        backend = JobsBackend(kind="jobs", namespace="trial", flavor="a100-large", image=IMAGE, parallel=2, costs=costs)
        with (
            jobs_platforms(stand, tmp_path, backend) as platforms,
            backend_board(stand, tmp_path, probe, dict.fromkeys(TIERS, backend), platforms) as board,
        ):
            assert board.ends(board.submit(REQUESTS), PATIENCE) == with_rq
            _each_attempt_ran_once(board)


def test_a_mounted_model_is_evaluated_without_a_download(tmp_path: Path, probe: Probe) -> None:
    """A Job's worker reads the weights from a mounted volume, while the Hub refuses to serve them."""
    with backend_stand(tmp_path) as stand:
        backend = JobsBackend(kind="jobs", namespace="trial", flavor="a100-large", image=IMAGE, mount_models=True)
        with (
            jobs_platforms(stand, tmp_path, backend) as platforms,
            backend_board(stand, tmp_path, probe, dict.fromkeys(TIERS, backend), platforms) as board,
        ):
            paths = board.submit_good(1)
            wait_until(board.runs, seconds=PATIENCE)
            for method in ("GET", "HEAD"):
                stand.hub.state.faults.fail(f"{method} */resolve/*/model.safetensors", times=None)
            ends = board.ends(paths, PATIENCE)
            assert [end.status for end in ends.values()] == ["FINISHED"]


def _each_attempt_ran_once(board: BackendBoard) -> None:
    """Check that every attempt had one run, whose start is recorded."""
    runs = board.runs()
    attempts = [run.attempt for run in runs]
    assert len(attempts) == len(set(attempts)) >= REQUESTS // 2
    assert all(run.started for run in runs)
