"""A suite of one task for the evaluators of tests, and its questions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from leaderboard.suites import Suite, parse_suite

FOLDER = Path(__file__).parent
GOOD = FOLDER / "pairs.py"
REPO = "ada/pairs"
QUESTIONS = [{"text": f"Is {number} nearer to one or to two?", "answer": number % 2} for number in range(24)]


def suite_fields(*command: str, **evaluator: Any) -> dict[str, Any]:
    """Return the fields of a suite that `command` evaluates, by default the good evaluator."""
    return {
        "name": "pairs",
        "title": "Nearer texts",
        "version": 1,
        "evaluator": {
            "name": "pairs",
            "version": "1.0",
            "command": list(command) or [sys.executable, str(GOOD)],
            "needs": {"tokenizer": False, "chat_template": False, "causal": False},
            **evaluator,
        },
        "datasets": [{"repo": REPO}],
        "benchmarks": [
            {
                "name": "Nearer",
                "source": "nearer",
                "tasks": [{"name": "nearer", "choices": 2}],
                "metrics": ["accuracy"],
                "shots": 0,
                "choices": 2,
            }
        ],
    }


def suite(*command: str, **evaluator: Any) -> Suite:
    """Return the parsed suite of those fields."""
    return parse_suite(yaml.safe_dump(suite_fields(*command, **evaluator)))


def faulty(fault: str, *arguments: str) -> Suite:
    """Return the suite with the faulty evaluator (`faulty.py`) and this fault."""
    return suite("python", str(FOLDER / "faulty.py"), fault, str(GOOD), *arguments)


def scoring(fault: str, **evaluator: Any) -> Suite:
    """Return the suite with the evaluator that can score stored samples again (`scoring.py`), and this fault."""
    can = {"scores_again": {"options": ["inverted"], "versions": ["1.0"]}}
    return suite("python", str(FOLDER / "scoring.py"), fault, str(GOOD), **{**can, **evaluator})


def question_files() -> dict[str, bytes]:
    """The files of the dataset."""
    return {"nearer.jsonl": "".join(json.dumps(question) + "\n" for question in QUESTIONS).encode()}


def write_questions(folder: Path) -> Path:
    """Write the files of the dataset to `folder`."""
    folder.mkdir()
    for name, data in question_files().items():
        (folder / name).write_bytes(data)
    return folder
