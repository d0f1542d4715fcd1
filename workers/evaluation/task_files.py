"""Writes the task files of a board's own suite, in the format that the `lm_eval` command reads with --include_path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from leaderboard.suites import Benchmark, Definition, Suite


def write_tasks(suite: Suite, folder: Path, *, repo: str, revision: str) -> Path:
    """Write one file per task and one for their group to `folder`, and remove all other files from it.

    The questions come from the dataset `repo` at the commit `revision`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{name}.yaml": text for name, text in task_files(suite, repo=repo, revision=revision).items()}
    for stale in folder.iterdir():
        if stale.name not in files:
            stale.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def task_files(suite: Suite, *, repo: str, revision: str) -> dict[str, str]:
    """Task name → text of its file; none for a suite of the harness's own tasks."""
    files: dict[str, str] = {}
    for definition in suite.definitions:
        benchmark = suite.benchmark_of(definition.task)
        if benchmark is not None:
            files[definition.task] = _text(_task(suite, benchmark, definition, repo, revision))
    for group in suite.run:
        if suite.own and group not in files:
            files[group] = _text({"group": group, "task": list(suite.tasks), "metadata": {"version": suite.version}})
    return files


def _task(suite: Suite, benchmark: Benchmark, definition: Definition, repo: str, revision: str) -> dict[str, object]:
    """One task in the harness's format."""
    task: dict[str, Any] = {
        "task": definition.task,
        "dataset_path": repo,
        "dataset_name": definition.config,
        "dataset_kwargs": {"revision": revision},
        "test_split": "test",
        "fewshot_split": "fewshot",
        "fewshot_config": {"sampler": "first_n"},
        "num_fewshot": benchmark.shots,
        "output_type": definition.output,
        "description": definition.description,
        "doc_to_text": definition.prompt,
        "doc_to_target": definition.target,
        "metric_list": [_metric(metric) for metric in benchmark.metrics],
        "metadata": {"version": suite.version},
    }
    if definition.output == "multiple_choice":
        return {**task, "doc_to_choice": list(definition.choices)}
    return {**task, **_generation(benchmark, definition)}


def _metric(metric: str) -> dict[str, object]:
    return {"metric": metric.partition(",")[0], "aggregation": "mean", "higher_is_better": True}


def _generation(benchmark: Benchmark, definition: Definition) -> dict[str, object]:
    """How an answer is generated and filtered. A named filter strips the space that follows the prompt's colon."""
    kwargs = {"until": list(definition.until), "max_gen_toks": definition.max_tokens, "do_sample": False}
    filters = {metric.partition(",")[2] for metric in benchmark.metrics} - {"none"}
    steps = [{"function": "remove_whitespace"}, {"function": "take_first"}]
    named = [{"name": name, "filter": steps} for name in sorted(filters)]
    return {"generation_kwargs": kwargs, **({"filter_list": named} if named else {})}


def _text(task: dict[str, Any]) -> str:
    return yaml.dump(task, Dumper=_Plain, sort_keys=False, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Writes equal lists out again: readers of task files need not know YAML's anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True
