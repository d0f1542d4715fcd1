"""Checks at a worker's start for the libraries and data that some of the harness's tasks need.

Without nltk's sentence splitter IFEval fails only after its last answer: it would fetch the splitter from the network,
which a child does not have.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from leaderboard.suites import Suite
from workers.common.run_plan import NLTK_DATA
from workers.errors import WorkerError

LIBRARIES = {
    "ifeval": ("langdetect", "immutabledict", "nltk"),
    "math": ("sympy", "math_verify", "antlr4"),
}
"""Word of a task's name, and extra of lm-eval (`lm-eval[ifeval,math]`) → modules that the task imports."""
SPLITTER = "tokenizers/punkt_tab"
_SYSTEM_FOLDERS = ("/usr/share", "/usr/local/share", "/usr/lib", "/usr/local/lib")


class SuiteRequirementsMissing(WorkerError):
    """This machine lacks what the suite's tasks need."""


def check_task_requirements(suite: Suite, environment: Mapping[str, str] = os.environ) -> None:
    """Raise SuiteRequirementsMissing, with the command to run, if a library or data is missing."""
    tasks = [] if suite.own or suite.evaluator is not None else suite.tasks
    extras = [name for name in LIBRARIES if any(re.search(rf"(?:^|_){name}(?:_|\d|$)", task) for task in tasks)]
    missing = [module for name in extras for module in LIBRARIES[name] if find_spec(module) is None]
    if missing:
        raise SuiteRequirementsMissing(
            f"The suite {suite.name} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not "
            f"installed: pip install 'lm-eval[{','.join(extras)}]'."
        )
    if "ifeval" in extras and not any((folder / SPLITTER).exists() for folder in nltk_folders(environment)):
        raise SuiteRequirementsMissing(
            f"The suite {suite.name} needs nltk's sentence splitter, which children cannot fetch: "
            f"python -m nltk.downloader -d {Path(sys.prefix) / 'nltk_data'} punkt_tab."
        )


def nltk_folders(environment: Mapping[str, str]) -> Iterator[Path]:
    """The folders that nltk searches for data and that a child sees."""
    yield from own_nltk_folders(environment)
    yield Path(sys.prefix) / "nltk_data"
    yield from (Path(folder) / "nltk_data" for folder in _SYSTEM_FOLDERS)


def own_nltk_folders(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """The existing folders that NLTK_DATA names; the sandbox shows them to children."""
    named = [Path(part) for part in environment.get(NLTK_DATA, "").split(os.pathsep) if part]
    return [folder for folder in named if folder.is_dir()]
