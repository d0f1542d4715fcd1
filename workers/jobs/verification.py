"""A published evaluation, run again as it was recorded, and compared with it sample by sample.

The model's commit, the questions' commits, the suite and its digest, precision, weight type and batch size are those
of the results file. Versions of the harness and of the hardware are this machine's: where they differ from the
recorded ones that is said, for it is where answers that differ come from.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hub.client import Hub
from hub.errors import HubError
from hub.records import Repo
from leaderboard.attempts import attempt_id
from leaderboard.boards import Board
from leaderboard.details import PublishedOutcome, outcome_path, parse_table_path, table_path
from leaderboard.requests import RequestPath, parse_path
from leaderboard.results import MAX_BYTES, BadResults, ResultsFile, StewardBlock, parse_harness, read_results, score
from leaderboard.suites import Benchmark, Suite
from redis_state.jobs import EvaluationJob
from workers.common.diagnosis import diagnose, failure_detail
from workers.common.hub_access import HubAccess
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunPlan
from workers.errors import WorkerError
from workers.evaluation.evaluate import RESULTS, SAMPLES
from workers.jobs.planning import plan_of
from workers.jobs.provisions import TokenHubGateway
from workers.jobs.worker_context import WorkerContext
from workers.publication.details import BATCH, TEXTS, write_samples
from workers.sandbox.supervision import ChildCallbacks, ChildSupervisor

MAX_TABLE = 2 << 30
_COMPARED = ("doc_id", *TEXTS)


class CannotVerify(WorkerError):
    """The attempt cannot be run again here; the message says why."""


@dataclass(frozen=True)
class RecordedAttempt:
    """One published attempt: where it lies, and its results."""

    repo: Repo
    commit: str
    results: ResultsFile
    time: str

    @property
    def block(self) -> StewardBlock:
        """What was recorded of it."""
        return self.results.block


@dataclass(frozen=True)
class TaskComparison:
    """One task: how many samples there are now, how many are equal, and the first that is not (None: there is none)."""

    task: str
    samples: int
    equal: int
    first: int | None


@dataclass(frozen=True)
class Verification:
    """What came out. `versions` are those that differ: name → (recorded, here)."""

    block: StewardBlock
    tasks: tuple[TaskComparison, ...]
    scores: Mapping[str, tuple[float, float]]
    versions: Mapping[str, tuple[str, str]]
    hardware: tuple[str, str]

    @property
    def equal(self) -> bool:
        """Whether every sample and every score is what was published."""
        same_scores = all(then == now for then, now in self.scores.values())
        return same_scores and all(task.samples == task.equal for task in self.tasks)


def find_details(board: Board, attempt: str, hub: HubAccess) -> str:
    """The details repo that holds `attempt`: its id tells the request, and that the model. Raises CannotVerify."""
    try:
        with Hub(hub.endpoint, hub.token) as client:
            paths = [entry.path for entry in client.list_files(Repo("dataset", board.repos.requests))]
    except HubError as error:
        raise CannotVerify(
            f"the requests of {board.repos.requests} cannot be listed ({error}); say --model org/name"
        ) from error
    for path in paths:
        parsed = parse_path(path)
        if isinstance(parsed, RequestPath) and attempt_id(board.name, path, "", 0)[:12] == attempt[:12]:
            return board.repos.details(parsed.model)
    raise CannotVerify(f"no request of the board {board.name} has an attempt {attempt}: look it up in its file")


def read_recorded(hub: HubAccess, details: str, attempt: str, suite: Suite) -> RecordedAttempt:
    """What was published of `attempt`. Raises CannotVerify."""
    repo = Repo("dataset", details)
    try:
        with Hub(hub.endpoint, hub.token) as client:
            head = client.head(repo)
            published = PublishedOutcome.model_validate_json(
                client.read_file(repo, outcome_path(attempt), head, max_bytes=MAX_BYTES).data
            )
            data = client.read_file(repo, published.results_path, head, max_bytes=MAX_BYTES).data
        results = read_results(data, suite)
    except (HubError, ValueError) as error:
        raise CannotVerify(f"{details} holds no results of {attempt} that can be checked here: {error}") from error
    time = published.results_path.removeprefix("results_").removesuffix(".json")
    return RecordedAttempt(repo, head, results, time)


def gateway_as_recorded(hub_gateway: TokenHubGateway, recorded: RecordedAttempt) -> TokenHubGateway:
    """The way to the Hub, with the questions where, and at the commits at which, they were. Raises CannotVerify."""
    commits = recorded.block.datasets
    moved = {}
    for source in hub_gateway.suite.datasets:
        here = hub_gateway.moved.get(source.repo, "").partition("@")[0] or source.repo
        if here not in commits and len(commits) == len(hub_gateway.suite.datasets) == 1:
            (here,) = commits
        if here not in commits:
            raise CannotVerify(f"it is not recorded at which commit {here} was asked")
        moved[source.repo] = f"{here}@{commits[here]}"
    return replace(hub_gateway, moved=moved)


def verify(
    worker_context: WorkerContext, hub_gateway: TokenHubGateway, recorded: RecordedAttempt, log: BoundedLog
) -> Verification:
    """Run it again on this machine, and compare. Raises CannotVerify, and what `supply` raises."""
    block = recorded.block
    provisions = gateway_as_recorded(hub_gateway, recorded).fetch(recorded_job(block, worker_context.board))
    seconds = worker_context.settings.max_seconds or float(worker_context.board.attempt_seconds)
    worker_context.slot.prepare(own_user=worker_context.own_user)
    plan = plan_of(
        worker_context,
        recorded_job(block, worker_context.board),
        provisions,
        seconds=seconds,
        batch_size=block.batch_size,
    )
    _run(worker_context, plan, log, seconds)
    now = score(_results(plan), worker_context.suite)
    scores = {name: (value, now.by_name[name]) for name, value in recorded.results.scores.by_name.items()}
    differ = {
        name: (then, worker_context.versions.get(name, "missing"))
        for name, then in block.versions.items()
        if worker_context.versions.get(name, "missing") != then
    }
    with Hub(hub_gateway.hub.endpoint, hub_gateway.hub.token) as client:
        tasks = tuple(_compared(client, recorded, plan, worker_context.suite))
    return Verification(block, tasks, scores, differ, (block.hardware, worker_context.hardware))


def recorded_job(block: StewardBlock, board: Board) -> EvaluationJob:
    """The job that made it."""
    return EvaluationJob(
        board=board.name,
        attempt=block.attempt,
        path=block.request,
        model=block.model,
        revision=block.revision,
        precision=block.precision,
        weight_type=block.weight_type,
        base_model=block.base_model,
        base_revision=block.base_revision,
        use_chat_template=block.use_chat_template,
        suite=block.suite,
        suite_digest=block.suite_digest,
    )


def _run(worker_context: WorkerContext, plan: RunPlan, log: BoundedLog, seconds: float) -> None:
    callbacks = ChildCallbacks(tell=lambda _: None, stop=lambda: "", log=log)
    supervisor = ChildSupervisor(worker_context.zygote_client, worker_context.sandbox_spec(plan), plan, callbacks)
    ending = supervisor.run(worker_context.slot.attempt, deadline=time.monotonic() + seconds)
    if not ending.finished:
        death = ending.evidence(log.tail())
        raise CannotVerify(f"this time it failed: {diagnose(death).cause} ({failure_detail(death)})")


def _results(plan: RunPlan) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = parse_harness((plan.spool / RESULTS).read_bytes())["results"]
    except (OSError, BadResults) as error:
        raise CannotVerify(f"this time it left no results: {error}") from error
    return found


# --- sample by sample


def _compared(client: Hub, recorded: RecordedAttempt, plan: RunPlan, suite: Suite) -> Iterator[TaskComparison]:
    with TemporaryDirectory(prefix="steward-verify-") as folder:
        then, now = Path(folder) / "then.parquet", Path(folder) / "now.parquet"
        for benchmark in suite.benchmarks:
            for task in benchmark.tasks:
                _save(client, recorded, task.name, then)
                yield _compare(task.name, benchmark, then, plan.spool / SAMPLES / f"{task.name}.jsonl", now)


def _save(client: Hub, recorded: RecordedAttempt, task: str, file: Path) -> None:
    path = table_path(task, recorded.time)
    if parse_table_path(path) is None:
        raise CannotVerify(f"{recorded.repo.id} has no table of {task}")
    try:
        with file.open("wb") as into:
            client.save_file(recorded.repo, path, recorded.commit, into, max_bytes=MAX_TABLE)
    except HubError as error:
        raise CannotVerify(f"{recorded.repo.id}: {path}: {error}") from error


def _compare(task: str, benchmark: Benchmark, then: Path, samples: Path, now: Path) -> TaskComparison:
    write_samples(samples, now, benchmark.metrics)
    count = equal = 0
    first = None
    for old, new in zip_longest(_rows(then), _rows(now)):
        count += 1
        if old == new:
            equal += 1
        elif first is None:
            first = int((new or old or {}).get("doc_id", -1))
    return TaskComparison(task, count, equal, first)


def _rows(table: Path) -> Iterator[dict[str, Any]]:
    """The rows of a details table, a batch in memory at a time."""
    import pyarrow.parquet as pq  # heavy, and wanted here only

    with pq.ParquetFile(table) as file:
        for batch in file.iter_batches(batch_size=BATCH, columns=list(_COMPARED)):
            yield from batch.to_pylist()


def verification_json(found: Verification) -> str:
    """One JSON object."""
    return json.dumps(
        {
            "attempt": found.block.attempt,
            "model": found.block.model,
            "revision": found.block.revision,
            "equal": found.equal,
            "tasks": [vars(task) for task in found.tasks],
            "scores": found.scores,
            "versions": found.versions,
            "hardware": found.hardware,
        }
    )
