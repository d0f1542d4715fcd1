"""The maintainers' list, a discussion that the bot edits in place: its kinds of items, and when it is edited."""

from __future__ import annotations

from bot.core.waiting_threads import DIGEST, note
from bot.queue import rulings
from bot.threads.maintainers_list import (
    EDIT_SECONDS,
    LOOK_SECONDS,
    MAX_UNREAD_SECONDS,
    READ_SECONDS,
    TITLE,
    hasten_edit,
)
from leaderboard.outbreaks import BY
from leaderboard.triage import Topic
from leaderboard.waiting_items import PLAN, PULL
from redis_state.accepted_digests import RefusedTasks
from redis_state.parking import ParkedSync
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.deadly_calls import dies
from tests.support.board.discussion import Discussion, digests

HOSTILE = "<b>@ada</b> | [x](http://evil.example)"


def look(stand: BoardDriver, seconds: float = EDIT_SECONDS) -> list[tuple[str, str]]:
    """Sync the list after `seconds`, and return the bot's calls that write."""
    stand.work()
    stand.time += seconds
    stand.calls.clear()
    stand.context.mark(DIGEST)
    stand.work()
    return [call for call in stand.calls if call[0] != "GET"]


def park(stand: BoardDriver, key: str) -> None:
    """Park the sync of `key`, as after too many failures."""
    error = f"ValueError: {HOSTILE}"
    stand.context.parking.park(ParkedSync(key=key, error=error, tries=8, since=stand.time - 60))


def listed_in(stand: BoardDriver) -> str:
    """The opening post of the only list, which must have no comments."""
    ((post,),) = digests(stand)
    return post


def park_and_refuse(stand: BoardDriver, path: str, talk: Discussion) -> None:
    """Park three syncs and refuse a worker, and let the list be edited."""
    for key in (
        f"request:{path}",
        f"thread:dataset/{REQUESTS}:{talk.number}",
        "request:x/hidden_eval_request_True.json",
    ):
        park(stand, key)
    stand.worker()
    refused = RefusedTasks(worker="w", fingerprint=f"{'a' * 16}-{'b' * 16}", differences=(), at=1e300)
    stand.context.accepted_digests.refuse(refused)
    look(stand, LOOK_SECONDS)
    look(stand, 0.0)
    stand.time += EDIT_SECONDS
    stand.worker()
    look(stand, 0.0)


def test_each_kind_of_item_appears_and_vanishes(stand: BoardDriver) -> None:
    """Threads, plans, appeals, reports, parked syncs and refused workers share one list, which is edited in place."""
    context = stand.context
    path = stand.submit("ada/good", status="FINISHED")
    stand.settle()
    talk = Discussion(stand, f"Hello {HOSTILE}", "Hm.")
    thread = context.hub.thread(context.requests, talk.number)
    parts = {"appeal": Topic.APPEAL, "plan": PLAN, "pull": PULL}
    for part, topic in parts.items():
        note(context, context.requests, thread, topic, part=part, sha="a" * 40)  # type: ignore[arg-type]
        look(stand)
        assert f"| {topic} |" in listed_in(stand)
        if topic != Topic.APPEAL:
            assert "`/approve aaaaaaaa`" in listed_in(stand)
        note(context, context.requests, thread, None, part=part)  # type: ignore[arg-type]
        look(stand)
        assert "Nothing waits" in listed_in(stand)
    park_and_refuse(stand, path, talk)
    post = listed_in(stand)
    assert post.count("| parked sync |") == 3
    assert f"blob/main/{path}" in post
    assert f"discussions/{talk.number})" in post
    assert "`steward parked list` in a shell" in post
    assert "| `w` | worker that takes no job |" in post
    assert "hidden" not in post
    assert "evil.example" not in post
    for parked in context.parking.all():
        context.redis.hdel(context.keys.parked, parked.key)
    context.accepted_digests.leave("w")
    look(stand)
    assert "Nothing waits" in listed_in(stand)


def test_the_list_is_edited_only_for_changes_and_not_too_often(stand: BoardDriver) -> None:
    """At most one edit is made within EDIT_SECONDS, and none without a change."""
    park(stand, "scores")
    look(stand)
    stand.calls.clear()
    stand.context.mark(DIGEST)
    stand.work()
    assert stand.calls == []
    park(stand, "contents")
    stand.context.mark(DIGEST)
    stand.work()
    assert stand.calls == []
    assert "contents" not in listed_in(stand)
    stand.time += EDIT_SECONDS
    stand.work()
    assert "contents" in listed_in(stand), "the sync scheduled its next run"


