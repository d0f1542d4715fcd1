"""`python -m workers.evaluators.code.solution_process`: runs one solution, and calls it as messages ask.

The runner starts it without any knowledge of tests. It reports its confinement before it gets the untrusted program.
"""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Callable
from functools import partial
from typing import Any

from workers.evaluators.code.confinement import NotConfined, confine
from workers.evaluators.code.messages import Channel, Ended, NotPlain, TooMuch, decode, encode

_MAX_WORDS = 300


def main() -> None:
    """Confine this process, load the program, and answer calls until the other side ends."""
    settings = json.loads(sys.argv[1])
    answers = settings.pop("answers")
    channel = Channel(0, answers)
    try:
        confine(keep=(answers,), **settings)
    except NotConfined as error:
        channel.send({"confined": False, "why": str(error)})
        return
    channel.send({"confined": True})
    try:
        _serve(channel)
    except Ended:
        os._exit(0)


def _serve(channel: Channel) -> None:
    order = channel.receive()
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    function: Any = None

    def load() -> None:
        nonlocal function
        code = compile(order["program"], "solution", "exec")
        exec(code, module.__dict__)  # noqa: S102  # nosec B102  # confined
        function = module.__dict__[order["entry_point"]]

    _answer(channel, load)
    while True:
        call = channel.receive()
        _answer(channel, partial(function, *decode(call["arguments"]), **decode(call["named"])))


def _answer(channel: Channel, call: Callable[[], Any]) -> None:
    """Send what `call` returns or raises."""
    try:
        channel.send({"value": encode(call())})
    except Ended:
        raise
    except (NotPlain, TooMuch) as error:
        channel.send({"raised": [type(error).__name__, str(error)]})
    except BaseException as error:  # noqa: BLE001  # boundary: the untrusted program may raise anything
        builtin = next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
        channel.send({"raised": [builtin.__name__, _words(error)]})


def _words(error: BaseException) -> str:
    try:
        return str(error)[:_MAX_WORDS]
    except BaseException:  # noqa: BLE001  # boundary: the untrusted program defines what its exceptions say
        return ""


if __name__ == "__main__":
    main()
