"""Volumes: repos and buckets that a Space or a Job gets as a folder of its file system."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from localhub.accounts.store import Caller
from localhub.errors import BadRequest, HubError
from localhub.repos.access import Access
from localhub.repos.buckets import Buckets
from localhub.repos.lfs_store import LfsStore
from localhub.repos.records import Repo


class Volume(BaseModel):
    """A repo at a revision, or a bucket, and where it is mounted. Repos are read-only."""

    type: Literal["bucket", "model", "dataset", "space"]
    source: str = Field(max_length=200, pattern=r"^[^/]+/[^/]+$")
    mountPath: str = Field(max_length=500, pattern=r"^/")  # noqa: N815 (the Hub's word)
    revision: str | None = Field(None, max_length=400)
    readOnly: bool | None = None  # noqa: N815 (the Hub's word)
    path: str | None = Field(None, max_length=1000)


class Volumes:
    """Checks access to the repos and buckets of volumes, and writes their files to folders."""

    def __init__(self, access: Access, buckets: Buckets, lfs: LfsStore) -> None:
        self._access = access
        self._buckets = buckets
        self._lfs = lfs

    def check(self, caller: Caller, volume: Volume) -> None:
        """Raise BadRequest unless the caller may read the repo or bucket of the volume [?]."""
        try:
            self._commit(caller, volume)
        except HubError as error:
            raise BadRequest(f"The {volume.type} {volume.source} cannot be mounted: {error.message}") from error

    def write(self, caller: Caller, volume: Volume, folder: Path) -> None:
        """Write the files of the volume to `folder`, which is empty for a bucket. Raises HubError."""
        folder.mkdir(parents=True, exist_ok=True)
        source = self._commit(caller, volume)
        if source is None:
            return
        repo, commit = source
        top = f"{volume.path.strip('/')}/" if volume.path else ""
        entries = [each for each in repo.git.entries(commit, recursive=True) if each.type == "file"]
        facts = repo.git.facts(each.oid for each in entries)
        for entry in entries:
            if not entry.path.startswith(top):
                continue
            target, pointer = folder / entry.path.removeprefix(top), facts[entry.oid].pointer
            target.parent.mkdir(parents=True, exist_ok=True)
            if pointer and self._lfs.size(repo.oid, pointer.sha256) is not None:
                shutil.copyfile(self._lfs.path(pointer.sha256), target)
            else:
                target.write_bytes(repo.git.read(entry.oid))
            target.chmod(0o444)

    def _commit(self, caller: Caller, volume: Volume) -> tuple[Repo, str] | None:
        """The repo and the commit that a volume names; None for a bucket. Raises HubError."""
        if volume.type == "bucket":
            self._buckets.get(caller, volume.source)
            return None
        repo = self._access.repo(volume.type, volume.source, caller)
        self._access.require_content_access(caller, repo)
        commit = repo.git.resolve(volume.revision or "main")
        if volume.path and repo.git.entry(commit, volume.path.strip("/")) is None:
            raise HubError(404, f"There is no {volume.path} in {volume.source}")
        return repo, commit
