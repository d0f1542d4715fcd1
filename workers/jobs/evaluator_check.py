"""Tries an evaluator in the worker's own sandbox, and says what is wrong with it: `steward evaluator check`.

Several runs: a good one, the same again, one for another model with fewer questions, one that is ended at half its
time, one with a model whose weights are cut off; and where the suite says that it can, one that scores samples again.

No Hub and no Redis: model and questions are folders.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
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
from workers.evaluation.evaluator_sandbox import EvaluatorSandbox
from workers.jobs.evaluator_check_words import answered_words, broken_model_words, failure_words, log_end
from workers.jobs.planning import MEMORY_SHARE
from workers.models.tiny_model import model as tiny_model
from workers.publication.evaluator_results import AnswerDigests, answer_digests, read_evaluator_results
from workers.sandbox.slots import Slot
from workers.sandbox.supervision import ChildExit

MODEL, OTHER_MODEL = ("steward/one", "1" * 40), ("steward/two", "2" * 40)
"""Names and revisions of the model of the runs: the second ones find evaluators that do not read their plan."""
OTHER_LIMIT = 2
"""Questions of each task in the run with the other name."""
DISK_BYTES = 1 << 30
MEMORY_BYTES = int(machine.memory_bytes() * MEMORY_SHARE)

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("It starts", ("evaluator-missing", "walls-missing", "zygote-broken")),
    ("It ends in time", ("time-limit", "stalled")),
    ("It stays within memory and disk", ("file-limit", "disk-full", "out-of-memory", "killed-by-kernel")),
    ("Its lines of progress are valid", ("progress",)),
    ("It ends without an error", ()),
    ("It leaves every file", ("evaluator-left-nothing",)),
    ("Its files are as the contract says", ("evaluator-files-invalid",)),
    ("It reports the evaluation that its plan asks for", ("evaluator-other-run",)),
    ("Its results follow from its samples", ("evaluator-contradiction",)),
    ("It answers every question", ("evaluator-errors",)),
)
"""What a run must do, in order, and the causes of failures in it; any other cause is an end with an error."""


@dataclass(frozen=True)
class EvaluatorFinding:
    """One line of the check; `passed` None: it could not be looked at, because an earlier one failed."""

    title: str
    passed: bool | None
    words: str = ""
    log: tuple[str, ...] = ()
    """The end of the log of a run that failed."""


@dataclass
class TrialRun:
    """What one run gave: `results` as they would be published, or `cause` and `words` of its failure."""

    seconds: float
    progress: list[RunProgress]
    log: BoundedLog
    results: JsonObject | None = None
    answers: dict[str, dict[int, AnswerDigests]] = field(default_factory=dict)
    """Task → digests of its samples, where there are results."""
    cause: str = ""
    words: str = ""
    left_early: bool = False
    """Whether it was ended when its results.json was there, and its other files were not what that says."""

    @property
    def asked(self) -> object:
        """What was asked: the digests of each task."""
        assert self.results is not None
        return {task: parts["asked"] for task, parts in self.results[BLOCK]["digests"]["tasks"].items()}


class EvaluatorTrial:
    """Runs the evaluator of `suite`; use it inside `opened`."""

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
        """A sandbox in `folder`, which is empty. `questions`: repo of the suite → folder with its files.

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


def check_evaluator(trial: EvaluatorTrial, *, seconds: float, limit: int | None) -> Iterator[EvaluatorFinding]:
    """Every finding about the evaluator of `trial`. A run has `seconds`, and asks `limit` questions of each task."""
    first = trial.run(seconds=seconds, limit=limit)
    yield from _steps(first)
    if first.results is None:
        return
    yield _says_progress(first)
    yield _finding("Its log is short", not first.log.cut, "the beginning and the end are stored, the rest is lost")
    again = trial.run(seconds=seconds, limit=limit)
    yield _same(first, again)
    if trial.suite.evaluator is not None and trial.suite.evaluator.scores_again is not None and again.results:
        yield _scores_alike(again, trial.score_again(seconds=seconds, limit=limit))
    other = trial.run(OTHER_MODEL, seconds=seconds, limit=OTHER_LIMIT)
    yield _finding("It reads model and limit from its plan", other.results is not None, other.words)
    yield _ends_early(trial, first)
    yield _notices_broken(trial, seconds)


