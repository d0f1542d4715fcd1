"""A suite of two tasks for the evaluator of inspect-ai's tasks, and the benchmark dataset that they come from."""

from __future__ import annotations

import json
from typing import Any

import yaml

REPO = "ada/benchmark"
CAPITALS = [
    {"question": f"What is the capital of {country}?", "options": [capital, "Atlantis", "Springfield"], "answer": 0}
    for country, capital in (("Norway", "Oslo"), ("Peru", "Lima"), ("Kenya", "Nairobi"), ("Japan", "Tokyo"))
]
LETTERS = [{"text": f"Say {letter}", "letter": letter, "kind": "vowel"} for letter in "aeiou"]
EVAL_YAML: dict[str, Any] = {
    "name": "Capitals and letters",
    "description": "Two tasks",
    "evaluation_framework": "inspect-ai",
    "tasks": [
        {
            "id": "capitals",
            "config": "capitals",
            "split": "test",
            "field_spec": {"input": "question", "target": "answer", "choices": "options"},
            "shuffle_choices": True,
            "solvers": [{"name": "multiple_choice"}],
            "scorers": [{"name": "choice"}],
        },
        {
            "id": "say-letters",
            "config": "letters",
            "split": "test",
            "field_spec": {"input": "text", "target": "letter", "metadata": ["kind"]},
            "epochs": 2,
            "solvers": [{"name": "system_message", "args": {"template": "You say letters."}}, {"name": "generate"}],
            "scorers": [{"name": "includes"}, {"name": "exact"}],
        },
    ],
}
CARD = """\
---
configs:
- config_name: capitals
  data_files: [{split: test, path: capitals.jsonl}]
- config_name: letters
  data_files: [{split: test, path: letters.jsonl}]
---
"""
SUITE: dict[str, Any] = {
    "name": "capitals-and-letters",
    "title": "Capitals and letters",
    "version": 1,
    "evaluator": {
        "name": "inspect-ai",
        "version": "1",
        "command": ["python", "-m", "workers.evaluators.inspect_tasks"],
        "options": {"tasks": {"letters": {"id": "say-letters"}}, "max_tokens": 8},
    },
    "datasets": [{"repo": REPO}],
    "benchmarks": [
        {"name": "Capitals", "source": "capitals", "tasks": [{"name": "capitals", "choices": 3}],
         "metrics": ["accuracy"], "shots": 0, "choices": 3},
        {"name": "Letters", "source": "letters", "tasks": [{"name": "letters"}], "metrics": ["includes", "exact"],
         "shots": 0},
    ],
}  # fmt: skip


def question_files(eval_yaml: object = EVAL_YAML) -> dict[str, bytes]:
    """The files of the dataset."""
    tasks = {"capitals": CAPITALS, "letters": LETTERS}
    rows = {f"{name}.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode() for name, rows in tasks.items()}
    return {"README.md": CARD.encode(), "eval.yaml": yaml.safe_dump(eval_yaml).encode(), **rows}
