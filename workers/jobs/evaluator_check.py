"""Checks an evaluator in a few trial runs, and says what is wrong with it: `steward evaluator check`.

Several runs: a good one, the same again, one for another model with fewer questions, one that is ended at half its
time, one with a model whose weights are cut off; and where the suite says that it can, one that scores samples again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workers.jobs.evaluator_check_words import answered_words, broken_model_words, log_end
from workers.jobs.evaluator_trial import EvaluatorTrial, TrialRun

OTHER_MODEL = ("steward/two", "2" * 40)
"""Name and revision of the model in the run that finds evaluators that do not read their plan."""
OTHER_LIMIT = 2
"""Questions of each task in that run, and in the one with a broken model."""

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
"""What a run must do, in order, and the causes of failures of each step; any other cause is an end with an error."""


@dataclass(frozen=True)
class EvaluatorFinding:
    """One line of the check; `passed` is None if it was not checked, because an earlier step failed."""

    title: str
    passed: bool | None
    words: str = ""
    log: tuple[str, ...] = ()
    """The end of the log of a run that failed."""


def check_evaluator(trial: EvaluatorTrial, *, seconds: float, limit: int | None) -> Iterator[EvaluatorFinding]:
    """All findings about the evaluator of `trial`. A run takes up to `seconds`, and asks `limit` questions a task."""
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
    """A finding for each of STEPS, up to the step in which the run failed."""
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
