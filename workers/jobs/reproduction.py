"""`steward reproduce`: runs a published evaluation again, and reports which answers differ, and why.

It runs the whole evaluation as recorded, or asks some of its recorded prompts again. The caller may choose another
precision, batch size, engine, chat template or number of examples, to see whether that explains another score. The
reasons come from what the published results record and what this run recorded: questions, examples, prompts, versions
and numerics. Needs no queue, and publishes nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from leaderboard.comparability import compare_results, numeric_differences, template_difference
from leaderboard.engines import EngineName, EngineUse
from leaderboard.result_digests import ResultDigests, combine
from leaderboard.steward_block import digest_parts, engine_use
from workers.common.logs import BoundedLog
from workers.common.run_plan import PROMPT_TOKENS, RunPlan
from workers.evaluation.evaluate import SAMPLES
from workers.jobs.attempt_lookup import find_attempt
from workers.jobs.planning import plan_of
from workers.jobs.provisions import Provisions, TokenHubGateway
from workers.jobs.published_tables import PublishedTables, published_tables
from workers.jobs.recorded_attempt import (
    CannotVerify,
    RecordedAttempt,
    gateway_as_recorded,
    recorded_job,
    version_differences,
    versions_here,
)
from workers.jobs.replay import NotReplayable, RecordedPrompt, first_prompts, recorded_prompt, write_replay
from workers.jobs.reproduction_report import DifferentSample, Reproduction, SampleSide
from workers.jobs.sample_comparison import VERDICTS, Sample, SampleDifferences, answers_of, paired
from workers.jobs.verification import run_again, worker_for
from workers.jobs.worker_context import WorkerContext
from workers.settings import WorkerSettings

_NUMERIC_VERSIONS = ("transformers", "torch", "steward")
"""Packages whose versions the numerics name already, or that do not change an answer."""
_VERSION = "versions of {name} differ: {published} and {here}"
_HARDWARE = "hardware: {published} and {here}"
_SCORING = "{count} answers are the same, but scored otherwise"
_BATCHES = (
    "only {count} questions were asked, so batches hold other questions than they did: the last digits may differ"
)
_TOKENS = "the tokens of the prompts"
_UNKNOWN = "nothing that the results record explains it"


@dataclass(frozen=True)
class OtherSettings:
    """Settings that the caller chooses instead of the recorded ones."""

    precision: str = ""
    batch_size: int | None = None
    engine: EngineName | None = None
    chat_template: bool | None = None
    shots: int | None = None

    @property
    def other_prompts(self) -> bool:
        """Whether the prompts have to be made anew."""
        return self.chat_template is not None or self.shots is not None


@dataclass(frozen=True)
class ResultHere:
    """The record of this run with the field names of a results file, for comparisons."""

    suite: str
    suite_digest: str
    digests: ResultDigests | None
    use_chat_template: bool
    engine: EngineUse | None
    versions: dict[str, str]
    precision: str
    batch_size: int


def run_reproduction(
    settings: WorkerSettings, result: str, *, model: str = "", questions: int | None = None, other: OtherSettings
) -> Reproduction:
    """Run the evaluation again that `result` names, or `questions` of each of its tasks. Raises WorkerError.

    `result` is an attempt, the path of a request or of a results file on the Hub, or a results file on this machine.
    """
    attempt, model = find_attempt(settings.board(), settings.access(), result, model)
    with worker_for(settings, attempt, model) as (worker_context, hub_gateway, recorded):
        return reproduce(worker_context, hub_gateway, recorded, questions, other)


def reproduce(
    worker_context: WorkerContext,
    hub_gateway: TokenHubGateway,
    recorded: RecordedAttempt,
    questions: int | None,
    other: OtherSettings,
) -> Reproduction:
    """Run the evaluation again, or `questions` of each task, and compare. Raises CannotVerify and WorkerError.

    Recorded prompts are asked again where that suffices: all questions, other prompts, and another evaluator than
    lm-eval need the suite's tasks.
    """
    if (used := recorded.block.evaluator) is not None and (other.engine is not None or other.shots is not None):
        raise CannotVerify(f"{used.name} evaluated it: another engine or number of examples can be tried with lm-eval")
    provisions = gateway_as_recorded(hub_gateway, recorded).fetch(recorded_job(recorded.block, worker_context.board))
    run = _Run(worker_context, recorded, provisions, other)
    with published_tables(worker_context, hub_gateway, recorded) as tables:
        if questions is None or other.other_prompts or recorded.block.evaluator is not None:
            return run.whole(tables, questions)
        return run.replay(tables, questions)


class _Run:
    """One repetition on this machine."""

    def __init__(
        self, worker_context: WorkerContext, recorded: RecordedAttempt, provisions: Provisions, other: OtherSettings
    ) -> None:
        self.worker_context, self.recorded, self.provisions, self.other = worker_context, recorded, provisions, other
        self.block = recorded.block
        self.seconds = worker_context.settings.max_seconds or float(worker_context.board.attempt_seconds)
        self.log = BoundedLog()

    def _plan(self) -> RunPlan:
        self.worker_context.slot.prepare(own_user=self.worker_context.own_user)
        block, other = self.block, self.other
        job = recorded_job(
            block, self.worker_context.board, precision=other.precision, chat_template=other.chat_template
        )
        return plan_of(
            self.worker_context,
            job,
            self.provisions,
            seconds=self.seconds,
            batch_size=other.batch_size or block.batch_size,
            engine=other.engine or ("harness" if block.engine is None else "shared-prefix"),
        )

    def whole(self, tables: PublishedTables, limit: int | None) -> Reproduction:
        """Evaluate the suite, or the first `limit` questions of each task, with prompts that are made anew."""
        plan = self._plan().with_examples(shots=self.other.shots, limit=limit)
        harness = run_again(self.worker_context, plan, self.log, self.seconds)
        comparison = SampleDifferences()
        for benchmark in self.worker_context.suite.benchmarks:
            for task in benchmark.tasks:
                samples = plan.spool / SAMPLES / f"{task.name}.jsonl"
                here: Iterable[Sample] = tables.rows_here(samples, benchmark.metrics)
                published: Iterable[Sample] = tables.rows(benchmark, task.name)
                if limit is not None:
                    here = list(here)
                    asked = {row["doc_id"] for row in here}
                    published = (row for row in published if row["doc_id"] in asked)
                for pair in paired(published, here):
                    comparison.add(task.name, *pair)
        reasons = list(self._reasons(self._result_here(plan, harness), comparison, limit=limit, replayed=False))
        return self._reproduction(comparison, reasons, {})

    def replay(self, tables: PublishedTables, questions: int) -> Reproduction:
        """Ask the first `questions` recorded prompts of each task again."""
        rows, left_out = dict[tuple[str, int], Sample](), dict[str, str]()
        prompts = list[RecordedPrompt]()
        for benchmark in self.worker_context.suite.benchmarks:
            for task in benchmark.tasks:
                try:
                    prompts += first_prompts(tables, benchmark, task.name, questions, rows)
                except NotReplayable as error:
                    left_out[task.name] = str(error)
        if not prompts:
            raise CannotVerify(f"no prompt can be asked again: {'; '.join(dict.fromkeys(left_out.values()))}")
        plan, asked, harness = self._ask(prompts)
        comparison = SampleDifferences()
        for name, group in asked.items():
            for here in tables.rows_here(plan.spool / SAMPLES / f"{name}.jsonl", ()):
                recorded = group[here["doc_id"]]
                published = rows[recorded.task, recorded.doc_id]
                comparison.add(
                    recorded.task, published, {**published, "prompt": here["prompt"], "responses": here["responses"]}
                )
        reasons = list(self._reasons(self._result_here(plan, harness), comparison, limit=questions, replayed=True))
        return self._reproduction(comparison, reasons, left_out, replayed=True)

    def _ask(
        self, prompts: list[RecordedPrompt], *, keep_tokens: bool = False
    ) -> tuple[RunPlan, dict[str, list[RecordedPrompt]], Mapping[str, Any]]:
        plan, folder = self._plan(), self.worker_context.slot.attempt / "replay"
        shutil.rmtree(folder, ignore_errors=True)
        asked = write_replay(prompts, folder)
        plan = plan.with_tasks(folder, tuple(asked), keep_tokens=keep_tokens)
        return plan, asked, run_again(self.worker_context, plan, self.log, self.seconds)

    def _result_here(self, plan: RunPlan, harness: Mapping[str, Any]) -> ResultHere:
        parts = digest_parts(harness)
        return ResultHere(
            suite=plan.suite,
            suite_digest=plan.suite_digest,
            digests=combine(parts, self.worker_context.suite) if parts is not None else None,
            use_chat_template=self.block.use_chat_template
            if self.other.chat_template is None
            else self.other.chat_template,
            engine=engine_use(harness),
            versions=versions_here(self.worker_context, harness),
            precision=self.other.precision or self.block.precision,
            batch_size=plan.batch_size,
        )

    def _reasons(
        self, here: ResultHere, comparison: SampleDifferences, *, limit: int | None, replayed: bool
    ) -> Iterator[str]:
        """Sentences about the differences of the two evaluations, the published one first."""
        if comparison.rescored and not replayed:
            yield _SCORING.format(count=comparison.rescored)
        if replayed:
            yield from numeric_differences(self.block, here)
        else:
            differences = compare_results(self.block, here)
            # Of the first questions alone, the digests of requests and prompts differ in any case.
            asked = differences.asked if limit is None or self.other.shots is not None else ()
            prompts = differences.prompts if limit is None else ()
            template = [difference] if (difference := template_difference(self.block, here)) else []
            yield from dict.fromkeys((*asked, *differences.scored, *template, *prompts, *differences.numerics))
        for name, (published, version) in version_differences(self.block, here.versions).items():
            if name not in _NUMERIC_VERSIONS:
                yield _VERSION.format(name=name, published=published, here=version)
        if self.block.hardware != self.worker_context.hardware:
            yield _HARDWARE.format(published=self.block.hardware, here=self.worker_context.hardware)
        if limit is not None and comparison.verdict == "other-digits":
            yield _BATCHES.format(count=limit)

    def _reproduction(
        self,
        comparison: SampleDifferences,
        reasons: list[str],
        left_out: dict[str, str],
        *,
        replayed: bool = False,
    ) -> Reproduction:
        if comparison.verdict != "same" and not reasons:
            reasons = [_UNKNOWN]
        first = self._different(comparison, left_out)
        return Reproduction(
            block=self.block,
            verdict=comparison.verdict,
            counts={verdict: comparison.counts[verdict] for verdict in VERDICTS},
            first=first,
            reasons=tuple(reasons),
            largest_difference=comparison.largest,
            replayed=replayed,
            left_out=left_out,
        )

    def _different(self, comparison: SampleDifferences, left_out: dict[str, str]) -> DifferentSample | None:
        """The first different sample of the worst kind, with the tokens of both prompts.

        Adds to `left_out` why there are no tokens.
        """
        if comparison.first is None:
            return None
        task, verdict, published, here = comparison.first
        try:
            prompts = [recorded_prompt(task, row) for row in (published, here) if verdict != "same"]
        except NotReplayable:
            prompts = []
        tokens: tuple[tuple[int, ...], tuple[int, ...]] = (), ()
        if prompts:
            try:
                tokens = self._tokens(prompts)
            except CannotVerify as error:  # the comparison is made, and stays
                left_out[_TOKENS] = str(error)
        return DifferentSample(
            task=task,
            doc_id=int(published["doc_id"]),
            verdict=verdict,
            choices=prompts[0].choices if prompts else (),
            published=SampleSide(str(published["prompt"]), tokens[0], answers_of(published), published["metrics"]),
            here=SampleSide(str(here["prompt"]), tokens[1], answers_of(here), here["metrics"]),
        )

    def _tokens(self, prompts: list[RecordedPrompt]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The tokens of both prompts. The model's tokenizer runs in a child, like all untrusted files of a model."""
        first, second = prompts
        alike = [first, replace(second, choices=first.choices, generation=first.generation)]  # so they are one task
        plan, _, _ = self._ask(alike, keep_tokens=True)
        tokens = json.loads((plan.spool / PROMPT_TOKENS).read_text())
        return tuple(tokens.get("0", ())), tuple(tokens.get("1", ()))
