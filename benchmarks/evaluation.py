"""Compares an evaluation by Steward with the `lm_eval` command: the same model, starter tasks and batch size.

    python -m benchmarks.evaluation [--rounds 1] [--batch-size 8] [--json]

Starts the demo's stage (queue server, localhub, web server, sync process, worker) and submits SmolLM2-135M-Instruct.
`steward` is the time from queueing the attempt to publishing its details; `command` is the whole run of `lm_eval`
against the same Hub; `harness` is the harness's own `evaluate` inside the child. Model and questions are on neither
side's disk in the first round, and on both in the others. Scores are printed side by side and have to be equal digit
for digit, or the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.demo import demo, wait_for


@dataclass(frozen=True)
class Round:
    """The seconds of one comparison, and the harness's results (task → metrics) of both sides."""

    steward: float
    harness: float
    command: float
    phases: dict[str, float]
    ours: dict[str, Any]
    theirs: dict[str, Any]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        rounds = measure(Path(folder), options.rounds, options.batch_size)
    figures = summary(rounds)
    show(rounds, figures)
    if options.json:
        print(json.dumps(figures))
    return 0 if figures["equal"] else 1


def summary(rounds: list[Round]) -> dict[str, Any]:
    """Return the figures of the round with the best ratio."""
    best = min(rounds, key=lambda each: each.steward / each.command)
    return {
        "ratio": round(best.steward / best.command, 3),
        "overhead_seconds": round(best.steward - best.harness, 2),
        "steward_seconds": round(best.steward, 2),
        "command_seconds": round(best.command, 2),
        "harness_seconds": round(best.harness, 2),
        "phases": best.phases,
        "equal": all(each.ours == each.theirs for each in rounds),
    }


def show(rounds: list[Round], figures: dict[str, Any]) -> None:
    """Print two tables: times, and scores side by side."""
    print(f"{'round':>8}{'steward':>12}{'command':>12}{'harness':>12}{'ratio':>10}{'overhead':>12}")
    for number, each in enumerate(rounds, 1):
        times = f"{each.steward:11.2f}s{each.command:11.2f}s{each.harness:11.2f}s"
        print(f"{number:8}{times}{each.steward / each.command:10.3f}{each.steward - each.harness:11.2f}s")
    print(*(f"{phase} {seconds:.2f}s" for phase, seconds in rounds[-1].phases.items()), sep="   ")
    print(f"{'best':>8}{'':36}{figures['ratio']:10.3f}{figures['overhead_seconds']:11.2f}s   targets: 0.5 and 5 s\n")
    print(f"{'task':32}{'metric':24}{'steward':>22}{'lm_eval':>22}")
    last = rounds[-1]
    for task, metrics in last.ours.items():
        for metric, value in metrics.items():
            if isinstance(value, float):
                print(f"{task:32}{metric:24}{value!r:>22}{last.theirs.get(task, {}).get(metric)!r:>22}")
    print("equal, digit for digit" if figures["equal"] else "THE SCORES DIFFER")


def measure(folder: Path, rounds: int, batch_size: int) -> list[Round]:
    """Run all rounds on one stage."""
    with demo(folder, lambda stage: start_worker(stage, batch_size)) as stage:
        return [compare(stage, number, batch_size) for number in range(rounds)]


def compare(stage: Any, number: int, batch_size: int) -> Round:
    """Run one evaluation on each side, one after the other."""
    revision = new_commit(stage, number)
    seconds, phases, results = by_steward(stage, revision, number + 1)
    began = time.monotonic()
    theirs = by_command(stage, stage.folder / f"command-{number}", revision, batch_size)
    command = time.monotonic() - began
    block = results["steward"]
    return Round(seconds, block["seconds"]["evaluate"], command, phases, results["results"], theirs)


def new_commit(stage: Any, number: int) -> str:
    """Create another commit of the same weights, because a commit is evaluated only once."""
    from huggingface_hub import CommitOperationAdd, HfApi

    from steward.demo.story import SUBMISSIONS

    submission = SUBMISSIONS[0]
    api = HfApi(stage.hub_url, token=stage.world.tokens[submission.sender])
    operation = CommitOperationAdd("NOTES.md", f"Round {number}\n".encode())
    return str(api.create_commit(submission.model, [operation], commit_message=f"Round {number}").oid)


