"""Refuses every write outside the repos and webhooks that a contract run made.

The client asks the guard before each call, so that a mistake in a fact cannot change anything else of the account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localhub.contract.scratch import ScratchRepo, is_scratch_name

_READS = ("GET", "HEAD")
_WITHOUT_EFFECT = ("/api/validate-yaml", "/oauth/token")
"""Calls with POST that change nothing: the fact about `/oauth/token` sends an invalid code."""
_HOOKS = "/api/settings/webhooks"
_REPO_PATH = re.compile(r"/(?:api/(?:model|dataset|space)s/|datasets/|spaces/)?([^/]+/[^/]+?)(?:\.git)?/.+")


class WriteRefused(Exception):
    """A call would change something that this run did not make: a mistake in the contract itself."""


class WriteGuard:
    """The repos, webhooks and upload addresses that a run may write to."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.repos: dict[ScratchRepo, None] = {}
        """The repos that may exist, in the order of their creation."""
        self.webhooks: dict[str, None] = {}
        """Ids of the webhooks that may exist."""
        self._uploads: set[str] = set()

    def admit_repo(self, repo: ScratchRepo) -> None:
        """Allow writes to `repo`. Raises WriteRefused for a name that no contract run gives."""
        owner, _, name = repo.id.partition("/")
        if owner != self.namespace or not is_scratch_name(name):
            raise WriteRefused(f"{repo.id} is no repo of a contract run in {self.namespace}.")
        self.repos[repo] = None

    def admit_upload(self, url: str) -> None:
        """Allow uploads to an address that the Hub named for a large file of a scratch repo."""
        self._uploads.add(url)

    def check(self, method: str, path: str, body: object) -> None:
        """Raise WriteRefused unless the call reads, or writes to what this run made."""
        if method in _READS or path in _WITHOUT_EFFECT or path in self._uploads:
            return
        fields = body if isinstance(body, Mapping) else {}
        if path.startswith(_HOOKS):
            allowed = self._is_own_webhook(path, fields)
        elif path.startswith("/api/repos/"):
            allowed = self._names_own_repos(path, fields)
        else:
            match = _REPO_PATH.fullmatch(path)
            allowed = match is not None and ".." not in path and match[1] in self._names()
        if not allowed:
            raise WriteRefused(f"{method} {path} would write outside the repos of this run.")

    def _names(self) -> set[str]:
        return {repo.id for repo in self.repos}

    def _is_own_webhook(self, path: str, fields: Mapping[str, Any]) -> bool:
        watched = fields.get("watched") or []
        if any(item["name"] not in self._names() for item in watched):
            return False
        if path == _HOOKS:
            return bool(watched)
        return path.removeprefix(f"{_HOOKS}/").partition("/")[0] in self.webhooks

    def _names_own_repos(self, path: str, fields: Mapping[str, Any]) -> bool:
        if path == "/api/repos/move":
            return {fields.get("fromRepo"), fields.get("toRepo")} <= self._names()
        return f"{fields.get('organization')}/{fields.get('name')}" in self._names()
