"""A trial: a few questions of each benchmark, one child after the other. Its report goes to the bot alone.

A child per benchmark shows how long each takes, and which one a failure belongs to; the model is loaded anew for each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from leaderboard.jsontext import storable
from leaderboard.results import MAX_BYTES, parse_harness
from leaderboard.scores import BadResults
from leaderboard.steward_block import phase_seconds
from leaderboard.suites import Suite
from leaderboard.trials import MAX_ANSWER, MAX_ANSWERS, TrialAnswer, TrialReport, TrialTask
from workers.common.run_plan import RunPlan
from workers.errors import EvaluationFailed
from workers.evaluation.evaluate import RESULTS, SAMPLES
from workers.publication.spool import read_plain_file

MAX_PARTS = 12
"""Children of one trial; a suite with more benchmarks is tried by one child."""
MAX_LINE = 4 << 20
"""Bytes of a line with an answer that are read."""


@dataclass(frozen=True)
class TrialPart:
    """The part of a trial that one child computes: `limit` questions of each task in `run`, of the benchmark `name`."""

    name: str
    run: tuple[str, ...]
    limit: int

    def plan(self, plan: RunPlan) -> RunPlan:
        """`plan` for this part alone, without a comparison of its tasks with the board's results."""
        changes = {"tasks": self.run, "limit": self.limit, "accepted": (), "withdrawn": {}}
        return plan.model_copy(update=changes)


@dataclass(frozen=True)
class PartResult:
    """The results of one part: seconds to load the model, the time of its questions, and answers to show."""

    load_seconds: float
    task: TrialTask
    generated: tuple[TrialAnswer, ...]
    chosen: tuple[TrialAnswer, ...]


def trial_parts(suite: Suite, questions: int) -> tuple[TrialPart, ...]:
    """The parts of a trial that asks about `questions` questions of each benchmark, spread over its tasks."""
    limits = {
        benchmark.source: (benchmark.name, max(1, questions // len(benchmark.tasks))) for benchmark in suite.benchmarks
    }
    if len(limits) <= MAX_PARTS:
        return tuple(TrialPart(name, (source,), limit) for source, (name, limit) in limits.items())
    return (TrialPart(suite.name, suite.run, min(limit for _, limit in limits.values())),)


def read_part(part: TrialPart, spool: Path, suite: Suite) -> PartResult:
    """Read what the child of `part` left in `spool`. Raises EvaluationFailed if that is nothing, or nothing valid."""
    try:
        harness = parse_harness(read_plain_file(spool / RESULTS, MAX_BYTES))
        seconds, counts = phase_seconds(harness), dict(harness["n-samples"])
        pairs = [(count["effective"], count["original"]) for count in counts.values()]
        task = TrialTask(
            name=part.name,
            asked=sum(asked for asked, _ in pairs),
            questions=sum(questions for _, questions in pairs),
            seconds=seconds.get("prepare", 0.0) + seconds.get("evaluate", 0.0),
        )
    except (BadResults, AttributeError, KeyError, TypeError, ValueError) as error:
        raise EvaluationFailed(f"the trial of {part.name} left no valid counts: {error}"[:500]) from error
    restricted = {each.name for benchmark in suite.benchmarks if benchmark.restricted for each in benchmark.tasks}
    names = [name for name in suite.tasks if name in counts and name not in restricted]
    answers = list(_answers(spool, names))
    return PartResult(
        seconds.get("load", 0.0),
        task,
        tuple(answer for answer, is_text in answers if is_text),
        tuple(answer for answer, is_text in answers if not is_text),
    )


def _answers(spool: Path, tasks: Sequence[str]) -> Iterator[tuple[TrialAnswer, bool]]:
    """The answer to the first question of each task, and whether it is a text; the question itself is not read."""
    for task in tasks:
        path = spool / SAMPLES / f"{task}.jsonl"
        if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            line = file.readline(MAX_LINE)
        try:
            (first, *others) = json.loads(line)["filtered_resps"]
            text, is_text = (first, True) if isinstance(first, str) else (_choice([first, *others]), False)
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            continue
        yield TrialAnswer(task=task, text=storable(text)[:MAX_ANSWER]), is_text


def _choice(answers: Sequence[Sequence[object]]) -> str:
    """The choice whose log-likelihood is the highest."""
    scores = [float(str(answer[0])) for answer in answers]
    return f"choice {scores.index(max(scores)) + 1} of {len(scores)}"


def report_of(results: Sequence[PartResult]) -> TrialReport:
    """The report of a trial from the results of its parts; generated texts come before choices."""
    answers = [answer for result in results for answer in result.generated]
    answers += [answer for result in results for answer in result.chosen]
    return TrialReport(
        load_seconds=max(result.load_seconds for result in results),
        tasks=tuple(result.task for result in results),
        answers=tuple(answers[:MAX_ANSWERS]),
    )
