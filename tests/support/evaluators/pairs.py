"""An evaluator in sixty lines without any library: its tasks ask which of two texts is nearer to a third one.

Like a real evaluator, it reads every weight, and its answers depend on the weights.
"""

import hashlib
import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Evaluate the model and the tasks in plan.json."""
    plan = json.loads(Path(os.environ["STEWARD_PLAN"]).read_text())
    folder = Path(os.environ["STEWARD_PLAN"]).parent
    weights = read_weights(Path(plan["model"]["folder"]) / "model.safetensors")
    tasks = {task["name"]: questions_of(plan, task["name"]) for task in plan["tasks"]}
    total, done = sum(map(len, tasks.values())), 0
    report, progress = {}, int(os.environ["STEWARD_PROGRESS"])
    for name, questions in tasks.items():
        correct = 0
        with (folder / "samples" / f"{name}.jsonl").open("w") as file:
            for number, question in enumerate(questions):
                nearer = nearness(weights, question["text"]) % 2
                correct += nearer == question["answer"]
                file.write(json.dumps(sample(number, question, nearer)) + "\n")
                done += 1
                os.write(progress, json.dumps({"done": done, "total": total}).encode() + b"\n")
        report[name] = {"questions": len(questions), "metrics": {"accuracy": correct / len(questions)}}
    results = {
        "contract": 1,
        "evaluator": {"name": "pairs", "version": "1.0"},
        "model": plan["model"]["name"],
        "revision": plan["model"]["revision"],
        "tasks": report,
        "versions": {"python": sys.version.split()[0]},
    }
    (folder / "results.json").write_text(json.dumps(results))


def read_weights(path: Path) -> bytes:
    """Return all bytes of the weights; report a fault of the model if the header names another number of bytes."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    ends = [part["data_offsets"][1] for name, part in json.loads(data[8 : 8 + size]).items() if name != "__metadata__"]
    if len(data) != 8 + size + max(ends):
        failure = {"contract": 1, "fault": "model", "message": "the weights are cut off"}
        Path("failure.json").write_text(json.dumps(failure))
        sys.exit(1)
    return data


def questions_of(plan: dict, task: str) -> list[dict]:
    """Return the questions of a task, from the plan's first dataset."""
    lines = (Path(plan["questions"][0]["folder"]) / f"{task}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines][: plan["limit"]]


def nearness(weights: bytes, text: str) -> int:
    """Return a number that depends on a text and on the model's weights."""
    return hashlib.sha256(weights + text.encode()).digest()[0]


def sample(number: int, question: dict, answer: int) -> dict:
    """Return one line of samples."""
    canonical = json.dumps(question, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return {
        "id": number,
        "question_digest": hashlib.sha256(canonical.encode()).hexdigest(),
        "question": question,
        "prompt": question["text"],
        "target": str(question["answer"]),
        "output": str(answer),
        "metrics": {"accuracy": float(answer == question["answer"])},
    }


if __name__ == "__main__":
    main()
