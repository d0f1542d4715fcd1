"""A real worker is killed in the middle of a real evaluation: the next attempt, on this machine or another one,
computes only the rest.

`make test` kills one worker halfway; `make long` kills workers at every tenth of an evaluation, with both engines,
and also continues on another machine.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import HfApi

from leaderboard.attempts import Outcome
from leaderboard.details import table_path
from redis_state.jobs import EvaluationJob
from steward.testing.waiting import wait_until
from tests.support.workers.real_worker import PATIENCE, QUESTIONS, SUITE, RealWorker, running_worker
from tests.support.workers.worker_process import HERE
from workers.evaluation.shared_prefix.journal import AnswerJournal
from workers.models.tiny_model import model

pytestmark = pytest.mark.timeout(900)
SETTINGS = {
    "STEWARD_HARNESS": "resume_trial_harness",
    "STEWARD_PRELOAD": "",
    "STEWARD_BATCH_SIZE": "4",
    "STEWARD_GRACE_SECONDS": "2",
    "STEWARD_SHARE_SECONDS": "0.2",
    "PYTHONPATH": str(HERE),
}
TENTHS = [5, *(pytest.param(tenth, marks=pytest.mark.long("killed at another tenth")) for tenth in range(1, 10))]


@dataclass(frozen=True)
class Evaluation:
    """What an attempt published: its scores and the answer to every question, and its number of forward passes."""

    scores: dict[str, Any]
    answers: dict[str, list[Any]]
    passes: int


@dataclass
class Stand:
    """A worker that tests may kill, and an undisturbed evaluation."""

    worker: RealWorker
    whole: Evaluation

    def start(self) -> None:
        """Start the worker, unless it runs."""
        process = self.worker.worker
        if process is None or process.poll() is not None:
            self.worker.start_worker(**SETTINGS)

    def job(self, name: str, number: int) -> EvaluationJob:
        """A job for the tiny model, which is uploaded under this name."""
        return self.worker.job(f"ada/{name}", self.worker.upload(f"ada/{name}", model()), number)

    def interrupt(self, job: EvaluationJob, number: signal.Signals, also: Callable[[], bool] = lambda: True) -> None:
        """Run `job` until its model hangs, and `also` is true; then end the worker by a signal."""
        self.start()
        process = self.worker.worker
        assert process is not None
        self.worker.queue.enqueue(job)
        self.worker.queue.reaches(job, "taken", seconds=PATIENCE)
        self.worker.queue.attempts.answer_claim(job.attempt, granted=True)
        wait_until((self.worker.folder / "work/slots/0/attempt/spool/hanging").exists, seconds=PATIENCE)
        wait_until(also, seconds=PATIENCE)
        process.send_signal(number)
        process.wait(30)

    def run(self, job: EvaluationJob) -> tuple[Outcome, Evaluation, str]:
        """Run `job` to its end."""
        self.start()
        self.worker.queue.enqueue(job)
        outcome, log = self.worker.end_of(job)
        assert outcome.ok, log
        return outcome, evaluation(self.worker, outcome, log), log

    def journals(self) -> list[Path]:
        """The journals on the worker's disk."""
        return sorted((self.worker.folder / "work" / "journals").glob("*/0"))


def evaluation(worker: RealWorker, outcome: Outcome, log: str) -> Evaluation:
    """What the attempt of `outcome` published."""
    results = worker.results(outcome)
    assert outcome.details is not None
    time = outcome.details.results_path.removeprefix("results_").removesuffix(".json")
    answers = {}
    for task in results["configs"]:
        file = worker.folder / "table.parquet"
        file.write_bytes(worker.read(outcome, table_path(task, time)))
        answers[task] = pq.read_table(file).to_pylist()
    return Evaluation(results["results"], answers, int(re.findall(r"(\d+) passes", log)[-1]))


def questions() -> dict[str, bytes]:
    """A hundred sums and one example, in the format of the suite of a dozen questions."""
    rows = [{"input": f"{a} + {b}?", "target": "two" if (a + b) % 2 else "one"} for a in range(20) for b in range(5)]
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    files = [{"split": split, "path": f"data/sums/{split}.jsonl"} for split in ("test", "fewshot")]
    card = yaml.safe_dump({"configs": [{"config_name": "sums", "data_files": files}]})
    return {
        "README.md": f"---\n{card}---\n".encode(),
        "data/sums/test.jsonl": b"".join(lines[1:]),
        "data/sums/fewshot.jsonl": lines[0],
    }


