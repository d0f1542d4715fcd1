"""Shows whether the engine changes a model's answers, beside what another batch size changes.

    python -m benchmarks.engine_flips [--quick] [--questions 40] [--long 4] [--model MODEL …] [--json]

The reference is the harness with batch size 1. The engine, and the harness with batch size N, are compared with it, in
float32 and in bfloat16. A flip is a question for which the picked answer differs. `accuracy` is that of the row, and
`change` its paired difference from the reference, with its standard error. `mean` is the mean of the signed differences
of log-likelihoods; `95 %` and `most` are the 95th percentile and the maximum of their absolute values.

Questions: the whole starter suite with three fixed examples and their right answers, and four of each shape of
`benchmarks.engine_shapes`, whose words are random: each answer is right in turn, and accuracy is chance. `--questions`
and `--long` change these numbers; by default the benchmark takes 25 minutes a model on two cores.

Models: `smollm2` is SmolLM2-135M-Instruct; `window` its weights as a Mistral with a sliding window; `adapter` has an
adapter, trained for a minute on other questions of the starter suite's kinds. `--model` chooses among them, or names a
folder that holds a complete model; it may be repeated.

The engine compares its answers with the harness's as always; it looks these up in the answers computed before. The
column `engine` says how many it compared, or why it stepped aside.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

from benchmarks.engine_flip_models import MADE_MODELS, chosen_models
from benchmarks.engine_shapes import SHAPES
from workers.evaluation.shared_prefix import trust
from workers.evaluation.shared_prefix.model import SharedPrefixModel
from workers.evaluation.shared_prefix.tree import ScoredAnswer
from workers.evaluation.shared_prefix.trust import HARNESS, SHARED_PREFIX
from workers.starter.questions import MAKERS, StarterQuestion
from workers.starter.repo import SEED, SHOTS, TEST_QUESTIONS, distinct

DTYPES = ("float32", "bfloat16")
SHAPE_NAMES = tuple(shape.name for shape in SHAPES)
COMPARED = 24
"""Requests that the engine compares first: fewer than in an evaluation, because there are few requests."""


@dataclass(frozen=True)
class AskedQuestion:
    """A question with its possible answers; answer number `right` is right."""

    task: str
    context: str
    answers: tuple[str, ...]
    right: int


@dataclass(frozen=True)
class Difference:
    """Answers of a model in one way, compared with those of the harness with batch size 1."""

    model: str
    dtype: str
    way: str
    questions: int
    answers: int
    reference_accuracy: float
    accuracy: float
    change: float
    standard_error: float
    flips: int
    mean: float
    percentile_95: float
    largest: float
    seconds: float
    engine: str = ""


class ComparedModel(SharedPrefixModel):
    """The model with the engine, which compares with the answers in `known`: batch size → request → answer."""

    known: dict[int, dict[tuple[tuple[int, ...], tuple[int, ...]], ScoredAnswer]]

    def harness_answers(self, requests: Any, batch_size: int, *, report: bool = False) -> list[ScoredAnswer]:  # noqa: ARG002
        """Return the harness's answers, which the benchmark has computed before."""
        return [self.known[batch_size][tuple(context), tuple(answer)] for _, context, answer in requests]


def main() -> int:
    """Measure and print; exit with 1 if the engine changed an answer in float32."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="eight questions of each starter task, two of two shapes")
    parser.add_argument("--questions", type=int, default=TEST_QUESTIONS, help="questions of each starter task")
    parser.add_argument(
        "--long", type=int, default=4, help="questions of each shape; with fewer the engine may step aside"
    )
    parser.add_argument(
        "--model", type=_model, action="append", metavar="MODEL",
        help=f"{', '.join(MADE_MODELS)} or a folder; may be repeated (by default these three)",
    )  # fmt: skip
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    import torch

    torch.set_num_threads(options.threads)
    trust.COMPARED = COMPARED
    questions = (
        asked_questions(8, 2, ("bbh", "musr")) if options.quick else asked_questions(options.questions, options.long)
    )
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        models = chosen_models(options.model or list(MADE_MODELS), Path(folder))
        rows = list(measure(models, questions, options.batch_size))
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}))
    return 1 if any(row.flips for row in rows if row.way == SHARED_PREFIX and row.dtype == "float32") else 0


def _model(text: str) -> str | Path:
    """Parse `--model`: a name in MADE_MODELS, or a model's folder."""
    if text in MADE_MODELS:
        return text
    folder = Path(text).resolve()
    if not (folder / "config.json").is_file():
        raise argparse.ArgumentTypeError(
            f"{text} is none of {', '.join(MADE_MODELS)}, and no folder with a config.json"
        )
    return folder


def asked_questions(count: int, long: int, shapes: Sequence[str] = SHAPE_NAMES) -> list[AskedQuestion]:
    """`count` questions of each starter task, and `long` of each of `shapes`."""
    asked = []
    for task, maker in MAKERS.items():
        questions = distinct(task, maker, SHOTS + count, SEED)
        examples = "".join(f"Q: {shot.input}\nA: {shot.target}\n\n" for shot in questions[:SHOTS])
        for question in questions[SHOTS:]:
            choices = _choices(question)
            context, answers = f"{examples}Q: {question.input}\nA:", tuple(f" {choice}" for choice in choices)
            asked.append(AskedQuestion(task, context, answers, choices.index(question.target)))
    for shape in SHAPES:
        for number, generated in enumerate(shape.first(long) if shape.name in shapes else ()):
            right = number % len(generated.answers)
            asked.append(AskedQuestion(shape.name, generated.context, generated.answers, right))
    return asked