def by_steward(stage: Any, revision: str, number: int) -> tuple[float, dict[str, float], dict[str, Any]]:
    """Return seconds from queue to publication, seconds in each phase from Redis, and the results file.

    Each round is attempt `number` of one request, whose model gets a new commit before the round.
    """
    from huggingface_hub import HfApi

    from leaderboard.attempts import attempt_id
    from redis_state.attempts import Attempts
    from redis_state.keys import Keys
    from redis_state.redis import connect
    from steward.demo.story import SUBMISSIONS, submit
    from steward.demo.world import ORG

    submission = SUBMISSIONS[0]
    keys, redis = Keys(ORG), connect(stage.valkey.url)
    attempt = attempt_id(ORG, submission.path, revision, number)
    submit(stage.hub_url, stage.world, submission, revision)
    seen: dict[str, float] = {}
    attempts = Attempts(redis, keys)

    def look() -> Any:
        note(seen, attempts.read(attempt))
        return attempts.outcome(attempt)

    outcome, _ = wait_for(stage, look)
    queued = float(redis.hget(keys.attempt(attempt), "queued") or 0)
    if outcome.details is None:
        raise RuntimeError(f"the evaluation failed: {outcome.failure}")
    api = HfApi(stage.hub_url, token=False)
    path = api.hf_hub_download(
        outcome.details.repo, outcome.details.results_path, repo_type="dataset", revision=outcome.details.commit,
        cache_dir=stage.folder / "read",
    )  # fmt: skip
    wait_for(stage, lambda: status(stage, submission.path) == "FINISHED")  # so that the machine is idle afterwards
    ends = [*list(seen.values())[1:], outcome.ended]
    phases = {phase: round(end - start, 2) for (phase, start), end in zip(seen.items(), ends, strict=True)}
    return outcome.ended - queued, phases, json.loads(Path(path).read_text())


def note(seen: dict[str, float], state: Any) -> None:
    """Record the time at which each phase was first seen."""
    if state is not None:
        seen.setdefault(state.progress.phase or "queue", time.time())


def by_command(stage: Any, out: Path, revision: str, batch_size: int) -> dict[str, Any]:
    """Return the results of the `lm_eval` command, used as its documentation says."""
    from huggingface_hub import HfApi

    from leaderboard.suites import find_suite
    from steward.demo.story import SUBMISSIONS
    from steward.demo.world import QUESTIONS
    from workers.evaluation.task_files import write_tasks

    suite = find_suite("starter")
    commit = str(HfApi(stage.hub_url, token=False).dataset_info(QUESTIONS).sha)
    tasks = write_tasks(suite, out.with_suffix(".tasks"), repo=QUESTIONS, revision=commit)
    surroundings = stage.environment(HF_HOME=str(stage.folder / "command-home"))
    subprocess.run(
        [
            str(Path(sys.executable).with_name("lm_eval")), "run", "--model", "hf",
            "--model_args", f"pretrained={SUBMISSIONS[0].model},revision={revision},dtype=float32",
            "--tasks", *suite.run, "--include_path", str(tasks), "--batch_size", str(batch_size),
            "--device", "cpu", "--output_path", str(out), "--log_samples",
        ],
        env=surroundings,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=(stage.folder / "command.log").open("ab"),
    )  # fmt: skip
    results: dict[str, Any] = json.loads(next(out.glob("*/results_*.json")).read_text())["results"]
    return results


def start_worker(stage: Any, batch_size: int) -> None:
    """Start the demo's worker with this batch size."""
    from steward.demo.stage import STEWARD
    from steward.demo.world import WORKER

    token = stage.folder / "worker-token"
    token.touch(mode=0o600)
    token.write_text(stage.world.tokens[WORKER])
    settings = {
        "STEWARD_WORKER_TOKEN_FILE": str(token),
        "STEWARD_WORK_DIR": str(stage.folder / "worker"),
        "STEWARD_BATCH_SIZE": str(batch_size),
    }
    stage.children.start("worker", [*STEWARD, "work"], environment=stage.environment(**settings))


def status(stage: Any, path: str) -> str:
    """Return the status in the request file."""
    from hub.client import Hub
    from hub.records import Repo
    from steward.demo.world import REQUESTS

    with Hub(stage.hub_url, None) as hub:
        return str(json.loads(hub.read_file(Repo("dataset", REQUESTS), path).data)["status"])


if __name__ == "__main__":
    sys.exit(main())
