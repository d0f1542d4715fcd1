"""Trials: a few questions of each benchmark show whether a model runs, what it writes, and how long all would take.

A trial is no evaluation: it creates no request, no result and no row of the table. Only the reply to the command that
asked for it shows its report.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

QUESTIONS = 32
"""Questions of each benchmark, spread over its tasks."""
MAX_SECONDS = 3_600
"""Time limit of one trial."""
MAX_WAIT_SECONDS = 7 * 86_400.0
"""Seconds for which a trial waits for a free worker."""
WINDOW_SECONDS = 7 * 86_400.0
"""The window of the quota of trials of one person."""
MAX_PENDING = 50
"""Trials of a board that may wait or run at a time."""
MAX_TRIES = 3
"""Attempts of one trial that may fail for a cause that is not the model's."""
MAX_ANSWERS, MAX_ANSWER = 3, 400
"""Answers in a report, and characters of one."""


class TrialTask(BaseModel):
    """The `seconds` that `asked` of a benchmark's `questions` took."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(max_length=100)
    asked: int = Field(ge=1, le=10**9)
    questions: int = Field(ge=1, le=10**9)
    seconds: float = Field(ge=0, le=1e9, allow_inf_nan=False)

    @property
    def whole_seconds(self) -> float:
        """The expected seconds of all its questions."""
        return self.seconds * max(1.0, self.questions / self.asked)


class TrialAnswer(BaseModel):
    """The model's answer to one question of a task: the text that it wrote, or the choice."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: str = Field(max_length=100)
    text: str = Field(max_length=MAX_ANSWER)


class TrialReport(BaseModel):
    """The report of a trial. A worker writes it, so it is untrusted."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    load_seconds: float = Field(ge=0, le=1e9, allow_inf_nan=False)
    tasks: tuple[TrialTask, ...] = Field(min_length=1, max_length=200)
    answers: tuple[TrialAnswer, ...] = Field(default=(), max_length=MAX_ANSWERS)

    @property
    def whole_seconds(self) -> float:
        """The expected seconds of the whole evaluation, without the download."""
        return self.load_seconds + sum(task.whole_seconds for task in self.tasks)
