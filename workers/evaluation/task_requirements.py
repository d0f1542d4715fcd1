"""What some of the harness's tasks need beside it: looked for when a worker starts, not after hours of evaluation.

Without its sentence splitter, IFEval fails when the last answer is in; it would fetch it from the network, which a
child does not have.
"""

from __future__ import annotations

import os
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
"""Part of a task's name (and of lm-eval: `lm-eval[ifeval,math]`) → modules that it imports."""
SPLITTER = "tokenizers/punkt_tab"
_SYSTEM = ("/usr/share", "/usr/local/share", "/usr/lib", "/usr/local/lib")


class SuiteRequirementsMissing(WorkerError):
    """This machine lacks what the suite's tasks need."""


def check_task_requirements(suite: Suite, environment: Mapping[str, str] = os.environ) -> None:
    """Raises SuiteNeeds, with a sentence on what to do, where something is missing."""
    wanted = [name for name in LIBRARIES if not suite.own and any(f"_{name}" in task for task in suite.tasks)]
    lacking = [module for name in wanted for module in LIBRARIES[name] if find_spec(module) is None]
    if lacking:
        raise SuiteRequirementsMissing(
            f"The suite {suite.name} needs {', '.join(lacking)}, which {'is' if len(lacking) == 1 else 'are'} not "
            f"installed: pip install 'lm-eval[{','.join(wanted)}]'."
        )
    if "ifeval" in wanted and not any((folder / SPLITTER).exists() for folder in nltk_folders(environment)):
        raise SuiteRequirementsMissing(
            f"The suite {suite.name} needs nltk's sentence splitter, which children cannot fetch: "
            f"python -m nltk.downloader -d {Path(sys.prefix) / 'nltk_data'} punkt_tab."
        )


def nltk_folders(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where nltk looks for data, as far as a child sees it."""
    yield from own_nltk_folders(environment)
    yield Path(sys.prefix) / "nltk_data"
    yield from (Path(place) / "nltk_data" for place in _SYSTEM)


def own_nltk_folders(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """The folders that NLTK_DATA names; a child is shown them."""
    named = [Path(part) for part in environment.get(NLTK_DATA, "").split(os.pathsep) if part]
    return [folder for folder in named if folder.is_dir()]
