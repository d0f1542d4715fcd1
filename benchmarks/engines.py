"""Compares Steward's engine with the harness's own way of computing answers: same model, requests and batch size.

    python -m benchmarks.engines [--quick] [--batch-size 8] [--json]

Log-likelihood tasks shaped like those of the real suites (`benchmarks.engine_shapes`), then generation with a chat
model, with SmolLM2-135M-Instruct in float32. Loading the model counts for neither side. The engine compares a part of
its answers with the harness's: that time is printed apart, and counts once, at the real number of questions:

    ratio = (engine's seconds a question × real questions + seconds of comparing) / (harness's seconds a question × …)

Where hundreds of questions share their shots, the engine computes more questions than the harness; the seconds of both
are printed for the harness's number. `tokens` are those of the engine's requests as sequences of their
own, as the harness computes them; `distinct` those of their prefix tree, and `computed` those that the engine computes.
`limit` is `distinct` / `tokens`.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.engine_figures import Models, TaskFigures, distinct_tokens, print_figures, time_of_method, timed_call
from benchmarks.engine_shapes import SHAPES, Question, Shape
from benchmarks.engine_texts import generation

COMPARED = 4
"""Requests that the engine compares first in this benchmark, whose tasks have few questions."""
REAL_COMPARED, REAL_COMPARED_EVERY = 64, 500
PROPORTIONS = ("bbh", "gpqa", "mmlu_pro", "musr")
"""The tasks of the total ratio, in the real numbers of their questions."""
QUESTIONS = {"bbh": 18, "mmlu_pro": 24, "gpqa": 40, "musr": 10, "hellaswag": 8, "arc": 8}
ENGINE_QUESTIONS = {"bbh": 4, "mmlu_pro": 4}
"""Task → how many times as many questions the engine computes as the harness, because hundreds share their shots."""
PROMPTS = 16
"""Number of prompts of IFEval, and of MATH."""


def main() -> int:
    """Measure and print; exit with 1 if an answer changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of the questions")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        figures = measure(Models(converted_model(Path(folder)), options.batch_size), 4 if options.quick else 1)
    total = summary(figures)
    if options.json:
        print(json.dumps(total))
    return 1 if any(task.answers_changed for task in figures) else 0


def summary(figures: Sequence[TaskFigures]) -> dict[str, Any]:
    """All figures, the ratio of the tasks in their real proportions, and that of generation."""
    real = {shape.name: shape.real for shape in SHAPES}
    chosen = [task for task in figures if task.name in PROPORTIONS]
    command = {task.name: task.command_seconds / task.questions * real[task.name] for task in chosen}
    engine = sum(task.ratio * command[task.name] for task in chosen)
    generation = next(task.ratio for task in figures if task.name == "generation")
    total = engine / sum(command.values())
    print(f"\nin real proportions ({', '.join(PROPORTIONS)}): {total:.3f}   generation: {generation:.3f}")
    tasks = [{**asdict(task), "ratio": round(task.ratio, 4)} for task in figures]
    return {"tasks": tasks, "ratio": round(total, 4), "generation_ratio": round(generation, 4)}


