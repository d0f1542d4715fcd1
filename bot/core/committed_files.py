"""Reading a file of one repo at a commit: from the Hub, and from git where the Hub says that there is none.

The Hub may answer for `main` out of a cache that is some seconds old, and a sync that reads old text would record the
request as judged. The file at a commit cannot change. The Hub may also answer 404 for a file that has just been
committed; so a file counts as gone only if git has none either.

Race accepted: a commit that no list of refs told of yet is not read. The sync of the repo marks its files.
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
    """The files of `repo`. `mirror` is called only where git has to be asked: the web server has no git."""

    def __init__(self, hub: Hub, heads: Heads, mirror: Callable[[], Mirror], repo: Repo) -> None:
        self._hub = hub
        self._heads = heads
        self._mirror = mirror
        self._repo = repo

    def newest(self) -> str:
        """The commit at which files are read. No call, but one where the board is not sure which is the newest."""
        return self._heads.newest(self._repo.id) or self._hub.head(self._repo)

    def read(self, path: str, commit: str, *, max_bytes: int) -> File | None:
        """The file `path` at `commit`; None where git has none.

        One call; up to four more where the Hub has no such file and the mirror lacks `commit`. The caller must not have
        the mirror open: a fetch waits until all have closed it. Raises TooLarge, HubError and MirrorDamaged.
        """
        file = self._hub.find_file(self._repo, path, commit, max_bytes=max_bytes)
        return file if file is not None else self._read_in_git(path, commit, max_bytes)

    def read_with(self, view: MirrorView, path: str, commit: str, *, max_bytes: int) -> File | None:
        """`read`, for a caller that has the mirror open and sees `commit` there. One call."""
        file = self._hub.find_file(self._repo, path, commit, max_bytes=max_bytes)
        return file if file is not None else _file(view, path, commit, max_bytes)

    def _read_in_git(self, path: str, commit: str, most: int) -> File | None:
        mirror = self._mirror()
        try:
            with mirror.read(self._repo) as view:
                if view.has(commit):
                    return _file(view, path, commit, most)
        except MirrorDamaged:
            pass  # there is none yet, or it is of no use: the fetch makes it anew
        fetched = mirror.fetch(self._repo, depth=0)
        with mirror.read_fetched(self._repo) as view:
            return _file(view, path, fetched, most)


def _file(view: MirrorView, path: str, commit: str, most: int) -> File | None:
    oid = view.find(commit, path)
    if oid is None:
        return None
    log.warning("the Hub says that a file is gone, and git has it", path=path, commit=commit)
    data = view.blob(oid, max_bytes=most)
    if data is None:
        raise TooLarge(f"{path} has more than {most:,} bytes.")
    if data.startswith(_POINTER):  # the Hub alone has the content
        raise EntryNotFound(f"The Hub says that {path} is gone, and git has it at {commit}.", status=404)
    return File(path, data, oid, commit)
