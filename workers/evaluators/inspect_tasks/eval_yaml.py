"""Reads the `eval.yaml` of a benchmark dataset: its tasks, with solvers and scorers of inspect-ai."""

from __future__ import annotations

from pathlib import Path
from string import ascii_uppercase
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from workers.evaluators.inspect_tasks.settings import CannotEvaluate, first_error, one_line

FILE = "eval.yaml"
MAX_BYTES = 256 * 1024
FRAMEWORK = "inspect-ai"
SOLVERS = frozenset(
    {
        "chain_of_thought",
        "generate",
        "multiple_choice",
        "prompt_template",
        "self_critique",
        "system_message",
        "user_message",
    }
)
SCORERS = frozenset({"answer", "choice", "exact", "f1", "includes", "match", "math", "pattern"})
REFUSED = {
    "use_tools": "it gives tools to the model",
    "model_graded_qa": "it asks a model to grade the answers",
    "model_graded_fact": "it asks a model to grade the answers",
}
"""Solvers and scorers of inspect-ai that eval.yaml may name, and that this evaluator does not run → the reason."""
REFUSED_FIELDS = {
    "input_image": "its questions have images",
    "sandbox": "it needs a sandbox with tools",
    "files": "it needs a sandbox with tools",
    "setup": "it needs a sandbox with tools",
}
REDUCER = r"^(pass_at_\d{1,3}|at_least_\d{1,3}|max|mode|median|mean)$"


class BenchmarkStep(BaseModel):
    """A solver or a scorer by its name, with arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=100)
    args: dict[str, JsonValue] = Field(default_factory=dict)


class FieldSpec(BaseModel):
    """Which columns of the dataset make a question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: str
    target: str
    choices: str | list[str] | None = None
    metadata: list[str] | None = None
    id: str | None = None
    description: str | None = None


class BenchmarkTask(BaseModel):
    """One task of an eval.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = None
    config: str = "default"
    split: str = "test"
    field_spec: FieldSpec
    shuffle_choices: bool | None = None
    epochs: int = Field(default=1, ge=1, le=1000)
    epoch_reducer: str | None = Field(default=None, pattern=REDUCER)
    solvers: list[BenchmarkStep] = Field(min_length=1, max_length=50)
    scorers: list[BenchmarkStep] = Field(min_length=1, max_length=20)

    @model_validator(mode="before")
    @classmethod
    def _can_run_here(cls, data: Any) -> Any:
        """Refuse fields that inspect-ai knows and that need what the sandbox does not have."""
        fields = data.get("field_spec") if isinstance(data, dict) else None
        for name, why in REFUSED_FIELDS.items():
            if isinstance(fields, dict) and fields.get(name) is not None:
                raise ValueError(f"this evaluator cannot run it: {why} (field_spec.{name})")
        return data


def read_task(folder: Path, id_: str, name: str) -> BenchmarkTask:
    """The task `id_` of the dataset in `folder`; without an id, the one that is called `name`, or the only one.

    Raises CannotEvaluate.
    """
    entries = _entries(folder / FILE)
    ids = [str(entry.get("id")) for entry in entries]
    wanted = id_ or (name if len(entries) > 1 else ids[0])
    if wanted not in ids:
        raise _wrong(f"there is no task {wanted}; its tasks are {', '.join(ids)[:300]}")
    try:
        task = BenchmarkTask.model_validate(entries[ids.index(wanted)])
    except ValidationError as error:
        raise _wrong(f"task {wanted}: {first_error(error)}") from error
    for kind, steps, known in (("solver", task.solvers, SOLVERS), ("scorer", task.scorers, SCORERS)):
        for step in steps:
            _check_step(f"task {wanted}", kind, step, known)
    return task


def _wrong(message: str) -> CannotEvaluate:
    return CannotEvaluate("evaluator", f"{FILE}: {message}")


def _entries(path: Path) -> list[dict[str, Any]]:
    """The entries of an eval.yaml, one for each task. Raises CannotEvaluate."""
    if not path.is_file():
        raise _wrong("the dataset has no such file")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _wrong(f"it has more than {MAX_BYTES:,} bytes")
    try:
        content = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _wrong(f"it is no YAML: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise _wrong("it is no mapping")
    if (framework := content.get("evaluation_framework", FRAMEWORK)) != FRAMEWORK:
        raise _wrong(f"its evaluation_framework is {str(framework)[:100]}, and this evaluator runs {FRAMEWORK}")
    tasks = content.get("tasks")
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) for task in tasks):
        raise _wrong("it has no list of tasks")
    return tasks


def _check_step(where: str, kind: str, step: BenchmarkStep, known: frozenset[str]) -> None:
    """Raise CannotEvaluate unless this evaluator runs the solver or scorer `step`."""
    if why := REFUSED.get(step.name):
        raise _wrong(f"{where}: the {kind} {step.name} is not run here: {why}")
    if step.name not in known:
        raise _wrong(f"{where}: there is no {kind} {step.name[:100]}; there are {', '.join(sorted(known))}")
    if named := sorted({"model", "model_role"} & step.args.keys()):
        raise _wrong(f"{where}: the {kind} {step.name} asks another model ({named[0]})")


def question_of(record: dict[str, Any], spec: FieldSpec) -> dict[str, Any]:
    """The arguments of inspect-ai's Sample for a row of the dataset. Raises KeyError, IndexError."""
    fields: dict[str, Any] = {"input": record[spec.input]}
    if spec.choices is not None:
        choices = (
            [record[choice] for choice in spec.choices] if isinstance(spec.choices, list) else record[spec.choices]
        )
        fields["choices"] = [str(choice) for choice in choices]
    target = spec.target.removeprefix("literal:") if spec.target.startswith("literal:") else record[spec.target]
    if isinstance(target, int) and not isinstance(target, bool) and spec.choices is not None:
        target = ascii_uppercase[target]
    fields["target"] = str(target)
    if spec.metadata:
        fields["metadata"] = {name: record[name] for name in spec.metadata}
    return fields
