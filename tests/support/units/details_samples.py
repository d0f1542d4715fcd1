"""A sample as the harness writes it, and results of the starter suite."""

from __future__ import annotations

import json
from typing import Any

from leaderboard.results import ResultsFile
from leaderboard.scores import score
from leaderboard.steward_block import StewardBlock, scores_in_block
from leaderboard.suites import find_suite

STARTER = find_suite("starter")
RAW = {task.name: dict.fromkeys(b.metrics, 0.75) for b in STARTER.benchmarks for task in b.tasks}


def sample(**changes: Any) -> bytes:
    """A line as the harness writes it, for a question with two choices."""
    return json.dumps(
        {
            "doc_id": 7,
            "doc": {"input": "Is it?", "target": "Yes"},
            "target": "0",
            "arguments": {
                f"gen_args_{i}": {"arg_0": "Q: Is it?\nA:", "arg_1": a} for i, a in enumerate((" Yes", " No"))
            },
            "resps": [[["-0.5", "True"]], [["-1.5", "False"]]],
            "filtered_resps": [["-0.5", "True"], ["-1.5", "False"]],
            "filter": "none",
            "metrics": ["acc_norm"],
            "acc_norm": 1.0,
            **changes,
        }
    ).encode()


def results() -> ResultsFile:
    """Results of the starter suite."""
    scores = score(RAW, STARTER)
    block = StewardBlock.model_validate(
        {
            "attempt": "0123456789ab-01234567-1", "request": "r", "model": "org/model", "revision": "0" * 40,
            "precision": "float32", "suite": STARTER.name, "suite_digest": STARTER.digest, "started": "s", "ended": "e",
            **scores_in_block(scores),
        }
    )  # fmt: skip
    return ResultsFile(block, scores, {"results": RAW})
