"""Discussions that link a pull request which renames a model: whoever opened one asks for it, and it ends with it.

Which discussions link which pull request is noted in Redis. After it was lost the open discussions are read again one
by one, and each notes it anew.

The link may stand in the opening post, or in a later comment of its author where that post is about nothing else. What
is linked there and was over before we told of it is only mentioned, and ends nothing.

What came of the checks is told once of each pull request: in the first answer, if there is none yet, else in a comment
of its own, for a link may be read before its pull request was checked. One is told whose address we have written there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.core.commands.registry import Registry
from bot.core.context import BoardContext, thread_key
from bot.core.earlier_names import ours_among
from bot.core.pull_records import PullRequestRecord, find_report, recall, remember
from bot.pulls.rename_texts import LinkedState, LinkedView, linked_answer
from bot.threads.later_comments import later_posts
from hub.comments import Marker, find_marked, is_by, marker_of
from hub.errors import ThreadNotFound
from hub.records import Repo, Thread
from leaderboard.links import thread_links
from leaderboard.triage import Topic, triage
from redis_state.dirty import SyncPriority

FIRST, CHECKED, OVER = "first", "rename-checked", "rename-over"
MOST = 3
"""Links of one discussion that are followed."""
MAY_ASK_LATER = (Topic.RENAME, Topic.OTHER)
"""What a discussion may be about that is ended by a rename which is linked in it later."""


@dataclass(frozen=True)
class LinkedPullRequest:
    """A pull request that a discussion links, with our report on it."""

    repo: Repo
    thread: Thread
    record: PullRequestRecord


def follow_links(context: BoardContext, registry: Registry, repo: Repo, thread: Thread) -> int:
    """Note what the discussion `thread` links, tell once what came of it, and close it with the last of that; how many
    comments were posted. A call for each link to a pull request of ours."""
    if thread.is_pull_request or thread.status != "open" or not thread.comments:
        return 0
    if is_by(context.me(), thread.author_id, thread.author_name) or context.effects.is_left_alone(repo, thread.num):
        return 0
    found = list(_renames(context, registry, repo, thread))
    if not found:
        return 0
    if all(map(_is_over, found)):
        return _end(context, repo, thread, found)
    new = [one for one in found if not _is_answered(context, thread, one)]
    return _say(context, repo, thread, new, _checked(context, repo, thread, new), over=False) if new else 0


def _is_over(one: LinkedPullRequest) -> bool:
    return one.thread.status in ("merged", "closed")


def _is_answered(context: BoardContext, thread: Thread, one: LinkedPullRequest) -> bool:
    """Whether we told there what came of checking it."""
    me, target = context.me(), f"]({_address(context, one)})"
    return any(
        target in comment.text and (marker := marker_of(comment.text)) is not None and marker.kind in (FIRST, CHECKED)
        for comment in thread.comments
        if is_by(me, comment.author_id, comment.author_name)
    )


def _checked(context: BoardContext, repo: Repo, thread: Thread, new: list[LinkedPullRequest]) -> Marker:
    """The marker of what tells of the checks: that of the first answer, where there is none yet."""
    first = context.marker(FIRST, f"{repo.kind}/{repo.id} {thread.num}")
    if find_marked(thread.comments, first, context.me()) is None:
        return first
    return context.marker(CHECKED, f"{first.key} {new[0].repo.id} {new[0].thread.num}")


def _renames(context: BoardContext, registry: Registry, repo: Repo, thread: Thread) -> Iterator[LinkedPullRequest]:
    asked = thread_links(f"{thread.title}\n{thread.comments[0].text}")
    is_open = triage(thread.title, thread.comments[0].text).topic in MAY_ASK_LATER
    later = [link for post in later_posts(registry, thread) for link in thread_links(post)] if is_open else []
    links = [one for one in (*asked, *later) if one.kind == "dataset"]
    ours = ours_among(context, [one.repo for one in links])
    places: dict[tuple[Repo, int], bool] = {}
    for link in links:
        if (target := ours.get(link.repo.lower())) is not None:
            places.setdefault((target, link.number), link in asked)
    for place, is_asked in list(places.items())[:MOST]:
        one = _look_at(context, repo, thread, *place)
        if one is not None and (is_asked or not _is_over(one) or _is_answered(context, thread, one)):
            yield one


def _look_at(context: BoardContext, repo: Repo, thread: Thread, target: Repo, number: int) -> LinkedPullRequest | None:
    """The pull request `number` of `target`, if it is one that renames."""
    try:
        pull = context.hub.thread(target, number)
    except ThreadNotFound:
        return None
    if pull.is_pull_request and pull.status != "merged":
        _note(context, target, number, thread_key(repo, thread.num))
    _, record = find_report(context, pull)
    is_rename = pull.is_pull_request and record is not None and record.rename is not None
    return LinkedPullRequest(target, pull, record) if is_rename and record is not None else None


def _note(context: BoardContext, repo: Repo, number: int, key: str) -> None:
    """Note the link; where it is new, the pull request is looked at again, for it matters who asks for it."""
    if not context.redis.sadd(context.keys.pull_links(f"{repo.id} {number}"), key):
        return
    if (memo := recall(context, repo, number)) is not None:
        remember(context, repo, number, memo.model_copy(update={"stale": True}))
    context.mark(thread_key(repo, number), SyncPriority.EVENT)


def _say(
    context: BoardContext, repo: Repo, thread: Thread, found: list[LinkedPullRequest], marker: Marker, *, over: bool
) -> int:
    if find_marked(thread.comments, marker, context.me()) is not None:
        return 0
    text = linked_answer("over" if over else "open", links=[_link_fields(context, one) for one in found])
    said = context.effects.comment(repo, thread.num, text, marker, wake=thread_key(repo, thread.num), seen=thread)
    return int(said is not None)


def _link_fields(context: BoardContext, one: LinkedPullRequest) -> LinkedView:
    rename = one.record.rename
    assert rename is not None
    return LinkedView(rename.old, rename.new, one.thread.num, one.repo.id, _address(context, one), _outcome_word(one))


def _address(context: BoardContext, one: LinkedPullRequest) -> str:
    return f"{context.address(one.repo)}/discussions/{one.thread.num}"


def _outcome_word(one: LinkedPullRequest) -> LinkedState:
    match one.thread.status:
        case "merged":
            return "taken-back" if one.record.end == "taken-back" else "merged"
        case "closed":
            return "closed"
        case _:
            return "passed" if one.record.result == "passed" else "problems"


def _end(context: BoardContext, repo: Repo, thread: Thread, found: list[LinkedPullRequest]) -> int:
    marker = context.marker(OVER, f"{repo.kind}/{repo.id} {thread.num}")
    posted = _say(context, repo, thread, found, marker, over=True)
    if posted or find_marked(thread.comments, marker, context.me()) is not None:
        for one in found:
            context.redis.srem(context.keys.pull_links(f"{one.repo.id} {one.thread.num}"), thread_key(repo, thread.num))
        context.effects.set_status(repo, thread.num, "closed", marker)
    return posted
