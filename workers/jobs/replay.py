"""Task files that ask a model the recorded prompts again, including their examples and their chat template.

A details table holds the prompt and the choices of each question, or the arguments of generation. Questions with the
same arguments become one task. Its scores mean nothing; its samples hold the model's answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard.suites import Benchmark
from workers.jobs.published_tables import PublishedTables
from workers.jobs.sample_comparison import Sample
from workers.publication.details import CUT


class NotReplayable(ValueError):
    """The table does not hold everything that the model was given; the message says why."""


@dataclass(frozen=True)
class RecordedPrompt:
    """The prompt of one question, with its choices, or with the arguments of generation."""

    task: str
    doc_id: int
    prompt: str
    choices: tuple[str, ...] = ()
    generation: str = ""
    """JSON of the arguments; "" where there are choices."""


def recorded_prompt(task: str, row: Mapping[str, Any]) -> RecordedPrompt:
    """The prompt in a row of a details table. Raises NotReplayable."""
    prompt = str(row["prompt"])
    try:
        continuations = json.loads(row["continuations"])
    except (TypeError, ValueError, RecursionError):
        continuations = None
    if prompt.endswith(CUT) or not isinstance(continuations, list) or not continuations:
        raise NotReplayable("its texts were cut when they were published")
    if all(isinstance(each, str) for each in continuations):
        if len(set(continuations)) < len(continuations):
            raise NotReplayable("each choice has a prompt of its own, and only the first one is published")
        return RecordedPrompt(task, int(row["doc_id"]), prompt, choices=tuple(continuations))
    if len(continuations) == 1 and isinstance(continuations[0], dict):
        return RecordedPrompt(task, int(row["doc_id"]), prompt, generation=json.dumps(continuations[0], sort_keys=True))
    raise NotReplayable("its requests are of a kind that cannot be asked again")


def write_replay(prompts: Iterable[RecordedPrompt], folder: Path) -> dict[str, list[RecordedPrompt]]:
    """Write task files and their questions to the new folder `folder`; name of each task → its prompts, in order."""
    groups: dict[str, list[RecordedPrompt]] = {}
    for prompt in prompts:
        groups.setdefault(prompt.generation, []).append(prompt)
    folder.mkdir(parents=True)
    tasks = {}
    for number, (generation, group) in enumerate(groups.items()):
        name, questions = f"replay_{number}", folder / f"replay_{number}.jsonl"
        rows = ({"prompt": each.prompt, "choices": list(each.choices), "target": 0} for each in group)
        questions.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        config = {**_config(name, questions), **_output(generation)}
        (folder / f"{name}.yaml").write_text(json.dumps(config), encoding="utf-8")
        tasks[name] = group
    return tasks


def _config(name: str, questions: Path) -> dict[str, Any]:
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(questions)}},
        "test_split": "test",
        "num_fewshot": 0,
        "doc_to_text": "prompt",
        "target_delimiter": "",
        "metadata": {"version": 1},
    }


def _output(generation: str) -> dict[str, Any]:
    if not generation:
        choices = {"output_type": "multiple_choice", "doc_to_choice": "choices", "doc_to_target": "target"}
        return {**choices, "metric_list": [{"metric": "acc"}]}
    texts = {"output_type": "generate_until", "generation_kwargs": json.loads(generation)}
    return {**texts, "doc_to_target": "{{target}}", "metric_list": [{"metric": "exact_match"}]}


def first_prompts(
    tables: PublishedTables, benchmark: Benchmark, task: str, questions: int, rows: dict[tuple[str, int], Sample]
) -> list[RecordedPrompt]:
    """The first prompts of a task; their rows are added to `rows`. Raises NotReplayable."""
    prompts: list[RecordedPrompt] = []
    for row in tables.rows(benchmark, task):
        if (task, row["doc_id"]) in rows:
            continue  # the same answer through another filter
        if len(prompts) == questions:
            break
        prompts.append(recorded_prompt(task, row))
        rows[task, row["doc_id"]] = row
    return prompts
