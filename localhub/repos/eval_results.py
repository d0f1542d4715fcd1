"""Scores in model repos (`.eval_results/*.yaml`), and the `eval.yaml` that makes a dataset a benchmark.

A file with errors can be committed: the model's info then shows the error in place of the file's scores [?]. An invalid
`eval.yaml` is refused. Every dataset with an `eval.yaml` counts as a benchmark; the Hub also keeps a list by hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from localhub.errors import printable
from localhub.git.repository import GitRepo
from localhub.json_values import JsonObject, to_json_values

RESULTS_FOLDER = ".eval_results"
BENCHMARK_FILE = "eval.yaml"
FRAMEWORKS = frozenset({
    "apex-evals", "archipelago", "benchflow", "claw-eval", "exgentic", "extractbench", "harbor", "ifstruct",
    "inspect-ai", "math-arena", "mdpbench", "mmmu", "mteb", "nanofold", "nemo-evaluator", "olmocr-bench",
    "open-asr-leaderboard", "parsebench", "pbench", "pier", "real5-omnidocbench", "redline-bench",
    "researchclawbench", "screenspot-pro", "swe-bench", "swe-bench-pro", "video-mme-v2", "wbench", "wildclawbench",
    "yc-bench",
})  # fmt: skip
"""Evaluation frameworks that the Hub accepts: its list in huggingface.js, `@huggingface/tasks` 0.21.54."""
INSPECT = "inspect-ai"
"""The framework whose tasks describe how they are evaluated."""
_MAX_CHARS = 200_000
_SOURCE_FIELDS = ("url", "name", "user", "org")


@dataclass(frozen=True)
class EvalFile:
    """One file of scores: its entries as the API shows them, or the error in it."""

    path: str
    entries: tuple[JsonObject, ...] = ()
    error: str = ""


class _Invalid(ValueError):
    """A file is invalid; the message names the field and the problem."""


def is_result_path(path: str) -> bool:
    """Whether a file at this path of a model repo holds scores."""
    folder, _, name = path.rpartition("/")
    return folder == RESULTS_FOLDER and name.endswith(".yaml")


def files_at(git: GitRepo, commit: str, paths: Iterable[str] | None = None) -> Iterator[EvalFile]:
    """The files of scores of a commit: all, or those at `paths`."""
    if paths is None:
        folder = git.entry(commit, RESULTS_FOLDER)
        if folder is None or folder.type != "directory":
            return
        paths = [entry.path for entry in git.entries(commit, RESULTS_FOLDER) if entry.type == "file"]
    for path in paths:
        content = git.file(commit, path) if is_result_path(path) else None
        if content is not None:
            yield parse_results(path, content)


def parse_results(path: str, content: bytes) -> EvalFile:
    """Read one file of scores; one wrong entry makes the whole file invalid."""
    try:
        items = _list(_load(content), "the file")
        return EvalFile(path, tuple(_entry(item, f"[{index}]") for index, item in enumerate(items)))
    except _Invalid as error:
        return EvalFile(path, error=str(error))


def benchmark_problem(content: bytes) -> str:
    """The problem of an `eval.yaml`; "" for a valid one."""
    try:
        _tasks(content)
    except _Invalid as error:
        return f"Invalid {BENCHMARK_FILE}: {error}"
    return ""


def benchmark_tasks(git: GitRepo) -> frozenset[str] | None:
    """The tasks of a dataset that is a benchmark; None for any other."""
    head = git.head()
    content = git.file(head, BENCHMARK_FILE) if head else None
    try:
        return frozenset(_tasks(content)) if content is not None else None
    except _Invalid:
        return None


def _tasks(content: bytes) -> list[str]:
    fields = _mapping(_load(content), "the file")
    for name in ("name", "evaluation_framework"):
        _text(fields, name, name, required=True)
    framework = fields["evaluation_framework"]
    if framework not in FRAMEWORKS:
        raise _Invalid(f"evaluation_framework: {framework} is none of {', '.join(sorted(FRAMEWORKS))}")
    _text(fields, "description", "description")
    names = []
    for index, task in enumerate(_list(fields.get("tasks"), "tasks")):
        at = f"tasks[{index}]"
        described = _mapping(task, at)
        names.append(_text(described, "id", f"{at}.id", required=True))
        for name in ("config", "split"):
            _text(described, name, f"{at}.{name}")
        if framework == INSPECT:
            _mapping(described.get("field_spec"), f"{at}.field_spec")
            for name in ("solvers", "scorers"):
                _list(described.get(name), f"{at}.{name}")
    if len(set(names)) < len(names):
        raise _Invalid("two tasks have the same id")
    return names


def _entry(item: Any, at: str) -> JsonObject:
    entry = _mapping(item, at)
    dataset = _mapping(entry.get("dataset"), f"{at}.dataset")
    shown: JsonObject = {
        "dataset": _texts(dataset, ("id", "task_id", "revision"), f"{at}.dataset", required=("id", "task_id"))
    }
    shown["value"] = _number(entry.get("value"), f"{at}.value")
    shown |= _texts(entry, ("verifyToken", "date", "notes"), at)
    if "date" in shown:
        _check_date(str(shown["date"]), f"{at}.date")
    if entry.get("source") is not None:
        source = _mapping(entry["source"], f"{at}.source")
        shown["source"] = _texts(source, _SOURCE_FIELDS, f"{at}.source", required=("url",))
    return shown


def _load(content: bytes) -> Any:
    if len(content) > _MAX_CHARS:
        raise _Invalid(f"the file has more than {_MAX_CHARS} bytes")
    try:
        return to_json_values(yaml.safe_load(content.decode()))
    except UnicodeDecodeError as error:
        raise _Invalid("the file is not UTF-8") from error
    except yaml.YAMLError as error:
        raise _Invalid(printable(str(error))) from error
    except (ValueError, RecursionError) as error:  # a date with month 13, or brackets nested a thousand deep
        raise _Invalid(str(error)) from error


def _mapping(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _Invalid(f"{at} must be a mapping of names to values")
    return value


def _list(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise _Invalid(f"{at} must be a list, and not empty")
    return value


def _texts(
    fields: Mapping[str, Any], names: Iterable[str], at: str, *, required: tuple[str, ...] = ()
) -> dict[str, object]:
    values = {name: _text(fields, name, f"{at}.{name}", required=name in required) for name in names}
    return {name: value for name, value in values.items() if value}


def _text(fields: Mapping[str, Any], name: str, at: str, *, required: bool = False) -> str:
    value = fields.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not value.strip():
        raise _Invalid(f"{at} must be a text")
    return value


def _number(value: Any, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _Invalid(f"{at} must be a number")
    return value


def _check_date(text: str, at: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise _Invalid(f"{at} must be a date in ISO 8601") from error
