"""Measures memory for the details of many samples, in the child that writes and in the worker that publishes them.

    python -m benchmarks.details [--samples 100000] [--answer 0] [--json]

`child_mib` is the growth of the child while it writes the samples that the harness holds; `worker_mib` is the growth of
a worker from there to the published commit (tables, and the upload to a localhub in another process). Both are in MiB,
and each is measured in its own process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

WORDS = 4000


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--answer", type=int, default=0, help="characters of a generated answer; 0: choices instead")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--part", choices=("child", "worker"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(PARTS[options.part](options.folder, options.samples, options.answer))
        return 0
    figures = measure(options.samples, options.answer)
    print("\n".join(f"{name:>12}  {value}" for name, value in figures.items()), "target: under 300 MiB each", sep="\n")
    if options.json:
        print(json.dumps(figures))
    return 0


def measure(samples: int, answer: int = 0) -> dict[str, int]:
    """Return both figures."""
    from localhub.testing import HubWorld, LocalHub

    world = HubWorld().user("worker").org("bench-details", {"worker": "admin"})
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as name:
        folder = Path(name)
        with LocalHub(folder / "hub", world) as hub:
            os.environ["HF_ENDPOINT"] = hub.url
            return {"samples": samples, **{f"{part}_mib": _part(part, folder, samples, answer) for part in PARTS}}


def _part(part: str, folder: Path, samples: int, answer: int) -> int:
    command = [sys.executable, "-m", "benchmarks.details", "--samples", str(samples), "--answer", str(answer)]
    done = subprocess.run(
        [*command, "--part", part, "--folder", str(folder)], stdout=subprocess.PIPE, text=True, check=True
    )
    return int(done.stdout.split()[-1])


def sample(number: int, random: Random, words: list[str], answer: int) -> dict[str, Any]:
    """Return the harness's record of one question with four choices and a unique prompt of about 1,500 letters.

    If `answer` is not 0, the question instead has a generated answer of `answer` characters, of three bytes each.
    """
    prompt = " ".join(random.choices(words, k=250))
    text = "".join(map(chr, random.choices(range(0x4E00, 0x9FFF), k=answer)))
    generated = {"arguments": [(prompt, "{}")], "resps": [[text]], "filtered_resps": [text]} if answer else {}
    return {
        "doc_id": number,
        "doc": {"input": prompt[:400], "target": "Yes"},
        "target": 0,
        "arguments": [(prompt, f" choice {i}") for i in range(4)],
        "resps": [[(-random.random(), False)] for _ in range(4)],
        "filtered_resps": [(-random.random(), False) for _ in range(4)],
        "filter": "none",
        "metrics": ["acc_norm"],
        "doc_hash": "0" * 64,
        "prompt_hash": "0" * 64,
        "target_hash": "0" * 64,
        "acc_norm": float(number % 2),
        **generated,
    }


def by_child(folder: Path, count: int, answer: int) -> int:
    """Return the MiB by which a child grows while it writes `count` samples."""
    from lm_eval.loggers import EvaluationTracker

    from leaderboard.suites import find_suite
    from workers.evaluation import harness

    suite, random = find_suite("starter"), Random(7)
    words = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(2, 9))) for _ in range(WORDS)]
    each = -(-count // len(suite.tasks))
    samples = {task: [sample(number, random, words, answer) for number in range(each)] for task in suite.tasks}
    spool = folder / "spool"
    spool.mkdir()
    tracker = EvaluationTracker(output_path=str(spool))
    tracker.general_config_tracker.model_name_sanitized = "model"
    scores = {task.name: dict.fromkeys(b.metrics, 0.5) for b in suite.benchmarks for task in b.tasks}
    before = forget_peak()
    harness.save(spool, tracker, {"results": scores, "configs": {}, "config": {}, "versions": {}}, samples)
    return peak() - before


def by_worker(folder: Path, count: int, answer: int) -> int:  # noqa: ARG001  # as `by_child`, whose files it publishes
    """Return the MiB by which a worker grows while it publishes the samples."""
    from leaderboard.suites import find_suite
    from workers.common.hub_access import HubAccess
    from workers.common.run_plan import RunPlan
    from workers.publication.publish import publish
    from workers.publication.spool import Publication

    suite = find_suite("starter")
    plan = RunPlan(
        attempt=f"{'0' * 12}-{'0' * 8}-1", model="ada/tiny", revision="0" * 40, model_path=folder, tasks=suite.run,
        datasets=folder, spool=folder / "spool", suite=suite.name, suite_digest=suite.digest,
    )  # fmt: skip
    publication = Publication(
        repo="bench-details/details_ada__tiny", plan=plan, suite=suite, request="r", precision="float32",
        restricted_repo="bench-details/restricted",
        started=0.0, ended=60.0, revisions={},
    )  # fmt: skip
    before = forget_peak()
    publish(publication, HubAccess(os.environ["HF_ENDPOINT"], "hf_worker"))
    return peak() - before


PARTS = {"child": by_child, "worker": by_worker}


def forget_peak() -> int:
    """Reset the recorded peak of this process's memory; return the present memory in MiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS:")


def peak() -> int:
    """Return the peak memory in MiB since `forget_peak`."""
    return _status("VmHWM:")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith(name))


if __name__ == "__main__":
    sys.exit(main())
