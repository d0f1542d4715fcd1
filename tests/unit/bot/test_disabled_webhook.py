"""A disabled webhook makes looks at the Hub frequent, whatever happens while it is enabled again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.processes.reconcile import _enable
from hub.errors import Garbled


def test_looks_are_frequent_also_if_the_sync_ends_while_a_webhook_is_enabled() -> None:
    """The webhooks are doubted before the Hub is asked: a later sync cannot see that one was disabled."""
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
