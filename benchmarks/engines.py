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
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine_shapes import SHAPES, Question, Shape, instructions, word_problems

COMPARED = 4
"""Requests that are compared at first here, where tasks have few questions."""
REAL_COMPARED, REAL_COMPARED_EVERY = 64, 500
PROPORTIONS = ("bbh", "gpqa", "mmlu_pro", "musr")
"""The tasks of the total ratio, in the real numbers of their questions."""
QUESTIONS = {"bbh": 18, "mmlu_pro": 24, "gpqa": 40, "musr": 10, "hellaswag": 8, "arc": 8}
ENGINE_QUESTIONS = {"bbh": 4, "mmlu_pro": 4}
"""The engine computes so many times the harness's questions, where shots are the same for hundreds of them."""
PROMPTS = 16
"""Prompts of IFEval, and of MATH."""
NEW_TOKENS = {"ifeval": 1_280, "math": 1_024}
"""The real limits of an answer's tokens; with `--quick` a quarter of them."""
COMPARED_TEXTS, REAL_COMPARED_TEXTS = 4, 32
"""Texts that are compared at first, here and in an evaluation."""


@dataclass(frozen=True)
class TaskFigures:
    """One task by both ways; `ratio` is that of the real number of questions, with the time of comparing."""

    name: str
    questions: int
    requests: int
    tokens: int
    distinct_tokens: int
    computed_tokens: int
    command_seconds: float
    engine_seconds: float
    comparing_seconds: float
    ratio: float
    max_difference: float
    accuracy: float
    command_accuracy: float
    answers_changed: int
    near_ties: int
    engine: str


