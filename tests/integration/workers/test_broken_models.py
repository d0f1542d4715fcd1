"""Models broken on purpose, evaluated in sequence by a real worker: each ends with its cause, and the next one runs.

`make test` runs a bounded sample; STEWARD_ALL_DEATHS=1 runs all, and STEWARD_RECORD_DEATHS=FILE keeps the evidence.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pygit2
import pytest
import redis
import yaml
from huggingface_hub import CommitOperationAdd, HfApi

from leaderboard.attempts import Outcome, attempt_id
from leaderboard.suites import Suite, parse_suite
from localhub.testing import LocalHub
from redis_state.canaries import Canaries
from redis_state.jobs import EvaluationJob
from steward.valkey import Valkey
from tests.support.models.broken_models import BROKEN, FINE, Broken
from tests.support.workers.real_worker import QUESTIONS, SUITE
from tests.support.workers.recorded_failures import record_outcome
from tests.support.workers.worker_process import BOARD, TIER, AttemptQueue

SAMPLE = ("truncated", "missing-layers", "nan-weights", "template-raises", "pickles-only", "gated", "whole")
CHOSEN = [one for one in BROKEN if os.environ.get("STEWARD_ALL_DEATHS") or one.name in SAMPLE]
PATIENCE = 60.0
WORLD = {
    "users": [
        {"name": "worker", "tokens": [{"token": "hf_worker", "role": "write"}]},
        {"name": "ada", "tokens": [{"token": "hf_ada", "role": "write"}]},
    ],
    "orgs": [{"name": "trial-details", "members": {"worker": "admin"}}],
}


@dataclass(frozen=True)
class Death:
    """The end of the evaluation of one broken model, and the seconds since its claim."""

    outcome: Outcome
    log: str
    seconds: float

    @property
    def cause(self) -> str:
        return self.outcome.failure.cause if self.outcome.failure else FINE


@dataclass(frozen=True)
class BrokenModelRun:
    """A Hub with the quick suite's questions, a real worker, and its queue."""

    hub: LocalHub
    queue: AttemptQueue
    suite: Suite

    def upload(self, broken: Broken) -> str:
        """Upload the model and return the commit."""
        api, repo = HfApi(self.hub.url, "hf_ada"), f"ada/{broken.name}"
        if broken.state == "gone":
            return "e" * 40
        api.create_repo(repo)
        added = [CommitOperationAdd(name, data) for name, data in broken.files().items()]
        commit = api.create_commit(repo, added, commit_message="Upload").oid
        if broken.links:
            commit = self._link(repo, broken.links)
        if broken.state == "gated":
            api.update_repo_settings(repo, gated="manual")
        return commit

    def _link(self, repo: str, links: dict[str, str]) -> str:
        """Commit symbolic links, which only git can."""
        found = self.hub.state.repos.get("model", repo)
        assert found is not None
        git = pygit2.Repository(str(found.git.path))
        head = git.revparse_single("refs/heads/main").peel(pygit2.Commit)
        tree = git.TreeBuilder(head.tree)
        for name, target in links.items():
            tree.insert(name, git.create_blob(target.encode()), pygit2.enums.FileMode.LINK)
        ada = pygit2.Signature("ada", "ada@example.org")
        return str(git.create_commit("refs/heads/main", ada, ada, "Link", tree.write(), [head.id]))

    def job(self, broken: Broken, revision: str) -> EvaluationJob:
        path = f"ada/{broken.name}_eval_request_False_float32_Original.json"
        fields = {"precision": "float32", "weight_type": "Original", "revision": revision, **broken.asks}
        return EvaluationJob(
            board=BOARD,
            attempt=attempt_id(BOARD, path, fields["revision"], 1),
            path=path,
            model=f"ada/{broken.name}",
            suite=self.suite.name,
            suite_digest=self.suite.digest,
            **fields,
        )

    def judge(self, job: EvaluationJob) -> Death:
        """Grant the claim of the queued `job`, and wait for its end."""
        self.queue.reaches(job, "taken", seconds=PATIENCE)
        began = time.monotonic()
        self.queue.attempts.answer_claim(job.attempt, granted=True)
        outcome, log = self.queue.outcome(job, seconds=PATIENCE)
        return Death(outcome, log, time.monotonic() - began)


