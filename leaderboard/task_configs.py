"""The tasks that a suite defines itself, as configurations in the harness's format."""

from __future__ import annotations

from typing import Any

from leaderboard.suite_questions import Definition
from leaderboard.suites import Benchmark, Suite


def task_configs(suite: Suite, *, repo: str, revision: str) -> dict[str, dict[str, Any]]:
    """Return name → configuration of each task and of their group; empty for a suite of the harness's own tasks.

    The questions come from the dataset `repo` at the commit `revision`.
    """
    configs: dict[str, dict[str, Any]] = {}
    for definition in suite.definitions:
        benchmark = suite.benchmark_of(definition.task)
        if benchmark is not None:
            configs[definition.task] = _task(suite, benchmark, definition, repo, revision)
    for group in suite.run:
        if suite.own and group not in configs:
            configs[group] = {"group": group, "task": list(suite.tasks), "metadata": {"version": suite.version}}
    return configs


def _task(suite: Suite, benchmark: Benchmark, definition: Definition, repo: str, revision: str) -> dict[str, Any]:
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
    """Return how an answer is generated and filtered. A named filter strips the space after the prompt's colon."""
    kwargs = {"until": list(definition.until), "max_gen_toks": definition.max_tokens, "do_sample": False}
    filters = {metric.partition(",")[2] for metric in benchmark.metrics} - {"none"}
    steps = [{"function": "remove_whitespace"}, {"function": "take_first"}]
    named = [{"name": name, "filter": steps} for name in sorted(filters)]
    return {"generation_kwargs": kwargs, **({"filter_list": named} if named else {})}