class Models:
    """The harness's own model and Steward's, which share the weights."""

    def __init__(self, folder: Path, batch_size: int) -> None:
        from lm_eval.models.huggingface import HFLM

        from workers.evaluation.shared_prefix.model import SharedPrefixModel
        from workers.evaluation.shared_prefix.trust import SHARED_PREFIX

        self.harness = HFLM(pretrained=str(folder), dtype="float32", device="cpu", batch_size=batch_size)
        self.steward = SharedPrefixModel(
            pretrained=self.harness.model, tokenizer=self.harness.tokenizer, batch_size=batch_size, engine=SHARED_PREFIX
        )


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
        figures = measure(Models(_model(Path(folder)), options.batch_size), 4 if options.quick else 1)
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
        _print(figures[-1])
    figures.append(generation(models, max(8, PROMPTS // divisor), divisor))
    _print(figures[-1])
    return figures


def log_likelihoods(models: Models, shape: Shape, count: int) -> TaskFigures:
    """One task of log-likelihoods by both ways."""
    from workers.evaluation.shared_prefix import trust
    from workers.evaluation.shared_prefix.engine_run import EngineRun
    from workers.evaluation.shared_prefix.tree import AnswerRequest

    questions = shape.first(count * ENGINE_QUESTIONS.get(shape.name, 1))
    requests, first = _requests(shape, questions), _requests(shape, questions[:count])
    models.harness.loglikelihood(requests[:2], disable_tqdm=True)  # both sides warm
    theirs, command = _timed(lambda: models.harness.loglikelihood(first, disable_tqdm=True))
    trust.COMPARED, trust.COMPARED_EVERY = COMPARED, len(requests) + 1
    with _time_of(EngineRun, "compare") as comparing:
        ours, engine = _timed(lambda: models.steward.loglikelihood(requests, disable_tqdm=True))
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
        distinct_tokens=_distinct([request.tokens[:-1] for request in inputs]),
        computed_tokens=record.computed,
        command_seconds=round(command, 2),
        engine_seconds=round((engine - comparing[0]) / len(questions) * count, 2),
        comparing_seconds=round(at_real, 2),
        ratio=seconds / (command / count * shape.real),
        max_difference=max(abs(one[0] - other[0]) for one, other in zip(ours, theirs, strict=False)),
        accuracy=_accuracy(questions[:count], ours),
        command_accuracy=_accuracy(questions[:count], theirs),
        answers_changed=_changed(questions[:count], ours, theirs),
        near_ties=0,
        engine=record.reason or record.engine,
    )


def _requests(shape: Shape, questions: Sequence[Question]) -> list[Any]:
    """The harness's requests for all answers of the questions."""
    from lm_eval.api.instance import Instance

    return [
        Instance("loglikelihood", {}, (question.context, answer), at, (shape.name, number, 1))
        for number, question in enumerate(questions)
        for at, answer in enumerate(question.answers)
    ]


def generation(models: Models, count: int, divisor: int) -> TaskFigures:
    """Greedy answers by both ways: to instructions, and to problems behind fixed shots; both in their real numbers."""
    chat = [
        models.harness.tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )
        for text in instructions(random.Random("generation"), count)
    ]
    problems = word_problems(random.Random("generation"), count)
    parts = [
        (_texts(models, "ifeval", chat, [], NEW_TOKENS["ifeval"] // divisor, 541), 541),
        (_texts(models, "math", problems, ["Problem:"], NEW_TOKENS["math"] // divisor, 1_324), 1_324),
    ]
    for part, _ in parts:
        _print(part)
    command = sum(part.command_seconds / part.questions * real for part, real in parts)
    engine = sum(part.ratio * part.command_seconds / part.questions * real for part, real in parts)
    first, second = (part for part, _ in parts)
    return TaskFigures(
        name="generation",
        questions=first.questions + second.questions,
        requests=first.requests + second.requests,
        tokens=first.tokens + second.tokens,
        distinct_tokens=first.distinct_tokens + second.distinct_tokens,
        computed_tokens=first.computed_tokens + second.computed_tokens,
        command_seconds=round(first.command_seconds + second.command_seconds, 2),
        engine_seconds=round(first.engine_seconds + second.engine_seconds, 2),
        comparing_seconds=round(first.comparing_seconds + second.comparing_seconds, 2),
        ratio=engine / command,
        max_difference=max(first.max_difference, second.max_difference),
        accuracy=0.0,
        command_accuracy=0.0,
        answers_changed=first.answers_changed + second.answers_changed,
        near_ties=first.near_ties + second.near_ties,
        engine=", ".join(dict.fromkeys((first.engine, second.engine))),
    )


def _texts(
    models: Models, name: str, prompts: Sequence[str], until: Sequence[str], new_tokens: int, real: int
) -> TaskFigures:
    """Texts generated by both ways; the real task has `real` prompts."""
    from lm_eval.api.instance import Instance

    from workers.evaluation.shared_prefix import generation_requests
    from workers.evaluation.shared_prefix.generation import AnswerChecker

    options = {"until": list(until), "do_sample": False, "temperature": 0.0, "max_gen_toks": new_tokens}
    requests = [Instance("generate_until", {}, (prompt, options), at) for at, prompt in enumerate(prompts)]
    theirs, command = _timed(lambda: models.harness.generate_until(requests, disable_tqdm=True))
    generation_requests.COMPARED_FIRST = COMPARED_TEXTS
    with _time_of(AnswerChecker, "check") as comparing:
        ours, engine = _timed(lambda: models.steward.generate_until(requests, disable_tqdm=True))
    assert models.steward.engine_record is not None and models.steward.engine_record.generation is not None
    record = models.steward.engine_record.generation
    at_real = comparing[0] / max(1, record.compared) * (REAL_COMPARED_TEXTS + real / generation_requests.COMPARED_EVERY)
    tokenizer = models.harness.tokenizer
    encoded = [tokenizer.encode(prompt) for prompt in prompts]
    answers = sum(len(tokenizer.encode(text)) for text in ours)
    seconds = (engine - comparing[0]) / len(prompts)
    differences = [
        _is_near_tie(models, prompt, one, other)
        for prompt, one, other in zip(encoded, ours, theirs, strict=True)
        if one != other
    ]
    return TaskFigures(
        name=name,
        questions=len(prompts),
        requests=len(prompts),
        tokens=sum(map(len, encoded)) + answers,
        distinct_tokens=_distinct(encoded) + answers,
        computed_tokens=_distinct(encoded) + answers,
        command_seconds=round(command, 2),
        engine_seconds=round(engine - comparing[0], 2),
        comparing_seconds=round(at_real, 2),
        ratio=(seconds * real + at_real) / (command / len(prompts) * real),
        max_difference=record.largest_distance,
        accuracy=0.0,
        command_accuracy=0.0,
        answers_changed=differences.count(False),
        near_ties=differences.count(True),
        engine=", ".join(record.reasons) or "a batch of rows",
    )


def _is_near_tie(models: Models, prompt: list[int], ours: str, theirs: str) -> bool:
    """Whether two texts differ from a token on for which the model's two best scores are nearly the same."""
    import torch

    from workers.evaluation.shared_prefix.generation import common_beginning
    from workers.evaluation.shared_prefix.generation_requests import TOLERANCES

    tokens, others = (models.harness.tokenizer.encode(text, add_special_tokens=False) for text in (ours, theirs))
    same = tokens[: common_beginning([tokens, others])]
    with torch.inference_mode():
        scores = models.harness.model(torch.tensor([[*prompt, *same]])).logits[0, -1].float()
    best, second = scores.topk(2).values.tolist()
    return bool(best - second <= TOLERANCES["float32"])


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    result = call()
    return result, time.monotonic() - began


@contextmanager
def _time_of(owner: type, name: str) -> Iterator[list[float]]:
    """The seconds that calls of a method take inside the block, as the one item of a list."""
    method, seconds = getattr(owner, name), [0.0]

    def timed(*arguments: Any, **options: Any) -> Any:
        result, taken = _timed(lambda: method(*arguments, **options))
        seconds[0] += taken
        return result

    setattr(owner, name, timed)
    try:
        yield seconds
    finally:
        setattr(owner, name, method)


def _changed(questions: Sequence[Question], ours: Sequence[Any], theirs: Sequence[Any]) -> int:
    """Questions whose best answer, by log-likelihood or by that in relation to its length, is another one."""
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


def _distinct(sequences: Sequence[Sequence[int]]) -> int:
    """The number of tokens of the sequences' prefix tree."""
    count, before = 0, list[int]()
    for tokens in sorted(map(list, sequences)):
        shared = next((at for at, (one, other) in enumerate(zip(before, tokens, strict=False)) if one != other), None)
        count += len(tokens) - (min(len(before), len(tokens)) if shared is None else shared)
        before = tokens
    return count


def _print(task: TaskFigures) -> None:
    print(
        f"{task.name:12}{task.requests:10}{task.tokens:10,}{task.distinct_tokens:10,}{task.computed_tokens:10,}"
        f"{task.command_seconds:9.1f}s{task.engine_seconds:9.1f}s{task.comparing_seconds:9.1f}s{task.ratio:10.3f}"
        f"{task.distinct_tokens / task.tokens:10.3f}{task.max_difference:10.1e}{task.accuracy:10.3f}"
        f"{task.command_accuracy:10.3f}{task.answers_changed:10}{task.near_ties:10}  {task.engine}",
        flush=True,
    )


def _model(folder: Path) -> Path:
    from workers.models.gguf import convert, packaged_gguf

    return convert(packaged_gguf(), folder / "SmolLM2-135M-Instruct", "float32")


if __name__ == "__main__":
    sys.exit(main())
