"""The scripted evaluator of the month: a program in the place of lm-eval, which a suite names by its command.

Durations and scores follow from the model's name, as in the scripted harness. It keeps no journal.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from simulations.month.scripted_scores import STEPS, fate_of, score_of

NAME, VERSION, METRIC = "month", "1.0", "accuracy"


def main() -> int:
    """Evaluate the model of plan.json, and leave results.json or failure.json."""
    plan = json.loads(Path(os.environ["STEWARD_PLAN"]).read_text("utf-8"))
    fate, seconds = fate_of(plan["model"]["name"])
    for step in range(STEPS):
        os.write(int(os.environ["STEWARD_PROGRESS"]), json.dumps({"done": step, "total": STEPS}).encode() + b"\n")
        time.sleep(seconds / STEPS)
    if fate == "dies":
        failure = {"contract": 1, "fault": "model", "message": "the weights are cut off"}
        Path("failure.json").write_text(json.dumps(failure))
        return 1
    if fate == "flaky" and os.urandom(1)[0] % 2:
        print("CUDA error: unspecified launch failure", file=sys.stderr)
        return 1
    Path("results.json").write_text(json.dumps(results_of(plan)))
    return 0


def results_of(plan: dict[str, Any]) -> dict[str, Any]:
    """Write one sample of each task, and return the results, which follow from the samples."""
    model, score = plan["model"], score_of(plan["model"]["name"])
    tasks = {task["name"]: {"questions": 1, "metrics": {METRIC: score}} for task in plan["tasks"]}
    for name in tasks:
        question = {"input": f"Can you answer {name}?"}
        digest = hashlib.sha256(json.dumps(question, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        sample = {"id": 0, "question_digest": digest, "question": question, "prompt": question["input"]}
        sample |= {"output": f"yes, with {score}", "metrics": {METRIC: score}}
        Path(f"samples/{name}.jsonl").write_text(json.dumps(sample) + "\n")
    results = {"contract": 1, "evaluator": {"name": NAME, "version": VERSION}, "tasks": tasks}
    return {**results, "model": model["name"], "revision": model["revision"], "versions": {}}


if __name__ == "__main__":
    sys.exit(main())
