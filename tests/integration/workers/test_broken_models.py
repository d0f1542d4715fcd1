"""Models broken on purpose, evaluated in sequence by a real worker: each ends with its cause, and the next one runs.

`make test` runs a bounded sample; STEWARD_ALL_DEATHS=1 runs all, and STEWARD_RECORD_DEATHS=FILE keeps the evidence.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import pygit2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from leaderboard.attempts import Outcome, attempt_id
from leaderboard.suites import Suite
from localhub.testing import LocalHub
from redis_state.canaries import Canaries
from redis_state.jobs import EvaluationJob
from tests.support.models.broken_models import BROKEN, FINE, Broken
from tests.support.workers.real_worker import RealWorker
from tests.support.workers.recorded_failures import record_outcome
from tests.support.workers.worker_process import BOARD, AttemptQueue

SAMPLE = (
    "truncated",
    "nan-weights",
    "template-raises",
    "generation-object",
    "pickles-only",
    "gated",
    "whole",
)
CHOSEN = [broken for broken in BROKEN if os.environ.get("STEWARD_ALL_DEATHS") or broken.name in SAMPLE]
PATIENCE = 60.0


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
        repo_of_model = self.hub.state.repos.get("model", repo)
        assert repo_of_model is not None
        git = pygit2.Repository(str(repo_of_model.git.path))
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


@pytest.fixture(scope="module")
def stand(real_worker: RealWorker) -> BrokenModelRun:
    """A Hub, a real worker and its queue; the tests act as the bot, which only grants claims."""
    return BrokenModelRun(real_worker.hub, real_worker.queue, real_worker.suite)


@pytest.fixture(scope="module")
def deaths(stand: BrokenModelRun) -> dict[str, Death]:
    """The ends of all chosen models, queued together for one worker."""
    began = time.monotonic()
    jobs = {broken.name: stand.job(broken, stand.upload(broken)) for broken in CHOSEN}
    for job in jobs.values():
        stand.queue.enqueue(job)
    outcomes = {name: stand.judge(job) for name, job in jobs.items()}
    show(outcomes, time.monotonic() - began)
    return outcomes


def show(deaths: dict[str, Death], seconds: float) -> None:
    """Print how all evaluations ended, and record the evidence if STEWARD_RECORD_DEATHS is set."""
    print(
        f"\n{len(deaths)} models in a row in {seconds:.0f} s\n{'model':<22}{'cause':<24}{'whose':<12}{'s':>5}  sentence"
    )
    for name, death in deaths.items():
        failure = death.outcome.failure
        fault, words = (failure.fault, failure.message) if failure else ("-", "evaluated and published")
        print(f"{name:<22}{death.cause:<24}{fault:<12}{death.seconds:>5.1f}  {words[:150]}")
        record_outcome(f"a model that is broken on purpose: {name}", death.outcome)


@pytest.mark.parametrize("broken", CHOSEN, ids=lambda broken: broken.name)
def test_a_broken_model_ends_in_its_cause(deaths: dict[str, Death], broken: Broken) -> None:
    """A broken model ends with its cause, nothing is published, and the next job runs."""
    death = deaths[broken.name]
    assert death.cause == broken.cause, death.log[-3000:]
    assert death.outcome.ok == (broken.cause == FINE)


def test_a_canary_passes_and_the_attempt_goes_on(stand: BrokenModelRun, deaths: dict[str, Death]) -> None:
    """If the bot asks for a canary, the built-in model passes the suite, and the attempt goes on."""
    canaries = Canaries(stand.queue.connection, stand.queue.keys, stand.suite.name)
    canaries.ask("weights-truncated")
    whole = next(broken for broken in BROKEN if broken.name == "whole")
    revision = deaths["whole"].outcome.revision
    again = stand.job(whole, revision).model_copy(update={"attempt": attempt_id(BOARD, "again", revision, 1)})
    stand.queue.enqueue(again)
    assert stand.judge(again).cause == FINE
    verdict = canaries.verdict()
    assert verdict and (verdict.cause, verdict.died_of) == ("weights-truncated", "")
