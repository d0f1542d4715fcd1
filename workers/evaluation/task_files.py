"""Writes the task files of a board's own suite, in the format that the `lm_eval` command reads with --include_path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from leaderboard.suites import Suite
from leaderboard.task_configs import task_configs


def write_tasks(suite: Suite, folder: Path, *, repo: str, revision: str) -> Path:
    """Write one file per task and one for their group to `folder`, and remove all other files from it.

    The questions come from the dataset `repo` at the commit `revision`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{name}.yaml": text for name, text in task_files(suite, repo=repo, revision=revision).items()}
    for stale in folder.iterdir():
        if stale.name not in files:
            stale.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def task_files(suite: Suite, *, repo: str, revision: str) -> dict[str, str]:
    """Task name → text of its file; none for a suite of the harness's own tasks."""
    return {name: _text(config) for name, config in task_configs(suite, repo=repo, revision=revision).items()}


def _text(task: dict[str, Any]) -> str:
    return yaml.dump(task, Dumper=_Plain, sort_keys=False, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Writes a list in full wherever it occurs: readers of task files need not know YAML's anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True
