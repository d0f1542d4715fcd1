"""The harness's own tasks, made from stored questions instead of their data sets.

A data set that is derived again would differ: GPQA's choices are shuffled while it is derived, and MATH's questions
lose fields. So a task never loads or derives its questions here. All else is the harness's: filters, metrics,
aggregations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import lm_eval.tasks._factory
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager
from lm_eval.utils import handle_non_serializable

from leaderboard.suites import Suite
from workers.errors import RescoringRefused
from workers.evaluation.task_loading import task_folders
from workers.rescoring.stored_answers import AnswersTable

ASKED = (
    *("output_type", "dataset_path", "dataset_name", "custom_dataset", "training_split", "validation_split"),
    *("test_split", "fewshot_split", "process_docs", "doc_to_text", "doc_to_choice", "doc_to_image", "doc_to_audio"),
    *("use_prompt", "description", "target_delimiter", "fewshot_delimiter", "fewshot_config", "num_fewshot"),
    *("generation_kwargs", "repeats", "gen_prefix"),
)
"""Fields of a task's configuration on which its prompts depend; the others affect scores alone."""
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""The address of a function, by which the harness names it in some fields."""


class StoredQuestions:
    """The part of a data set that the harness reads of a task's questions while it makes the task."""

    def __init__(self, first: Mapping[str, Any], count: int) -> None:
        self.first = dict(first)
        self.count = count

    @property
    def features(self) -> Mapping[str, Any]:
        """The fields of every question."""
        return self.first

    def __getitem__(self, number: int) -> Mapping[str, Any]:
        if number != 0:
            raise IndexError(number)
        return self.first

    def __len__(self) -> int:
        return self.count


class StoredTask(ConfigurableTask):  # type: ignore[misc]  # the harness has no types
    """A task of the harness whose questions are stored ones. `tables` holds those of all tasks while they are made."""

    tables: ClassVar[Mapping[str, AnswersTable]] = {}

    def download(self, dataset_kwargs: object = None, **options: object) -> None:  # noqa: ARG002  # the harness's
        """Take the stored questions. Raises RescoringRefused if there are none."""
        name = self.config.task
        if name not in self.tables:
            raise RescoringRefused(f"there are no stored answers to {name}, which the suite scores")
        self.take(self.tables[name])

    def take(self, table: AnswersTable) -> None:
        """Take the questions of another evaluation, which have the same form."""
        self.stored = StoredQuestions(table.first, len(table.questions))

    @cached_property
    def asked(self) -> dict[str, str]:
        """The fields of its configuration on which prompts depend, as JSON text that can be compared."""
        config = json.loads(json.dumps(self.dump_config(), default=handle_non_serializable))
        return _asked_fields(config)

    @property
    def eval_docs(self) -> StoredQuestions:
        """The stored questions, as they were after the task had prepared them."""
        return self.stored

    def fewshot_docs(self) -> None:
        """None: the stored prompts already hold their examples."""
        return


def load_tasks(suite: Suite, tables: Mapping[str, AnswersTable], task_folder: Path | None) -> dict[str, Any]:
    """The suite's tasks and groups, as the harness's task manager returns them. Raises RescoringRefused."""
    folders = task_folders(suite.run, task_folder)
    lm_eval.tasks._factory.ConfigurableTask = StoredTask
    StoredTask.tables = tables
    try:
        manager = TaskManager(include_path=folders or None, include_defaults=not folders)
        loaded: dict[str, Any] = manager.load(list(suite.run))
    except RescoringRefused:
        raise
    except Exception as error:  # whatever the tasks' own code raises
        raise RescoringRefused(
            f"the harness here cannot load the suite's tasks: {type(error).__name__}: {error}"
        ) from error
    shots = {} if suite.own else suite.shots
    for name, task in loaded["tasks"].items():
        if type(task) is not StoredTask:
            raise RescoringRefused(f"{name} is a Python class of the harness, which makes its own questions")
        if name in shots or task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=shots.get(name, 0))
    return loaded


def asked_differently(configs: Mapping[str, Any], tasks: Mapping[str, Any], suite: Suite) -> dict[str, dict[str, str]]:
    """The fields of the tasks' configurations here that ask otherwise than those in the results of an evaluation.

    Task → field of its configuration → a sentence; the field is "" where the results have no configuration of the task.
    """
    differences = dict[str, dict[str, str]]()
    for name, task in tasks.items():
        recorded = configs.get(name)
        if not isinstance(recorded, Mapping):
            differences[name] = {"": f"the results do not say how {name} was asked"}
            continue
        asked_before = _asked_fields(recorded)
        for field, now in task.asked.items():
            before = asked_before[field]
            if now != before and not _is_moved(field, suite):
                sentence = f"{field} of {name} is {_shown(now)} and was {_shown(before)}"
                differences.setdefault(name, {})[field] = sentence
    return differences


def prompts_differ(tables: Mapping[str, AnswersTable], tasks: Mapping[str, Any]) -> list[str]:
    """A sentence for each task whose first question is worded otherwise here than in its stored prompt.

    A comparison of configurations cannot show that: they name a task's function, not the functions that this one calls.
    """
    differences = []
    for name, table in tables.items():
        text = tasks[name].doc_to_text(table.first)
        if isinstance(text, str) and table.prompt and text.strip() not in table.prompt:
            differences.append(f"the text of a question of {name} is {_shown(text)} and was {_shown(table.prompt)}")
    return differences


def _is_moved(field: str, suite: Suite) -> bool:
    """Whether a field may differ because the board holds the same questions in a repo of its own."""
    return suite.own and field == "dataset_path"


def _asked_fields(config: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a configuration on which prompts depend, as text.

    The harness repeats fields of the task in `fewshot_config`: they are left out there, so that a difference is named
    once. The target stays there, because only the examples in a prompt depend on it.
    """
    fields, examples = {field: config.get(field) for field in ASKED}, config.get("fewshot_config")
    if isinstance(examples, Mapping):
        fields["fewshot_config"] = {
            name: value for name, value in examples.items() if name not in fields or value != fields[name]
        }
    return {field: _comparable(value) for field, value in fields.items()}


def _comparable(value: object) -> str:
    return _ADDRESS.sub("", json.dumps(value, sort_keys=True))


def _shown(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]} …"


def filters_are_independent(task: Any) -> bool:
    """Whether each filter of a task treats an answer by itself, so that answers can be filtered in parts.

    All filters of the harness do, except for those that a task's own code brings.
    """
    steps: Sequence[Any] = [step for ensemble in task._filters for step in ensemble.filters]
    classes = [getattr(step, "func", step) for step in steps]
    return all(
        getattr(each, "__module__", "").startswith("lm_eval.filters.") and each.__module__ != "lm_eval.filters.custom"
        for each in classes
    )
