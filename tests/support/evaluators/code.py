"""A suite of the evaluator of code, and its problems."""

from __future__ import annotations

import json
from typing import Any

REPO = "ada/problems"
PROBLEMS = [
    {
        "task_id": f"Times/{factor}",
        "prompt": f'def times_{factor}(number):\n    """Return {factor} times the number."""\n',
        "entry_point": f"times_{factor}",
        "canonical_solution": f"    return {factor} * number\n",
        "test": f"def check(candidate):\n    assert [candidate(n) for n in (0, 1, 7)] == [0, {factor}, {7 * factor}]\n",
    }
    for factor in (2, 3, 5)
]
SUITE: dict[str, Any] = {
    "name": "times",
    "title": "Functions that multiply",
    "version": 1,
    "evaluator": {
        "name": "code",
        "version": "1",
        "command": ["python", "-m", "workers.evaluators.code"],
        "options": {"samples": 2, "temperature": 0.8, "max_new_tokens": 12},
        "scores_again": {"options": ["seconds", "memory_bytes", "modules"]},
    },
    "datasets": [{"repo": REPO}],
    "benchmarks": [
        {"name": "Times", "source": "times", "tasks": [{"name": "times"}], "metrics": ["pass_at_1"], "shots": 0},
    ],
}


def question_files() -> dict[str, bytes]:
    """The file of the dataset."""
    return {"times.jsonl": "".join(json.dumps(problem) + "\n" for problem in PROBLEMS).encode()}
