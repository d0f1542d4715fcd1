"""The record of a repo, and the values of its type and its gated mode."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from localhub.git.repository import GitRepo

RepoType = Literal["model", "dataset", "space"]
GatedMode = Literal[False, "auto", "manual"]


@dataclass(frozen=True)
class Repo:
    """One repo as it was when its row was read."""

    oid: str
    type: RepoType
    owner_id: str
    namespace: str
    name: str
    private: bool
    gated: GatedMode
    disabled: bool
    discussions_disabled: bool
    sdk: str | None
    likes: int
    downloads: int
    created_by: str
    created_at: datetime
    updated_at: datetime
    git: GitRepo = field(compare=False, repr=False)

    @property
    def full_name(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def web_path(self) -> str:
        """Its path on the web: `/datasets/ns/name`, without prefix for models."""
        return f"/{self.full_name}" if self.type == "model" else f"/{self.type}s/{self.full_name}"

    @property
    def subdomain(self) -> str:
        """The subdomain under which the real Hub would serve a Space."""
        return re.sub(r"[^a-z0-9]+", "-", self.full_name.lower())

    @property
    def api_path(self) -> str:
        """Its path under the API: `/api/datasets/ns/name`."""
        return f"/api/{self.type}s/{self.full_name}"
