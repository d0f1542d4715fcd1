"""Reads a file of one repo at a commit: from the Hub, and from git if the Hub answers that there is none.

For `main` the Hub may answer from a cache that is some seconds old, and a sync that reads an old file would record the
request as judged. The file at a commit cannot change. The Hub may also answer 404 for a file that was just committed;
so a file counts as removed only if git has none either.

Race accepted: a commit that is in no list of refs yet is not read. The sync of the repo marks its files later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from bot.core.mirrors.folder import MirrorDamaged
from hub.client import Hub
from hub.errors import EntryNotFound, TooLarge
from hub.records import File, Repo
from redis_state.heads import Heads

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import Mirror, MirrorView

log = structlog.get_logger()

_POINTER = b"version https://git-lfs.github.com/spec/v1\n"


class CommittedFiles:
    """The files of `repo`. `mirror` is called only if git is needed, because the web server has no git."""

    def __init__(self, hub: Hub, heads: Heads, mirror: Callable[[], Mirror], repo: Repo) -> None:
        self._hub = hub
        self._heads = heads
        self._mirror = mirror
        self._repo = repo

    def newest(self) -> str:
        """The commit at which files are read. One call if the newest commit is not known; else none."""
        return self._heads.newest(self._repo.id) or self._hub.head(self._repo)

    def read(self, path: str, commit: str, *, max_bytes: int) -> File | None:
        """The file `path` at `commit`; None if git has none.

        One call; up to four more if the Hub has no such file and the mirror lacks `commit`. The caller must not have
        the mirror open, because a fetch waits for its readers. Raises TooLarge, HubError and MirrorDamaged.
        """
        file = self._hub.find_file(self._repo, path, commit, max_bytes=max_bytes, confirm=False)
        return file if file is not None else self._read_in_git(path, commit, max_bytes)

    def read_with(self, view: MirrorView, path: str, commit: str, *, max_bytes: int) -> File | None:
        """`read`, for a caller that has the mirror open and sees `commit` in it. One call."""
        file = self._hub.find_file(self._repo, path, commit, max_bytes=max_bytes, confirm=False)
        return file if file is not None else _file(view, path, commit, max_bytes)

    def _read_in_git(self, path: str, commit: str, max_bytes: int) -> File | None:
        mirror = self._mirror()
        try:
            with mirror.read(self._repo) as view:
                if view.has(commit):
                    return _file(view, path, commit, max_bytes)
        except MirrorDamaged:
            pass  # the fetch creates the mirror again
        fetched = mirror.fetch(self._repo, depth=0)
        with mirror.read_fetched(self._repo) as view:
            return _file(view, path, fetched, max_bytes)


def _file(view: MirrorView, path: str, commit: str, max_bytes: int) -> File | None:
    oid = view.find(commit, path)
    if oid is None:
        return None
    log.warning("the Hub says that a file is gone, and git has it", path=path, commit=commit)
    data = view.blob(oid, max_bytes=max_bytes)
    if data is None:
        raise TooLarge(f"{path} has more than {max_bytes:,} bytes.")
    if data.startswith(_POINTER):  # the Hub alone has the content
        raise EntryNotFound(f"The Hub says that {path} is gone, and git has it at {commit}.", status=404)
    return File(path, data, oid, commit)
