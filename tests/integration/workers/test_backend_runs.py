"""The same requests through workers that take jobs from RQ, through Jobs on the Hub, and through Slurm: they end alike.

`make matrices` runs this with twenty requests (STEWARD_REQUESTS changes their number), Slurm only where it is there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.backends.hub_jobs import JobsPlatform
from bot.backends.slurm import SlurmPlatform
from bot.probe import Probe
from hub.client import Hub
from leaderboard.backends import CostLimits, JobsBackend, SlurmBackend
from leaderboard.tiers import TIERS
from localhub.jobs.runner import JobSettings
from tests.support.board.slurm_cluster import missing_for_slurm, slurm_cluster
from tests.support.sizes import WHOLE
from tests.support.workers.backend_board import BackendBoard, RequestEnd, backend_board
from tests.support.workers.real_worker import RealWorker, running_worker, upload_questions
from tests.support.workers.worker_process import BOARD

pytestmark = [
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(not WHOLE, reason="`make matrices` runs it"),
]
REQUESTS = int(os.environ.get("STEWARD_REQUESTS", "20"))
PATIENCE = 90.0 * REQUESTS
IMAGE = "steward"
LEFT_OUT = ("REDIS_URL", "STEWARD_BOARD", "STEWARD_TIERS")
"""Settings of a worker with Redis that a run of a backend does without."""


@pytest.fixture(scope="module")
def with_rq(tmp_path_factory: pytest.TempPathFactory, probe: Probe) -> dict[str, RequestEnd]:
    """How the requests end with a worker that takes jobs from RQ."""
    folder = tmp_path_factory.mktemp("rq")
    with _stand(folder) as stand:
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
    """Good, private, refused and dying models: the same status, cause and scores; one job for each attempt."""
    with slurm_cluster(tmp_path_factory.mktemp("slurm")) as cluster, _stand(tmp_path) as stand:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        exports = "\n".join(f"export {name}={value}" for name, value in _own_settings(stand).items())
        template = tmp_path / "attempt.sbatch"
        command = f'exec {sys.executable} -m steward.cli work --once "$STEWARD_ATTEMPT"'
        template.write_text(f"#!/bin/bash\n#SBATCH --ntasks=1\n{exports}\ncd {Path.cwd()}\n{command}\n")
        spool = tmp_path / "cluster"
        backend = SlurmBackend(kind="slurm", template=str(template), spool=str(spool), parallel=2)
        platforms = {tier: SlurmPlatform(backend, BOARD, tier, spool) for tier in TIERS}
        with backend_board(stand, tmp_path, probe, dict.fromkeys(TIERS, backend), platforms) as board:
            assert board.ends(board.submit(REQUESTS), PATIENCE) == with_rq
            _each_attempt_ran_once(board)


def test_requests_end_through_jobs_as_through_rq(with_rq: dict[str, RequestEnd], tmp_path: Path, probe: Probe) -> None:
    """The same through Jobs on the Hub, whose workers have neither Redis nor a board file; their costs add up."""
    with _stand(tmp_path) as stand:
        image = tmp_path / "image"
        image.mkdir()
        exports = "\n".join(f"export {name}={value}" for name, value in _own_settings(stand).items())
        program = image / "steward"
        program.write_text(f'#!/bin/bash\n{exports}\ncd {Path.cwd()}\nexec {sys.executable} -m steward.cli "$@"\n')
        program.chmod(0o755)
        stand.hub.state.jobs.configure(JobSettings(images={IMAGE: [str(image)]}, parallel=2))
        costs = CostLimits(hourly=2.5, by_day=10_000)
        backend = JobsBackend(kind="jobs", namespace="trial", flavor="a100-large", image=IMAGE, parallel=2, costs=costs)
        with Hub(stand.hub.url, "hf_ada") as hub:
            platforms = {tier: JobsPlatform(hub, backend, BOARD, tier, "hf_worker") for tier in TIERS}
            with backend_board(stand, tmp_path, probe, dict.fromkeys(TIERS, backend), platforms) as board:
                assert board.ends(board.submit(REQUESTS), PATIENCE) == with_rq
                _each_attempt_ran_once(board)


@contextmanager
def _stand(folder: Path) -> Iterator[RealWorker]:
    with running_worker(folder) as stand:
        upload_questions(stand)
        yield stand


def _own_settings(stand: RealWorker) -> dict[str, str]:
    """The settings of a worker of this Hub that differ from the environment, without what a backend's run lacks."""
    return {
        name: value
        for name, value in stand.settings().items()
        if os.environ.get(name) != value and name not in LEFT_OUT
    }


def _each_attempt_ran_once(board: BackendBoard) -> None:
    """Every attempt had one run, and what the runs cost is known."""
    runs = [run for tier in TIERS for run in board.context.backend_runs.read(tier)]
    attempts = [run.attempt for run in runs]
    assert len(attempts) == len(set(attempts)) >= REQUESTS // 2
    assert all(run.started for run in runs)
