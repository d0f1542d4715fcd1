"""Discussions that link a pull request which renames a model: their authors ask for the rename. The bot reports its
checks in them, and closes them when it is over.

Redis notes which discussions link which pull request. After Redis was lost the open discussions are read again one by
one, and the sync of each notes its links again.

The link may be in the opening post, or in a later comment of the author if the opening post is about nothing else. A
pull request from a later comment that was over before the bot reported on it counts as a mere mention and is ignored.

The result of the checks is reported once for each pull request: in the first answer if there is none yet, else in a
comment of its own, because the link may be read before its pull request was checked. A pull request counts as reported
if an answer of the bot in the discussion links it.
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
MAX_LINKS = 3
"""Links of one discussion that are followed."""
TOPICS_WITH_LATER_LINKS = (Topic.RENAME, Topic.OTHER)
"""Topics of a discussion in which links from later comments count too."""


@dataclass(frozen=True)
class LinkedPullRequest:
    """A pull request that a discussion links, and the record of the bot's report on it."""

    repo: Repo
    thread: Thread
    record: PullRequestRecord


def follow_links(context: BoardContext, registry: Registry, repo: Repo, thread: Thread) -> int:
    """Note the renames that the discussion links, report the result of each once, and close the discussion when all are
    over. Return the number of comments posted. One call for each link to a pull request of this board."""
    if thread.is_pull_request or thread.status != "open" or not thread.comments:
        return 0
    if is_by(context.me(), thread.author_id, thread.author_name) or context.effects.is_left_alone(repo, thread.num):
        return 0
    pulls = list(_renames(context, registry, repo, thread))
    if not pulls:
        return 0
    if all(map(_is_over, pulls)):
        return _end(context, repo, thread, pulls)
    new = [pull for pull in pulls if not _is_reported(context, thread, pull)]
    return _post(context, repo, thread, new, _report_marker(context, repo, thread, new), over=False) if new else 0


def _is_over(pull: LinkedPullRequest) -> bool:
    return pull.thread.status in ("merged", "closed")


def _is_reported(context: BoardContext, thread: Thread, pull: LinkedPullRequest) -> bool:
    """Whether the bot reported the result of the checks of `pull` in the discussion."""
    me, target = context.me(), f"]({_address(context, pull)})"
    return any(
        target in comment.text and (marker := marker_of(comment.text)) is not None and marker.kind in (FIRST, CHECKED)
        for comment in thread.comments
        if is_by(me, comment.author_id, comment.author_name)
    )


def _report_marker(context: BoardContext, repo: Repo, thread: Thread, new: list[LinkedPullRequest]) -> Marker:
    """The marker of the comment that reports the checks: that of the first answer, if there is none yet."""
    first = context.marker(FIRST, f"{repo.kind}/{repo.id} {thread.num}")
    if find_marked(thread.comments, first, context.me()) is None:
        return first
    return context.marker(CHECKED, f"{first.key} {new[0].repo.id} {new[0].thread.num}")


def _renames(context: BoardContext, registry: Registry, repo: Repo, thread: Thread) -> Iterator[LinkedPullRequest]:
    opening = thread_links(f"{thread.title}\n{thread.comments[0].text}")
    reads_later = triage(thread.title, thread.comments[0].text).topic in TOPICS_WITH_LATER_LINKS
    later = [link for post in later_posts(registry, thread) for link in thread_links(post)] if reads_later else []
    links = [link for link in (*opening, *later) if link.kind == "dataset"]
    ours = ours_among(context, [link.repo for link in links])
    places: dict[tuple[Repo, int], bool] = {}
    for link in links:
        if (target := ours.get(link.repo.lower())) is not None:
            places.setdefault((target, link.number), link in opening)
    for place, is_in_opening in list(places.items())[:MAX_LINKS]:
        pull = _read_pull(context, repo, thread, *place)
        if pull is not None and (is_in_opening or not _is_over(pull) or _is_reported(context, thread, pull)):
            yield pull


def _read_pull(
    context: BoardContext, repo: Repo, thread: Thread, target: Repo, number: int
) -> LinkedPullRequest | None:
    """The pull request `number` of `target`, if it renames a model."""
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
    """Note the link. If it is new, mark the pull request, whose checks depend on the people who ask for the rename."""
    if not context.redis.sadd(context.keys.pull_links(f"{repo.id} {number}"), key):
        return
    if (memo := recall(context, repo, number)) is not None:
        remember(context, repo, number, memo.model_copy(update={"stale": True}))
    context.mark(thread_key(repo, number), SyncPriority.EVENT)


def _post(
    context: BoardContext, repo: Repo, thread: Thread, pulls: list[LinkedPullRequest], marker: Marker, *, over: bool
) -> int:
    if find_marked(thread.comments, marker, context.me()) is not None:
        return 0
    text = linked_answer("over" if over else "open", links=[_view(context, pull) for pull in pulls])
    comment = context.effects.comment(repo, thread.num, text, marker, wake=thread_key(repo, thread.num), seen=thread)
    return int(comment is not None)


def _view(context: BoardContext, pull: LinkedPullRequest) -> LinkedView:
    rename = pull.record.rename
    assert rename is not None
    number, address = pull.thread.num, _address(context, pull)
    return LinkedView(rename.old, rename.new, number, pull.repo.id, address, _outcome_word(pull))


def _address(context: BoardContext, pull: LinkedPullRequest) -> str:
    return f"{context.address(pull.repo)}/discussions/{pull.thread.num}"


def _outcome_word(pull: LinkedPullRequest) -> LinkedState:
    match pull.thread.status:
        case "merged":
            return "taken-back" if pull.record.end == "taken-back" else "merged"
        case "closed":
            return "closed"
        case _:
            return "passed" if pull.record.result == "passed" else "problems"


def _end(context: BoardContext, repo: Repo, thread: Thread, pulls: list[LinkedPullRequest]) -> int:
    marker = context.marker(OVER, f"{repo.kind}/{repo.id} {thread.num}")
    posted = _post(context, repo, thread, pulls, marker, over=True)
    if posted or find_marked(thread.comments, marker, context.me()) is not None:
        key = thread_key(repo, thread.num)
        for pull in pulls:
            context.redis.srem(context.keys.pull_links(f"{pull.repo.id} {pull.thread.num}"), key)
        context.effects.set_status(repo, thread.num, "closed", marker)
    return posted
