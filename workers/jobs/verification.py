"""`steward verify`: runs a published evaluation again as recorded, and compares it sample by sample.

Model commit, question commits, suite and digest, precision, weight type, batch size and engine come from the results
file; the caller may choose another engine, whose answers agree within its tolerance. Software versions and hardware are
this machine's; differences from the recorded ones are reported, because they explain answers that differ. Needs no
queue, and publishes nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hub.client import Hub
from hub.errors import HubError, NotFound, TooLarge
from hub.records import Repo
from leaderboard.attempts import attempt_id
from leaderboard.boards import Board
from leaderboard.details import PublishedOutcome, outcome_path, parse_table_path, table_path
from leaderboard.engines import EngineName, EngineUse
from leaderboard.requests import RequestPath, parse_path
from leaderboard.results import (
    BLOCK,
    MAX_BYTES,
    BadResults,
    ResultsFile,
    StewardBlock,
    engine_use,
    parse_harness,
    read_results,
    score,
)
from leaderboard.suites import Benchmark, Suite, find_suite
from redis_state.jobs import EvaluationJob
from workers.common import kernel
from workers.common.diagnosis import diagnose, failure_detail
from workers.common.hub_access import HubAccess
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunPlan
from workers.errors import EvaluationFailed, TableRefused, WorkerError
from workers.evaluation.evaluate import RESULTS, SAMPLES
from workers.jobs.planning import plan_of
from workers.jobs.provisions import TokenHubGateway
from workers.jobs.published_rows import published_rows
from workers.jobs.sample_comparison import EngineTolerance, TaskComparison, compare_task
from workers.jobs.worker import open_worker_context, token_hub_gateway
from workers.jobs.worker_context import WorkerContext
from workers.publication.details import BATCH, TEXTS, RowOf, write_samples
from workers.publication.evaluator_results import evaluator_row, read_evaluator_results
from workers.sandbox.supervision import ChildCallbacks, ChildSupervisor
from workers.settings import WorkerSettings

MAX_TABLE_BYTES = 2 << 30
_COMPARED_COLUMNS = ("doc_id", *TEXTS)


class CannotVerify(WorkerError):
    """This machine cannot run the attempt again; the message gives the reason."""


@dataclass(frozen=True)
class RecordedAttempt:
    """One published attempt: its place on the Hub and its results."""

    repo: Repo
    commit: str
    results: ResultsFile
    time: str

    @property
    def block(self) -> StewardBlock:
        """The `steward` block of its results file."""
        return self.results.block


@dataclass(frozen=True)
class Verification:
    """A verification's result: `scores`, `engines` and `hardware` are (published, here), and so are `versions`.

    `versions` are those that differ. `disagreement` says why log-likelihoods in half precision do not agree.
    """

    block: StewardBlock
    tasks: tuple[TaskComparison, ...]
    scores: Mapping[str, tuple[float, float]]
    versions: Mapping[str, tuple[str, str]]
    hardware: tuple[str, str]
    engines: tuple[str, str] = ("harness", "harness")
    largest_difference: float = 0.0
    disagreement: str = ""

    @property
    def equal(self) -> bool:
        """Whether every sample and every score equals the published one."""
        same_scores = all(then == now for then, now in self.scores.values())
        return same_scores and all(task.samples == task.equal for task in self.tasks)

    @property
    def agrees(self) -> bool:
        """Whether every sample agrees with the published one, and every score: the same as `equal` for one engine.

        Scores are the same digit for digit unless metrics are numbers that follow the log-likelihoods; then they are
        within what the metrics' differences explain.
        """
        metric_difference = max((task.metric_difference for task in self.tasks), default=0.0)
        bound = 200 * metric_difference  # points, where guessing gives at most a half
        same_scores = all(abs(then - now) <= bound for then, now in self.scores.values())
        same_samples = all(task.samples == task.agreeing for task in self.tasks)
        return same_scores and same_samples and not self.disagreement


def run_verification(
    settings: WorkerSettings, attempt: str, model: str = "", engine: EngineName | None = None
) -> Verification:
    """Verify `attempt` on this machine, by the recorded engine or by `engine`. Raises WorkerError.

    Without `model` the board's requests are searched.
    """
    with worker_for(settings, attempt, model) as (worker_context, hub_gateway, recorded):
        return verify(worker_context, hub_gateway, recorded, BoundedLog(), engine)


@contextmanager
def worker_for(
    settings: WorkerSettings, attempt: str, model: str = ""
) -> Iterator[tuple[WorkerContext, TokenHubGateway, RecordedAttempt]]:
    """A worker without a queue that can run `attempt` again, its gateway, and the published record of the attempt.

    Without `model` the board's requests are searched. Raises WorkerError.
    """
    kernel.hide_from_same_user()
    kernel.adopt_orphans()
    board = settings.board()
    suite = find_suite(board.suite)
    details = board.repos.details(model) if model else find_details(board, attempt, settings.access())
    recorded = read_recorded(settings.access(), details, attempt, suite)
    hub_gateway = token_hub_gateway(settings, suite, board)
    with open_worker_context(settings, hub_gateway, alone=True) as worker_context:
        worker_context.zygote_client.start()
        worker_context.zygote_client.wait_until_ready()
        yield worker_context, hub_gateway, recorded


def find_details(board: Board, attempt: str, hub: HubAccess) -> str:
    """The details repo of `attempt`: its id identifies the request, which names the model. Raises CannotVerify."""
    try:
        with Hub(hub.endpoint, hub.token) as client:
            for entry in client.each_file(Repo("dataset", board.repos.requests)):
                parsed = parse_path(entry.path)
                if isinstance(parsed, RequestPath) and attempt_id(board.name, entry.path, "", 0)[:12] == attempt[:12]:
                    return board.repos.details(parsed.model)
    except HubError as error:
        raise CannotVerify(
            f"the requests of {board.repos.requests} cannot be listed ({error}); say --model org/name"
        ) from error
    raise CannotVerify(f"no request of the board {board.name} has an attempt {attempt}: look it up in its file")


def read_recorded(hub: HubAccess, details: str, attempt: str, suite: Suite) -> RecordedAttempt:
    """Read the published results of `attempt`. Raises CannotVerify."""
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
    """The gateway with the questions' repos and commits that were recorded. Raises CannotVerify."""
    commits = recorded.block.datasets
    moved = {}
    for source in hub_gateway.suite.datasets:
        repo = hub_gateway.moved.get(source.repo, "").partition("@")[0] or source.repo
        if repo not in commits and len(commits) == len(hub_gateway.suite.datasets) == 1:
            (repo,) = commits
        if repo not in commits:
            raise CannotVerify(f"the results do not record the commit of the questions in {repo}")
        moved[source.repo] = f"{repo}@{commits[repo]}"
    return replace(hub_gateway, moved=moved)


