"""Runs an evaluator for a trial, in the worker's own sandbox, and reads what each run left.

No Hub and no Redis: model and questions are folders.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from leaderboard.evaluator_contract import RESULTS, SAMPLES
from leaderboard.jsontext import JsonObject
from leaderboard.scores import BadResults, score
from leaderboard.steward_block import BLOCK
from leaderboard.suites import Suite
from workers.common.diagnosis import diagnose, evidence_of, failure_detail
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunLimits, RunPlan, RunProgress
from workers.errors import EvaluationFailed
from workers.evaluation import machine
from workers.evaluation.evaluator_command import evaluator_command
from workers.evaluation.evaluator_sandbox import DISK_BYTES, EvaluatorSandbox
from workers.jobs.evaluator_check_words import failure_words
from workers.jobs.planning import MEMORY_SHARE
from workers.models.tiny_model import model as tiny_model
from workers.publication.evaluator_results import AnswerDigests, answer_digests, read_evaluator_results
from workers.sandbox.slots import Slot
from workers.sandbox.supervision import ChildExit

MODEL = ("steward/one", "1" * 40)
"""Name and revision of the model of the runs."""
MEMORY_BYTES = int(machine.memory_bytes() * MEMORY_SHARE)


@dataclass
class TrialRun:
    """The result of one run: `results` as a worker would publish them, or `cause` and `words` of its failure."""

    seconds: float
    progress: list[RunProgress]
    log: BoundedLog
    results: JsonObject | None = None
    answers: dict[str, dict[int, AnswerDigests]] = field(default_factory=dict)
    """Task → digests of its samples, where there are results."""
    cause: str = ""
    words: str = ""
    left_early: bool = False
    """Whether the run was ended when results.json existed, but the files that it describes were not complete."""

    @property
    def asked(self) -> object:
        """The digests of the questions of each task."""
        assert self.results is not None
        return {task: parts["asked"] for task, parts in self.results[BLOCK]["digests"]["tasks"].items()}


class EvaluatorTrial:
    """Runs the evaluator of `suite`; `opened` makes one."""

    def __init__(self, suite: Suite, sandbox: EvaluatorSandbox, questions: Path) -> None:
        self.suite = suite
        self.sandbox = sandbox
        self.questions = questions
        self.model = self.slot.folder / "model"

    @property
    def slot(self) -> Slot:
        """The folders of the runs."""
        return self.sandbox.slot

    @classmethod
    @contextmanager
    def opened(
        cls, suite: Suite, folder: Path, questions: Mapping[str, Path], model: Path | None = None
    ) -> Iterator[EvaluatorTrial]:
        """A trial with a sandbox in the empty `folder`. `questions`: repo of the suite → folder with its files.

        `model` is a folder with config.json and model.safetensors; without one, a tiny model is made. Raises
        ZygoteBroken, EvaluatorMissing.
        """
        evaluator_command(suite)
        with EvaluatorSandbox.opened(folder) as sandbox:
            trial = cls(suite, sandbox, folder.resolve() / "questions")
            for repo, files in questions.items():
                _copy(files, trial.questions / repo)
            _provide_model(model, trial.model)
            yield trial

    def run(
        self,
        named: tuple[str, str] = MODEL,
        *,
        seconds: float,
        limit: int | None = None,
        model: Path | None = None,
    ) -> TrialRun:
        """One run of the evaluator, of at most `seconds`."""
        return self._run(self._plan(named, seconds=seconds, limit=limit, model=model or self.model))

    def score_again(self, *, seconds: float, limit: int | None) -> TrialRun:
        """Have the evaluator score the samples of the last run again, without a model and questions."""
        stored = self.slot.folder / "stored"
        shutil.rmtree(stored, ignore_errors=True)
        stored.mkdir()
        for task in self.suite.tasks:  # all of them, so that their scores are those of the run
            shutil.copyfile(self.slot.spool / SAMPLES / f"{task}.jsonl", stored / f"{task}.jsonl")
        plan = self._plan(MODEL, seconds=seconds, limit=limit, model=stored)
        return self._run(plan.model_copy(update={"stored": stored}))

    def _run(self, plan: RunPlan) -> TrialRun:
        progress, log = list[RunProgress](), BoundedLog()
        started = time.monotonic()
        child_exit = self.sandbox.run(plan, log, progress.append)
        run = TrialRun(time.monotonic() - started, progress, log)
        self._judge(run, plan, child_exit)
        return run

    def _judge(self, run: TrialRun, plan: RunPlan, child_exit: ChildExit) -> None:
        """Read what the run left, or say why it failed."""
        if not child_exit.finished:
            evidence = child_exit.evidence(run.log.tail())
            run.cause, run.words = diagnose(evidence).cause, failure_detail(evidence)
            run.cause = "progress" if run.cause == "evaluator-files-invalid" else run.cause
            run.words = failure_words(run.cause, run.words, child_exit.stopped, plan.limits, run.progress)
        try:
            results = read_evaluator_results(plan, self.suite)
            score(results["results"], self.suite)
        except (EvaluationFailed, BadResults) as error:
            if child_exit.finished:
                run.cause, run.words = diagnose(evidence_of(error, "publish")).cause, str(error)
            else:
                run.left_early = (plan.spool / RESULTS).exists()
        else:
            run.results = results if child_exit.finished else None
            run.answers = {
                task: answer_digests(plan.spool / SAMPLES / f"{task}.jsonl") for task in self.suite.tasks if run.results
            }

    def _plan(self, named: tuple[str, str], *, seconds: float, limit: int | None, model: Path) -> RunPlan:
        name, revision = named
        return RunPlan(
            attempt=f"{'0' * 12}-{revision[:8]}-1",
            model=name,
            revision=revision,
            model_path=model,
            evaluator=evaluator_command(self.suite),
            tasks=self.suite.tasks,
            shots=self.suite.shots,
            withdrawn={task: tuple(sorted(self.suite.withdrawn(task))) for task in self.suite.tasks},
            datasets=self.questions,
            revisions={source.repo: source.revision or "0" * 40 for source in self.suite.datasets},
            limit=limit,
            limits=RunLimits(
                max_seconds=seconds, stall_seconds=seconds, memory_bytes=MEMORY_BYTES, spool_bytes=DISK_BYTES
            ),
            spool=self.slot.spool,
            suite=self.suite.name,
            suite_digest=self.suite.digest,
        )


def _provide_model(model: Path | None, folder: Path) -> None:
    if model is not None:
        _copy(model, folder)
        return
    folder.mkdir()
    for name, data in tiny_model().items():
        (folder / name).write_bytes(data)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder for the sandbox's user, who may not be able to read the original."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
