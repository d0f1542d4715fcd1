"""Measures how fast scores are computed again from stored answers, without a model.

    python -m benchmarks.rescore [--evaluations 4] [--questions N] [--processes N] [--json]

Evaluations in the shape of `open-llm-v2`: as many questions as the real suite has, or at most N of each task, and
answers as long as real ones, by the harness's own tasks. The evaluations are copies of one, and each is read, scored
and aggregated, and its results file is written. The first one starts the processes and is not counted.

`samples_per_second` is the rate of tasks that compare log-likelihoods. `generative_ratio` is the rate of generated
answers (IFEval, MATH) over that of one process which calls the harness's own filters and `process_results` for the same
answers, which it holds in memory, and does nothing else. The two take turns, evaluation by evaluation, so that other
work on the machine slows both down; both have scored the same answers once before.

Rates by the clock need an idle machine. Those by processor time, in all processes, say what another machine's cores
would do, and change little under load.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.engine_shapes import sentence
from leaderboard.suites import Suite, find_suite

GENERATIVE = ("leaderboard_ifeval", "leaderboard_math_hard")
COMPARING = ("leaderboard_bbh", "leaderboard_gpqa", "leaderboard_musr", "leaderboard_mmlu_pro")
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
AT = "2026-11-28T12:00:00Z"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=4)
    parser.add_argument("--questions", type=int, default=0, help="of each task, at most; 0: as the real suite has")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    figures = measure(options)
    if options.json:
        print(json.dumps(figures))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures."""
    os.environ.update(OFFLINE)
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as name:
        folder = Path(name)
        splitter = folder / "nltk" / "tokenizers" / "punkt_tab"
        splitter.mkdir(parents=True)  # no question needs its data
        os.environ["NLTK_DATA"] = str(folder / "nltk")
        comparing, generative = _suite(COMPARING), _suite(GENERATIVE)
        for suite in (comparing, generative):
            _evaluate(suite, options.questions or None, folder / suite.name)
        comparisons = _measure_rescoring(comparing, folder / comparing.name, options)
        texts, harness = _measure_in_turns(generative, folder / generative.name, options)
    memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024
    sizes = f"{comparisons.answers:,} compared and {texts.answers:,} generated answers each"
    print(f"{options.evaluations} evaluations with {sizes}, {options.processes} processes; at most {memory} MB in one")
    for name, timing in (
        ("log-likelihoods", comparisons),
        ("generated", texts),
        ("one process of the harness", harness),
    ):
        print(f"{name}: {timing.rate:,.0f} answers a second, {timing.processor_rate:,.0f} a processor second")
    return {
        "evaluations": options.evaluations,
        "seconds": round(comparisons.seconds + texts.seconds, 2),
        "samples_per_second": round(comparisons.rate),
        "generative_ratio": round(texts.rate / harness.rate, 2),
        "samples_per_processor_second": round(comparisons.processor_rate),
        "generative_ratio_per_processor": round(texts.processor_rate / harness.processor_rate, 2),
    }


@dataclass
class Timing:
    """The time that scoring took, for `evaluations` evaluations with `answers` answers each."""

    answers: int
    evaluations: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.evaluations * self.answers / self.seconds

    @property
    def processor_rate(self) -> float:
        """Answers a second of one core."""
        return self.evaluations * self.answers / self.processor_seconds

    def add(self, score: Callable[[], object], process: int) -> None:
        """Call `score`; add its time, and the processor time of `process` and its descendants."""
        began, used = time.perf_counter(), _processor_seconds(process)
        score()
        self.seconds += time.perf_counter() - began
        self.processor_seconds += _processor_seconds(process) - used
        self.evaluations += 1


def _processor_seconds(process: int) -> float:
    """The processor time of a running process and its descendants."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    own = sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    return own + sum(map(_processor_seconds, _children(process)))


def _children(process: int) -> list[int]:
    threads = Path(f"/proc/{process}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def _suite(run: tuple[str, ...]) -> Suite:
    """The part of `open-llm-v2` that runs the groups `run`: its generative benchmarks, or the others."""
    whole = find_suite("open-llm-v2")
    is_generative = run == GENERATIVE
    chosen = tuple(benchmark for benchmark in whole.benchmarks if benchmark.generative == is_generative)
    name = "v2-generated" if is_generative else "v2-compared"
    return whole.model_copy(update={"name": name, "run": run, "benchmarks": chosen})


def _evaluate(suite: Suite, questions: int | None, out: Path) -> None:
    """Run an evaluation that stores its answers in `out`, in a process of its own because it patches libraries."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            from benchmarks.scripted_evaluations import evaluate, load_from
            from benchmarks.suites.datasets import MAKERS
            from benchmarks.suites.open_llm_v2 import shipped

            made = cache(lambda path: MAKERS[path](questions))

            def rows_of(path: str, name: str | None) -> Mapping[str, list[dict[str, Any]]]:
                return {split: rows for (config, split), rows in made(path).items() if config == (name or "default")}

            import datasets

            datasets.load_dataset = load_from(rows_of, out.parent / f"{suite.name}-questions")
            evaluate(suite, shipped(), out, _long_text)
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(process, 0)[1] != 0:
        sys.exit("the evaluation whose answers are scored again failed")


