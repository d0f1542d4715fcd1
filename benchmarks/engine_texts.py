"""Measures the generation of texts by Steward's engine and by the harness, for `benchmarks.engines`."""

from __future__ import annotations

import random
from collections.abc import Sequence

from benchmarks.engine_figures import Models, TaskFigures, distinct_tokens, print_figures, time_of_method, timed_call
from benchmarks.engine_shapes import instructions, word_problems

NEW_TOKENS = {"ifeval": 1_280, "math": 1_024}
"""The real limits of an answer's tokens; with `--quick` a quarter of them."""
COMPARED_TEXTS, REAL_COMPARED_TEXTS = 4, 32
"""Texts that the engine compares first: in this benchmark, and in an evaluation."""


def generation(models: Models, count: int, divisor: int) -> TaskFigures:
    """Figures of greedy answers by both ways, to instructions and problems; `ratio` in their real proportions."""
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
        print_figures(part)
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
    """Figures of the texts that both ways generate; the real task has `real` prompts."""
    from lm_eval.api.instance import Instance

    from workers.evaluation.shared_prefix import generation_requests
    from workers.evaluation.shared_prefix.generation import AnswerChecker

    options = {"until": list(until), "do_sample": False, "temperature": 0.0, "max_gen_toks": new_tokens}
    requests = [Instance("generate_until", {}, (prompt, options), at) for at, prompt in enumerate(prompts)]
    theirs, command = timed_call(lambda: models.harness.generate_until(requests, disable_tqdm=True))
    generation_requests.COMPARED_FIRST = COMPARED_TEXTS
    with time_of_method(AnswerChecker, "check") as comparing:
        ours, engine = timed_call(lambda: models.steward.generate_until(requests, disable_tqdm=True))
    assert models.steward.engine_record is not None and models.steward.engine_record.generation is not None
    record = models.steward.engine_record.generation
    at_real = comparing[0] / max(1, record.compared) * (REAL_COMPARED_TEXTS + real / generation_requests.COMPARED_EVERY)
    encoded = [models.harness.tokenizer.encode(prompt) for prompt in prompts]
    answers = sum(len(models.harness.tokenizer.encode(text)) for text in ours)
    seconds = (engine - comparing[0]) / len(prompts)
    pairs = zip(encoded, ours, theirs, strict=True)
    are_near_ties = [_is_near_tie(models, prompt, own, other) for prompt, own, other in pairs if own != other]
    return TaskFigures(
        name=name,
        questions=len(prompts),
        requests=len(prompts),
        tokens=sum(map(len, encoded)) + answers,
        distinct_tokens=distinct_tokens(encoded) + answers,
        computed_tokens=distinct_tokens(encoded) + answers,
        command_seconds=round(command, 2),
        engine_seconds=round(engine - comparing[0], 2),
        comparing_seconds=round(at_real, 2),
        ratio=(seconds * real + at_real) / (command / len(prompts) * real),
        max_difference=record.largest_distance,
        accuracy=0.0,
        command_accuracy=0.0,
        answers_changed=are_near_ties.count(False),
        near_ties=are_near_ties.count(True),
        engine=", ".join(record.reasons) or "a batch of rows",
    )


def _is_near_tie(models: Models, prompt: list[int], ours: str, theirs: str) -> bool:
    """Whether the model's two best scores nearly tie for the first token in which two texts differ."""
    import torch

    from workers.evaluation.shared_prefix.generation import common_beginning
    from workers.evaluation.shared_prefix.generation_requests import TOLERANCES

    tokens, others = (models.harness.tokenizer.encode(text, add_special_tokens=False) for text in (ours, theirs))
    same = tokens[: common_beginning([tokens, others])]
    with torch.inference_mode():
        scores = models.harness.model(torch.tensor([[*prompt, *same]])).logits[0, -1].float()
    best, second = scores.topk(2).values.tolist()
    return bool(best - second <= TOLERANCES["float32"])
