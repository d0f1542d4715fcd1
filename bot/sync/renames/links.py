"""Discussions that link a pull request which renames a model: whoever opened one asks for it, and it ends with it.

Which discussions link which pull request is noted in Redis. After it was lost the open discussions are read again one
by one, and each notes it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.desk import Desk, thread_key
from bot.sync.pulls.record import Record, find_report, recall, remember
from bot.texts.rename import Became, LinkedView, linked_answer
from hub.comments import Marker, find_marked, is_by
from hub.errors import BadRequest, ThreadNotFound
from hub.records import Repo, Thread
from leaderboard.links import thread_links
from wire.dirty import Priority

FIRST, OVER = "first", "rename-over"
MOST = 3
"""Links of one discussion that are followed."""


@dataclass(frozen=True)
class Linked:
    """A pull request that a discussion links, with our report on it."""

    repo: Repo
    thread: Thread
    record: Record


def follow_links(desk: Desk, repo: Repo, thread: Thread) -> int:
    """Note what the discussion `thread` links, answer it once, and close it with the last of that; how many comments
    were posted. A call for each link to a pull request of ours."""
    if thread.is_pull_request or thread.status != "open" or not thread.comments:
        return 0
    if is_by(desk.me(), thread.author_id, thread.author_name) or desk.effects.is_left_alone(repo, thread.num):
        return 0
    found = list(_renames(desk, repo, thread))
    if not found:
        return 0
    if all(one.thread.status in ("merged", "closed") for one in found):
        return _end(desk, repo, thread, found)
    return _say(desk, repo, thread, found, _first(desk, repo, thread), over=False)


def _first(desk: Desk, repo: Repo, thread: Thread) -> Marker:
    """The marker of the first answer to a thread: this is it, where there is none yet."""
    return desk.marker(FIRST, f"{repo.kind}/{repo.id} {thread.num}")


def _renames(desk: Desk, repo: Repo, thread: Thread) -> Iterator[Linked]:
    text = f"{thread.title}\n{thread.comments[0].text}"
    for link in [one for one in thread_links(text) if one.kind == "dataset"][:MOST]:
        try:
            target = Repo("dataset", link.repo)
        except BadRequest:
            continue
        if target not in (desk.requests, desk.results):
            continue
        try:
            pull = desk.hub.thread(target, link.number)
        except ThreadNotFound:
            continue
        if pull.is_pull_request and pull.status != "merged":
            _note(desk, target, link.number, thread_key(repo, thread.num))
        _, record = find_report(desk, pull)
        if pull.is_pull_request and record is not None and record.rename is not None:
            yield Linked(target, pull, record)


def _note(desk: Desk, repo: Repo, number: int, key: str) -> None:
    """Note the link; where it is new, the pull request is looked at again, for it matters who asks for it."""
    if not desk.redis.sadd(desk.keys.pull_links(f"{repo.id} {number}"), key):
        return
    if (memo := recall(desk, repo, number)) is not None:
        remember(desk, repo, number, memo.model_copy(update={"stale": True}))
    desk.mark(thread_key(repo, number), Priority.EVENT)


def _say(desk: Desk, repo: Repo, thread: Thread, found: list[Linked], marker: Marker, *, over: bool) -> int:
    if find_marked(thread.comments, marker, desk.me()) is not None:
        return 0
    text = linked_answer("over" if over else "open", links=[_shown(desk, one) for one in found])
    said = desk.effects.comment(repo, thread.num, text, marker, wake=thread_key(repo, thread.num), seen=thread)
    return int(said is not None)


def _shown(desk: Desk, one: Linked) -> LinkedView:
    rename, number = one.record.rename, one.thread.num
    assert rename is not None
    url = f"{desk.address(one.repo)}/discussions/{number}"
    return LinkedView(rename.old, rename.new, number, one.repo.id, url, _became(one))


def _became(one: Linked) -> Became:
    match one.thread.status:
        case "merged":
            return "taken-back" if one.record.end == "taken-back" else "merged"
        case "closed":
            return "closed"
        case _:
            return "passed" if one.record.result == "passed" else "problems"


def _end(desk: Desk, repo: Repo, thread: Thread, found: list[Linked]) -> int:
    marker = desk.marker(OVER, f"{repo.kind}/{repo.id} {thread.num}")
    posted = _say(desk, repo, thread, found, marker, over=True)
    if posted or find_marked(thread.comments, marker, desk.me()) is not None:
        for one in found:
            desk.redis.srem(desk.keys.pull_links(f"{one.repo.id} {one.thread.num}"), thread_key(repo, thread.num))
        desk.effects.set_status(repo, thread.num, "closed", marker)
    return posted
