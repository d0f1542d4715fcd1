"""The bot polls the Hub less often while webhooks report everything, and often again as soon as one is lost."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import generate_latest

from bot.core.watched_repos import thread_repos
from bot.evaluations.restore_deleted import DELETED_RESULTS, LOOKS, is_due
from bot.intake.deliveries import read_delivery
from bot.intake.inbox import Delivery, Inbox, connect_inbox
from bot.processes.reconcile import PERIOD
from bot.requests.comparison import COMPARE_SECONDS, FILES
from bot.web.health import health_routes
from bot.web.metrics import BoardMetrics
from leaderboard.look_rhythm import LONGEST_SECONDS
from localhub.webhooks.store import SUSPENDED
from redis_state import clock
from redis_state.board.entry import IndexEntry
from steward.testing.board import BOT, REQUESTS, BoardDriver
from tests.support.board.reconciliation import look, state

HOUR = 3_600.0
COMMIT = {"event": {"action": "update", "scope": "repo.content"}, "repo": {"type": "dataset", "name": REQUESTS}}


def watch_all(stand: BoardDriver) -> str:
    """Create a webhook of the bot's account for all repos of the board, and return its id."""
    watched = [{"type": repo.kind, "name": repo.id} for repo in thread_repos(stand.context)]
    body = {"url": "http://127.0.0.1:9/hook", "watched": watched, "domains": ["repo", "discussion"]}
    headers = {"Authorization": f"Bearer {BOT}"}
    answer = httpx2.post(f"{stand.hub.url}/api/settings/webhooks", json=body, headers=headers, timeout=60)
    return str(answer.json()["webhook"]["id"])


def deliver(stand: BoardDriver, url: str, payload: dict[str, object] = COMMIT) -> None:
    """Receive a delivery as the web server does, and run the syncs that follow."""
    body = json.dumps({**payload, "n": stand.time}).encode()

    async def receive() -> None:
        client = connect_inbox(url)
        delivery = Delivery(f"at-{stand.time}", body, stand.time)
        await Inbox(client, stand.context.keys).receive(delivery, read_delivery(body, stand.context.board))
        await client.aclose()

    asyncio.run(receive())
    stand.work()


def looks(stand: BoardDriver, minutes: int) -> int:
    """Let the timer run for `minutes`, and return how often the bot polled the Hub."""
    return sum(("GET", "webhooks") in look(stand, after=PERIOD) for _ in range(minutes))


def trusting(stand: BoardDriver, url: str) -> str:
    """Set up a board whose webhooks have reported everything for two hours; return the webhook's id."""
    hook = watch_all(stand)
    stand.submit("ada/good")
    look(stand)
    deliver(stand, url)
    look(stand)
    stand.context.redis.hset(stand.context.keys.rounds, "webhooks doubted", stand.time - 2 * HOUR)
    deliver(stand, url)
    return hook


def test_looks_are_rare_while_webhooks_tell_everything(stand: BoardDriver, valkey_url: str) -> None:
    """While webhooks report everything, the bot polls every ten minutes, and does work without a call every minute."""
    trusting(stand, valkey_url)
    calls = [look(stand) for _ in range(10)]
    assert [("GET", "webhooks") in calls_of_look for calls_of_look in calls] == [*[False] * 9, True]
    assert calls[-1].count(("GET", "threads")) == 3
    path = stand.submit("ada/good", path="ada/good_eval_request_False_bfloat16_Original.json", precision="bfloat16")
    deliver(stand, valkey_url)
    stand.context.index.put(IndexEntry(path=path))
    look(stand)
    assert state(stand, path) == "waiting"


