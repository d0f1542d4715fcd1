"""Refuses every write outside the repos, webhooks and Jobs that a contract run made, and Jobs that are not small.

The client asks the guard before each call, so that a mistake in a fact cannot change anything else of the account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localhub.contract.scratch import ScratchRepo, is_run_label, is_scratch_name

_READS = ("GET", "HEAD")
_WITHOUT_EFFECT = ("/api/validate-yaml", "/oauth/token")
"""Calls with POST that change nothing: the fact about `/oauth/token` sends an invalid code."""
_HOOKS = "/api/settings/webhooks"
JOB_FLAVOR, JOB_LABEL = "cpu-basic", "steward-contract"
"""The hardware of all Jobs, and the label that marks them."""
MOST_JOBS, MOST_JOB_SECONDS = 8, 120
"""The most Jobs that a run may start, and the longest time limit of a Job."""
_REPO_PATH = re.compile(r"/(?:api/(?:model|dataset|space)s/|datasets/|spaces/)?([^/]+/[^/]+?)(?:\.git)?/.+")


class WriteRefused(Exception):
    """A call would change something that this run did not make: a mistake in the contract itself."""


class WriteGuard:
    """The repos, webhooks, Jobs and upload addresses that a run may write to."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.repos: dict[ScratchRepo, None] = {}
        """The repos that may exist, in the order of their creation."""
        self.webhooks: dict[str, None] = {}
        """Ids of the webhooks that may exist."""
        self.jobs: dict[str, None] = {}
        """Ids of the Jobs that may run."""
        self.jobs_started = 0
        self.run_label = ""
        """The label of the Jobs of this run; empty before the first one."""
        self._uploads: set[str] = set()

    def admit_repo(self, repo: ScratchRepo) -> None:
        """Allow writes to `repo`. Raises WriteRefused if its name is not of a contract run."""
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
        elif path.startswith("/api/jobs/"):
            allowed = self._admits_job(path, fields)
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

    def _admits_job(self, path: str, fields: Mapping[str, Any]) -> bool:
        """Whether the call starts a small Job with the label of a run, or is about such a Job. Counts each start."""
        namespace, job, call = (*path.removeprefix("/api/jobs/").split("/"), "", "")[:3]
        if namespace != self.namespace:
            return False
        if call in ("cancel", "labels"):
            return job in self.jobs
        if call == "duplicate":
            is_small = job in self.jobs
        else:
            seconds, label = fields.get("timeoutSeconds") or 0, (fields.get("labels") or {}).get(JOB_LABEL, "")
            is_small = fields.get("flavor") == JOB_FLAVOR and 0 < seconds <= MOST_JOB_SECONDS
            is_small = is_small and not job and is_run_label(label)
            self.run_label = label if is_small else self.run_label
        self.jobs_started += is_small
        return is_small and self.jobs_started <= MOST_JOBS

    def _names_own_repos(self, path: str, fields: Mapping[str, Any]) -> bool:
        if path == "/api/repos/move":
            return {fields.get("fromRepo"), fields.get("toRepo")} <= self._names()
        return f"{fields.get('organization')}/{fields.get('name')}" in self._names()
