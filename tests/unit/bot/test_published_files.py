"""How long the bot waits for published results that the Hub does not show yet."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.evaluations.published_files import LATE_SECONDS, _may_lag


@pytest.mark.parametrize(
    ("ended_ago", "may_lag"), [(1.0, True), (-1.0, True), (-60.0, True), (LATE_SECONDS, False), (-86_400.0, False)]
)
def test_results_of_a_worker_whose_clock_is_ahead_may_lag_too(ended_ago: float, may_lag: bool) -> None:
    """The bot also waits for results of a worker whose clock is ahead, but a forged end time gains no more time."""
    context, outcome = SimpleNamespace(now=lambda: 1e9), SimpleNamespace(ended=1e9 - ended_ago)
    assert _may_lag(cast(Any, context), cast(Any, outcome)) is may_lag
