"""When the worker of a trial counts as lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.requests.trials import _is_silent
from redis_state.attempts import FIRST_BEATS

ATTEMPT = "0123456789ab-01234567-1"


@pytest.mark.parametrize(
    ("beats", "after_break", "is_silent"),
    [((ATTEMPT,), 1e6, False), ((), 1e6, True), ((), FIRST_BEATS, True), ((), FIRST_BEATS - 1, False)],
)
def test_no_trial_is_lost_because_redis_or_the_bot_was_away(
    beats: tuple[str, ...], after_break: float, is_silent: bool
) -> None:
    """The bot counts a worker as silent only after it had time for a heartbeat since Redis or the bot returned."""
    attempts = SimpleNamespace(alive=lambda **_: set(beats))
    context = SimpleNamespace(now=lambda: 1e9, heard_since=lambda: 1e9 - after_break, attempts=attempts)
    assert _is_silent(cast(Any, context), cast(Any, SimpleNamespace(attempt=ATTEMPT))) is is_silent
