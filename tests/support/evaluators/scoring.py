"""The evaluator of `pairs`, which can score stored samples again: the first argument is a fault, or `good`.

With the option `inverted`, the wrong answers count as right.
"""

import json
import os
import runpy
import sys
from pathlib import Path

FOLDER = Path(os.environ["STEWARD_PLAN"]).parent


def main() -> None:
    """Evaluate, or score the stored samples of the only task."""
    plan = json.loads((FOLDER / "plan.json").read_text())
    if plan["mode"] == "evaluate":
        runpy.run_path(sys.argv[2], run_name="__main__")
        return
    assert not plan["model"]["folder"] and not plan["questions"]
    assert not [name for name in os.environ if name.endswith("TOKEN")]
    lines = (Path(plan["stored"]) / "nearer.jsonl").read_text().splitlines()
    samples = FAULTS[sys.argv[1]]([scored(json.loads(line), plan["options"]) for line in lines])
    (FOLDER / "samples" / "nearer.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    done = json.dumps({"done": len(lines), "total": len(lines)})
    os.write(int(os.environ["STEWARD_PROGRESS"]), done.encode() + b"\n")
    accuracy = sum(sample["metrics"]["accuracy"] for sample in samples) / len(samples)
    results = {
        "contract": 1,
        "evaluator": plan["evaluator"],
        "model": plan["model"]["name"],
        "revision": plan["model"]["revision"],
        "tasks": {"nearer": {"questions": len(samples), "metrics": {"accuracy": accuracy}}},
        "versions": {"python": sys.version.split()[0]},
    }
    (FOLDER / "results.json").write_text(json.dumps(results))


def scored(sample: dict, options: dict) -> dict:
    """Return the sample with its new metric."""
    right = sample["output"] == str(sample["question"]["answer"])
    return {**sample, "metrics": {"accuracy": float(right != options.get("inverted", False))}}


FAULTS = {
    "good": lambda samples: samples,
    "other-output": lambda samples: [{**samples[0], "output": "better"}, *samples[1:]],
    "other-prompt": lambda samples: [*samples[:3], {**samples[3], "prompt": "Is it?"}, *samples[4:]],
    "forgetful": lambda samples: samples[:-1],
    "inventive": lambda samples: [*samples, {**samples[0], "id": 1000}],
    "wrong": lambda samples: [{**sample, "metrics": {"accuracy": 0.0}} for sample in samples],
}

if __name__ == "__main__":
    main()
