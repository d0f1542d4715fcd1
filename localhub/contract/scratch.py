"""The names of the repos that a contract run makes, by which any run recognises them."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Literal

RepoKind = Literal["model", "dataset", "space"]

PREFIX = "steward-contract-"
SCRATCH_REPOS: dict[str, RepoKind] = {
    "contents": "dataset",
    "talk": "dataset",
    "open": "dataset",
    "model": "model",
    "space": "space",
    "machine": "space",
    "page": "space",
    "made": "dataset",
    "lifecycle": "dataset",
    "old": "dataset",
    "new": "dataset",
    "gone": "dataset",
    "never": "dataset",
    "hooks": "dataset",
    "hooksnew": "dataset",
    "quota": "dataset",
}
"""The end of a repo's name → its kind. `new` and `hooksnew` are the names of `old` and `hooks` after a rename."""
PUBLIC = "open"
"""The only public repo of a run."""
MISSING = "never"
"""The repo that no run creates."""
_NAME = re.compile(rf"{PREFIX}[0-9a-f]{{8}}-[a-z]{{1,20}}")


@dataclass(frozen=True)
class ScratchRepo:
    """One repo of a contract run; `id` is `owner/name`."""

    kind: RepoKind
    id: str

    @property
    def api(self) -> str:
        """The repo's path in the API: `/api/datasets/owner/name`."""
        return f"/api/{self.kind}s/{self.id}"

    @property
    def web(self) -> str:
        """The path of the repo's page: `/datasets/owner/name`; models have no prefix."""
        return f"/{self.id}" if self.kind == "model" else f"/{self.kind}s/{self.id}"

    @property
    def owner(self) -> str:
        """The account that owns the repo."""
        return self.id.partition("/")[0]

    @property
    def name(self) -> str:
        """The name without its owner."""
        return self.id.partition("/")[2]


def fresh_prefix() -> str:
    """Return the beginning of the names of one run's repos."""
    return f"{PREFIX}{secrets.token_hex(4)}-"


def is_run_label(text: str) -> bool:
    """Whether `text` has the form of the label that a contract run gives to its Jobs."""
    return is_scratch_name(f"{text}-job")


def is_scratch_name(name: str) -> bool:
    """Whether `name` has the form of the names that a contract run gives to its repos."""
    return _NAME.fullmatch(name) is not None
