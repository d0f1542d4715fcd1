"""A cross-check: computes a few answers of another worker's evaluation again, and commits a report to its details repo.

The model and the questions are those of the published results, at their commits. The harness makes the prompts anew,
and scores the claimed answers: whatever a row of the published tables holds has to be the same, except for the answers,
which the child compares (`workers.evaluation.claimed_answers`).

The job has no claim: the bot put it into this worker's own queue. If it ends without a report, the bot asks another
worker after some time.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import redis

from hub.client import Hub
from hub.errors import Garbled, HubError, RateLimited, StaleParent, Transient, Unreachable
from hub.records import Repo, WriteFile
from leaderboard.cross_checks import (
    MAX_SECONDS,
    CheckedQuestion,
    CrossCheckOrder,
    CrossCheckReport,
    QuestionVerdict,
    report_path,
)
from leaderboard.failures import may_retry
from leaderboard.results import MAX_BYTES, read_results
from leaderboard.scores import BadResults
from redis_state.jobs import EvaluationJob
from workers.common.diagnosis import diagnose, evidence_of
from workers.common.logs import BoundedLog
from workers.common.run_plan import CLAIMS_COMPARED, ClaimedAnswer, RunPlan
from workers.common.scrub import scrub
from workers.errors import PublicationFailed, TableRefused, WorkerError
from workers.evaluation.evaluate import SAMPLES
from workers.jobs.board_link import BoardRedis
from workers.jobs.device_lock import device_lock
from workers.jobs.outbox import send_unsent_outcome
from workers.jobs.planning import plan_of
from workers.jobs.provisions import Provisions, TokenHubGateway
from workers.jobs.published_tables import PublishedTables, published_tables
from workers.jobs.recorded_attempt import CannotVerify, RecordedAttempt, RunFailed, gateway_as_recorded
from workers.jobs.recorded_questions import strange_questions
from workers.jobs.row_verdicts import (
    claimed_answers,
    has_time_limit,
    limit_smaller_metrics,
    question_verdict,
    row_verdict,
)
from workers.jobs.sample_comparison import Sample
from workers.jobs.verification import run_again
from workers.jobs.worker import token_hub_gateway
from workers.jobs.worker_context import WorkerContext
from workers.publication.publish import wait_for_hub
from workers.publication.spool import read_plain_file

log = logging.getLogger(__name__)

MAX_TRIES = 5
MAX_COMPARED_BYTES = 1 << 20
HUB_AWAY = frozenset(kind.__name__ for kind in (Transient, Unreachable, Garbled, RateLimited))
Rows = dict[CheckedQuestion, list[Sample]]


class CrossCheckRun:
    """One cross-check on this worker. Use an instance once."""

    def __init__(self, worker_context: WorkerContext, job: EvaluationJob, order: CrossCheckOrder) -> None:
        self._worker_context, self._job, self._order = worker_context, job, order
        self._access = worker_context.settings.access()
        self._log = BoundedLog()
        self._held: Provisions | None = None
        """Keeps the model in the store while the child runs."""
        self._seconds = min(MAX_SECONDS, worker_context.seconds or MAX_SECONDS)

    def run(self) -> dict[str, Any]:
        """Compute, report, and wake the bot. Return the report as JSON, or why there is none.

        Raises RedisError while the outcome of this worker's last attempt cannot be sent: its folder is needed here.
        """
        board_redis = BoardRedis(self._worker_context.settings.redis_url, self._job.board)
        send_unsent_outcome(self._worker_context.slot.attempt, board_redis)
        report = self._report()
        if self._worker_context.stopping():
            return {"handed-back": self._job.attempt}
        self._publish(report)
        try:
            board_redis.mark(self._job.path)
        except redis.RedisError as error:  # the bot also polls for reports
            log.warning("the bot was not told of the report of %s: %s", self._job.attempt, error)
        return report.model_dump(mode="json")

    def _report(self) -> CrossCheckReport:
        verdicts, problem, temporary = tuple[QuestionVerdict, ...](), "", False
        try:
            verdicts = self._computed()
        except (WorkerError, HubError, OSError, ValueError, KeyError, TypeError) as error:
            log.warning("cross-check %s failed", self._job.attempt, exc_info=True)
            problem = scrub(f"{type(error).__name__}: {error}", self._worker_context.secrets)[:1_000]
            temporary = is_temporary(error)
        return CrossCheckReport(
            check=self._job.attempt,
            attempt=self._order.attempt,
            commit=self._order.details.commit,
            nonce=self._order.nonce,
            answers=verdicts,
            problem=problem,
            temporary=temporary,
            versions=self._worker_context.versions,
            hardware=self._worker_context.hardware,
        )

    # --- the work

    def _computed(self) -> tuple[QuestionVerdict, ...]:
        """The verdict about each question of the order. Raises WorkerError and HubError."""
        context = self._worker_context
        recorded = self._recorded()
        gateway = token_hub_gateway(context.settings, context.suite, context.board)
        if strange := strange_questions(gateway, recorded, context.board):
            return tuple(question_verdict(question, "differs", strange) for question in self._order.questions)
        with published_tables(context, gateway, recorded, self._order.restricted or "main") as tables:
            published, refused = self._published(tables)
            claimed = tuple(claimed_answers(question, rows) for question, rows in published.items())
            compared, here = self._compared(gateway, recorded, tables, claimed) if claimed else ({}, {})
        timed = {CheckedQuestion(each.task, each.number) for each in claimed if has_time_limit(each, context.suite)}
        return limit_smaller_metrics(
            [
                question_verdict(question, "differs", refused[question.task])
                if question.task in refused
                else question_verdict(
                    question,
                    *row_verdict(
                        published.get(question, ()),
                        compared.get(question),
                        here.get(question, ()),
                        may_be_smaller=question in timed,
                    ),
                )
                for question in self._order.questions
            ]
        )

    def _recorded(self) -> RecordedAttempt:
        """The published results at the commit of the order. Raises CannotVerify."""
        details, repo = self._order.details, Repo("dataset", self._order.details.repo)
        try:
            with Hub(self._access.endpoint, self._access.token) as client:
                data = client.read_file(repo, details.results_path, details.commit, max_bytes=MAX_BYTES).data
            results = read_results(data, self._worker_context.suite)
        except (HubError, BadResults) as error:
            raise CannotVerify(f"the results of {self._order.attempt} cannot be read here: {error}") from error
        time_in_name = details.results_path.removeprefix("results_").removesuffix(".json")
        return RecordedAttempt(repo, details.commit, results, time_in_name)

    def _published(self, tables: PublishedTables) -> tuple[Rows, dict[str, str]]:
        """The published rows of the questions; and for each task whose table was refused, the reason.

        Raises CannotVerify and TableNotRead.
        """
        rows, refused = Rows(), dict[str, str]()
        for benchmark in self._worker_context.suite.benchmarks:
            for task in benchmark.tasks:
                numbers = {question.number for question in self._order.questions if question.task == task.name}
                if not numbers:
                    continue
                try:
                    _pick(task.name, tables.rows_of(benchmark, task.name, numbers), numbers, rows)
                except TableRefused as error:
                    refused[task.name] = str(error)[:500]
        return rows, refused

    def _compared(
        self,
        gateway: TokenHubGateway,
        recorded: RecordedAttempt,
        tables: PublishedTables,
        claimed: tuple[ClaimedAnswer, ...],
    ) -> tuple[dict[CheckedQuestion, tuple[str, str]], Rows]:
        """The child's verdict and reason for each question, and its rows of these questions. Raises WorkerError."""
        context, rows = self._worker_context, Rows()
        plan = self._plan(gateway, recorded, claimed)
        settings = context.settings
        with ExitStack() as stack:
            if settings.take_turns:
                folder = settings.work_dir.resolve() / "devices"
                stack.enter_context(device_lock(folder, context.devices, self._stop))
            run_again(context, plan, self._log, self._seconds)
        data = json.loads(read_plain_file(plan.spool / CLAIMS_COMPARED, MAX_COMPARED_BYTES))
        compared = {
            CheckedQuestion(str(each["task"]), int(each["number"])): (str(each["verdict"]), str(each["reason"])[:500])
            for each in data
        }
        for benchmark in context.suite.benchmarks:
            for task in benchmark.tasks:
                numbers = {claim.number for claim in claimed if claim.task == task.name}
                if numbers:
                    samples = plan.spool / SAMPLES / f"{task.name}.jsonl"
                    _pick(task.name, tables.rows_here(samples, benchmark.metrics), numbers, rows)
        return compared, rows

    def _plan(self, gateway: TokenHubGateway, recorded: RecordedAttempt, claimed: tuple[ClaimedAnswer, ...]) -> RunPlan:
        context = self._worker_context
        provisions = self._held = gateway_as_recorded(gateway, recorded).fetch(self._job)
        context.slot.prepare(own_user=context.own_user)
        plan = plan_of(context, self._job, provisions, seconds=self._seconds)
        tasks = {claim.task for claim in claimed}
        sources = [
            benchmark.source
            for benchmark in context.suite.benchmarks
            if any(task.name in tasks for task in benchmark.tasks)
        ]
        return plan.with_claimed(claimed, tuple(dict.fromkeys(sources)))

    def _stop(self) -> str:
        return "handed-back" if self._worker_context.stopping() else ""

    # --- the report

    def _publish(self, report: CrossCheckReport) -> None:
        """Commit the report to the details repo, as soon as the Hub answers. Raises PublicationFailed."""
        repo, path = Repo("dataset", self._order.details.repo), report_path(report.check)
        change = WriteFile(path, report.model_dump_json(indent=2).encode() + b"\n")
        message = f"Compare {len(report.answers)} answers of {report.attempt}"
        try:
            with Hub(self._access.endpoint, self._access.token) as client:
                wait_for_hub(lambda: _commit(client, repo, change, message), self._wait)
        except HubError as error:
            raise PublicationFailed(f"{repo.id}: {error}") from error

    def _wait(self, seconds: float) -> None:
        """Wait for the next try. Raises PublicationFailed once the worker stops."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._worker_context.stopping():
                raise PublicationFailed("the worker stops, and the Hub is away")
            time.sleep(1.0)


def _commit(client: Hub, repo: Repo, change: WriteFile, message: str) -> None:
    for tries_left in reversed(range(MAX_TRIES)):
        try:
            client.commit(repo, [change], message, parent=client.head(repo))
            return
        except StaleParent:
            if not tries_left:
                raise


def is_temporary(error: Exception) -> bool:
    """Whether the same try may succeed later: the Hub did not answer, or the run failed of a cause that is retried."""
    if isinstance(error, RunFailed):
        return may_retry(error.cause, 1) is not None
    evidence = evidence_of(error, "download")
    return bool(HUB_AWAY & set(evidence.names)) or diagnose(evidence).fault == "hub"


def _pick(task: str, table: Iterable[dict[str, Any]], numbers: set[int], rows: Rows) -> None:
    """Add the rows of these questions, one for each filter, to `rows`."""
    for row in table:
        if row["doc_id"] in numbers:
            rows.setdefault(CheckedQuestion(task, int(row["doc_id"])), []).append(row)
