"""Scores the stored answers of an evaluator other than lm-eval again: by the stored metrics, or by that evaluator.

The evaluator runs in the sandbox of a worker, without model, questions and GPU. It gets the stored samples, and leaves
samples and results as after an evaluation, which are checked in the same way. Questions, prompts, outputs and errors
must be the stored ones; only targets and metrics may differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from leaderboard.evaluator_contract import SAMPLES, EvaluatorResults
from leaderboard.evaluator_files import (
    EvaluatorProblem,
    TaskSamples,
    check_results,
    digest_parts,
    harness_results,
    read_sample,
    samples_of,
)
from leaderboard.evidence import decisive_lines
from leaderboard.graded_answers import AnswerCollector, TaskAnswers
from leaderboard.result_digests import DigestParts, ResultDigests, TaskDigests, combine
from leaderboard.results import dump
from leaderboard.scores import BadResults, score
from leaderboard.scoring_again import OtherAnswersNeeded, results_of_stored_metrics, scored_by
from leaderboard.steward_block import RescoredFrom, StewardBlock, with_block
from leaderboard.suites import Benchmark, Suite
from leaderboard.uncertainty import standard_errors
from workers.common.diagnosis import diagnose, failure_detail
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunLimits, RunPlan
from workers.errors import EvaluationFailed, EvaluatorMissing, RescoringRefused
from workers.evaluation.evaluator_command import evaluator_command
from workers.evaluation.evaluator_sandbox import EvaluatorSandbox
from workers.publication.details import SampleRow, write_rows
from workers.publication.evaluator_results import (
    REPORTED,
    AnswerDigests,
    evaluator_row,
    evaluator_use,
    read_reports,
    sample_lines,
)
from workers.rescoring.earlier_results import RescoredEvaluation, origin_of, read_earlier, rescored_block
from workers.rescoring.stored_samples import StoredSamples, write_stored_samples
from workers.sandbox.zygote_client import ZygoteBroken

MAX_SECONDS, STALL_SECONDS = 4 * 3600.0, 1800.0
"""Time of the evaluator for the samples of one evaluation, in all and without progress."""
DISK_BYTES = 8 << 30


@dataclass
class ScoredSamples:
    """The samples of all tasks with their new metrics: the files, and the report that follows from them."""

    results: EvaluatorResults
    samples: Mapping[str, TaskSamples]
    files: Mapping[str, Path]
    graded: dict[str, TaskAnswers | None] = field(default_factory=dict)


class EvaluatorRescorer:
    """Scores answers again for `suite`, which names an evaluator. A context manager: it ends the sandbox."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self._opened = ExitStack()
        self._sandbox: EvaluatorSandbox | None = None

    def __enter__(self) -> EvaluatorRescorer:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    def rescore(
        self,
        results: bytes,
        tables: Path,
        *,
        source: str,
        at: str,
        samples: Path | None = None,
        new_tables: Path | None = None,
    ) -> RescoredEvaluation:
        """Score the answers in `tables` again, as `Rescorer.rescore` does for lm-eval. Raises RescoringRefused."""
        harness, block = read_earlier(results)
        try:
            recorded = EvaluatorResults.model_validate(harness.get(REPORTED))
            by_evaluator = scored_by(block, recorded, self.suite) == "evaluator"
            with TemporaryDirectory(prefix="steward-stored-") as name:
                folder = Path(name) / SAMPLES
                stored = self._store(tables, block, folder, by_evaluator=by_evaluator)
                scored = (
                    self._by_evaluator(block, stored, folder) if by_evaluator else self._by_metrics(recorded, stored)
                )
                self._write(scored, samples, new_tables)
            digests = self._digests(block, scored)
            origin = origin_of(block, source, at, scored.results.versions)
            data = self._results_file(harness, block, scored, digests, origin)
        except (OtherAnswersNeeded, EvaluatorProblem, EvaluationFailed, BadResults) as error:
            raise RescoringRefused(str(error)) from error
        except ValidationError as error:
            raise RescoringRefused("the results file has no report of an evaluator as its contract says") from error
        count = sum(len(each.answers) for each in stored.values())
        return RescoredEvaluation(data, count, digests.scored)

    def _store(
        self, tables: Path, block: StewardBlock, folder: Path, *, by_evaluator: bool
    ) -> dict[str, StoredSamples]:
        """The stored samples of each task, those that count as files in `folder`."""
        assert block.digests is not None
        folder.mkdir()
        folder.chmod(0o755)  # the evaluator may run as a user of its own
        stored = {}
        for task, collector in samples_of(self.suite).items():
            if by_evaluator:  # it computes all metrics anew
                collector.reported = frozenset(collector.benchmark.metrics)
            asked, file = block.digests.tasks[task].asked, folder / f"{task}.jsonl"
            stored[task] = write_stored_samples(
                tables / f"{task}.parquet", collector, file, asked, with_questions=by_evaluator
            )
            file.chmod(0o644)
        return stored

    def _by_metrics(self, recorded: EvaluatorResults, stored: Mapping[str, StoredSamples]) -> ScoredSamples:
        """The scores that follow from the stored metrics."""
        samples = {task: each.samples for task, each in stored.items()}
        results = results_of_stored_metrics(recorded, self.suite, samples)
        check_results(results, self.suite, samples, model=recorded.model, revision=recorded.revision)
        return ScoredSamples(results, samples, {task: each.file for task, each in stored.items()})

    def _by_evaluator(self, block: StewardBlock, stored: Mapping[str, StoredSamples], folder: Path) -> ScoredSamples:
        """The samples and the report that the evaluator leaves after it scored the stored samples."""
        sandbox, log = self._started(), BoundedLog()
        plan = self._plan(sandbox, block, folder)
        child_exit = sandbox.run(plan, log, lambda _: None)
        if not child_exit.finished:
            evidence = child_exit.evidence(log.tail())
            words = (f"{diagnose(evidence).cause} ({failure_detail(evidence)})", *decisive_lines(log.text()))
            raise RescoringRefused(f"the evaluator did not score it: {'; '.join(words)}")
        results, samples = read_reports(plan, self.suite)
        files = {task: plan.spool / SAMPLES / f"{task}.jsonl" for task in stored}
        for task, each in stored.items():
            check_answers(task, each.answers, files[task])
        return ScoredSamples(results, samples, files)

    def _started(self) -> EvaluatorSandbox:
        if self._sandbox is None:
            folder = self._opened.enter_context(TemporaryDirectory(prefix="steward-sandbox-"))
            try:
                self._sandbox = self._opened.enter_context(EvaluatorSandbox.opened(Path(folder)))
            except ZygoteBroken as error:
                raise RescoringRefused(f"the evaluator's sandbox does not work on this machine: {error}") from error
        return self._sandbox

    def _plan(self, sandbox: EvaluatorSandbox, block: StewardBlock, stored: Path) -> RunPlan:
        try:
            command = evaluator_command(self.suite)
        except EvaluatorMissing as error:
            raise RescoringRefused(f"{error}: run this where workers run") from error
        return RunPlan(
            attempt=block.attempt,
            model=block.model,
            revision=block.revision,
            model_path=stored,
            evaluator=command,
            stored=stored,
            tasks=self.suite.tasks,
            shots=self.suite.shots,
            withdrawn={task: tuple(sorted(self.suite.withdrawn(task))) for task in self.suite.tasks},
            datasets=stored,
            use_chat_template=block.use_chat_template,
            limits=RunLimits(max_seconds=MAX_SECONDS, stall_seconds=STALL_SECONDS, spool_bytes=DISK_BYTES),
            spool=sandbox.slot.spool,
            suite=self.suite.name,
            suite_digest=self.suite.digest,
        )

    def _write(self, scored: ScoredSamples, samples: Path | None, new_tables: Path | None) -> None:
        """Write each question's metrics and the new tables, where they are wanted; collect the graded answers."""
        with TemporaryDirectory(prefix="steward-tables-") as unwanted:
            for benchmark in self.suite.benchmarks:
                for task in (task.name for task in benchmark.tasks):
                    collector = AnswerCollector(task, benchmark)
                    rows = _rows(scored.files[task], benchmark, samples / f"{task}.jsonl" if samples else None)
                    table = (new_tables or Path(unwanted)) / f"{task}.parquet"
                    write_rows(rows, table, collector.add)
                    scored.graded[task] = collector.answers()

    def _digests(self, block: StewardBlock, scored: ScoredSamples) -> ResultDigests:
        """The digests of the evaluation, with the code that scores its answers now."""
        recorded = block.digests
        assert recorded is not None
        parts = digest_parts(scored.results, self.suite, scored.samples, {})
        tasks = {
            name: TaskDigests(asked=recorded.tasks[name].asked, scored=task.scored)
            for name, task in parts.tasks.items()
        }
        return combine(DigestParts(tasks=tasks, modules=parts.modules, versions=parts.versions), self.suite)

    def _results_file(
        self,
        harness: Mapping[str, Any],
        block: StewardBlock,
        scored: ScoredSamples,
        digests: ResultDigests,
        origin: RescoredFrom,
    ) -> bytes:
        values = harness_results(scored.results, self.suite, scored.samples)
        scores = score(values, self.suite)
        errors = standard_errors(scored.graded, scores, self.suite).normalised
        use = evaluator_use(self.suite, scored.samples)
        rescored = rescored_block(
            block, self.suite, scores, errors, digests=digests, rescored_from=origin, evaluator=use
        )
        report = scored.results.model_dump(mode="json")
        return dump(with_block({**harness, "results": values, REPORTED: report}, rescored))


