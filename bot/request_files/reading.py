"""Reading a file of the requests repo at the newest commit that the board knows, never at `main`.

The Hub may answer for `main` from a cache that is some seconds old, and a sync that reads old text would record the
request as judged. The file at a commit cannot change. The Hub may also answer 404 for a file that has just been
committed; so a file counts as gone only if git does not have it either.

Race accepted: a commit that no list of refs has shown yet is not read. The sync of the requests repo marks its files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from bot.core.context import BoardContext
from bot.core.mirrors.folder import MirrorDamaged
from hub.errors import EntryNotFound, TooLarge
from hub.records import File

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

log = structlog.get_logger()

_POINTER = b"version https://git-lfs.github.com/spec/v1\n"


def newest_commit(context: BoardContext) -> str:
    """The commit at which request files are read. One call if the newest commit is uncertain, else none."""
    return context.heads.newest(context.requests.id) or context.hub.head(context.requests)


def read_at(context: BoardContext, path: str, commit: str, *, max_bytes: int) -> File | None:
    """The file `path` of the requests repo at `commit`; None if git has none.

    One call; up to four more if the Hub has no such file and the mirror lacks `commit`. Raises TooLarge, HubError and
    MirrorDamaged.
    """
    file = context.hub.find_file(context.requests, path, commit, max_bytes=max_bytes)
    return file if file is not None else _read_in_git(context, path, commit, max_bytes)


def _read_in_git(context: BoardContext, path: str, commit: str, max_bytes: int) -> File | None:
    try:
        with context.mirror.read(context.requests) as view:
            if view.has(commit):
                return _file(view, path, commit, max_bytes)
    except MirrorDamaged:
        pass  # there is no mirror, or a damaged one: the fetch makes it again
    fetched = context.mirror.fetch(context.requests, depth=0)
    with context.mirror.read_fetched(context.requests) as view:
        return _file(view, path, fetched, max_bytes)


def _file(view: MirrorView, path: str, commit: str, max_bytes: int) -> File | None:
    oid = view.find(commit, path)
    if oid is None:
        return None
    log.warning("the Hub says that a file is gone, and git has it", path=path, commit=commit)
    data = view.blob(oid, max_bytes=max_bytes)
    if data is None:
        raise TooLarge(f"{path} has more than {max_bytes:,} bytes.")
    if data.startswith(_POINTER):  # only the Hub has the content
        raise EntryNotFound(f"The Hub says that {path} is gone, and git has it at {commit}.", status=404)
    return File(path, data, oid, commit)
