"""Measures how fast scores are computed again from stored answers, without a model.

    python -m benchmarks.rescore [--evaluations 8] [--questions 200] [--processes N] [--json]

Evaluations in the shape of `open-llm-v2`: questions and answers as long as real ones, by the harness's own tasks. A
real evaluation has 21,000 answers; `--questions` bounds those of each task, and `--questions 0` takes as many as the
real suite has. The evaluations are copies of one, and each is read, scored and aggregated, and its results file is
written.
The start of the processes, which happens once for all evaluations, is not counted, and is printed.

`samples_per_second` is the rate of tasks that compare log-likelihoods. `generative_ratio` is the rate of generated
answers (IFEval, MATH) over that of one process which calls the harness's own filters and `process_results` for the same
answers, and does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import cache
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
    parser.add_argument("--evaluations", type=int, default=8)
    parser.add_argument("--questions", type=int, default=200, help="of each task, at most; 0: as the real suite has")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    found = measure(parser.parse_args())
    print(json.dumps(found))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures."""
    os.environ.update(OFFLINE)
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as name:
        folder = Path(name)
        splitter = folder / "nltk" / "tokenizers" / "punkt_tab"
        splitter.mkdir(parents=True)  # no question needs it
        os.environ["NLTK_DATA"] = str(folder / "nltk")
        comparing, generative = _suite(COMPARING), _suite(GENERATIVE)
        for suite in (comparing, generative):
            _evaluate(suite, options.questions or None, folder / suite.name)
        comparisons = _rate(comparing, folder / comparing.name, options.evaluations, options.processes)
        texts = _rate(generative, folder / generative.name, options.evaluations, options.processes)
        alone = _harness_rate(generative, folder / generative.name)
    memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024
    sizes = f"{comparisons['answers']:,} compared and {texts['answers']:,} generated answers each"
    print(f"{options.evaluations} evaluations with {sizes}, {options.processes} processes; at most {memory} MB in one")
    print(f"log-likelihoods: {comparisons['rate']:,.0f} answers a second, after {comparisons['start']:.1f} s to start")
    print(f"generated: {texts['rate']:,.0f} answers a second; one process of the harness: {alone:,.0f}")
    return {
        "evaluations": options.evaluations,
        "seconds": round(comparisons["seconds"] + texts["seconds"], 2),
        "samples_per_second": round(comparisons["rate"]),
        "generative_ratio": round(texts["rate"] / alone, 2),
    }


def _suite(run: tuple[str, ...]) -> Suite:
    """The benchmarks of `open-llm-v2` whose groups are `run`."""
    whole = find_suite("open-llm-v2")
    is_generative = run == GENERATIVE
    chosen = tuple(benchmark for benchmark in whole.benchmarks if benchmark.generative == is_generative)
    name = "v2-generated" if is_generative else "v2-compared"
    return whole.model_copy(update={"name": name, "run": run, "benchmarks": chosen})


def _evaluate(suite: Suite, questions: int | None, out: Path) -> None:
    """An evaluation with stored answers, in a process of its own: it changes the harness."""
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


def _rate(suite: Suite, evaluation: Path, evaluations: int, processes: int) -> dict[str, Any]:
    """Rescore the evaluation that often; the first time starts the processes and is not counted."""
    from benchmarks.scripted_evaluations import SOURCE
    from benchmarks.suites.open_llm_v2 import shipped
    from workers.rescoring.process import RescoringProcess

    out = evaluation / "rescored.json"
    with RescoringProcess(suite.model_dump_json(), processes, shipped()) as process:
        began, seconds = time.perf_counter(), 0.0
        for number in range(evaluations + 1):
            done = process.rescore(evaluation / "results.json", evaluation / "tables", out, source=SOURCE, at=AT)
            if number == 0:
                start, began = time.perf_counter() - began, time.perf_counter()
        seconds = time.perf_counter() - began
    return {
        "answers": done.answers,
        "seconds": seconds,
        "start": start,
        "rate": evaluations * done.answers / seconds,
    }


def _harness_rate(suite: Suite, evaluation: Path) -> float:
    """Answers a second of one process that filters and scores them by the harness, as a full evaluation does."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            os.write(writer, json.dumps(_time_harness(suite, evaluation)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        text = answers.read()
    os.wait()
    if not text:
        sys.exit("the harness could not score the answers")
    return float(json.loads(text))


def _time_harness(suite: Suite, evaluation: Path) -> float:
    from benchmarks.suites.open_llm_v2 import shipped
    from workers.rescoring.stored_answers import open_table
    from workers.rescoring.stored_tasks import load_tasks

    opened = {task: open_table(evaluation / "tables" / f"{task}.parquet", task) for task in suite.tasks}
    tasks = load_tasks(suite, opened, shipped())["tasks"]
    work = [(tasks[name], list(_instances(tasks[name], table))) for name, table in opened.items()]
    for task, instances in work:
        _score(task, instances[:2])  # loads what the metrics load when they first run
    began = time.perf_counter()
    for task, instances in work:
        _score(task, instances)
    return sum(len(instances) for _, instances in work) / (time.perf_counter() - began)


def _instances(task: Any, table: Any) -> Iterator[Any]:
    """The answers as the harness holds them."""
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
