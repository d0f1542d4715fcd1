"""What an evaluation needs from the Hub, fetched before the child starts, at pinned commits.

Only here and in `publish` does the worker show its token.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from leaderboard.suites import Suite
from workers.access import HubAccess


@dataclass(frozen=True)
class Questions:
    """The suite's questions on this machine: `folder` is a cache of `datasets`, `revisions` repo → commit."""

    folder: Path
    revisions: dict[str, str]


def fetch_model(model: str, revision: str, hub: HubAccess, cache: Path) -> Path:
    """The folder with what is needed of `model` at the commit `revision`: configs, tokenizer, safetensors.

    Fetches what is not in `cache` yet. Raises ModelGone, WeightsMissing, DiskFull, and what the Hub's client raises
    where the Hub cannot be reached.
    """
    raise NotImplementedError


def fetch_datasets(
    suite: Suite, hub: HubAccess, cache: Path, *, repo: str | None = None, revision: str | None = None
) -> Questions:
    """All questions of `suite`, ready to be read offline; `repo` and `revision` where the board holds them elsewhere.

    Raises DatasetUnavailable.
    """
    raise NotImplementedError
