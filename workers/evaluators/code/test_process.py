"""`python -m workers.evaluators.code.test_process`: runs the tests of one problem on a solution in another process.

The tests get a function that sends its arguments to the solution process, and returns or raises what comes back. The
verdict is this process's own: it says `passed` only if `check` returns, and the solution answered every call.
"""

from __future__ import annotations

import builtins
import json
import os
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from workers.evaluators.code.confinement import NotConfined, confine
from workers.evaluators.code.messages import INVALID, Channel, Ended, NotPlain, Outcome, TooMuch, decode, encode

_MAX_WORDS = 300


class _SolutionFailed(BaseException):
    """The solution gave no valid answer; a test cannot catch this by `except Exception`."""

    def __init__(self, outcome: Outcome, words: str) -> None:
        super().__init__(words)
        self.outcome: Outcome = outcome


class _Unusable(BaseException):
    """The tests pass arguments to the solution that are not plain data."""


class Solution:
    """The solution process as a function that tests can call."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.failure: _SolutionFailed | None = None
        """The failure of the first call without a valid answer, which decides the verdict."""

    def load(self, program: str, entry_point: str) -> None:
        """Have the solution process execute the program."""
        self._exchange({"program": program, "entry_point": entry_point})

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Have the solution process call the function; return or raise what it sends back."""
        try:
            message = {"arguments": encode(list(arguments)), "named": encode(named)}
        except NotPlain as error:
            raise _Unusable(f"its tests pass something else than plain data: {error}") from error
        except TooMuch as error:
            self._fail("error", f"an argument is too large: {error}")
        return self._exchange(message)

    def _exchange(self, message: dict[str, Any]) -> Any:
        if self.failure:
            raise self.failure
        try:
            self._channel.send(message)
            answer = self._channel.receive()
            if "raised" not in answer:
                return decode(answer["value"])
            kind, words = answer["raised"]
            words = str(words)[:_MAX_WORDS]
            raised = getattr(builtins, str(kind), None)
        except Ended:
            self._fail("ended", "its process ended")
        except (*INVALID, TooMuch, MemoryError) as error:
            self._fail("error", f"its answer is no plain data within limits: {error}"[:_MAX_WORDS])
        if not (isinstance(raised, type) and issubclass(raised, Exception)):
            self._fail("error", words)
        raise _exception(raised, words)

    def _fail(self, outcome: Outcome, words: str) -> NoReturn:
        self.failure = _SolutionFailed(outcome, words)
        raise self.failure


def _exception(kind: type[Exception], words: str) -> Exception:
    try:
        return kind(words)
    except TypeError:  # a few, such as UnicodeDecodeError, need other arguments
        return RuntimeError(words)


def main() -> None:
    """Read the job, confine this process, run the tests, write the verdict."""
    settings = json.loads(sys.argv[1])
    calls, answers = settings.pop("calls"), settings.pop("answers")
    job = json.loads(sys.stdin.buffer.read())
    verdicts = os.dup(1)
    os.dup2(2, 1)  # tests may print

    def say(outcome: str, words: str = "") -> None:
        os.write(verdicts, json.dumps({"outcome": outcome, "words": words[:_MAX_WORDS]}).encode() + b"\n")

    channel = Channel(answers, calls)
    try:
        confine(keep=(calls, answers, verdicts), **settings)
        confined = channel.receive()
    except NotConfined as error:
        say("not confined", str(error))
        return
    except Ended:
        say("not confined", "a process of a solution ended while it started")
        return
    if confined != {"confined": True}:
        say("not confined", str(confined.get("why")))
        return
    say("ready")
    say(*_verdict(job, Solution(channel)))


def _verdict(job: dict[str, str], solution: Solution) -> tuple[Outcome, str]:
    """Run the tests of `job` on the solution; return the outcome and its explanation."""
    try:
        check = _tests(job, solution)
    except BaseException as error:  # noqa: BLE001  # boundary: tests of a dataset may raise anything
        return "unusable", f"its tests cannot be read: {type(error).__name__}: {error}"
    try:
        solution.load(job["program"], job["entry_point"])
        check(solution)
        outcome: tuple[Outcome, str] = ("passed", "")
    except AssertionError as error:
        outcome = "wrong", str(error)
    except _Unusable as error:
        outcome = "unusable", str(error)
    except (Exception, _SolutionFailed) as error:  # noqa: BLE001  # boundary: tests fail in any way on wrong answers
        outcome = "error", str(error) if isinstance(error, _SolutionFailed) else f"{type(error).__name__}: {error}"
    return (solution.failure.outcome, str(solution.failure)) if solution.failure else outcome


def _tests(job: dict[str, str], solution: Solution) -> Callable[[Solution], object]:
    """The function `check`. Tests may use functions that the prompt defines before the one that is asked for."""
    module = types.ModuleType("tests")
    sys.modules["tests"] = module
    for ending in ("", "\n    pass\n"):
        try:
            code = compile(job["prompt"] + ending, "prompt", "exec")
        except SyntaxError:
            continue
        exec(code, module.__dict__)  # noqa: S102  # nosec B102  # the suite's own question
        break
    module.__dict__[job["entry_point"]] = solution
    code = compile(job["test"], "tests", "exec")
    exec(code, module.__dict__)  # noqa: S102  # nosec B102  # the suite's own tests
    check: Callable[[Solution], object] = module.__dict__["check"]
    return check


if __name__ == "__main__":
    main()
