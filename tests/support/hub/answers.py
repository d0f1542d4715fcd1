"""Calls with prepared answers, for fakes of the Hub's client."""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from typing import NoReturn


def in_turn(answers: MutableSequence[object]) -> Callable[..., object]:
    """A call that removes the next of `answers` from the list, and returns or raises it."""

    def call(*_: object, **__: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


def failing(error: Exception) -> Callable[..., NoReturn]:
    """A call that raises `error`."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    return fail
