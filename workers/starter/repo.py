"""The dataset repo of the `starter` suite: one config per task, each with the splits `test` and `fewshot`."""

from __future__ import annotations

import hashlib
import json
from random import Random

import yaml

from workers.starter.questions import MAKERS, Maker, StarterQuestion

SEED = 20_261
TEST_QUESTIONS = 40
SHOTS = 3

CARD_TEXT = """\
# Starter suite

Short questions of the kind that BIG-Bench Hard made known, made by a program from a seed: {tested} questions a task and
{shots} examples apart from them. They tell a model that follows from one that guesses, in about a minute on two CPU
cores. Made to try an installation out, not to rank models by.

{rows}
Load one with `datasets.load_dataset(REPO, "{first}", split="test")`.
"""


def dataset_files(seed: int = SEED) -> dict[str, bytes]:
    """Path → content of all files of the repo: the card, and JSON Lines for each task and split."""
    files: dict[str, bytes] = {"README.md": card().encode()}
    for task, maker in MAKERS.items():
        questions = distinct(task, maker, TEST_QUESTIONS + SHOTS, seed)
        files[path(task, "fewshot")] = json_lines(questions[:SHOTS])
        files[path(task, "test")] = json_lines(questions[SHOTS:])
    return files


def path(task: str, split: str) -> str:
    """The path in the repo of `split` of `task`."""
    return f"data/{task}/{split}.jsonl"


def distinct(task: str, maker: Maker, count: int, seed: int) -> list[StarterQuestion]:
    """`count` different questions; each task has its own random generator, so that no task changes another's."""
    random = Random(hashlib.sha256(f"{seed} {task}".encode()).digest())  # noqa: S311  # reproducible on purpose
    questions: dict[str, StarterQuestion] = {}
    while len(questions) < count:
        question = maker(random, len(questions))
        questions.setdefault(question.input, question)
    return list(questions.values())


def json_lines(questions: list[StarterQuestion]) -> bytes:
    """One JSON object per line with the texts `input` and `target`."""
    return "".join(json.dumps({"input": q.input, "target": q.target}) + "\n" for q in questions).encode()


def card() -> str:
    """The README; `datasets` reads the configs from its YAML head."""
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
    body = CARD_TEXT.format(tested=TEST_QUESTIONS, shots=SHOTS, rows=rows, first=next(iter(MAKERS)))
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n{body}"
