"""Models broken on purpose, evaluated in sequence by a real worker: each ends with its cause, and the next one runs.

`make test` runs the models of SAMPLE, `make long` the others; STEWARD_RECORD_DEATHS=FILE keeps the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pygit2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from leaderboard.attempts import Outcome, attempt_id
from leaderboard.suites import Suite
from localhub.testing import LocalHub
from redis_state.canaries import Canaries
from redis_state.jobs import EvaluationJob
from tests.support.long import long_except
from tests.support.models.broken_models import BROKEN, FINE, Broken
from tests.support.workers.real_worker import RealWorker
from tests.support.workers.recorded_failures import record_outcome
from tests.support.workers.worker_process import BOARD, AttemptQueue

SAMPLE = {
    "truncated",
    "nan-weights",
    "template-raises",
    "generation-object",
    "pickles-only",
    "gated",
    "whole",
}
PATIENCE = 60.0


@dataclass(frozen=True)
class Death:
    """The end of the evaluation of one broken model."""

    outcome: Outcome
    log: str

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
        """Queue `job`, grant its claim, and wait for its end."""
        self.queue.enqueue(job)
        self.queue.reaches(job, "taken", seconds=PATIENCE)
        self.queue.attempts.answer_claim(job.attempt, granted=True)
        return Death(*self.queue.outcome(job, seconds=PATIENCE))


@pytest.fixture(scope="module")
def stand(real_worker: RealWorker) -> BrokenModelRun:
    """A Hub, a real worker and its queue; the tests act as the bot, which only grants claims."""
    return BrokenModelRun(real_worker.hub, real_worker.queue, real_worker.suite)


@pytest.mark.parametrize(
    "broken", long_except(SAMPLE, BROKEN, "one of sixty models, each some seconds", lambda broken: broken.name)
)
def test_a_broken_model_ends_in_its_cause(stand: BrokenModelRun, broken: Broken) -> None:
    """A broken model ends with its cause, nothing is published, and the worker takes the next job."""
    death = stand.judge(stand.job(broken, stand.upload(broken)))
    record_outcome(f"a model that is broken on purpose: {broken.name}", death.outcome)
    assert death.cause == broken.cause, death.log[-3000:]
    assert death.outcome.ok == (broken.cause == FINE)


def test_a_canary_passes_and_the_attempt_goes_on(stand: BrokenModelRun) -> None:
    """If the bot asks for a canary, the built-in model passes the suite, and the attempt goes on."""
    canaries = Canaries(stand.queue.connection, stand.queue.keys, stand.suite.name)
    canaries.ask("weights-truncated")
    whole = next(broken for broken in BROKEN if broken.name == "whole")
    another = replace(whole, name="whole-again")
    assert stand.judge(stand.job(another, stand.upload(another))).cause == FINE
    verdict = canaries.verdict()
    assert verdict and (verdict.cause, verdict.died_of) == ("weights-truncated", "")