def verify(
    worker_context: WorkerContext,
    hub_gateway: TokenHubGateway,
    recorded: RecordedAttempt,
    log: BoundedLog,
    engine: EngineName | None = None,
) -> Verification:
    """Run the attempt again on this machine and compare. Raises CannotVerify, and what `hub_gateway` raises."""
    block = recorded.block
    if engine is not None and block.evaluator is not None:
        raise CannotVerify(f"{block.evaluator.name} evaluated it, which has no engines to choose from")
    provisions = gateway_as_recorded(hub_gateway, recorded).fetch(recorded_job(block, worker_context.board))
    seconds = worker_context.settings.max_seconds or float(worker_context.board.attempt_seconds)
    worker_context.slot.prepare(own_user=worker_context.own_user)
    plan = plan_of(
        worker_context,
        recorded_job(block, worker_context.board),
        provisions,
        seconds=seconds,
        batch_size=block.batch_size,
        engine=engine or ("harness" if block.engine is None else "shared-prefix"),
    )
    harness = run_again(worker_context, plan, log, seconds)
    new_scores = score(harness["results"], worker_context.suite)
    engines = engine_names(block, harness)
    tolerance = EngineTolerance(str(harness["config"]["model_dtype"])) if engines[0] != engines[1] else None
    scores = {name: (value, new_scores.by_name[name]) for name, value in recorded.results.scores.by_name.items()}
    different_versions = version_differences(block, versions_here(worker_context, harness))
    with published_tables(worker_context, hub_gateway, recorded) as tables:
        tasks = tuple(_compare_tasks(tables, plan, worker_context.suite, tolerance))
    hardware = (block.hardware, worker_context.hardware)
    if tolerance is None:
        return Verification(block, tasks, scores, different_versions, hardware, engines)
    return Verification(
        block, tasks, scores, different_versions, hardware, engines,
        tolerance.largest_difference, tolerance.disagreement(),
    )  # fmt: skip