def test_an_edit_is_made_at_once_before_a_process_ends(stand: BoardDriver) -> None:
    """`hasten_edit` makes a waiting edit due at once, and marks nothing if no edit waits."""
    park(stand, "scores")
    look(stand)
    hasten_edit(stand.context)
    assert len(stand.context.dirty) == 0
    park(stand, "contents")
    stand.context.mark(DIGEST)
    stand.work()
    assert "contents" not in listed_in(stand)
    hasten_edit(stand.context)
    stand.work()
    assert "contents" in listed_in(stand)
    assert len(stand.context.dirty) == 0


def test_the_timer_marks_the_list(stand: BoardDriver) -> None:
    """The timer adds a new item to the list without an event."""
    stand.tick()
    stand.work()
    stand.time += READ_SECONDS
    stand.work()
    park(stand, "scores")
    stand.time += EDIT_SECONDS
    stand.tick()
    stand.work()
    assert "| parked sync |" in listed_in(stand)


def test_a_bot_that_dies_at_any_call_says_nothing_twice(stand: BoardDriver) -> None:
    """If the bot dies before any call, or Redis is lost, the bot edits the list that exists and opens no second one."""
    for name in ("scores", "contents"):
        park(stand, name)
        stand.time += EDIT_SECONDS
        number = 0
        while True:
            stand.context.mark(DIGEST)
            if not dies(stand, number, stand.work):
                break
            number += 1
            stand.context.redis.delete(stand.context.keys.dirty_leases)
        assert number
        assert name in listed_in(stand)
    stand.context.redis.flushall()
    stand.time += EDIT_SECONDS
    stand.context.mark(DIGEST)
    stand.work()
    assert "Nothing waits" in listed_in(stand)


def test_a_list_of_an_earlier_version_goes_on_in_place(stand: BoardDriver) -> None:
    """The bot edits a list that an earlier version opened, and opens no second one."""
    context = stand.context
    marker = context.marker(DIGEST, "maintainers")
    context.hub.open_thread(context.requests, TITLE, "No thread waits for a maintainer.", marker=marker)
    stand.time += 60
    park(stand, "scores")
    look(stand)
    assert "| parked sync |" in listed_in(stand)


def test_a_paused_suite_is_listed_and_told_at_once(stand: BoardDriver) -> None:
    """A suite that is paused by an outbreak is added to the list and announced in a comment at once."""
    park(stand, "scores")
    look(stand)
    rulings.pause(stand.context, "suite:starter", "4 models failed.", BY)
    stand.settle()
    ((post, comment),) = digests(stand)
    assert "`/resume suite:starter`" in post
    assert "4 models failed" in comment


def test_after_redis_was_lost_the_list_stays_until_the_discussions_were_read(stand: BoardDriver) -> None:
    """After Redis was lost, no sync empties the list before the threads are read again; the next edit is complete."""
    Discussion(stand, "Thank you", "An idea.")
    stand.tick()
    stand.work()
    stand.time += READ_SECONDS
    stand.work()
    assert "Thank you" in listed_in(stand)
    stand.context.redis.flushall()
    stand.tick()
    while (claim := stand.context.dirty.claim(now=stand.time, lease=60)) is not None:
        stand.loop.sync(claim)
        assert "Thank you" in listed_in(stand), claim.key
    Discussion(stand, "Hello", "Another idea.")
    stand.time += EDIT_SECONDS
    stand.tick()
    stand.work()
    stand.time += EDIT_SECONDS
    stand.work()
    assert all(title in listed_in(stand) for title in ("Thank you", "Hello"))


def test_the_list_does_not_wait_for_ever_for_discussions_that_cannot_be_read(stand: BoardDriver) -> None:
    """If discussions cannot be read, the bot edits the list after MAX_UNREAD_SECONDS all the same."""
    park(stand, "scores")
    key = f"thread:dataset/{REQUESTS}:1"
    for seconds, is_opened in ((0.0, False), (MAX_UNREAD_SECONDS / 2, False), (MAX_UNREAD_SECONDS / 2, True)):
        stand.time += seconds
        stand.context.dirty.mark(key, due=stand.time + READ_SECONDS)
        stand.context.mark(DIGEST)
        stand.work()
        assert bool(digests(stand)) == is_opened
