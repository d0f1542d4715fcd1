"""Webhook deliveries that are repeated and shuffled: the bot answers each comment once, and no loop starts."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import redis

from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.registry import Registry
from bot.core.render import Safe
from bot.probe import Probe
from bot.threads import limits
from bot.threads.verbs import REGISTRY
from hub.records import Comment
from leaderboard.roles import Role
from localhub.webhooks.delivery_log import OutgoingDelivery
from steward.testing.board import REQUESTS, SECRET, BoardDriver
from steward.testing.hub import board_world
from steward.testing.running import running
from steward.testing.waiting import wait_until
from steward.valkey import Valkey

Rung = list[str]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey, probe: Probe) -> Iterator[tuple[BoardDriver, Rung]]:
    """A running board, and the causes of each `/bell` that took effect on it."""
    rung: Rung = []

    def run(call: Call) -> Answer:
        return Answer(Safe("Ringing."), act=lambda: Answer(Safe(f"Rung. {rung.append(call.cause) or ''}")))  # type: ignore[func-returns-value]

    bell = Verb("bell", "ring", frozenset({Role.ANYONE}), run)
    with redis.Redis.from_url(valkey.url) as connection, pytest.MonkeyPatch.context() as patch:
        connection.flushall()
        patch.setattr("bot.threads.threads.REGISTRY", Registry((*REGISTRY.verbs, bell)))
        with running(tmp_path_factory.mktemp("live"), board_world(), connection, valkey.url, probe) as stand:
            yield stand, rung


def opened(stand: BoardDriver, post: str) -> int:
    """Open a discussion as Ada, and return its number."""
    return int(stand.ada.create_discussion(REQUESTS, "Talk", description=post, repo_type="dataset").num)


def comments(stand: BoardDriver, number: int) -> tuple[Comment, ...]:
    """All comments of the discussion."""
    return stand.context.hub.thread(stand.context.requests, number).comments


def ours(stand: BoardDriver, number: int) -> list[str]:
    """The bot's comments in the discussion."""
    return [comment.text for comment in comments(stand, number) if comment.author_name == "steward-bot"]


def is_calm(stand: BoardDriver) -> bool:
    """Whether all deliveries have arrived and no dirty key is left."""
    return stand.hub.state.webhooks.drain(0.0) and len(stand.context.dirty) == 0


def deliveries(stand: BoardDriver, *, by: str) -> list[tuple[str, OutgoingDelivery]]:
    """The webhook deliveries about comments of the account `by`, each with the address it goes to."""
    webhooks, name = stand.hub.state.webhooks, stand.hub.state.accounts.by_name(by)
    assert name is not None
    logged = [
        (hook.url or "", delivery)
        for hook in webhooks.all()
        for delivery in webhooks.deliveries.log.latest(hook.id, 500)
    ]
    return [
        (url, delivery)
        for url, delivery in logged
        if delivery.body.get("comment", {}).get("author", {}).get("id") == name.id
    ]


def again(sent: list[tuple[str, OutgoingDelivery]], times: int) -> None:
    """Send each delivery `times` times more, shuffled, four at once: with its own id, another id, or none."""
    assert sent
    posts = []
    for url, delivery in sent:
        for turn in range(times):
            ids = (delivery.delivery_id, str(uuid.uuid4()), None)
            named = {"Webhook-Id": name} if (name := ids[turn % 3]) is not None else {}
            posts.append((url, json.dumps(delivery.body).encode(), {"X-Webhook-Secret": SECRET, **named}))
    random.Random(7).shuffle(posts)
    with httpx2.Client(timeout=20) as client, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda post: client.post(post[0], content=post[1], headers=post[2]), posts))
    assert {answer.status_code for answer in answers} <= {200, 202}


def test_ten_times_the_same_delivery_shuffled_is_one_answer(live: tuple[BoardDriver, Rung]) -> None:
    """Three threads, four commands in each, every delivery ten times: each command has one reply and one effect."""
    stand, rung = live
    rung.clear()
    numbers = [opened(stand, "/bell") for _ in range(3)]
    for _ in range(3):
        for number in numbers:
            stand.ada.comment_discussion(REQUESTS, number, comment="/bell", repo_type="dataset")
    again(deliveries(stand, by="ada"), 10)
    wait_until(lambda: all(len(ours(stand, number)) == 4 for number in numbers), seconds=30)
    again(deliveries(stand, by="ada"), 10)
    wait_until(lambda: is_calm(stand), seconds=30)
    for number in numbers:
        assert len(ours(stand, number)) == 4
        assert all("Rung." in reply for reply in ours(stand, number))
    assert len(rung) == len(set(rung)) == 12


def test_the_bots_own_comments_cause_no_calls(live: tuple[BoardDriver, Rung]) -> None:
    """Deliveries of the bot's own comments, however often they come, cause no read and no write."""
    stand, _ = live
    number = opened(stand, "/bell")
    wait_until(lambda: len(ours(stand, number)) == 1 and "Rung." in ours(stand, number)[0], seconds=30)
    wait_until(lambda: is_calm(stand), seconds=30)
    sent = deliveries(stand, by="steward-bot")
    assert len(sent) >= 2  # posted, and edited
    stand.calls.clear()
    again(sent, 10)
    wait_until(lambda: is_calm(stand), seconds=30)
    assert stand.calls == []


def test_the_hourly_limit_ends_a_loop_with_another_bot(
    live: tuple[BoardDriver, Rung], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If another bot answers each reply with a command, Steward states the hourly limit once and stops replying."""
    stand, _ = live
    monkeypatch.setattr(limits, "MAX_COMMANDS", 3)
    number, rounds = opened(stand, "Two bots meet."), 0
    stand.bob.comment_discussion(REQUESTS, number, comment="/help", repo_type="dataset")
    wait_until(lambda: len(ours(stand, number)) == 1, seconds=30)
    for _ in range(20):
        wait_until(lambda: is_calm(stand), seconds=30)
        if comments(stand, number)[-1].author_name != "steward-bot":
            break
        stand.bob.comment_discussion(REQUESTS, number, comment="/help", repo_type="dataset")
        rounds += 1
    assert rounds == 4
    assert len(ours(stand, number)) == 4
    assert "more than 3 commands" in ours(stand, number)[-1]
