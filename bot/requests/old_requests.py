"""Request files from before the board's adoption: listed, and never worked on, whatever their status is."""

from __future__ import annotations

from bot.core.adoption import git_id
from bot.core.context import BoardContext
from bot.requests.first_look import entry_of_old_file
from hub.records import File, FileEntry
from leaderboard.requests import Problem, Request
from redis_state.board.entry import IndexEntry


def skip_if_old(context: BoardContext, entry: IndexEntry, file: File, request: Request | list[Problem]) -> bool:
    """Whether the file is old; if so, index it as a file that needs no work."""
    readable = request if isinstance(request, Request) else None
    if not context.adoption.is_old(file, readable):
        return False
    context.index.put(entry_of_old_file(entry, git_id(file.oid, len(file.data)), readable))
    return True


def skip_if_old_and_large(context: BoardContext, entry: IndexEntry, file: FileEntry) -> bool:
    """The same for a file that is too large to read."""
    if not context.adoption.is_old_entry(file):
        return False
    context.index.put(entry_of_old_file(entry, git_id(file.oid, file.size), None))
    return True
