"""Evaluates a whole suite at its real shape through Steward, and compares it with the `lm_eval` command.

    python -m benchmarks.suites [--suite open-llm-v2|open-llm-v1] [--questions 30|real] [--model smollm2|two-layers]
                                [--command-questions N] [--batch-size 8] [--json]

The datasets are generated (`benchmarks.suites.datasets`), with `--questions` in each task. Starts the demo's processes
with `engine: shared-prefix`, submits the model, and waits for the published result. The command then runs on the same
model and datasets, with the first N questions of each task (0: not at all; all by default).

Each log-likelihood that the command computed is compared with the one that Steward published. The exit code is 1 if an
answer or an accuracy differs, or a log-likelihood by more than the engine's tolerance: 0.0001, or a millionth of it.
Texts are only counted: they may differ after a near tie. Processor seconds hold on a busy machine, too.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.suites.comparison import Cost, SideResult, TaskFigures, compare
from benchmarks.suites.evaluations import by_command, by_steward
from benchmarks.suites.instructions import LEFT_OUT
from benchmarks.suites.processes import MODELS, started, upload_model
from leaderboard.suites import find_suite


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.suites", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--suite", choices=("open-llm-v2", "open-llm-v1"), default="open-llm-v2", help="its tasks and shots"
    )
    parser.add_argument("--questions", type=_questions, default=30, help="questions of each task, or `real`")
    parser.add_argument(
        "--model",
        choices=MODELS,
        default="two-layers",
        help="SmolLM2-135M-Instruct, or a random one with its tokenizer",
    )
    parser.add_argument("--command-questions", type=int, help="questions of each task for the command; 0: none")
    parser.add_argument("--batch-size", type=int, default=8, help="of both sides")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    suite, theirs = find_suite(options.suite), None
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder, started(Path(folder), options) as stage:
        revision = upload_model(stage, options.model)
        ours = by_steward(stage, suite, MODELS[options.model], revision)
        print_cost("steward", ours.cost)
        if options.command_questions != 0:
            theirs = by_command(stage, suite, MODELS[options.model], revision, options)
    whole = options.command_questions is None or options.command_questions == options.questions
    tasks = compare(suite, ours, theirs, whole=whole)
    show(options, tasks, ours, theirs)
    equal = all(task.agrees for task in tasks)
    if options.json:
        sides = {"steward": asdict(ours.cost), "command": theirs and asdict(theirs.cost)}
        left_out = LEFT_OUT if options.suite == "open-llm-v2" else ()
        print(json.dumps({"suite": options.suite, "questions": options.questions or "real", "model": options.model,
                          "tasks": [asdict(task) for task in tasks], **sides, "engine": ours.engine,
                          "left_out": left_out, "equal": equal}))  # fmt: skip
    return 0 if equal else 1


def _questions(text: str) -> int | None:
    return None if text == "real" else int(text)


def show(
    options: argparse.Namespace, tasks: Sequence[TaskFigures], ours: SideResult, theirs: SideResult | None
) -> None:
    """Print the scores of each task, the number of compared answers, and the costs of both sides."""
    print(f"\n{'task':56}{'score':>9}{'command':>9}{'questions':>10}{'requests':>9}{'compared':>9}"
          f"{'differing':>10}{'difference':>11}")  # fmt: skip
    for task in tasks:
        command = "" if task.command_score is None else f"{task.command_score:.4f}"
        difference = f"{task.max_difference:.1e}" if task.max_difference is not None else "text" * bool(task.compared)
        print(f"{task.name:56}{task.score:9.4f}{command:>9}{task.questions:10}{task.requests:9}{task.compared:9}"
              f"{task.differing:10}{difference:>11}{'' if task.agrees else '  DIFFERS'}")  # fmt: skip
    if options.suite == "open-llm-v2":
        print(f"left out of IFEval, because their checks need data of NLTK: {', '.join(LEFT_OUT)}")
    print(f"engine: {json.dumps(ours.engine)}\n")
    print_cost("steward", ours.cost)
    if theirs:
        print_cost("command", theirs.cost)
        if ours.cost.requests != theirs.cost.requests:
            print(f"the command answered {options.command_questions} questions of each task")
        compared = [task for task in tasks if task.compared and task.max_difference is not None]
        questions, answers = sum(task.compared for task in compared), sum(task.differing for task in compared)
        print(f"{questions} questions with log-likelihoods compared: {answers} with another answer, "
              f"largest difference {max((task.max_difference or 0 for task in compared), default=0):.1e}")  # fmt: skip


def print_cost(side: str, cost: Cost) -> None:
    """Print one line."""
    print(f"{side}: {cost.seconds:.0f} s, {cost.processor_seconds:.0f} processor seconds, {cost.requests} requests, "
          f"peak memory {cost.peak_mib} MiB", flush=True)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