def upload_questions(hub: LocalHub) -> None:
    """Two questions, and one example."""
    rows = [{"input": f"{a} and {a}?", "target": "two" if a == 1 else "one"} for a in range(3)]
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    files = [{"split": split, "path": f"data/sums/{split}.jsonl"} for split in ("test", "fewshot")]
    card = f"---\n{yaml.safe_dump({'configs': [{'config_name': 'sums', 'data_files': files}]})}---\n".encode()
    contents = {"README.md": card, files[0]["path"]: b"".join(lines[:2]), files[1]["path"]: lines[2]}
    api = HfApi(hub.url, "hf_ada")
    api.create_repo(QUESTIONS, repo_type="dataset")
    added = [CommitOperationAdd(name, data) for name, data in contents.items()]
    api.create_commit(QUESTIONS, added, commit_message="Upload", repo_type="dataset")


@pytest.fixture(scope="module")
def stand(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokenModelRun]:
    """A Hub, a queue and a real worker; the test grants the claims."""
    folder = tmp_path_factory.mktemp("broken")
    with LocalHub(folder / "hub", WORLD) as hub, redis.Redis.from_url(valkey.url) as connection:
        connection.flushall()
        upload_questions(hub)
        suite = folder / "quick.yaml"
        suite.write_text(yaml.safe_dump(SUITE))
        worker = start_worker(folder, hub, valkey, suite)
        try:
            yield BrokenModelRun(hub, AttemptQueue(connection), parse_suite(suite.read_text()))
        finally:
            worker.kill()
            worker.wait()


def start_worker(folder: Path, hub: LocalHub, valkey: Valkey, suite: Path) -> subprocess.Popen[bytes]:
    """Start `steward work` as an operator does."""
    repos = {name: f"trial/{name}" for name in ("requests", "results", "logs", "community")}
    board = {"name": BOARD, "title": "Trial", "suite": str(suite)}
    (folder / "board.yaml").write_text(
        yaml.safe_dump({**board, "repos": {**repos, "details_namespace": "trial-details"}})
    )
    settings = {
        "STEWARD_BOARD": str(folder / "board.yaml"),
        "STEWARD_WORK_DIR": str(folder / "work"),
        "STEWARD_WORKER_TOKEN": "hf_worker",
        "STEWARD_TIERS": TIER,
        "STEWARD_STALL_SECONDS": "20",
        "REDIS_URL": valkey.url,
        "HF_ENDPOINT": hub.url,
        "OMP_NUM_THREADS": "1",
    }
    with (folder / "worker.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "steward.cli", "work"],
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


@pytest.fixture(scope="module")
def deaths(stand: BrokenModelRun) -> dict[str, Death]:
    """The ends of all chosen models, queued together for one worker."""
    began = time.monotonic()
    jobs = {one.name: stand.job(one, stand.upload(one)) for one in CHOSEN}
    for job in jobs.values():
        stand.queue.enqueue(job)
    found = {name: stand.judge(job) for name, job in jobs.items()}
    show(found, time.monotonic() - began)
    return found


def show(deaths: dict[str, Death], seconds: float) -> None:
    """Print the table, and record the evidence on request."""
    print(
        f"\n{len(deaths)} models in a row in {seconds:.0f} s\n{'model':<22}{'cause':<24}{'whose':<12}{'s':>5}  sentence"
    )
    for name, death in deaths.items():
        failure = death.outcome.failure
        fault, words = (failure.fault, failure.message) if failure else ("-", "evaluated and published")
        print(f"{name:<22}{death.cause:<24}{fault:<12}{death.seconds:>5.1f}  {words[:150]}")
        record_outcome(f"a model that is broken on purpose: {name}", death.outcome)


@pytest.mark.parametrize("broken", CHOSEN, ids=lambda one: one.name)
def test_a_broken_model_ends_in_its_cause(deaths: dict[str, Death], broken: Broken) -> None:
    """A broken model ends with its cause, nothing is published, and the next job runs."""
    death = deaths[broken.name]
    assert death.cause == broken.cause, death.log[-3000:]
    assert death.outcome.ok == (broken.cause == FINE)


def test_a_canary_lives_where_nothing_is_wrong(stand: BrokenModelRun, deaths: dict[str, Death]) -> None:
    """The built-in canary model passes the suite, and the attempt goes on."""
    canaries = Canaries(stand.queue.connection, stand.queue.keys, stand.suite.name)
    canaries.ask("weights-truncated")
    whole = next(one for one in BROKEN if one.name == "whole")
    revision = deaths["whole"].outcome.revision
    again = stand.job(whole, revision).model_copy(update={"attempt": attempt_id(BOARD, "again", revision, 1)})
    stand.queue.enqueue(again)
    assert stand.judge(again).cause == FINE
    verdict = canaries.verdict()
    assert verdict and (verdict.cause, verdict.died_of) == ("weights-truncated", "")
