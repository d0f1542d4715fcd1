"""How long results that the Hub does not show may still be on their way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.evaluations.published_files import LATE_SECONDS, _may_lag


@pytest.mark.parametrize(
    ("ended_ago", "may_lag"), [(1.0, True), (-1.0, True), (-60.0, True), (LATE_SECONDS, False), (-86_400.0, False)]
)
def test_results_of_a_worker_whose_clock_is_ahead_may_lag_too(ended_ago: float, may_lag: bool) -> None:
    """Otherwise a lag of the Hub refuses them, or sets their worker aside. A forged end holds nothing for long."""
    context, outcome = SimpleNamespace(now=lambda: 1e9), SimpleNamespace(ended=1e9 - ended_ago)
    assert _may_lag(cast(Any, context), cast(Any, outcome)) is may_lag