def test_a_quiet_board_is_ready_between_looks(
    stand: BoardDriver, valkey_url: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After nine minutes without a poll `/readyz` answers 200, and each time whose age raises an alert is recent.

    Five minutes after the last sync `/readyz` answers 503, because no sync process works.
    """
    trusting(stand, valkey_url)
    assert looks(stand, 9) == 0
    monkeypatch.setattr(clock, "now", lambda: stand.time)
    assert readiness(stand, valkey_url) == (200, "answers")
    alerts = (project / "deploy" / "prometheus" / "alerts.yaml").read_text("utf-8")
    times = re.findall(r"time\(\) - (steward_\w+)", alerts)
    assert times
    page = generate_latest(BoardMetrics(stand.context)).decode()
    for name in times:
        (value,) = re.findall(rf"^{name} (\S+)$", page, re.MULTILINE)
        assert stand.time - float(value) <= PERIOD, name
    stand.time += 301
    assert readiness(stand, valkey_url) == (503, "unknown")


def readiness(stand: BoardDriver, url: str) -> tuple[int, str]:
    """Return the status of the answer of `/readyz`, and the state of the Hub in it."""

    async def ask() -> httpx2.Response:
        async with connect_inbox(url) as redis:
            app = FastAPI()
            app.include_router(health_routes(redis, stand.context.keys, Inbox(redis, stand.context.keys)))
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://web") as client:
                return await client.get("/readyz")

    answer = asyncio.run(ask())
    return answer.status_code, answer.json()["hub"]["state"]


def test_request_files_are_compared_between_looks(stand: BoardDriver, valkey_url: str) -> None:
    """A request that the index lost is found after COMPARE_SECONDS, by a round that does not poll the Hub."""
    trusting(stand, valkey_url)
    (path,) = stand.context.index.paths()
    stand.context.index.drop(path)
    stand.context.redis.hset(stand.context.keys.rounds, FILES, stand.time - COMPARE_SECONDS)
    assert ("GET", "webhooks") not in look(stand)
    assert state(stand, path) == "waiting"


def test_removed_results_are_searched_at_every_third_look(stand: BoardDriver, valkey_url: str) -> None:
    """The search for removed results is due at every third poll, though its time is noted a little after a poll."""
    trusting(stand, valkey_url)
    for age, expected in (((LOOKS - 1) * LONGEST_SECONDS, False), (LOOKS * LONGEST_SECONDS - 5, True)):
        stand.context.redis.hset(stand.context.keys.rounds, DELETED_RESULTS, stand.time - age)
        assert is_due(stand.context) is expected


def lost_commit(stand: BoardDriver, hook: str) -> None:
    """Make a commit that no delivery reports."""
    stand.submit("ada/good", path="ada/good_eval_request_False_bfloat16_Original.json", precision="bfloat16")


def lost_comment(stand: BoardDriver, hook: str) -> None:
    """Open a discussion that no delivery reports."""
    stand.ada.create_discussion(REQUESTS, "Hello?", description="?", repo_type="dataset")


def suspension(stand: BoardDriver, hook: str) -> None:
    """Have the Hub suspend the webhook."""
    webhooks = stand.hub.state.webhooks
    webhooks.disable(webhooks.get(hook), SUSPENDED)


@pytest.mark.parametrize("trouble", [lost_commit, lost_comment, suspension])
def test_a_lost_webhook_is_noticed_within_the_bound(
    stand: BoardDriver, valkey_url: str, trouble: Callable[[BoardDriver, str], None]
) -> None:
    """The bot notices a lost delivery or a suspended webhook within ten minutes, and then polls every minute."""
    hook = trusting(stand, valkey_url)
    trouble(stand, hook)
    assert looks(stand, 10) >= 1
    assert looks(stand, 3) == 3


def test_reported_changes_are_no_reason_to_look_often(stand: BoardDriver, valkey_url: str) -> None:
    """After a commit that a delivery reported and the bot's own posts, the bot still polls every ten minutes."""
    trusting(stand, valkey_url)
    stand.submit("ada/remote")
    deliver(stand, valkey_url)
    stand.time += 60
    stand.settle()  # the bot opens the maintainers' list
    comment = {"author": {"id": stand.context.me().id}, "content": "Not accepted"}
    for thread in stand.threads():
        about = {"event": {"action": "create", "scope": "discussion"}, "discussion": {"num": thread.num}}
        stand.time += 1
        deliver(stand, valkey_url, {**COMMIT, **about, "comment": comment})
    stand.time += 1
    deliver(stand, valkey_url)
    assert len(stand.threads()) == 2
    assert looks(stand, 12) == 1


def test_a_start_makes_looks_frequent(stand: BoardDriver, valkey_url: str) -> None:
    """After a start or a loss of Redis, the bot polls at once and every minute."""
    trusting(stand, valkey_url)
    stand.schedule._started = False
    assert looks(stand, 3) == 3
    stand.context.redis.flushall()
    assert looks(stand, 3) == 3


def test_a_repo_without_a_webhook_is_looked_at_every_minute(stand: BoardDriver, valkey_url: str) -> None:
    """With a webhook for commits to the requests repo alone, the bot polls every minute."""
    body = {"url": "http://127.0.0.1:9/hook", "watched": [{"type": "dataset", "name": REQUESTS}]}
    headers = {"Authorization": f"Bearer {BOT}"}
    httpx2.post(
        f"{stand.hub.url}/api/settings/webhooks", json={**body, "domains": ["repo"]}, headers=headers, timeout=60
    )
    look(stand)
    stand.context.redis.hset(stand.context.keys.rounds, "webhooks doubted", stand.time - 2 * HOUR)
    deliver(stand, valkey_url)
    assert looks(stand, 3) == 3