def measure(models: Models, divisor: int) -> list[TaskFigures]:
    """Measure all tasks, with a part of the questions, and print each as soon as it is known."""
    titles = (
        "requests tokens distinct computed harness engine comparing ratio limit difference accuracy command's changed"
    )
    print(f"{'task':12}", *(f"{title:>10}" for title in (*titles.split(), "near ties")), sep="")
    figures = []
    for shape in SHAPES:
        figures.append(log_likelihoods(models, shape, max(3, QUESTIONS[shape.name] // divisor)))
        print_figures(figures[-1])
    figures.append(generation(models, max(8, PROMPTS // divisor), divisor))
    print_figures(figures[-1])
    return figures


def log_likelihoods(models: Models, shape: Shape, count: int) -> TaskFigures:
    """Figures of one task of log-likelihoods by both ways."""
    from workers.evaluation.shared_prefix import trust
    from workers.evaluation.shared_prefix.engine_run import EngineRun
    from workers.evaluation.shared_prefix.tree import AnswerRequest

    questions = shape.first(count * ENGINE_QUESTIONS.get(shape.name, 1))
    requests, first = requests_of(shape, questions), requests_of(shape, questions[:count])
    models.harness.loglikelihood(requests[:2], disable_tqdm=True)  # both sides warm
    theirs, command = timed_call(lambda: models.harness.loglikelihood(first, disable_tqdm=True))
    trust.COMPARED, trust.COMPARED_EVERY = COMPARED, len(requests) + 1
    with time_of_method(EngineRun, "compare") as comparing:
        ours, engine = timed_call(lambda: models.steward.loglikelihood(requests, disable_tqdm=True))
    record = models.steward.engine_record
    assert record is not None
    real_requests = shape.real * len(requests) / len(questions)
    at_real = comparing[0] / max(1, record.compared) * (REAL_COMPARED + real_requests / REAL_COMPARED_EVERY)
    encoded = [models.harness._encode_pair(*request.args) for request in requests]
    inputs = [AnswerRequest.from_pair(context, answer, models.harness.max_length) for context, answer in encoded]
    seconds = (engine - comparing[0]) / len(questions) * shape.real + at_real
    return TaskFigures(
        name=shape.name,
        questions=count,
        requests=len(requests),
        tokens=record.tokens,
        distinct_tokens=distinct_tokens([request.tokens[:-1] for request in inputs]),
        computed_tokens=record.computed,
        command_seconds=round(command, 2),
        engine_seconds=round((engine - comparing[0]) / len(questions) * count, 2),
        comparing_seconds=round(at_real, 2),
        ratio=seconds / (command / count * shape.real),
        max_difference=max(abs(own[0] - other[0]) for own, other in zip(ours, theirs, strict=False)),
        accuracy=_accuracy(questions[:count], ours),
        command_accuracy=_accuracy(questions[:count], theirs),
        answers_changed=_changed(questions[:count], ours, theirs),
        near_ties=0,
        engine=record.reason or record.engine,
    )


def requests_of(shape: Shape, questions: Sequence[Question]) -> list[Any]:
    """The harness's requests for all answers of the questions."""
    from lm_eval.api.instance import Instance

    return [
        Instance("loglikelihood", {}, (question.context, answer), at, (shape.name, number, 1))
        for number, question in enumerate(questions)
        for at, answer in enumerate(question.answers)
    ]


def _changed(questions: Sequence[Question], ours: Sequence[Any], theirs: Sequence[Any]) -> int:
    """The number of questions whose best answers differ, by log-likelihood or by log-likelihood per character."""
    changed, start = 0, 0
    for question in questions:
        end = start + len(question.answers)
        lengths = [len(answer) for answer in question.answers]
        changed += _best(ours[start:end], lengths) != _best(theirs[start:end], lengths)
        start = end
    return changed


def _best(answers: Sequence[Any], lengths: Sequence[int]) -> tuple[int, int]:
    values = [value for value, _ in answers]
    by_length = [value / length for value, length in zip(values, lengths, strict=True)]
    return values.index(max(values)), by_length.index(max(by_length))


def _accuracy(questions: Sequence[Question], answers: Sequence[Any]) -> float:
    """The share of the questions whose right answer has the greatest log-likelihood."""
    right, start = 0, 0
    for question in questions:
        values = [value for value, _ in answers[start : start + len(question.answers)]]
        right += values.index(max(values)) == question.right
        start += len(question.answers)
    return right / len(questions)


def converted_model(folder: Path) -> Path:
    from workers.models.gguf import convert, packaged_gguf

    return convert(packaged_gguf(), folder / "SmolLM2-135M-Instruct", "float32")


if __name__ == "__main__":
    sys.exit(main())
