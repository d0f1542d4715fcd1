"""`steward sync --until-idle`: what a run does without the services that it started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import cast

import pytest

from bot.core.settings import BotSettings
from redis_state.stopping import Stop
from steward import valkey
from steward.until_idle import _services
from steward.valkey import ValkeyMissing


def test_a_queue_server_that_is_lost_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it the run would wait, and a Job would cost money until its time limit."""

    def revive() -> None:
        raise ValkeyMissing("no space left on device")

    @contextmanager
    def locked(*_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(url="redis://127.0.0.1:1/0", revive=revive)

    monkeypatch.setattr(valkey, "locked", locked)
    settings, stop = SimpleNamespace(model_fields_set=set(), redis_url=""), Stop()
    with _services(cast(BotSettings, settings), stop, serves=False):
        assert stop.wait(20)
    assert "no space left on device" in capsys.readouterr().err
