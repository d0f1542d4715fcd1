"""Finds the program of a suite's evaluator on this machine, and the files that the sandbox must show it.

A word of the command that names a file or a folder becomes an absolute path, from the folder where the worker started;
the sandbox shows it, read-only. A virtual environment is shown whole, with its base interpreter.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from leaderboard.evaluators import Evaluator
from leaderboard.suites import Suite
from workers.common.run_plan import EvaluatorCommand
from workers.errors import EvaluatorMissing

_OWN = ("python", "python3")
_ENVIRONMENT = "pyvenv.cfg"


def evaluator_command(suite: Suite) -> EvaluatorCommand | None:
    """The command of the suite's evaluator; None for lm-eval. Raises EvaluatorMissing."""
    evaluator = suite.evaluator
    if evaluator is None:
        return None
    words, folders = _located(evaluator)
    return EvaluatorCommand(
        name=evaluator.name,
        version=evaluator.version,
        words=words,
        folders=folders,
        options=evaluator.options,
        metrics={task.name: benchmark.metrics for benchmark in suite.benchmarks for task in benchmark.tasks},
    )


def _located(evaluator: Evaluator) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """The command with absolute paths, and the files and folders of this machine that it needs."""
    program, *arguments = evaluator.command
    if program in _OWN:
        words, folders = [sys.executable], list[Path]()
    else:
        path = _program(program)
        words, folders = [str(path)], list(_needed(path))
    for place, argument in enumerate(arguments):
        path = Path(argument).absolute()
        is_script = program in _OWN and place == 0 and not argument.startswith("-")
        if (is_script or argument.startswith(("./", "../"))) and not path.exists():
            raise EvaluatorMissing(f"there is no file {argument} in {Path.cwd()}, where this command starts")
        if path.is_file() or ("/" in argument and path.exists()):
            words.append(str(path))
            folders.append(path)
        else:
            words.append(argument)
    if shown_whole := [folder for folder in folders if len(folder.resolve().parts) < 2]:
        raise EvaluatorMissing(f"the command of {evaluator.name} names {shown_whole[0]}, which is the whole machine")
    return tuple(words), tuple(dict.fromkeys(folders))


def _program(name: str) -> Path:
    program = Path(name).absolute() if "/" in name else Path(shutil.which(name) or "")
    if not program.is_file() or not os.access(program, os.X_OK):
        raise EvaluatorMissing(f"there is no program {name} on this machine")
    return program


def _needed(program: Path) -> Iterator[Path]:
    """The program itself; for an interpreter of a virtual environment, the environment and its base interpreter."""
    environment = program.parent.parent
    settings = environment / _ENVIRONMENT
    if not settings.is_file():
        yield program
        return
    yield environment
    for line in settings.read_text("utf-8").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "home" and (home := Path(value.strip()).resolve().parent) not in (Path("/"), Path("/usr")):
            yield home
