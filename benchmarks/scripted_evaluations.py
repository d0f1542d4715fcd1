"""Evaluations by the harness's own loop, of a model without weights, with questions from memory.

The model answers a request always in the same way, so that two versions of a suite get the same answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from leaderboard.graded_answers import AnswerCollector, TaskAnswers
from leaderboard.result_digests import combine
from leaderboard.results import dump
from leaderboard.scores import Scores, score
from leaderboard.steward_block import StewardBlock, errors_in_block, scores_in_block, with_block
from leaderboard.suites import Suite, parse_suite
from leaderboard.uncertainty import standard_errors

SOURCE = "ada/tiny/results_2026-11-24T12-00-00.000000.json"
"""The path of the evaluation in the results repo."""
COMMIT = "0" * 40
RowsOf = Callable[[str, str | None], Mapping[str, list[dict[str, Any]]]]
"""Dataset repo and config → its questions by split."""


def number(*parts: object) -> int:
    """A number computed from `parts`, the same in each run."""
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:8], 16)


def load_from(rows_of: RowsOf, folder: Path) -> Callable[..., Any]:
    """A function in place of the library's `load_dataset`, which takes the questions from `rows_of`.

    The function stores them in `folder`, so that the library caches the tables that tasks derive from them, as for
    downloaded questions: GPQA shuffles its choices each time it derives its table.
    """

    def load_dataset(path: str, name: str | None = None, **_: object) -> Any:
        from datasets import Dataset, DatasetDict, load_from_disk

        place = folder / path.replace("/", "__") / (name or "default")
        if not place.exists():
            made = {split: Dataset.from_list(rows) for split, rows in rows_of(path, name).items()}
            DatasetDict(made).save_to_disk(place)
        return load_from_disk(place)

    return load_dataset


def scripted_model(text_of: Callable[[int], str]) -> Any:
    """A model for the harness, without weights; `text_of` makes the generated text from a digest of the request."""
    from lm_eval.api.model import LM

    class ScriptedModel(LM):  # type: ignore[misc]  # the harness has no types
        """Answers by a digest of the request."""

        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            drawn = [number(request.args) for request in requests]
            return [(-(draw % 10_007) / 997, draw % 3 == 0) for draw in drawn]

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            return [-(number(request.args) % 10_007) / 97 for request in requests]

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            return [text_of(number(request.args)) for request in requests]

    return ScriptedModel()


def answer_text(draw: int) -> str:
    """A generated text for a number; some texts match a right answer, in the format of one task or another."""
    value = draw % 7
    return (
        f" It is {value}.",
        f" So it is {value}.\n#### {value}",
        f" Final Answer: The final answer is ${value}$. I hope it is correct.",
        f"  \\boxed{{{value}}}  ",
        f" {value}",
    )[draw // 7 % 5]


def evaluate(suite: Suite, tasks: Path, out: Path, text_of: Callable[[int], str] = answer_text) -> None:
    """Evaluate the scripted model as a worker's child does, and write the files that a worker publishes to `out`."""
    from lm_eval.loggers import EvaluationTracker

    from workers.evaluation.digest_recorder import DigestRecorder

    recorder = DigestRecorder()
    tracker = EvaluationTracker(output_path=str(out))
    results = _run_harness(suite, tasks, text_of, tracker, recorder)
    samples = results.pop("samples")
    tracker.general_config_tracker.model_name_sanitized = "tiny"
    tracker.save_results_aggregated(results=results, samples=samples)
    graded = _write_samples(suite, tracker, samples, out)
    (written,) = (out / "tiny").glob("results_*.json")
    harness = json.loads(written.read_text())
    block = _block(suite, score(harness["results"], suite), graded, recorder)
    (out / "results.json").write_bytes(dump(with_block(harness, block)))


def _run_harness(suite: Suite, tasks: Path, text_of: Callable[[int], str], tracker: Any, recorder: Any) -> Any:
    """Run the harness's evaluation loop with the suite's shots, and without its withdrawn questions."""
    import lm_eval.evaluator
    from lm_eval.tasks import TaskManager

    from workers.evaluation import task_loading

    withdrawn = {task: suite.withdrawn(task) for task in suite.tasks}
    aggregate = lm_eval.evaluator._process_results
    lm_eval.evaluator._process_results = task_loading.aggregate_without(withdrawn, aggregate)
    task_loading.seed_language_detection()

    class WithShots(TaskManager):  # type: ignore[misc]  # the harness has no types
        """Sets the suite's shots, as the worker's task manager does."""

        def load(self, task_list: Any) -> Any:
            loaded = super().load(task_list)
            for name, task in loaded["tasks"].items():
                if not suite.own:
                    task.set_config(key="num_fewshot", value=suite.shots[name])
            recorder.watch(loaded["tasks"])
            return loaded

    try:
        return lm_eval.evaluator.simple_evaluate(
            model=scripted_model(text_of),
            tasks=list(suite.run),
            task_manager=WithShots(include_path=[tasks], include_defaults=False, metadata={"pretrained": "ada/tiny"}),
            log_samples=True,
            evaluation_tracker=tracker,
        )
    finally:
        lm_eval.evaluator._process_results = aggregate


def _write_samples(suite: Suite, tracker: Any, samples: Any, out: Path) -> dict[str, TaskAnswers | None]:
    """Write the harness's samples and the published tables of each task; return the graded questions."""
    from workers.publication.details import write_samples

    (out / "samples").mkdir()
    (out / "tables").mkdir()
    graded = {}
    for benchmark in suite.benchmarks:
        for task in benchmark.tasks:
            tracker.save_results_samples(task_name=task.name, samples=samples[task.name])
            (written,) = (out / "tiny").glob(f"samples_{task.name}_*.jsonl")
            file = written.rename(out / "samples" / f"{task.name}.jsonl")
            collector = AnswerCollector(task.name, benchmark, suite.withdrawn(task.name))
            write_samples(file, out / "tables" / f"{task.name}.parquet", benchmark.metrics, collector.add)
            graded[task.name] = collector.answers()
    return graded


def _block(suite: Suite, scores: Scores, graded: Mapping[str, TaskAnswers | None], recorder: Any) -> StewardBlock:
    return StewardBlock(
        attempt="0123456789ab-00000000-1",
        request="ada/tiny_eval_request_False_float32_Original.json",
        model="ada/tiny",
        revision=COMMIT,
        precision="float32",
        suite=suite.name,
        suite_digest=suite.digest,
        digests=combine(recorder.parts(), suite),
        datasets={dataset.repo: COMMIT for dataset in suite.datasets},
        started="2026-11-24T11:00:00Z",
        ended="2026-11-24T12:00:00Z",
        **scores_in_block(scores),
        **errors_in_block(standard_errors(graded, scores, suite).normalised),
    )


def run(orders: Sequence[str], rows_of: RowsOf) -> None:
    """Evaluate each order with questions from `rows_of`, which are stored in the folder of the first order.

    An order is a JSON file with `suite` (its text), `tasks` (a folder of task files) and `out`.
    `out` gets `results.json`, `samples/` as the harness writes them, and the published `tables/`.
    """
    import datasets

    datasets.load_dataset = load_from(rows_of, Path(orders[0]).parent / "questions")
    for file in orders:
        order = json.loads(Path(file).read_text())
        evaluate(parse_suite(order["suite"]), Path(order["tasks"]), Path(order["out"]))
