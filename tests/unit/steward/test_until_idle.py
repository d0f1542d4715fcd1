"""What `steward sync --until-idle` does when a service that it started, or the Hub, fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.core.context import threads_key
from bot.core.settings import BotSettings
from bot.processes import until_idle
from bot.processes.until_idle import IdleWatch
from hub.records import Repo
from redis_state.stopping import Stop
from steward import valkey
from steward.until_idle import _services
from steward.valkey import ValkeyMissing


def test_a_queue_server_that_is_lost_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If Redis is lost and cannot be restarted, the run ends, because a paid Job would wait until its time limit."""

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


def test_a_page_of_discussions_that_failed_is_left_to_its_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run does not mark the discussions of a repo again while their failed sync waits for a retry, or is parked."""
    requests, results, community = (Repo("dataset", f"b/{name}") for name in ("requests", "results", "community"))
    monkeypatch.setattr(until_idle, "next_page", lambda *_: 2)
    waits, marks = {threads_key(requests)}, list[str]()
    context = SimpleNamespace(
        requests=requests,
        results=results,
        community=community,
        parking=SimpleNamespace(all=lambda: [SimpleNamespace(key=threads_key(results))]),
        dirty=SimpleNamespace(marked=lambda keys: [key in waits for key in keys]),
        mark=marks.append,
    )
    watch = IdleWatch(cast(Any, context), Stop(), None)
    assert watch._read_next_pages(set()) == 1
    assert marks == [threads_key(community)]
    waits.clear()
    assert watch._read_next_pages({threads_key(community)}) == 2
    assert marks == [threads_key(community), threads_key(requests)]
