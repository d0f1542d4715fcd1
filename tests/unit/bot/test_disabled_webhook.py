"""After a webhook was disabled, the bot polls the Hub more often, even if enabling it fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.processes.reconcile import _enable
from hub.errors import Garbled


def test_a_disabled_webhook_is_recorded_even_if_enabling_it_fails() -> None:
    """The bot records that a webhook was disabled before it enables it again, because a later sync cannot see that."""
    noted = dict[str, Any]()

    def lost(_: str) -> None:
        raise Garbled("The answer was cut off.")

    context = SimpleNamespace(
        hub=SimpleNamespace(enable_webhook=lost),
        redis=SimpleNamespace(hset=lambda _, name, value: noted.update({name: value})),
        keys=SimpleNamespace(rounds="rounds", hub_state="hub"),
        now=lambda: 100.0,
    )
    with pytest.raises(Garbled):
        _enable(cast(Any, context), cast(Any, SimpleNamespace(id="one", disabled="suspended-after-failure")))
    assert noted == {"webhooks doubted": 100.0}
