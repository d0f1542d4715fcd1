"""Scores on models' own pages: the columns that a board reports there, and the file that a model's repo gets.

The Hub shows scores in `.eval_results/*.yaml` of a model's repo on the model's page and in the leaderboard of the
benchmark that they name. A score must be of exactly that task, which the board file has to state for each column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from leaderboard.evaluations import MeasuredResults
from leaderboard.results import results_time
from leaderboard.suites import Suite
from leaderboard.times import write_time

RESULTS_FOLDER = ".eval_results/"
BENCHMARK_FILE = "eval.yaml"
_COMMIT_DIGITS = 8


class ModelPageColumn(BaseModel):
    """One column that is an official task of a benchmark on the Hub, which the operator states by `same_task`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,96}/[A-Za-z0-9_.-]{1,96}$")] = Field(
        description="the benchmark's dataset on the Hub"
    )
    task_id: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")] = Field(
        description="id of the task in its `eval.yaml`"
    )
    unit: Literal["fraction", "percent"] = Field(
        description="`fraction` reports the raw score as 0-1, `percent` as 0-100"
    )
    same_task: bool = Field(
        default=False,
        description="`true` states that the column is that very task: the same questions, prompt, shots and metric",
    )

    @model_validator(mode="after")
    def _is_that_task(self) -> ModelPageColumn:
        if not self.same_task:
            raise ValueError(
                f"set `same_task: true` if this column is the very task {self.task_id} of {self.dataset}, with the "
                "same questions, prompt, shots and metric as its eval.yaml defines; else take it out of model_pages"
            )
        return self


@dataclass(frozen=True)
class PageScore:
    """One score as a model's repo states it."""

    column: str
    dataset: str
    task_id: str
    value: float
    date: str
    source: str
    board: str
    notes: str

    @property
    def task(self) -> tuple[str, str]:
        """The dataset, in lower case, and the task, for which a model has at most one score from one board."""
        return self.dataset.lower(), self.task_id

    def entry(self) -> dict[str, Any]:
        """Return the score as an entry of the file."""
        return {
            "dataset": {"id": self.dataset, "task_id": self.task_id},
            "value": self.value,
            **({"date": self.date} if self.date else {}),
            "source": {"url": self.source, "name": self.board},
            "notes": self.notes,
        }


def unknown_columns(columns: Iterable[str], suite: Suite) -> list[str]:
    """Return those of `columns` that are no benchmark of `suite`."""
    names = {benchmark.name for benchmark in suite.benchmarks}
    return sorted(set(columns) - names)


def file_path(board: str) -> str:
    """Return the path in a model's repo of the file with the scores of `board`."""
    return f"{RESULTS_FOLDER}{board}.yaml"


def page_scores(
    columns: Mapping[str, ModelPageColumn], suite: Suite, measured: MeasuredResults, *, title: str, source: str
) -> list[PageScore]:
    """Return the scores of `measured` that the board reports, in the suite's order; `source` is the results' URL."""
    shots = {benchmark.name: benchmark.shots for benchmark in suite.benchmarks}
    scores: list[PageScore] = []
    for benchmark in measured.scores.benchmarks:
        column = columns.get(benchmark.name)
        if column is None:
            continue
        value = round(benchmark.raw * 100, 4) if column.unit == "percent" else round(benchmark.raw, 6)
        notes = ", ".join(_notes(measured, shots[benchmark.name]))
        date = _date(measured.path)
        scores.append(PageScore(benchmark.name, column.dataset, column.task_id, value, date, source, title, notes))
    return scores


def _notes(measured: MeasuredResults, shots: int) -> Iterator[str]:
    yield f"{shots}-shot"
    if measured.precision:
        yield measured.precision
    if measured.chat_template:
        yield "chat template"
    if measured.revision:
        yield f"commit {measured.revision[:_COMMIT_DIGITS]}"


def _date(path: str) -> str:
    seconds = results_time(path)
    return write_time(seconds) if seconds is not None else ""


def eval_file(scores: Iterable[PageScore]) -> bytes:
    """Return the file that states `scores`."""
    entries = [score.entry() for score in scores]
    return yaml.safe_dump(entries, sort_keys=False, allow_unicode=True).encode()


def best_precision(precisions: Iterable[str]) -> str:
    """Return the precision whose scores a model's page gets: one that is not quantised, where there is one."""
    return min(precisions, key=lambda name: (name not in ("bfloat16", "float16", "float32"), name))


def adds_only_scores(paths: Collection[str]) -> bool:
    """Whether a change of these paths in a model's repo changes scores only, and not the model itself."""
    return bool(paths) and all(path.startswith(RESULTS_FOLDER) for path in paths)
