"""The shadow report: what the bot would have done, compared with what people then did to the same file or thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.core.context import BoardContext, repo_of
from bot.setup.history import RequestFileChange, request_file_changes
from hub.comments import is_by
from hub.errors import NotFound
from hub.records import Thread
from redis_state.clock import iso
from redis_state.shadowed_writes import ShadowedWrite

MAX_THREADS = 100
"""Threads read for one report: each is a call."""


@dataclass(frozen=True)
class HumanAction:
    """One action of a person after a write that the bot would have made."""

    who: str
    at: str
    what: str


@dataclass(frozen=True)
class ShadowComparison:
    """One write that the bot would have made, and what people did instead, oldest first."""

    shadowed: ShadowedWrite
    then: Sequence[HumanAction]
    same: bool
    """Whether a person gave the file the same status as the bot would have."""


def compare(context: BoardContext, writes: Sequence[ShadowedWrite]) -> list[ShadowComparison]:
    """Each of `writes` with the actions of people after it. Raises HubError and MirrorDamaged."""
    if not writes:
        return []
    files = _by_path(context, min(shadowed.at for shadowed in writes))
    threads = _threads(context, writes)
    return [_comparison(context, shadowed, files.get(shadowed.path, []), threads) for shadowed in writes]


def _comparison(
    context: BoardContext, shadowed: ShadowedWrite, changes: Iterable[RequestFileChange], threads: Mapping[str, Thread]
) -> ShadowComparison:
    # Git stores whole seconds: a change within the same second is more often the cause than the consequence.
    later = [change for change in changes if change.date is not None and change.date.timestamp() > int(shadowed.at)]
    actions = [
        HumanAction(change.author, iso(change.date.timestamp()) if change.date else "", _change_words(change))
        for change in later
    ]
    if shadowed.thread is not None and (thread := threads.get(_place(shadowed))) is not None:
        actions += _in_thread(context, shadowed, thread)
    same = bool(shadowed.status) and any(change.after == shadowed.status for change in later)
    return ShadowComparison(shadowed, sorted(actions, key=lambda action: action.at), same)


def _by_path(context: BoardContext, since: float) -> dict[str, list[RequestFileChange]]:
    me, by_path = context.me().name, dict[str, list[RequestFileChange]]()
    for change in request_file_changes(context, since=int(since)):
        if change.author != me:
            by_path.setdefault(change.path, []).append(change)
    return by_path


def _change_words(change: RequestFileChange) -> str:
    if change.after is None:
        return "removed the file" if change.before is not None else "changed the file"
    if change.before is None:
        return f"added the file: {change.after}"
    return f"{change.before} → {change.after}" if change.changes_status else "changed other fields"


def _threads(context: BoardContext, writes: Iterable[ShadowedWrite]) -> dict[str, Thread]:
    places = dict.fromkeys(
        (_place(shadowed), shadowed.repo, shadowed.thread) for shadowed in writes if shadowed.thread is not None
    )
    threads: dict[str, Thread] = {}
    for place, name, number in list(places)[:MAX_THREADS]:
        repo = repo_of(name)
        if repo is None or number is None:
            continue
        try:
            threads[place] = context.hub.thread(repo, number)
        except NotFound:
            continue  # deleted: there is nothing to show
    return threads


def _in_thread(context: BoardContext, shadowed: ShadowedWrite, thread: Thread) -> list[HumanAction]:
    me = context.me()
    comments = [
        HumanAction(comment.author_name, iso(comment.created_at.timestamp()), "wrote a comment")
        for comment in thread.comments
        if comment.created_at.timestamp() >= int(shadowed.at) and not is_by(me, comment.author_id, comment.author_name)
    ]
    ended = [HumanAction("a person", "since then", f"the thread is {thread.status}")] if thread.status != "open" else []
    return comments + ended


def _place(shadowed: ShadowedWrite) -> str:
    return f"{shadowed.repo}#{shadowed.thread}"
