"""Runs the evaluator of a suite once, from folders: `steward evaluator run`, which repeats published evaluations.

The plan is the one that a worker makes, so the same machine gives the same samples. No Hub and no queue.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leaderboard.evaluator_contract import RESULTS, SAMPLES
from leaderboard.evidence import decisive_lines
from leaderboard.jsontext import JsonObject
from leaderboard.result_digests import ResultDigests, combine
from leaderboard.results import dump
from leaderboard.scores import BadResults, Scores, score
from leaderboard.steward_block import digest_parts
from leaderboard.suites import Suite
from redis_state.jobs import EvaluationJob
from workers.common.devices import Device
from workers.common.diagnosis import diagnose, failure_detail
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunLimits, RunPlan, RunProgress
from workers.errors import EvaluationFailed
from workers.evaluation import machine
from workers.evaluation.evaluator_command import evaluator_command
from workers.evaluation.evaluator_sandbox import EvaluatorSandbox
from workers.evaluation.model_requirements import estimate_requirements
from workers.evaluation.placement import choose_placement
from workers.jobs.planning import MEMORY_SHARE
from workers.publication.evaluator_results import read_evaluator_results

DISK_BYTES = 64 << 30


@dataclass(frozen=True)
class LocalEvaluation:
    """The order of one evaluation: the folder of a model, and the folder of each dataset of the suite."""

    suite: Suite
    model: Path
    questions: Mapping[str, Path]
    name: str
    revision: str
    precision: str
    batch_size: int = 1
    chat_template: bool = False
    device: str = "auto"
    limit: int | None = None
    seconds: float = 8 * 3600.0
    report: Callable[[RunProgress], None] = field(default=lambda _: None)

    @property
    def job(self) -> EvaluationJob:
        """The job that a board would queue."""
        return EvaluationJob(
            board="local",
            attempt=f"{'0' * 12}-{self.revision[:8]}-1",
            path="local",
            model=self.name,
            revision=self.revision,
            precision=self.precision,
            weight_type="Original",
            use_chat_template=self.chat_template,
            suite=self.suite.name,
            suite_digest=self.suite.digest,
        )


@dataclass(frozen=True)
class LocalResults:
    """The scores of an evaluation, the digests of its questions and its scoring, and its results file as `data`."""

    scores: Scores
    digests: ResultDigests
    data: JsonObject


def evaluate_locally(evaluation: LocalEvaluation, output: Path) -> LocalResults:
    """Run `evaluation`, and write results.json and the samples to `output`. Raises WorkerError."""
    evaluator_command(evaluation.suite)
    devices = machine.find_devices(evaluation.device)
    with (
        tempfile.TemporaryDirectory(prefix="steward-evaluator-") as folder,
        EvaluatorSandbox.opened(Path(folder), devices) as sandbox,
    ):
        questions = Path(folder).resolve() / "questions"
        for repo, files in evaluation.questions.items():
            shutil.copytree(files, questions / repo)
        plan, log = _plan(evaluation, sandbox, questions, devices), BoundedLog()
        child_exit = sandbox.run(plan, log, evaluation.report)
        if not child_exit.finished:
            evidence = child_exit.evidence(log.tail())
            words = "; ".join((f"{diagnose(evidence).cause}: {failure_detail(evidence)}", *decisive_lines(log.text())))
            raise EvaluationFailed(words)
        try:
            data = read_evaluator_results(plan, evaluation.suite)
            scores, parts = score(data["results"], evaluation.suite), digest_parts(data)
            written = dump(data)
        except BadResults as error:
            raise EvaluationFailed(str(error)) from error
        assert parts is not None
        (output / SAMPLES).mkdir(parents=True, exist_ok=True)
        for task in evaluation.suite.tasks:
            shutil.copyfile(plan.spool / SAMPLES / f"{task}.jsonl", output / SAMPLES / f"{task}.jsonl")
        (output / RESULTS).write_bytes(written)
        return LocalResults(scores, combine(parts, evaluation.suite), data)


def _plan(
    evaluation: LocalEvaluation, sandbox: EvaluatorSandbox, questions: Path, devices: tuple[Device, ...]
) -> RunPlan:
    suite, memory_bytes = evaluation.suite, int(machine.memory_bytes() * MEMORY_SHARE)
    requirements = estimate_requirements(evaluation.job, evaluation.model, None)
    capacity = machine.machine_capacity(devices, memory_bytes)
    placement = choose_placement(requirements, capacity, batch_size=evaluation.batch_size)
    return RunPlan(
        attempt=evaluation.job.attempt,
        model=evaluation.name,
        revision=evaluation.revision,
        model_path=evaluation.model.resolve(),
        dtype=placement.dtype,
        quantisation=placement.quantisation,
        device=placement.device,
        spread=placement.spread,
        copies=placement.copies,
        batch_size=placement.batch_size,
        evaluator=evaluator_command(suite),
        tasks=suite.tasks,
        shots=suite.shots,
        withdrawn={task: tuple(sorted(suite.withdrawn(task))) for task in suite.tasks},
        datasets=questions,
        revisions={dataset.repo: dataset.revision or "0" * 40 for dataset in suite.datasets},
        use_chat_template=evaluation.chat_template,
        limit=evaluation.limit,
        limits=RunLimits(max_seconds=evaluation.seconds, memory_bytes=memory_bytes, spool_bytes=DISK_BYTES),
        spool=sandbox.slot.spool,
        suite=suite.name,
        suite_digest=suite.digest,
    )
