"""Fixtures: a tiny model, and a function that answers requests with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.support.models.families import random_model
from tests.support.models.shared_prefix import answer_with


@pytest.fixture(scope="module")
def model() -> Any:
    """A tiny Llama for all tests of a file."""
    return random_model("llama")


@pytest.fixture
def answer(model: Any) -> Callable[..., Any]:
    """A function that answers requests with the model and a given engine, as `answer_with` does."""
    return partial(answer_with, model)
