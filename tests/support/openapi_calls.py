"""Generates calls from an OpenAPI document, the same ones in each run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode


def generate(operation: Any, mode: GenerationMode, count: int, call: Callable[[schemathesis.Case], None]) -> None:
    """Have `call` make at most `count` calls of one operation, which the document allows or forbids, by `mode`."""

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def play(case: schemathesis.Case) -> None:
        call(case)

    with contextlib.suppress(Unsatisfiable):  # an operation without parameters has no invalid calls
        play()
