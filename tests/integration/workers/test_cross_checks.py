"""Cross-checks by real workers with a real tiny model: one evaluates it, two of other accounts check its answers.

The claims are forged as a hostile worker would: from its own evaluation, with its own account. `make test` runs none of
this but the unit tests of the parts; `make long` runs all.
"""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from bot.core.context import BoardContext
from bot.evaluations.cross_checks import AnswersRefuted, CrossCheckProgress, cross_check
from hub.client import Hub
from hub.records import Repo
from leaderboard.attempts import Details, Outcome
from leaderboard.boards import RESTRICTED, parse_board
from leaderboard.cross_checks import CrossCheckRecord
from leaderboard.details import table_path
from leaderboard.requests import Request, parse_request
from leaderboard.results import read_results
from redis_state import clock
from redis_state.jobs import EvaluationJob
from steward.testing.waiting import wait_until
from tests.support.workers.real_worker import PATIENCE, SUITE, WORLD, RealWorker, running_worker, upload_questions
from workers.models.tiny_model import model

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.long("three workers, each with an evaluation"),
]
OTHERS = {"second": "hf_second", "third": "hf_third"}
GATED = "quick_write"
"""The task whose answers are in a gated repo."""
QUESTIONS = 22
"""All questions of the suite are checked, so that each forged answer is among them."""
Rows = list[dict[str, Any]]
Forge = Callable[[Rows], None]


@dataclass
class Claims:
    """A real evaluation of one model, and a bot that has claims about it checked by the workers of two accounts."""

    stand: RealWorker
    context: BoardContext
    job: EvaluationJob
    outcome: Outcome
    originals: dict[str, bytes] = field(default_factory=dict)

    def claim(self, forge: Forge = lambda _: None, forged_task: str = "quick_choose") -> Details:
        """Publish the evaluation once more with a forged table, by the account that made it."""
        assert self.outcome.details is not None
        details, api = self.outcome.details, HfApi(self.stand.hub.url, "hf_worker")
        for key in self.context.redis.scan_iter("*cross-check:*"):  # the details repo may hold the same as before
            self.context.redis.delete(key)
        for task in self.stand.suite.tasks:
            path = table_path(task, details.results_path.removeprefix("results_").removesuffix(".json"))
            is_gated, change = task == GATED, forge if task == forged_task else (lambda _: None)
            table = forged(self.original(path, is_gated=is_gated), change)
            repo = f"{details.repo}{RESTRICTED}" if is_gated else details.repo
            added = [CommitOperationAdd(path, table)]
            api.create_commit(repo, added, commit_message="Add details", repo_type="dataset")
        head = api.repo_info(details.repo, repo_type="dataset").sha
        return details.model_copy(update={"commit": head})

    def original(self, path: str, *, is_gated: bool) -> bytes:
        """The table as the worker published it."""
        if path not in self.originals:
            self.originals[path] = self.stand.read(self.outcome, path, restricted=is_gated)
        return self.originals[path]

    def check(self, details: Details) -> CrossCheckRecord:
        """Wait for the end of the cross-check of `details`. Raises AnswersRefuted."""
        results = read_results(self.stand.read(self.outcome, details.results_path), self.stand.suite)
        request = self._request()

        def over() -> CrossCheckProgress | None:
            progress = cross_check(self.context, request, Repo("dataset", details.repo), details, results)
            return progress if progress.done else None

        record = wait_until(over, seconds=2 * PATIENCE).record
        assert record is not None
        return record

    def _request(self) -> Request:
        fields = {"model": self.job.model, "status": "RUNNING", "revision": self.job.revision}
        request = parse_request(self.job.path, json.dumps(fields).encode())
        assert isinstance(request, Request), request
        return request


