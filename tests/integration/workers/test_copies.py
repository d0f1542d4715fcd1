"""Data parallel: two copies of a child share the questions, and get the results of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.workers import evaluation_script
from tests.support.workers.real_worker import PATIENCE, RealWorker, real_worker, upload_questions
from workers.common.hub_access import HubAccess
from workers.common.run_plan import RunPlan
from workers.evaluation import data_parallel
from workers.evaluation.task_files import write_tasks
from workers.jobs.provisions import Provisions, TokenHubGateway
from workers.models.tiny_model import model
from workers.sandbox.stream import FailedMessage, StreamReader

CHILD = Path(evaluation_script.__file__)


@dataclass(frozen=True)
class Place:
    """The model and questions that children read, and the folder that they write to."""

    stand: RealWorker
    provisions: Provisions

    def run(self, **plans: dict[str, object]) -> subprocess.CompletedProcess[str]:
        """Run a child for each of `plans`, name → changes of the plan; its results go to a folder of that name."""
        orders = [self._order(name, changes) for name, changes in plans.items()]
        return subprocess.run(
            [sys.executable, str(CHILD), "run", *orders],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def _order(self, name: str, changes: dict[str, object]) -> str:
        spool = self.stand.folder / name
        spool.mkdir()
        ((repo, revision),) = self.provisions.questions.revisions.items()
        plan = RunPlan.model_validate(
            {
                "attempt": f"{'0' * 12}-{'0' * 8}-1",
                "model": "ada/tiny",
                "revision": "0" * 40,
                "model_path": self.provisions.model,
                "tasks": self.stand.suite.run,
                "task_folder": write_tasks(self.stand.suite, self.stand.folder / "tasks", repo=repo, revision=revision),
                "datasets": self.provisions.questions.folder,
                "spool": spool,
                "batch_size": 2,
                "suite": self.stand.suite.name,
                "suite_digest": self.stand.suite.digest,
                **changes,
            }
        )
        spool.with_suffix(".json").write_text(plan.model_dump_json())
        return str(spool.with_suffix(".json"))

    def found(self, name: str) -> tuple[object, list[dict[str, object]]]:
        """Results and samples, in the order of the questions."""
        results = json.loads((self.stand.folder / name / "results.json").read_text())["results"]
        lines = (self.stand.folder / name / "samples" / "quick_choose.jsonl").read_text().splitlines()
        return results, sorted(map(json.loads, lines), key=lambda sample: int(sample["doc_id"]))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A downloaded model and questions, without a worker."""
    with real_worker(tmp_path_factory.mktemp("copies")) as stand:
        upload_questions(stand)
        revision = stand.upload("ada/tiny", model())
        hub_gateway = TokenHubGateway(HubAccess(stand.hub.url, "hf_worker"), stand.suite, stand.folder / "work")
        yield Place(stand, hub_gateway.fetch(stand.job("ada/tiny", revision)))


def test_two_copies_find_what_one_finds(place: Place) -> None:
    """Two copies get the same scores and the same answer to each question as one child."""
    done = place.run(alone={}, together={"spread": "copies", "copies": 2})
    assert done.returncode == 0, done.stderr[-3000:]
    results, samples = place.found("alone")
    results_of_two, samples_of_two = place.found("together")
    assert results_of_two == results
    assert [sample["doc"] for sample in samples_of_two] == [sample["doc"] for sample in samples]
    assert [sample["filtered_resps"] for sample in samples_of_two] == [sample["filtered_resps"] for sample in samples]


DYING = """
import os, sys, time
from workers.evaluation import data_parallel

def body():
    raise ValueError("no room for rank " + os.environ["RANK"])

data_parallel.start_copies(3, on_cpu=True, body=body, stream=1)
time.sleep(60)
"""


def test_a_copy_that_dies_ends_all_and_one_says_why() -> None:
    """A copy that dies ends all copies, and one of them reports the error."""
    done = subprocess.run([sys.executable, "-c", DYING], capture_output=True, timeout=30, check=False)
    assert done.returncode == data_parallel.EXIT_FAILED
    (message,) = StreamReader().feed(b'{"kind":"started"}\n' + done.stdout, now=0.0)[1:]
    assert isinstance(message, FailedMessage)
    assert (message.type, message.text[:17]) == ("ValueError", "no room for rank ")
