"""The dataset repo of the `starter` suite: one config per task, each with the splits `test` and `fewshot`."""

from __future__ import annotations

import hashlib
import json
from random import Random

import yaml

from workers.starter.questions import MAKERS, Maker, StarterQuestion

SEED = 20_261
TESTED = 40
SHOTS = 3

ABOUT = """\
# Starter suite

Short questions of the kind that BIG-Bench Hard made known, made by a program from a seed: {tested} questions a task and
{shots} examples apart from them. They tell a model that follows from one that guesses, in about a minute on two CPU
cores. Made to try an installation out, not to rank models by.

{rows}
Load one with `datasets.load_dataset(REPO, "{first}", split="test")`.
"""


def dataset_files(seed: int = SEED) -> dict[str, bytes]:
    """All files of the repo, path → content: the card, and JSON Lines for each task and split."""
    files: dict[str, bytes] = {"README.md": card().encode()}
    for task, maker in MAKERS.items():
        questions = distinct(task, maker, TESTED + SHOTS, seed)
        files[path(task, "fewshot")] = json_lines(questions[:SHOTS])
        files[path(task, "test")] = json_lines(questions[SHOTS:])
    return files


def data_files(seed: int = SEED) -> dict[str, bytes]:
    """The files that hold questions: what a suite's content digest is made over."""
    return {name: content for name, content in dataset_files(seed).items() if name.startswith("data/")}


def path(task: str, split: str) -> str:
    """Where the repo holds `split` of `task`."""
    return f"data/{task}/{split}.jsonl"


def distinct(task: str, maker: Maker, count: int, seed: int) -> list[StarterQuestion]:
    """`count` questions, no two alike; each task draws from a generator of its own, so that none shifts another."""
    random = Random(hashlib.sha256(f"{seed} {task}".encode()).digest())  # noqa: S311  # the same for everybody, on purpose
    made: dict[str, StarterQuestion] = {}
    while len(made) < count:
        question = maker(random, len(made))
        made.setdefault(question.input, question)
    return list(made.values())


def json_lines(questions: list[StarterQuestion]) -> bytes:
    """One JSON object a line: `input` and `target`, both text."""
    return "".join(json.dumps({"input": q.input, "target": q.target}) + "\n" for q in questions).encode()


def card() -> str:
    """The README: its YAML head is what `datasets` finds the configs by."""
    configs = [
        {
            "config_name": task,
            "data_files": [{"split": split, "path": path(task, split)} for split in ("test", "fewshot")],
        }
        for task in MAKERS
    ]
    head = {
        "pretty_name": "Starter suite",
        "language": ["en"],
        "license": "apache-2.0",
        "task_categories": ["text-generation"],
        "size_categories": ["n<1K"],
        "configs": configs,
    }
    rows = "".join(f"- `{task}`: {(maker.__doc__ or '').strip()}\n" for task, maker in MAKERS.items())
    body = ABOUT.format(tested=TESTED, shots=SHOTS, rows=rows, first=next(iter(MAKERS)))
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n{body}"
