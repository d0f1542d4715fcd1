"""The figures of one task by Steward's engine and by the harness, and the models and clocks that measure them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TaskFigures:
    """One task by both ways. `ratio`: time of the engine, with comparing, / time of the harness, for the real suite."""

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


def timed_call(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    result = call()
    return result, time.monotonic() - began


@contextmanager
def time_of_method(owner: type, name: str) -> Iterator[list[float]]:
    """Yield a list whose one item is the seconds that calls of a method take inside the block."""
    method, seconds = getattr(owner, name), [0.0]

    def timed(*arguments: Any, **options: Any) -> Any:
        result, taken = timed_call(lambda: method(*arguments, **options))
        seconds[0] += taken
        return result

    setattr(owner, name, timed)
    try:
        yield seconds
    finally:
        setattr(owner, name, method)


def distinct_tokens(sequences: Sequence[Sequence[int]]) -> int:
    """The number of tokens of the sequences' prefix tree."""
    count, before = 0, list[int]()
    for tokens in sorted(map(list, sequences)):
        shared = next((at for at, (own, other) in enumerate(zip(before, tokens, strict=False)) if own != other), None)
        count += len(tokens) - (min(len(before), len(tokens)) if shared is None else shared)
        before = tokens
    return count


def print_figures(task: TaskFigures) -> None:
    print(
        f"{task.name:12}{task.requests:10}{task.tokens:10,}{task.distinct_tokens:10,}{task.computed_tokens:10,}"
        f"{task.command_seconds:9.1f}s{task.engine_seconds:9.1f}s{task.comparing_seconds:9.1f}s{task.ratio:10.3f}"
        f"{task.distinct_tokens / task.tokens:10.3f}{task.max_difference:10.1e}{task.accuracy:10.3f}"
        f"{task.command_accuracy:10.3f}{task.answers_changed:10}{task.near_ties:10}  {task.engine}",
        flush=True,
    )