def _choices(question: StarterQuestion) -> tuple[str, ...]:
    """The possible answers to a question of the starter suite, in an order that does not reveal the right one."""
    for choices in (("False", "True"), ("No", "Yes"), ("A", "B", "C", "D")):
        if question.target in choices:
            return choices
    if question.target.isdigit():
        return tuple(str(number) for number in range(1, 10))
    return tuple(", ".join(words) for words in permutations(sorted(question.target.split(", "), key=len)))


def measure(models: dict[str, dict[str, str]], questions: Sequence[AskedQuestion], size: int) -> Iterator[Difference]:
    """Compare both ways with the reference for each model and dtype; print each line as soon as it is known."""
    print(f"{len(questions)} questions, {sum(len(question.answers) for question in questions)} answers\n")
    titles = ("accuracy", "change", "± error", "flips", "mean", "95 %", "most", "seconds")
    print(f"{'model':24}{'dtype':10}{'way':16}", *(f"{title:>11}" for title in titles), "  engine", sep="")
    for name, arguments in models.items():
        for dtype in DTYPES:
            for row in _compare(name, arguments, dtype, questions, size):
                _print(row)
                yield row


def _compare(
    name: str, arguments: dict[str, str], dtype: str, questions: Sequence[AskedQuestion], size: int
) -> Iterator[Difference]:
    from lm_eval.api.instance import Instance

    model = ComparedModel(**arguments, dtype=dtype, device="cpu", batch_size=size, engine=SHARED_PREFIX)
    requests = [
        Instance("loglikelihood", {}, (question.context, answer), at, (question.task, number, 1))
        for number, question in enumerate(questions)
        for at, answer in enumerate(question.answers)
    ]
    pairs = [model._encode_pair(*request.args) for request in requests]
    by_size, seconds = {}, {}
    for batch_size in (1, size):
        began = time.monotonic()
        with model.settings(engine=HARNESS, batch_size_per_gpu=batch_size):
            by_size[batch_size] = model.loglikelihood(requests, disable_tqdm=True)
        seconds[batch_size] = time.monotonic() - began
    keys = [(tuple(context), tuple(answer)) for context, answer in pairs]
    model.known = {number: dict(zip(keys, answers, strict=True)) for number, answers in by_size.items()}
    began = time.monotonic()
    answers = model.loglikelihood(requests, disable_tqdm=True)
    record = model.engine_record
    assert record is not None
    engine_seconds, engine_note = time.monotonic() - began, record.reason or f"{record.compared} compared"
    row = difference(questions, by_size[1], answers)
    yield Difference(name, dtype, SHARED_PREFIX, **row, seconds=round(engine_seconds, 1), engine=engine_note)
    row = difference(questions, by_size[1], by_size[size])
    yield Difference(name, dtype, f"batch size {size}", **row, seconds=round(seconds[size], 1))


def difference(
    questions: Sequence[AskedQuestion], reference: Sequence[ScoredAnswer], answers: Sequence[ScoredAnswer]
) -> dict[str, Any]:
    """What differs between two ways to compute the answers to the same questions."""
    changes = [mine - theirs for (mine, _), (theirs, _) in zip(answers, reference, strict=True)]
    sizes = [abs(change) for change in changes]
    before, after = _picks(questions, reference), _picks(questions, answers)
    right = [question.right for question in questions]
    paired = [(new == gold) - (old == gold) for new, old, gold in zip(after, before, right, strict=True)]
    count = len(questions)
    mean = sum(paired) / count
    variance = sum((value - mean) ** 2 for value in paired) / max(1, count - 1)
    return {
        "questions": count,
        "answers": len(answers),
        "reference_accuracy": sum(old == gold for old, gold in zip(before, right, strict=True)) / count,
        "accuracy": sum(new == gold for new, gold in zip(after, right, strict=True)) / count,
        "change": mean,
        "standard_error": math.sqrt(variance / count),
        "flips": sum(old != new for old, new in zip(before, after, strict=True)),
        "mean": sum(changes) / len(changes),
        "percentile_95": trust.percentile(sizes),
        "largest": max(sizes),
    }


def _picks(questions: Sequence[AskedQuestion], answers: Sequence[ScoredAnswer]) -> list[int]:
    """The picked answer of each question; of equally likely ones the first, as the harness's metrics do."""
    picks, values = [], iter(value for value, _ in answers)
    for question in questions:
        own = [next(values) for _ in question.answers]
        picks.append(own.index(max(own)))
    return picks


def _print(row: Difference) -> None:
    print(
        f"{row.model:24}{row.dtype:10}{row.way:16}{row.accuracy:11.4f}{row.change:+11.4f}{row.standard_error:11.4f}"
        f"{row.flips:11}{row.mean:+11.1e}{row.percentile_95:11.1e}{row.largest:11.1e}{row.seconds:11.1f}  {row.engine}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
