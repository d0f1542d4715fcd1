"""Runs a solution and the tests of its problem, each in a process of its own, and ends both within limits."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.evaluators.code.messages import Outcome

_ROOT = Path(__file__).parents[3]
"""The folder that holds the package `workers`."""
_START_SECONDS = 60.0
_PATIENCE = 6
"""Multiple of its seconds that a solution may take on a busy machine, where it runs for only a part of the time."""
_LEAST_WAIT = 0.05
"""The shortest further wait in seconds: the kernel counts processor time in hundredths of a second."""
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
    """Seconds with all its tests, and seconds of processor time. Time of waiting for a processor does not count."""
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
        return _follow(processes, job, problem, limits)
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _start(
    module: str, settings: dict[str, Any], reads: int, writes: int, others: Sequence[int], limits: SolutionLimits
) -> subprocess.Popen[bytes]:
    flags = _FLAGS if limits.modules else (*_FLAGS, "-S")  # -S: start without searching for installed packages
    return subprocess.Popen(
        [sys.executable, *flags, "-m", f"workers.evaluators.code.{module}", json.dumps(settings)],
        stdin=reads,
        stdout=writes,
        stderr=subprocess.DEVNULL,
        pass_fds=others,
        env={"PYTHONPATH": str(_ROOT), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


def _follow(
    processes: Sequence[subprocess.Popen[bytes]], job: dict[str, str], problem: CodeProblem, limits: SolutionLimits
) -> SolutionVerdict:
    """Give the test process, the last one, its job and read its verdict, within the time limit."""
    process = processes[-1]
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
        verdict = _verdict_in_time(lines.next, [process.pid for process in processes], limits.seconds)
    except TimeoutError:
        return SolutionVerdict("time", f"it took more than {limits.seconds:g} seconds")
    if verdict is None:
        return SolutionVerdict("error", "its tests ended with its answers: too much data, or too much computation")
    if verdict["outcome"] == "unusable":
        raise SuiteUnusable(f"the problem {problem.name}: {verdict['words']}")
    return SolutionVerdict(verdict["outcome"], verdict["words"])


def _verdict_in_time(
    next_line: Callable[[float], dict[str, Any] | None], pids: Sequence[int], seconds: float
) -> dict[str, Any] | None:
    """The next line. Raises TimeoutError if it does not come within `seconds`.

    While a process wants to run, and all got less processor time than `seconds`, they get up to _PATIENCE times that.
    """
    give_up, began = time.monotonic() + _PATIENCE * seconds, sum(_processor_use(pid)[1] for pid in pids)
    left = seconds
    while True:
        try:
            return next_line(left)
        except TimeoutError:
            uses = [_processor_use(pid) for pid in pids]
            left = min(seconds + began - sum(used for _, used in uses), give_up - time.monotonic())
            if left < _LEAST_WAIT or not any(wants_to_run for wants_to_run, _ in uses):
                raise


def _processor_use(pid: int) -> tuple[bool, float]:
    """Whether a process, which its parent has not waited for, wants to run, and its seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0] in ("R", "D"), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Lines:
    """Reads lines of JSON from a descriptor, each within a time limit."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._rest = descriptor, b""

    def next(self, seconds: float) -> dict[str, Any] | None:
        """The next line; None at the end. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = max(0.0, deadline - time.monotonic())  # a thread that comes late still reads what has arrived
            if not select.select([self._descriptor], [], [], left)[0]:
                raise TimeoutError
            data = os.read(self._descriptor, 65536)
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message