def check_answers(task: str, stored: Mapping[int, AnswerDigests], file: Path) -> None:
    """Raise RescoringRefused unless the samples in `file` have the stored questions with their answers."""
    seen = set[int]()
    for line in sample_lines(file):
        sample = read_sample(line, file.name)
        if sample.id not in stored:
            raise RescoringRefused(f"the evaluator scored question {sample.id} of {task}, which it was not given")
        seen.add(sample.id)
        if part := stored[sample.id].difference(AnswerDigests.of(sample)):
            raise RescoringRefused(
                f"question {sample.id} of {task} has another {part} than the stored sample: the evaluator asks "
                "otherwise now, or changes answers"
            )
    if missing := stored.keys() - seen:
        raise RescoringRefused(f"the evaluator did not score question {min(missing)} of {task}")


def _rows(file: Path, benchmark: Benchmark, samples: Path | None) -> Iterator[SampleRow]:
    """The rows of a new table; each question's metrics go to the file `samples`, too, as those of lm-eval do."""
    with ExitStack() as stack:
        lines = stack.enter_context(samples.open("w", encoding="utf-8")) if samples is not None else None
        for line in sample_lines(file):
            row = evaluator_row(line, benchmark.metrics)
            if lines is not None:
                metrics, answers = json.loads(row["metrics"]), json.loads(row["answers"])
                named = {"doc_id": row["doc_id"], "filter": "", "metrics": metrics, "answers": answers}
                lines.write(json.dumps(named, ensure_ascii=False) + "\n")
            yield row