def version_differences(block: StewardBlock, versions: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Package → its recorded version and the one here, where they differ."""
    here = {name: versions.get(name, "missing") for name in block.versions}
    return {name: (then, here[name]) for name, then in block.versions.items() if here[name] != then}


def versions_here(worker_context: WorkerContext, results: Mapping[str, Any]) -> dict[str, str]:
    """The versions of what computed `results` on this machine: an evaluator names its own."""
    return {**worker_context.versions, **(results[BLOCK]["versions"] if worker_context.suite.evaluator else {})}


def engine_names(block: StewardBlock, results: Mapping[str, Any]) -> tuple[str, str]:
    """What gave the recorded answers, and what gave those in `results`: an engine, or another evaluator."""
    if block.evaluator is not None:  # the results of another version are of another suite
        name = f"{block.evaluator.name} {block.evaluator.version}"
        return name, name
    return describe_engine(block.engine), describe_engine(engine_use(results))


def describe_engine(use: EngineUse | None) -> str:
    """The engine that gave the answers, with its version; two evaluations by one engine are equal digit for digit."""
    if use is None:
        return "harness"
    shared = f"shared-prefix {use.version}"
    answers = "harness" if use.engine == "harness" else shared
    if use.generation is None:
        return answers
    texts = shared if use.generation.answers else "harness"
    return answers if texts == answers else f"{answers} (texts: {texts})"


def recorded_job(
    block: StewardBlock, board: Board, *, precision: str = "", chat_template: bool | None = None
) -> EvaluationJob:
    """The job that produced the recorded results; in another `precision`, or with another `chat_template`, if given."""
    return EvaluationJob(
        board=board.name,
        attempt=block.attempt,
        path=block.request,
        model=block.model,
        revision=block.revision,
        precision=precision or block.precision,
        weight_type=block.weight_type,
        base_model=block.base_model,
        base_revision=block.base_revision,
        use_chat_template=block.use_chat_template if chat_template is None else chat_template,
        suite=block.suite,
        suite_digest=block.suite_digest,
    )


def run_again(worker_context: WorkerContext, plan: RunPlan, log: BoundedLog, seconds: float) -> Mapping[str, Any]:
    """Run `plan` in a child, and return its results in the form of the harness's. Raises CannotVerify."""
    stop = {True: "handed-back", False: ""}
    callbacks = ChildCallbacks(report=lambda _: None, stop=lambda: stop[worker_context.stopping()], log=log)
    supervisor = ChildSupervisor(worker_context.zygote_client, worker_context.sandbox_spec(plan), plan, callbacks)
    child_exit = supervisor.run(worker_context.slot.attempt, deadline=time.monotonic() + seconds)
    if not child_exit.finished:
        evidence = child_exit.evidence(log.tail())
        raise CannotVerify(f"this time the evaluation failed: {diagnose(evidence).cause} ({failure_detail(evidence)})")
    try:
        if plan.evaluator is not None:
            return read_evaluator_results(plan, worker_context.suite)
        results: Mapping[str, Any] = parse_harness((plan.spool / RESULTS).read_bytes())
    except (OSError, BadResults, EvaluationFailed) as error:
        raise CannotVerify(f"this time the evaluation left no results: {error}") from error
    return results


# --- sample by sample


@dataclass(frozen=True)
class PublishedTables:
    """The tables of one published attempt, which are downloaded one after the other to `folder`."""

    client: Hub
    recorded: RecordedAttempt
    restricted: Repo
    folder: Path
    row_of: RowOf | None = None
    """Makes rows of the samples of another evaluator than lm-eval."""
    restricted_at: str = "main"
    """The revision of `restricted`."""

    def rows(self, benchmark: Benchmark, task: str) -> Iterator[dict[str, Any]]:
        """The samples of `task`. Raises CannotVerify."""
        return _rows(self._download(benchmark, task))

    def rows_of(self, benchmark: Benchmark, task: str, numbers: Collection[int]) -> list[dict[str, Any]]:
        """The samples of the questions with these numbers, from a table that is not trusted.

        Raises CannotVerify, TableRefused and TableNotRead.
        """
        return published_rows(self._download(benchmark, task), numbers)

    def _download(self, benchmark: Benchmark, task: str) -> Path:
        """The table of `task`, as a file. Raises CannotVerify, and TableRefused for one that is too large."""
        file = self.folder / "published.parquet"
        place, path = (self.restricted, self.restricted_at), table_path(task, self.recorded.time)
        is_elsewhere = benchmark.restricted and _has_table(self.client, *place, path)
        _download_table(self.client, self.recorded, task, file, elsewhere=place if is_elsewhere else None)
        return file

    def rows_here(self, samples: Path, metrics: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The samples that a child wrote to the file `samples`, as a table has them."""
        file = self.folder / "local.parquet"
        write_samples(samples, file, metrics, as_row=self.row_of)
        return _rows(file)


@contextmanager
def published_tables(
    worker_context: WorkerContext,
    hub_gateway: TokenHubGateway,
    recorded: RecordedAttempt,
    restricted_at: str = "main",
) -> Iterator[PublishedTables]:
    """The tables of `recorded`, in a temporary folder; those in the gated repo at the revision `restricted_at`."""
    restricted = Repo("dataset", worker_context.board.repos.restricted_details(recorded.block.model))
    with (
        Hub(hub_gateway.hub.endpoint, hub_gateway.hub.token) as client,
        TemporaryDirectory(prefix="steward-verify-") as folder,
    ):
        row_of = evaluator_row if worker_context.suite.evaluator is not None else None
        yield PublishedTables(client, recorded, restricted, Path(folder), row_of, restricted_at)


def _compare_tasks(
    tables: PublishedTables, plan: RunPlan, suite: Suite, tolerance: EngineTolerance | None
) -> Iterator[TaskComparison]:
    for benchmark in suite.benchmarks:
        for task in benchmark.tasks:
            here = tables.rows_here(plan.spool / SAMPLES / f"{task.name}.jsonl", benchmark.metrics)
            yield compare_task(task.name, tables.rows(benchmark, task.name), here, tolerance)


def _has_table(client: Hub, repo: Repo, revision: str, path: str) -> bool:
    """Whether `repo`, of answers to restricted benchmarks, has this table: earlier versions had one for all."""
    try:
        return any(entry.path == path for entry in client.list_files(repo, revision))
    except NotFound:
        return False


def _download_table(
    client: Hub, recorded: RecordedAttempt, task: str, file: Path, *, elsewhere: tuple[Repo, str] | None
) -> None:
    path, (repo, revision) = table_path(task, recorded.time), elsewhere or (recorded.repo, recorded.commit)
    if parse_table_path(path) is None:
        raise CannotVerify(f"{repo.id} has no table of {task}")
    try:
        with file.open("w+b") as output:
            client.save_file(repo, path, revision, output, max_bytes=MAX_TABLE_BYTES)
    except TooLarge:
        raise TableRefused(f"its table of answers has more than {MAX_TABLE_BYTES:,} bytes") from None
    except HubError as error:
        raise CannotVerify(f"{repo.id}: {path}: {error}") from error


def _rows(table: Path) -> Iterator[dict[str, Any]]:
    """The rows of a details table; one batch at a time is in memory."""
    import pyarrow.parquet as pq  # heavy, and needed only here

    with pq.ParquetFile(table) as file:
        for batch in file.iter_batches(batch_size=BATCH, columns=list(_COMPARED_COLUMNS)):
            yield from batch.to_pylist()


def verification_json(verification: Verification) -> str:
    """The verification as one JSON object."""
    return json.dumps(
        {
            "attempt": verification.block.attempt,
            "model": verification.block.model,
            "revision": verification.block.revision,
            "equal": verification.equal,
            "agrees": verification.agrees,
            "engines": verification.engines,
            "largest_difference": verification.largest_difference,
            "disagreement": verification.disagreement,
            "tasks": [vars(task) for task in verification.tasks],
            "scores": verification.scores,
            "versions": verification.versions,
            "hardware": verification.hardware,
        }
    )