@pytest.fixture(
    scope="module",
    params=[
        "shared-prefix",
        pytest.param("harness", marks=pytest.mark.long("a second worker")),
    ],
)
def stand(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A worker of a board with each engine."""
    folder = tmp_path_factory.mktemp(request.param)
    with running_worker(folder, engine=request.param) as worker:
        worker.upload(QUESTIONS, questions(), "dataset")
        stand = Stand(worker, Evaluation({}, {}, 0))
        outcome, stand.whole, _ = stand.run(stand.job("whole", 1))
        assert not outcome.replayed and stand.journals() == []
        assert set(stand.whole.answers) == {benchmark["source"] for benchmark in SUITE["benchmarks"]}
        yield stand


@pytest.mark.parametrize("tenth", TENTHS)
def test_a_worker_that_is_killed_continues_the_evaluation(stand: Stand, tenth: int) -> None:
    """After kill -9 the next attempt computes only the rest; scores and answers equal those of an undisturbed run."""
    killed_at = max(8, stand.whole.passes * tenth // 10)
    job = stand.job(f"killed-{killed_at}", 1)
    stand.interrupt(job, signal.SIGKILL)
    (journal,) = stand.journals()
    assert journal.stat().st_size > 200
    outcome, second, log = stand.run(stand.job(f"killed-{killed_at}", 2))
    assert (second.scores, second.answers) == (stand.whole.scores, stand.whole.answers)
    # a batch, a path of the tree, a sample and the engine's trial of the model may be computed twice
    assert killed_at + second.passes <= 1.05 * stand.whole.passes + 16
    assert outcome.replayed and f"{outcome.replayed} answers came from the journal" in log
    assert stand.journals() == []


def details_repo(job: EvaluationJob) -> str:
    """The details repo of the job's model."""
    return f"trial-details/details_{job.model.replace('/', '__')}"


def branches(stand: Stand, job: EvaluationJob) -> list[str]:
    """The branches with answers in the details repo of the job's model; none if there is no such repo."""
    repo = details_repo(job)
    api = HfApi(stand.worker.hub.url, "hf_worker")
    if not api.repo_exists(repo, repo_type="dataset"):
        return []
    refs = api.list_repo_refs(repo, repo_type="dataset")
    return [branch.name for branch in refs.branches if branch.name.startswith("steward-answers-")]


def rounded(rows: list[Any]) -> list[Any]:
    """The rows of a table of answers, with log-likelihoods rounded to the digits in which machines agree."""
    number = re.compile(r"-?\d+\.\d+(e-\d+)?")
    return [
        {
            name: number.sub(lambda match: f"{float(match[0]):.3f}", value) if isinstance(value, str) else value
            for name, value in row.items()
        }
        for row in rows
    ]


@pytest.mark.long("one more worker imports the harness; test_answer_branches reads such answers")
@pytest.mark.parametrize("tenth", TENTHS)
def test_another_machine_continues_the_evaluation(stand: Stand, tenth: int, tmp_path: Path) -> None:
    """After kill -9 another machine continues from the uploaded answers, and gets the same scores."""
    killed_at = max(24, stand.whole.passes * tenth // 10)
    name = f"slow-{killed_at}"
    job = stand.job(name, 1)
    stand.interrupt(job, signal.SIGKILL, also=lambda: bool(branches(stand, job)))
    (branch,) = branches(stand, job)
    assert branch.startswith(f"steward-answers-{job.attempt.partition('-')[0]}-")
    stand.worker.start_worker(**SETTINGS, STEWARD_WORK_DIR=str(tmp_path))
    outcome, second, log = stand.run(stand.job(name, 2))
    stand.worker.stop_worker()
    assert second.scores == stand.whole.scores
    assert {task: rounded(rows) for task, rows in second.answers.items()} == {
        task: rounded(rows) for task, rows in stand.whole.answers.items()
    }
    assert f"{outcome.replayed} answers came from another machine" in log
    assert outcome.replayed >= 20 and second.passes < stand.whole.passes
    assert branches(stand, job) == []


def forge(stand: Stand, job: EvaluationJob, folder: Path) -> None:
    """Change every answer in the branch of `job`, with right checksums, by the workers' account."""
    api, (branch,) = HfApi(stand.worker.hub.url, "hf_worker"), branches(stand, job)
    repo: dict[str, Any] = {"repo_id": details_repo(job), "repo_type": "dataset", "revision": branch}
    parts = sorted(file for file in api.list_repo_files(**repo) if file.endswith(".bin"))
    data = b"".join(Path(api.hf_hub_download(filename=part, **repo)).read_bytes() for part in parts)
    source, target = folder / "source", folder / "target"
    source.write_bytes(data)
    identity = data.split(b"\n")[0].decode().split(" ")[2]
    with source.open("rb") as before, target.open("a+b") as after:
        answers = AnswerJournal(before.fileno(), identity, is_writable=False)
        forged = AnswerJournal(after.fileno(), identity)
        for key in list(answers._values):
            value = answers.get(key)
            forged.add(key, f"{value}!" if isinstance(value, str) else [value[0] - 1.0, value[1]])
    for part in parts[1:]:
        api.delete_file(part, **repo)
    api.upload_file(path_or_fileobj=target.read_bytes(), path_in_repo=parts[0], **repo)


@pytest.mark.long("the harness is imported twice")
def test_forged_answers_of_another_machine_cost_time_and_no_score(stand: Stand, tmp_path: Path) -> None:
    """The child detects forged answers of another machine by a sample; the log says that all are computed again."""
    killed_at = stand.whole.passes // 2
    name = f"slow-forged-{killed_at}"
    job = stand.job(name, 1)
    stand.interrupt(job, signal.SIGKILL, also=lambda: bool(branches(stand, job)))
    forge(stand, job, tmp_path)
    stand.worker.start_worker(**SETTINGS, STEWARD_WORK_DIR=str(tmp_path / "work"))
    outcome, second, log = stand.run(stand.job(name, 2))
    stand.worker.stop_worker()
    assert (second.scores, second.answers) == (stand.whole.scores, stand.whole.answers)
    assert "the answers of other machines are not used, and all are computed here" in log
    assert not outcome.replayed and branches(stand, job) == []


@pytest.mark.long("the harness is imported twice")
def test_a_stopped_worker_hands_the_attempt_back_with_its_journal(stand: Stand) -> None:
    """After SIGTERM the worker hands the attempt back; when it is queued again, it continues from its journal."""
    killed_at = stand.whole.passes // 2
    job = stand.job(f"stopped-{killed_at}", 1)
    stand.interrupt(job, signal.SIGTERM)
    assert stand.worker.queue.state(job) == "handed-back"
    outcome, second, _ = stand.run(job)
    assert outcome.replayed and (second.scores, second.answers) == (stand.whole.scores, stand.whole.answers)


@pytest.mark.long("the harness is imported twice")
def test_a_stopped_worker_leaves_its_answers_to_another_machine(stand: Stand, tmp_path: Path) -> None:
    """After SIGTERM the worker uploads its answers within the grace period, and another machine continues from them."""
    settings = {**SETTINGS, "STEWARD_SHARE_SECONDS": "900", "STEWARD_GRACE_SECONDS": "30"}
    killed_at = stand.whole.passes // 2
    job = stand.job(f"slow-stopped-{killed_at}", 1)
    stand.worker.stop_worker()
    stand.worker.start_worker(**settings)
    stand.interrupt(job, signal.SIGTERM)
    assert stand.worker.queue.state(job) == "handed-back" and len(branches(stand, job)) == 1
    stand.worker.start_worker(**{**settings, "STEWARD_WORK_DIR": str(tmp_path)})
    outcome, second, log = stand.run(job)
    stand.worker.stop_worker()
    assert second.scores == stand.whole.scores and branches(stand, job) == []
    assert f"{outcome.replayed} answers came from another machine" in log


@pytest.mark.long("the harness is imported twice")
@pytest.mark.parametrize("damage", ["torn", "changed", "of another evaluation", "a link"])
def test_a_damaged_journal_costs_time_and_no_score(stand: Stand, damage: str) -> None:
    """If the journal of an earlier attempt is damaged, the log says so, and the scores are right."""
    killed_at = stand.whole.passes // 2
    name = f"{damage.replace(' ', '-')}-{killed_at}"
    earlier = set(stand.journals())  # of attempts that another machine ended
    stand.interrupt(stand.job(name, 1), signal.SIGKILL)
    (journal,) = set(stand.journals()) - earlier
    content = journal.read_bytes()
    if damage == "torn":
        journal.write_bytes(content[:-5])
    elif damage == "changed":
        journal.write_bytes(content[: len(content) // 2] + b"!" + content[len(content) // 2 + 1 :])
    elif damage == "of another evaluation":
        journal.write_bytes(content.replace(journal.parent.name.encode(), b"0" * 64))
    else:
        journal.unlink()
        journal.symlink_to("/etc/passwd")
    _, second, log = stand.run(stand.job(name, 2))
    assert (second.scores, second.answers) == (stand.whole.scores, stand.whole.answers)
    assert ("it has no journal" if damage == "a link" else "the journal of an earlier attempt") in log