def forged(table: bytes, forge: Forge) -> bytes:
    """The table with rows that `forge` changed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    read = pq.read_table(io.BytesIO(table))
    rows = read.to_pylist()
    forge(rows)
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=read.schema), file)
    return file.getvalue()


@contextmanager
def workers(stand: RealWorker, accounts: Mapping[str, str]) -> Iterator[None]:
    """A worker of each account, with its token, in a folder of its own."""
    running = list[subprocess.Popen[bytes]]()
    for account, token in accounts.items():
        folder = str(stand.folder / account)
        stand.start_worker(STEWARD_WORKER_TOKEN=token, STEWARD_WORK_DIR=folder, STEWARD_BATCH_SIZE="4")
        assert stand.worker is not None
        running.append(stand.worker)
    try:
        yield
    finally:
        for each in running:
            stand.worker = each
            stand.stop_worker()


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Claims]:
    """The worker of the account `worker` evaluated a tiny model; then workers of two other accounts started."""
    folder = tmp_path_factory.mktemp("claims")
    world = json.loads(json.dumps(WORLD))
    world["users"] += [{"name": name, "tokens": [{"token": token, "role": "write"}]} for name, token in OTHERS.items()]
    world["orgs"][0]["members"].update(dict.fromkeys(OTHERS, "admin"))
    suite = deepcopy(SUITE)
    suite["benchmarks"][1]["restricted"] = True
    policy = {"owned": [], "check": {"questions": QUESTIONS}}
    with running_worker(folder, suite, world, workers=policy) as stand, Hub(stand.hub.url, "hf_ada") as hub:
        upload_questions(stand)
        for name in ("requests", "results", "logs"):
            HfApi(stand.hub.url, "hf_ada").create_repo(f"trial/{name}", repo_type="dataset", exist_ok=True)
        board, connection = parse_board((folder / "board.yaml").read_text()), stand.queue.connection
        context = BoardContext(board, stand.suite, hub, connection, now=clock.now, mirrors=folder / "mirrors")
        job = stand.job("ada/tiny", stand.upload("ada/tiny", model()))
        with workers(stand, {"worker": "hf_worker"}):
            (outcome,) = stand.run(job)
            assert outcome.details is not None, outcome.failure
            with workers(stand, OTHERS):
                wait_until(lambda: len(context.workers.alive(now=clock.now())) == 3, seconds=PATIENCE)
                yield Claims(stand, context, job, outcome)


def other_digits(rows: Rows) -> None:
    """Change the log-likelihoods by as much as another machine's rounding does."""
    for row in rows:
        responses = json.loads(row["responses"])
        row["responses"] = json.dumps([[[repr(float(s) * (1 + 3e-7)), g] for s, g in each] for each in responses])
        answers = json.loads(row["answers"])
        row["answers"] = json.dumps([[repr(float(s) * (1 + 3e-7)), g] for s, g in answers])


def better_choices(rows: Rows) -> None:
    """Reverse the log-likelihoods of the choices in every second row, so that another choice wins."""
    for row in rows[::2]:
        row["responses"] = json.dumps(list(reversed(json.loads(row["responses"]))))
        row["answers"] = json.dumps(list(reversed(json.loads(row["answers"]))))


def better_texts(rows: Rows) -> None:
    """Replace three texts by the right ones, and set their metrics to 1."""
    for row in rows[:3]:
        row["responses"], row["answers"] = json.dumps([[row["target"]]]), json.dumps([row["target"]])
        row["metrics"] = json.dumps(dict.fromkeys(json.loads(row["metrics"]), 1.0))


def zeroed_metrics(rows: Rows) -> None:
    """Set every metric to 0, as an enemy of the model would; its answers stay."""
    for row in rows:
        row["metrics"] = json.dumps(dict.fromkeys(json.loads(row["metrics"]), 0.0))


def easier_prompts(rows: Rows) -> None:
    """Put the answer into three prompts."""
    for row in rows[:3]:
        row["prompt"] = f"The answer is {row['target']}. {row['prompt']}"


def unreadable(rows: Rows) -> None:
    """Make a prompt longer than workers publish: other workers refuse the table, though the bot reads no prompts."""
    rows[0]["prompt"] = "x" * 300_000


def test_an_honest_worker_passes(claims: Claims) -> None:
    """A worker of another account computes an honest worker's answers again, and they agree."""
    record = claims.check(claims.claim())
    assert (record.status, record.worker, record.compared) == ("agrees", "worker", QUESTIONS), record
    assert record.by and set(record.by) <= set(OTHERS)


def test_an_honest_worker_with_other_last_digits_passes(claims: Claims) -> None:
    """Answers whose log-likelihoods differ only by rounding agree."""
    record = claims.check(claims.claim(other_digits))
    assert (record.status, record.compared) == ("agrees", QUESTIONS), record


@pytest.mark.parametrize(
    ("forge", "task", "words"),
    [
        (better_choices, "quick_choose", "instead of"),
        (better_texts, "quick_write", "text"),
        (zeroed_metrics, "quick_choose", "metrics"),
        (easier_prompts, "quick_write", "prompt"),
        (unreadable, "quick_choose", "its table of answers"),
    ],
)
def test_a_forging_worker_is_found_out(claims: Claims, forge: Forge, task: str, words: str) -> None:
    """If two other accounts' workers compute other answers, the claim is refuted and its account set aside."""
    details = claims.claim(forge, task)
    with pytest.raises(AnswersRefuted, match=words):
        claims.check(details)
    assert [worker.account for worker in claims.context.set_aside.all()] == ["worker"]
    claims.context.redis.delete(claims.context.keys.set_aside)
