"""How often the bot polls the Hub for changes that no webhook reported."""

from __future__ import annotations

import pytest

from leaderboard.look_rhythm import SHORTEST_SECONDS, SILENCE_SECONDS, WebhookRecord, look_seconds

NOW, HOUR = 10_000_000.0, 3_600.0


def record(doubted: float | None, delivered: float | None, *, are_complete: bool = True) -> WebhookRecord:
    """Return a record whose last doubt and last delivery were so many seconds ago."""
    times = [None if ago is None else NOW - ago for ago in (doubted, delivered)]
    return WebhookRecord(are_complete, *times)


@pytest.mark.parametrize(
    ("trust", "seconds"),
    [
        (WebhookRecord(), 60),
        (record(None, 10), 60),
        (record(10 * HOUR, None), 60),
        (record(10 * HOUR, 11 * HOUR), 60),
        (record(10 * HOUR, 10, are_complete=False), 60),
        (record(300, 10), 60),
        (record(HOUR / 2, 10), 300),
        (record(HOUR, 10), 600),
        (record(100 * HOUR, 10), 600),
        (record(100 * HOUR, SILENCE_SECONDS + 1), 300),
        (record(-HOUR, -2 * HOUR), 60),
    ],
    ids=[
        "nothing is known",
        "no start is known",
        "no delivery came",
        "no delivery since the doubt",
        "a repo without a webhook",
        "a doubt some minutes ago",
        "half an hour of trust",
        "an hour of trust",
        "days of trust",
        "a day without a delivery",
        "the clock was set back",
    ],
)
def test_looks_become_rarer_with_trust(trust: WebhookRecord, seconds: float) -> None:
    """The bot polls each minute until a delivery follows the last doubt, and then ever more rarely up to a limit."""
    assert look_seconds(trust, longest=600, now=NOW) == seconds


def test_an_operator_may_want_a_look_every_minute() -> None:
    """If the longest time is set to the shortest, the bot polls every minute, whatever the webhooks deliver."""
    trusted = [record(100 * HOUR, 10), record(100 * HOUR, SILENCE_SECONDS + 1)]
    assert [look_seconds(known, longest=SHORTEST_SECONDS, now=NOW) for known in trusted] == [60, 60]
