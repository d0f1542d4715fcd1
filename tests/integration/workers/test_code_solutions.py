"""Solutions of programming problems, run in confined processes: right, wrong and hostile ones."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steward.testing.waiting import wait_until
from tests.support.evaluators.hostile_solutions import HOSTILE, Hostile
from tests.support.long import long_except
from workers.evaluators.code.runner import (
    CodeProblem,
    SolutionLimits,
    SolutionsNotConfined,
    SuiteUnusable,
    run_solution,
)

SECRET = f"secret-{os.urandom(4).hex()}"
SECONDS = 1.0
SLACK = 60.0
"""Seconds for the start of two processes on a busy machine."""
ENOUGH = 60.0
"""A time limit that no solution reaches, even on a busy machine."""
TESTS = f"def check(candidate):\n    assert candidate(0) in ({SECRET!r}, 'escaped')\n"
GUESS = CodeProblem("Guess/0", "def answer(number):\n    ...\n", "answer", TESTS)


SOME = {
    "reads the tests", "reads memory by system calls", "forks", "connects", "kills a neighbour", "computes without end",
    "takes one large piece of memory", "prints without end", "prints a verdict", "equals everything",
}  # fmt: skip
"""What `make test` tries: one of each kind."""


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Files and a process that have the secret, and a server."""
    folder = tmp_path_factory.mktemp("evaluation")
    files = {name: folder / name for name in ("tests", "model", "results")}
    for path in files.values():
        path.write_text(f"{SECRET}\n")
    neighbour = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)", SECRET])
    os.environ["STEWARD_TEST_SECRET"] = SECRET
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        places = {"port": server.getsockname()[1], "neighbour": neighbour.pid, "evaluator": os.getpid()}
        yield {**files, **places, "server": server, "process": neighbour}
    del os.environ["STEWARD_TEST_SECRET"]
    neighbour.kill()
    neighbour.wait()


@pytest.mark.parametrize(
    "hostile", long_except(SOME, HOSTILE, "another way of the same kind", name=lambda case: case.name)
)
def test_a_hostile_solution_fails_and_leaves_nothing(hostile: Hostile, surroundings: dict[str, Any]) -> None:
    """A hostile solution finds no secret, changes no file, opens no connection, and ends within its time limit."""
    begun = time.monotonic()
    limits = SolutionLimits(SECONDS, 256 << 20, modules=("subprocess",))
    verdict = run_solution(GUESS, hostile.program(**surroundings), limits)
    assert verdict.outcome in {*hostile.outcomes, "time"}, verdict  # on a busy machine, any may run out of time
    assert SECRET not in verdict.words
    if hostile.kind in ("files", "network", "processes", "signals") and verdict.outcome == "error":
        assert re.search("not permitted|not allowed|can't start", verdict.words), verdict
    assert time.monotonic() - begun < SECONDS + SLACK
    assert not solution_processes()
    assert surroundings["process"].poll() is None
    for name in ("tests", "model", "results"):
        assert surroundings[name].read_text() == f"{SECRET}\n"
    with pytest.raises(BlockingIOError):
        surroundings["server"].accept()


def solution_processes(evaluator: int | None = None) -> list[str]:
    """The commands of running processes of solutions and tests that `evaluator`, by default this process, started."""
    mine = f'"parent": {evaluator or os.getpid()},'
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(path.read_text().replace("\0", " "))
        except OSError:
            continue
    return [words for words in commands if "workers.evaluators.code." in words and mine in words]


ENDLESS = """
from workers.evaluators.code.runner import CodeProblem, SolutionLimits, run_solution
tests = "def check(candidate):\\n    candidate()"
program = "import time, signal\\ndef answer():\\n    time.sleep(1000)"
run_solution(CodeProblem("Endless", "", "answer", tests), program, SolutionLimits(1000.0))
"""


def test_nothing_outlives_its_evaluator() -> None:
    """If the evaluator is killed, the processes of its solutions and tests end as well."""
    evaluator = subprocess.Popen([sys.executable, "-c", ENDLESS])
    wait_until(lambda: len(solution_processes(evaluator.pid)) == 2)
    evaluator.kill()
    evaluator.wait()
    wait_until(lambda: not solution_processes(evaluator.pid))


def test_the_secret_itself_passes() -> None:
    """A solution that returns the secret passes, so a hostile solution that found it would not go unnoticed."""
    assert run_solution(GUESS, f"def answer(number):\n    return {SECRET!r}\n", SolutionLimits(ENOUGH)).passed