def _long_text(draw: int) -> str:
    """A generated text of a few hundred words with a result, as models write them."""
    rng = random.Random(draw)
    a, b, c = (rng.randint(2, 40) for _ in range(3))
    steps = " ".join(f"{sentence(rng, 30)} Then ${a}x^2 + {b * n}x = {c + n}$." for n in range(1, 9))
    result = rng.choice([str(a), rf"\frac{{{a}}}{{{b}}}", rf"[{a},{a + b})", rf"{a}\sqrt{{{b}}}", f"{a}x^2 - {b}"])
    return rf"{steps} So the answer is $\boxed{{{result}}}$. Final Answer: The final answer is ${result}$."


@contextmanager
def _rescoring(suite: Suite, evaluation: Path, processes: int) -> Iterator[tuple[Callable[[], Any], int]]:
    """Start a rescoring process; yield a function that computes the evaluation's scores again, and the process's id."""
    from benchmarks.scripted_evaluations import SOURCE
    from benchmarks.suites.open_llm_v2 import shipped
    from workers.rescoring.process import RescoringProcess

    before = set(_children(os.getpid()))
    with RescoringProcess(suite.model_dump_json(), processes, shipped()) as process:
        (started,) = set(_children(os.getpid())) - before

        def rescore() -> Any:
            files = evaluation / "results.json", evaluation / "tables", evaluation / "rescored.json"
            return process.rescore(*files, source=SOURCE, at=AT)

        yield rescore, started


def _measure_rescoring(suite: Suite, evaluation: Path, options: argparse.Namespace) -> Timing:
    with _rescoring(suite, evaluation, options.processes) as (rescore, process):
        timing = Timing(rescore().answers)
        for _ in range(options.evaluations):
            timing.add(rescore, process)
    return timing


def _measure_in_turns(suite: Suite, evaluation: Path, options: argparse.Namespace) -> tuple[Timing, Timing]:
    """Measure rescoring and one process of the harness, which take turns."""
    ours, theirs = multiprocessing.Pipe()
    harness = multiprocessing.get_context("fork").Process(target=_run_harness, args=(theirs, ours, suite, evaluation))
    harness.start()
    theirs.close()

    def score() -> None:
        ours.send("score")
        ours.recv()

    try:
        score()
        with _rescoring(suite, evaluation, options.processes) as (rescore, process):
            rescoring, alone = (Timing(rescore().answers) for _ in range(2))
            assert harness.pid is not None
            for _ in range(options.evaluations):
                rescoring.add(rescore, process)
                alone.add(score, harness.pid)
    except EOFError:
        sys.exit("the harness could not score the answers")
    finally:
        ours.close()
        harness.join()
    return rescoring, alone


def _run_harness(orders: Connection, callers_end: Connection, suite: Suite, evaluation: Path) -> None:
    """For each order, filter and score all answers by the harness, as a full evaluation does, until the caller ends."""
    from benchmarks.suites.open_llm_v2 import shipped
    from workers.evaluation.shared_prefix.templates import compile_templates_once
    from workers.evaluation.task_loading import seed_language_detection
    from workers.rescoring.stored_answers import open_table
    from workers.rescoring.stored_tasks import load_tasks

    callers_end.close()  # so that the caller's end is the only one
    compile_templates_once()
    seed_language_detection()
    opened = {task: open_table(evaluation / "tables" / f"{task}.parquet", task) for task in suite.tasks}
    tasks = load_tasks(suite, opened, shipped())["tasks"]
    work = [(tasks[name], list(_instances(tasks[name], table))) for name, table in opened.items()]
    while True:
        try:
            orders.recv()
        except EOFError:
            return
        for task, instances in work:
            _score(task, instances)
        orders.send("scored")


def _instances(task: Any, table: Any) -> Iterator[Any]:
    """Yield the stored answers as `Instance` objects of the harness."""
    from lm_eval.api.instance import Instance

    from workers.rescoring.stored_answers import StoredAnswer, read_answers, typed_responses

    for answer in read_answers(table.path, table.groups, table.filter, typed_responses(task.OUTPUT_TYPE)):
        assert isinstance(answer, StoredAnswer)
        (responses,) = answer.responses
        yield Instance("generate_until", answer.doc, ("",), 0, (task.task_name, answer.question, 1), resps=responses)


def _score(task: Any, instances: list[Any]) -> None:
    for ensemble in task._filters:
        ensemble.apply(instances)
    for instance in instances:
        for filtered in instance.filtered_resps.values():
            task.process_results(instance.doc, [filtered])


if __name__ == "__main__":
    main()
