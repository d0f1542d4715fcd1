"""A suite of the evaluator of embeddings, and its questions."""

from __future__ import annotations

import json
from typing import Any

REPO = "ada/pairs"
TRIPLES = [
    {"text": f"The number {n} is small.", "positive": f"The number {n} is not large.", "negative": "Snow melts."}
    for n in range(8)
]
PAIRS = [{"text": "A cat sits.", "other": "A cat sat."[: 4 + n], "score": n / 5} for n in range(6)]
SUITE: dict[str, Any] = {
    "name": "nearness",
    "title": "Texts that are near each other",
    "version": 1,
    "evaluator": {
        "name": "embeddings",
        "version": "1",
        "command": ["python", "-m", "workers.evaluators.embeddings"],
        "needs": {"chat_template": False, "causal": False},
        "reported": ["spearman"],
        "scores_again": {},
    },
    "datasets": [{"repo": REPO}],
    "benchmarks": [
        {"name": "Nearer", "source": "triples", "tasks": [{"name": "triples", "choices": 2}], "metrics": ["accuracy"],
         "shots": 0, "choices": 2},
        {"name": "Similar", "source": "pairs", "tasks": [{"name": "pairs"}], "metrics": ["spearman"], "shots": 0},
    ],
}  # fmt: skip


def question_files() -> dict[str, bytes]:
    """The files of the dataset."""
    tasks = {"triples": TRIPLES, "pairs": PAIRS}
    return {f"{name}.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode() for name, rows in tasks.items()}