def _steps(run: TrialRun) -> Iterator[EvaluatorFinding]:
    """What a run did, up to the step in which it failed."""
    failed: int | None = None
    if run.results is None:
        by_default = next(place for place, (_, causes) in enumerate(STEPS) if not causes)
        failed = next((place for place, (_, causes) in enumerate(STEPS) if run.cause in causes), by_default)
    for place, (title, _) in enumerate(STEPS):
        if failed is None or place < failed:
            answered = failed is None and place == len(STEPS) - 1
            yield EvaluatorFinding(title, True, answered_words(run.results) if answered else "")
        elif place == failed:
            yield EvaluatorFinding(title, False, run.words, log_end(run.log.text()))
        else:
            yield EvaluatorFinding(title, passed=None)


def _finding(title: str, passed: bool, problem: str) -> EvaluatorFinding:
    return EvaluatorFinding(title, passed, "" if passed else problem)


def _says_progress(run: TrialRun) -> EvaluatorFinding:
    title, counts = "It says its progress", [progress for progress in run.progress if progress.total]
    if not counts:
        return EvaluatorFinding(title, False, "no line came: the worker stops an evaluator that is silent for long")
    last = counts[-1]
    return _finding(title, last.done == last.total, f"its last line says {last.done:,} of {last.total:,}")


def _same(first: TrialRun, again: TrialRun) -> EvaluatorFinding:
    title = "It gives the same again"
    if again.results is None:
        return EvaluatorFinding(title, False, f"the second run failed: {again.words}")
    if again.asked != first.asked:
        return EvaluatorFinding(title, False, "it asks otherwise in a second run: take everything random from the seed")
    return _finding(
        title, again.results["results"] == _values(first), "it scores otherwise in a second run of the same model"
    )


def _scores_alike(evaluated: TrialRun, scored: TrialRun) -> EvaluatorFinding:
    title = "It scores stored samples again"
    if scored.results is None:
        return EvaluatorFinding(title, False, f"it failed: {scored.words}", log_end(scored.log.text()))
    if scored.asked != evaluated.asked:
        return EvaluatorFinding(title, False, "its samples have other prompts or questions than the stored ones")
    if scored.answers != evaluated.answers:
        return EvaluatorFinding(title, False, "its samples have other outputs or errors than the stored ones")
    return _finding(title, _values(scored) == _values(evaluated), "it scores the samples of its own run otherwise")


def _values(run: TrialRun) -> object:
    assert run.results is not None
    return run.results["results"]


def _ends_early(trial: EvaluatorTrial, first: TrialRun) -> EvaluatorFinding:
    title = "It leaves results.json last"
    cut = trial.run(seconds=max(0.05, first.seconds / 2), limit=None)
    early = cut.left_early and cut.cause == "time-limit"
    return _finding(title, not early, "it was ended at half its time, with a results.json before its samples")


def _notices_broken(trial: EvaluatorTrial, seconds: float) -> EvaluatorFinding:
    title = "It gives no results for a broken model"
    broken = trial.slot.folder / "broken"
    shutil.copytree(trial.model, broken, dirs_exist_ok=True)
    for weights in broken.glob("*.safetensors"):
        data = weights.read_bytes()
        weights.write_bytes(data[: len(data) // 2])
    run = trial.run(seconds=seconds, limit=OTHER_LIMIT, model=broken)
    return EvaluatorFinding(title, *broken_model_words(run.results is not None, run.cause))


def failures(findings: Sequence[EvaluatorFinding]) -> int:
    """The number of findings that did not pass."""
    return sum(finding.passed is False for finding in findings)
