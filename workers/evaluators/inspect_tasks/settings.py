"""The suite's options for the evaluator of inspect-ai's tasks, and the file that reports a failure."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

NAME, VERSION = "inspect-ai", "1"
BETWEEN_EPOCHS = "\n\n--- again ---\n\n"
"""Stands between a question's answers in the table of samples."""
Fault = Literal["model", "evaluator"]


class CannotEvaluate(Exception):
    """The evaluation is impossible; the message says what must change in the model or in the evaluator's suite."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault: Fault = fault


def leave_failure(fault: Fault, message: str) -> None:
    """Write failure.json into the working folder, for CannotEvaluate."""
    text = json.dumps({"contract": 1, "fault": fault, "message": message[:1000]})
    (working_folder() / "failure.json").write_text(text, "utf-8")


def working_folder() -> Path:
    """The folder of plan.json, where samples and results go."""
    return Path(os.environ["STEWARD_PLAN"]).parent


class TaskSource(BaseModel):
    """Where a task of the suite comes from: the eval.yaml of a dataset, or a function of a package."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(default="", description="a dataset of the suite with an eval.yaml; empty: the first one")
    id: str = Field(default="", description="the task's id in eval.yaml; empty: the task's name, or the only task")
    function: str = Field(
        default="", pattern=r"^([\w.]+:\w+)?$", description="package.module:function of an installed package"
    )
    args: dict[str, JsonValue] = Field(default_factory=dict, description="arguments of the function")


class InspectOptions(BaseModel):
    """All options; a suite without any evaluates the tasks of its first dataset's eval.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: dict[str, TaskSource] = Field(default_factory=dict, description="task of the suite → its source")
    max_tokens: int = Field(default=512, ge=1, le=100_000, description="of an answer, unless its task says otherwise")
    temperature: float = Field(default=0, ge=0, le=10, description="0: greedy")
    top_p: float = Field(default=1, gt=0, le=1)
    question_seconds: int | None = Field(default=None, ge=1, description="of one question; null: no limit")


def read_options(plan: dict[str, Any]) -> InspectOptions:
    """The options of a plan. Raises CannotEvaluate."""
    try:
        options = InspectOptions.model_validate(plan["options"])
    except ValidationError as error:
        raise CannotEvaluate("evaluator", f"the suite's options: {first_error(error)}") from error
    if unknown := sorted(options.tasks.keys() - {task["name"] for task in plan["tasks"]}):
        raise CannotEvaluate("evaluator", f"the suite's options name {unknown[0]}, which is no task of the suite")
    return options


def first_error(error: ValidationError) -> str:
    """The first problem of a failed validation, as one line."""
    problem = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, problem['loc'])) or 'all of it'}: {problem['msg']}"


def one_line(error: BaseException) -> str:
    """The first line of an error's message, or its type."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
