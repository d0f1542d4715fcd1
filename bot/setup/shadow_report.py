"""What the bot would have done, beside what people then did to the same file or thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.core.context import BoardContext, repo_of
from bot.setup.history import RequestFileChange, changes
from hub.comments import is_by
from hub.errors import NotFound
from hub.records import Thread
from redis_state.clock import iso
from redis_state.shadowed_writes import ShadowedWrite

MAX_THREADS = 100
"""Threads that are read for one list: each is a call."""


@dataclass(frozen=True)
class HumanAction:
    """One thing that somebody did afterwards."""

    who: str
    at: str
    what: str


@dataclass(frozen=True)
class ShadowComparison:
    """One thing that the bot would have done, and what came of it without the bot, oldest first."""

    shadowed: ShadowedWrite
    then: Sequence[HumanAction]
    same: bool
    """Whether somebody gave the file the very status that the bot would have given it."""


def compare(context: BoardContext, things: Sequence[ShadowedWrite]) -> list[ShadowComparison]:
    """`things`, each with what people did after it. Raises HubError and MirrorDamaged."""
    if not things:
        return []
    files = _by_path(context, min(shadowed.at for shadowed in things))
    threads = _threads(context, things)
    return [_comparison(context, shadowed, files.get(shadowed.path, []), threads) for shadowed in things]


def _comparison(
    context: BoardContext, shadowed: ShadowedWrite, made: Iterable[RequestFileChange], threads: Mapping[str, Thread]
) -> ShadowComparison:
    # Git knows whole seconds: what happened within this one is more often the cause than the consequence.
    later = [change for change in made if change.date is not None and change.date.timestamp() > int(shadowed.at)]
    deeds = [
        HumanAction(change.author, iso(change.date.timestamp()) if change.date else "", _change_words(change))
        for change in later
    ]
    if shadowed.thread is not None and (thread := threads.get(_place(shadowed))) is not None:
        deeds += _in_thread(context, shadowed, thread)
    same = bool(shadowed.status) and any(change.after == shadowed.status for change in later)
    return ShadowComparison(shadowed, sorted(deeds, key=lambda deed: deed.at), same)


def _by_path(context: BoardContext, since: float) -> dict[str, list[RequestFileChange]]:
    me, found = context.me().name, dict[str, list[RequestFileChange]]()
    for change in changes(context, since=int(since)):
        if change.author != me:
            found.setdefault(change.path, []).append(change)
    return found


def _change_words(change: RequestFileChange) -> str:
    if change.after is None:
        return "removed the file" if change.before is not None else "changed the file"
    if change.before is None:
        return f"added the file: {change.after}"
    return f"{change.before} → {change.after}" if change.changes_status else "changed other fields"


def _threads(context: BoardContext, things: Iterable[ShadowedWrite]) -> dict[str, Thread]:
    places = dict.fromkeys(
        (_place(shadowed), shadowed.repo, shadowed.thread) for shadowed in things if shadowed.thread is not None
    )
    found: dict[str, Thread] = {}
    for place, name, number in list(places)[:MAX_THREADS]:
        repo = repo_of(name)
        if repo is None or number is None:
            continue
        try:
            found[place] = context.hub.thread(repo, number)
        except NotFound:
            continue  # it was deleted: there is nothing to show
    return found


def _in_thread(context: BoardContext, shadowed: ShadowedWrite, thread: Thread) -> list[HumanAction]:
    me = context.me()
    deeds = [
        HumanAction(comment.author_name, iso(comment.created_at.timestamp()), "wrote a comment")
        for comment in thread.comments
        if comment.created_at.timestamp() >= int(shadowed.at) and not is_by(me, comment.author_id, comment.author_name)
    ]
    ended = [HumanAction("somebody", "by now", f"the thread is {thread.status}")] if thread.status != "open" else []
    return deeds + ended


def _place(shadowed: ShadowedWrite) -> str:
    return f"{shadowed.repo}#{shadowed.thread}"