PROMPT = '''
import math

def helper(number):
    return number + 1

def answer(value):
    """Do what is asked."""
'''
CASES: dict[str, tuple[str, str, str]] = {
    "numbers": ("return value * 2", "candidate(2) == 4 and candidate(1 << 80) == -candidate(-1 << 80)", "passed"),
    "a tuple": ("return tuple(value)", "candidate([1, 2]) == (1, 2) and type(candidate([])) is tuple", "passed"),
    "no list for a tuple": ("return list(value)", "candidate([1, 2]) == (1, 2)", "wrong"),
    "dicts and sets": ("return {frozenset(value): {1}}", "candidate((1, 2)) == {frozenset([1, 2]): {1}}", "passed"),
    "a counter": ("import collections\n    return collections.Counter(value)", "candidate('aa') == {'a': 2}", "passed"),
    "bytes and complex": ("return value, 1j", "candidate(b'a') == (b'a', 1j)", "passed"),
    "a generator": ("yield from value", "list(candidate([1, 2])) == [1, 2]", "passed"),
    "a range": ("return range(value)", "candidate(3) == range(3)", "passed"),
    "no generator for a list": ("yield from value", "candidate([1, 2]) == [1, 2]", "wrong"),
    "None and booleans": ("return value is None", "candidate(None) is True and candidate(0) is False", "passed"),
    "not a number": ("return math.nan", "math.isnan(candidate(0))", "passed"),
    "keywords": ("return value", "candidate(value=3) == 3", "passed"),
    "functions of the prompt": ("return helper(value)", "candidate(1) == helper(1) == answer(1)", "passed"),
    "its own exception": ("raise ValueError('no')", "raises(candidate, ValueError)", "passed"),
    "another exception": ("raise KeyError('no')", "raises(candidate, ValueError)", "error"),
    "a class of its own": (
        "import dataclasses\n    @dataclasses.dataclass\n    class Point:\n        x: int\n    return Point(value).x",
        "candidate(3) == 3", "passed"),
    "a lone surrogate": ("return value + chr(0xd800)", "candidate('é') == 'é' + chr(0xd800)", "passed"),
    "a wrong answer": ("return value + 2", "candidate(2) == 5", "wrong"),
    "no syntax": ("return (", "candidate(2) == 5", "error"),
    "a failed call that the tests hide": ("import os; os._exit(0)", "raises(candidate, BaseException)", "ended"),
}  # fmt: skip
RAISES = """
def raises(function, kind):
    try:
        function(1)
    except kind:
        return True
"""


@pytest.mark.parametrize(
    "name",
    long_except(
        {"numbers", "no list for a tuple", "another exception", "a failed call that the tests hide"},
        CASES,
        "another value with the same outcome",
    ),
)
def test_solutions_pass_by_what_they_return_and_raise(name: str) -> None:
    """A solution passes or fails by the data that it returns and the exceptions that it raises."""
    body, condition, outcome = CASES[name]
    problem = CodeProblem("Case/0", PROMPT, "answer", f"{RAISES}\ndef check(candidate):\n    assert {condition}\n")
    verdict = run_solution(problem, f"{PROMPT}    {body}\n", SolutionLimits(ENOUGH))
    assert verdict.outcome == outcome, verdict


UNUSABLE = {
    "a function as an argument": ("def check(candidate):\n    candidate(len)\n", "something else than plain data"),
    "no check": ("x = 1\n", "KeyError: 'check'"),
    "no Python": ("def check(", "SyntaxError"),
}


@pytest.mark.parametrize(("test", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_problems_that_cannot_be_run_are_named(test: str, words: str) -> None:
    """A problem whose tests cannot run raises an error that names it, instead of failing the solution."""
    with pytest.raises(SuiteUnusable, match=words) as raised:
        run_solution(CodeProblem("Case/7", "", "answer", test), "def answer(value): ...", SolutionLimits(ENOUGH))
    assert "Case/7" in str(raised.value)


def test_nothing_runs_where_it_cannot_be_confined() -> None:
    """A machine without a module that the suite names runs no solution at all."""
    limits = SolutionLimits(ENOUGH, modules=("no_such_module",))
    with pytest.raises(SolutionsNotConfined, match="no_such_module cannot be imported here"):
        run_solution(GUESS, "raise SystemExit", limits)
    assert not solution_processes()
