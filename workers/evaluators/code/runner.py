"""Runs a solution and the tests of its problem, each in a process of its own, and ends both within limits."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.evaluators.code.messages import Outcome

_ROOT = Path(__file__).parents[3]
"""The folder that holds the package `workers`."""
_START_SECONDS = 60.0
_TEST_MEMORY = 1 << 30
_FLAGS = ("-P", "-s")
_MAX_SOLUTIONS = 8
"""Solutions that run at once, on a machine with twice as many cores."""


class SolutionsNotConfined(Exception):
    """Solutions cannot be confined on this machine, so none is run."""


class SuiteUnusable(Exception):
    """The suite's options, its questions or their tests have to change."""


@dataclass(frozen=True)
class CodeProblem:
    """A problem in HumanEval's shape."""

    name: str
    prompt: str
    entry_point: str
    test: str


@dataclass(frozen=True)
class SolutionLimits:
    """The limits of one solution."""

    seconds: float = 10.0
    """Of time with all its tests, and of processor time."""
    memory_bytes: int = 512 << 20
    modules: tuple[str, ...] = ()
    """Modules that solutions and tests may import, besides those of `workers.evaluators.code.confinement`."""


@dataclass(frozen=True)
class SolutionVerdict:
    """How a solution ended."""

    outcome: Outcome
    words: str = ""

    @property
    def passed(self) -> bool:
        """Whether all tests passed."""
        return self.outcome == "passed"


def at_once(threads: int) -> int:
    """The number of solutions that run at once on this number of cores: each has two processes."""
    return max(1, min(_MAX_SOLUTIONS, threads // 2))


def run_solution(problem: CodeProblem, program: str, limits: SolutionLimits) -> SolutionVerdict:
    """Run `program` under the tests of `problem`; both processes have ended when this returns.

    Raises SolutionsNotConfined, SuiteUnusable.
    """
    processes: list[subprocess.Popen[bytes]] = []
    calls, to_calls = os.pipe()
    answers, to_answers = os.pipe()
    try:
        try:
            common = {"parent": os.getpid(), "seconds": limits.seconds, "modules": limits.modules}
            settings = {**common, "memory_bytes": limits.memory_bytes, "answers": to_answers}
            processes.append(_start("solution_process", settings, calls, subprocess.DEVNULL, (to_answers,), limits))
            settings = {**common, "memory_bytes": _TEST_MEMORY, "calls": to_calls, "answers": answers}
            pipe = subprocess.PIPE
            processes.append(_start("test_process", settings, pipe, pipe, (to_calls, answers), limits))
        finally:
            for descriptor in (calls, to_calls, answers, to_answers):
                os.close(descriptor)
        job = {"prompt": problem.prompt, "test": problem.test, "entry_point": problem.entry_point, "program": program}
        return _follow(processes[1], job, problem, limits)
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _start(
    module: str, settings: dict[str, Any], reads: int, writes: int, others: Sequence[int], limits: SolutionLimits
) -> subprocess.Popen[bytes]:
    flags = _FLAGS if limits.modules else (*_FLAGS, "-S")  # -S: a start without a look for installed packages
    return subprocess.Popen(
        [sys.executable, *flags, "-m", f"workers.evaluators.code.{module}", json.dumps(settings)],
        stdin=reads,
        stdout=writes,
        stderr=subprocess.DEVNULL,
        pass_fds=others,
        env={"PYTHONPATH": str(_ROOT), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


def _follow(
    process: subprocess.Popen[bytes], job: dict[str, str], problem: CodeProblem, limits: SolutionLimits
) -> SolutionVerdict:
    """Give the test process its job and read its verdict, within the time limit."""
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as stdin:  # a broken pipe shows at the next read
        stdin.write(json.dumps(job).encode())
    lines = _Lines(process.stdout.fileno())
    try:
        ready = lines.next(_START_SECONDS)
    except TimeoutError:
        ready = {"outcome": "late", "words": f"their processes did not start within {_START_SECONDS:g} seconds"}
    if ready is None or ready["outcome"] != "ready":
        why = ready["words"] if ready else "the process of the tests ended while it started"
        raise SolutionsNotConfined(f"solutions cannot be confined on this machine: {why}")
    try:
        verdict = lines.next(limits.seconds)
    except TimeoutError:
        return SolutionVerdict("time", f"it took more than {limits.seconds:g} seconds")
    if verdict is None:
        return SolutionVerdict("error", "its tests ended with its answers: too much data, or too much computation")
    if verdict["outcome"] == "unusable":
        raise SuiteUnusable(f"the problem {problem.name}: {verdict['words']}")
    return SolutionVerdict(verdict["outcome"], verdict["words"])


class _Lines:
    """Lines of JSON from a descriptor, each within a time."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._rest = descriptor, b""

    def next(self, seconds: float) -> dict[str, Any] | None:
        """The next line; None at the end. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = max(0.0, deadline - time.monotonic())  # a thread that comes late still reads what is there
            if not select.select([self._descriptor], [], [], left)[0]:
                raise TimeoutError
            data = os.read(self._descriptor, 65536)
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message
