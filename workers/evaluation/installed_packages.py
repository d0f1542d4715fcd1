"""The installed packages, which the harness writes to each results file, without a process that runs pip."""

from __future__ import annotations

from importlib.metadata import distributions
from typing import Any

from packaging.utils import canonicalize_name
from torch.utils import collect_env

_PIP_LIST = ["-mpip", "list", "--format=freeze"]
"""The arguments that torch gives to the interpreter to list packages."""


def list_packages_without_pip() -> None:
    """Make torch's report of the environment, which the harness uses, list the packages without another process.

    pip takes a third of a second of processor time, and is missing in some environments.
    """
    run = collect_env.run

    def answer(command: Any) -> Any:
        return (0, installed_packages(), "") if command[1:] == _PIP_LIST else run(command)

    collect_env.run = answer


def installed_packages() -> str:
    """The output of `pip list --format=freeze`."""
    lines: dict[str, str] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        lines.setdefault(canonicalize_name(name), f"{name}=={distribution.version}")
    return "\n".join(lines[name] for name in sorted(lines))
