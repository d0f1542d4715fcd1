"""Starts the process that scores stored answers again: it imports the harness or runs the evaluator.

It holds no token, and cannot read those of the process that started it, though both have the same user.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from leaderboard.suites import parse_suite
from workers.common import kernel
from workers.common.run_plan import CHILD_ENVIRONMENT, NLTK_DATA
from workers.errors import RescoringRefused

PASSED_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "LD_LIBRARY_PATH", NLTK_DATA)
"""Variables that the process gets from this one's environment, and no others: some hold tokens."""


@dataclass(frozen=True)
class RescoredFile:
    """The number of answers that a rescored results file follows from, the digest of what scored them, and the
    questions that ran out of time. The digest is "" if the evaluation has no digests."""

    answers: int
    scored: str
    timed_out: Sequence[str]


class RescoringProcess:
    """The process that scores for one suite, and forks several more. A context manager: it ends with the block."""

    def __init__(self, suite: str, processes: int = 0, task_folder: Path | None = None) -> None:
        """`suite` is the text of the suite file; `processes` 0: one for each core.

        `task_folder` holds other task files than those of the suite or the harness.
        """
        self._beginning = {
            "suite": suite,
            "processes": processes or len(os.sched_getaffinity(0)),
            "parent": os.getpid(),
            "tasks": str(task_folder) if task_folder is not None else None,
        }
        self._needs_harness = parse_suite(suite).evaluator is None
        self._folder = TemporaryDirectory(prefix="steward-rescoring-")
        self._process: subprocess.Popen[str] | None = None
        self._was_hidden = kernel.is_hidden_from_same_user()

    def __enter__(self) -> RescoringProcess:
        if self._needs_harness and find_spec("lm_eval") is None:
            raise RescoringRefused(
                "the harness is not installed here: run this where workers run, "
                "or pip install 'steward-leaderboard[worker]'"
            )
        passed = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
        folder = self._folder.name
        kernel.hide_from_same_user()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workers.rescoring"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**passed, **CHILD_ENVIRONMENT, "OMP_NUM_THREADS": "1", "HOME": folder, "HF_HOME": folder},
        )
        self._write(self._beginning)
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            _close(self._process.stdin)
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            _close(self._process.stdout)
            kernel.hide_from_same_user(self._was_hidden)
        self._folder.cleanup()

    def rescore(
        self,
        results: Path,
        tables: Path,
        out: Path,
        *,
        source: str,
        at: str,
        samples: Path | None = None,
        new_tables: Path | None = None,
    ) -> RescoredFile:
        """Write `out`: the results file `results` with the scores of the suite; see `Rescorer.rescore`.

        Raises RescoringRefused.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        self._write(
            {
                "results": str(results),
                "tables": str(tables),
                "source": source,
                "at": at,
                "out": str(out),
                "samples": str(samples) if samples is not None else None,
                "new_tables": str(new_tables) if new_tables is not None else None,
            }
        )
        line = self._process.stdout.readline()
        if not line:
            raise RescoringRefused("the process that scores has ended; what it said stands above")
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer:
            raise RescoringRefused(answer["refused"])
        return RescoredFile(answer["answers"], answer["scored"], tuple(answer["timed_out"]))

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            print(json.dumps(message), file=self._process.stdin, flush=True)
        except BrokenPipeError as error:
            raise RescoringRefused("the process that scores has ended; what it said stands above") from error


def _close(stream: IO[str] | None) -> None:
    try:
        if stream is not None:
            stream.close()
    except BrokenPipeError:
        pass  # it has ended, and reads no more
