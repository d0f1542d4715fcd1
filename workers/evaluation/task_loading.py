"""Shared by evaluations and rescoring: where a suite's tasks are, and how their answers are aggregated.

Needs the harness, but none of its models: it imports neither torch nor transformers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lm_eval.tasks

Aggregate = Callable[..., Any]
"""The harness's function from each task's metrics of all questions to its results."""


def task_folders(run: Sequence[str], task_folder: Path | None) -> list[Path]:
    """The folders that hold the tasks `run`; none if the harness has to search all its own.

    The search takes seconds. So tasks are read from the harness's folders of their names, or of the first words of
    their names, if these folders hold them: `arc_challenge` is in `arc`.
    """
    if task_folder is not None:
        return [task_folder]
    shipped = Path(lm_eval.tasks.__file__).parent
    folders = [shipped / name for name in run]
    if all(folder.is_dir() for folder in folders):
        return folders
    folders = [folder if folder.is_dir() else shipped / folder.name.partition("_")[0] for folder in folders]
    folders = list(dict.fromkeys(folders))
    if not all(folder.is_dir() for folder in folders):
        return []
    known = lm_eval.tasks.TaskManager(include_path=folders, include_defaults=False).all_tasks
    return folders if set(run) <= set(known) else []


def aggregate_without(withdrawn: Mapping[str, Collection[int]], aggregate: Aggregate) -> Aggregate:
    """Wrap the harness's `aggregate` so that it leaves out the questions `withdrawn` (task → numbers).

    The questions stay among the samples with their metrics, so that they can count again.
    """

    def aggregate_rest(tasks: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        for name, questions in withdrawn.items():
            if name in tasks:
                tasks[name]["raw_metrics"] = _without(tasks[name]["logged_samples"], questions)
        return aggregate(tasks, *arguments, **options)

    return aggregate_rest


def _without(samples: Sequence[Mapping[str, Any]], withdrawn: Collection[int]) -> dict[tuple[str, str], list[Any]]:
    metrics = defaultdict[tuple[str, str], list[Any]](list)
    for sample in samples:
        if sample["doc_id"] not in withdrawn:
            for name in sample["metrics"]:
                metrics[name, sample["filter"]].append(sample[name])
    return metrics


def seed_language_detection() -> None:
    """Let IFEval's language detection give the same verdict each time: it draws at random which characters it reads."""
    if find_spec("langdetect") is not None:
        from langdetect import DetectorFactory

        DetectorFactory.seed = 0
