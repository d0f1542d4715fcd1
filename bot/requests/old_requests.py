"""Request files from before the board's adoption: listed as they are, and at rest, whatever they say."""

from __future__ import annotations

from bot.core.adoption import git_id
from bot.core.context import Desk
from bot.requests.first_look import left_in_peace
from hub.records import File
from leaderboard.requests import Problem, Request
from redis_state.board.entry import Entry


def rest_if_old(desk: Desk, entry: Entry, file: File, request: Request | list[Problem]) -> bool:
    """Whether the file is old; if so, the index says that there is nothing to do about it."""
    readable = request if isinstance(request, Request) else None
    if not desk.adoption.is_old(file, readable):
        return False
    desk.index.put(left_in_peace(entry, git_id(file.oid, len(file.data)), readable))
    return True


def rest_if_old_and_large(desk: Desk, entry: Entry) -> bool:
    """The same for a file that is too large to read. One call."""
    found = desk.hub.paths_info(desk.requests, [entry.path]).get(entry.path)
    if found is None or not desk.adoption.is_old_entry(found):
        return False
    desk.index.put(left_in_peace(entry, git_id(found.oid, found.size), None))
    return True
