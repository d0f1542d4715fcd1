"""The queue server that `steward up` starts: one in each folder, waited for while it reads what it has."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import redis

from steward import valkey
from steward.valkey import Valkey, ValkeyMissing


def test_no_second_server_writes_into_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would ruin the file of the first. Once that is gone, however it went, the next one starts."""
    monkeypatch.setattr(valkey, "PATIENCE", 0.0)
    with Valkey(tmp_path) as first:
        with pytest.raises(ValkeyMissing, match="perhaps `steward up` runs already"):
            Valkey(tmp_path).start()
        assert redis.Redis.from_url(first.url).set("kept", 1)
        assert first.process is not None
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        with Valkey(tmp_path) as second:
            assert redis.Redis.from_url(second.url).ping()


def test_a_server_that_still_loads_its_data_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file on a slow disk takes longer than a start may: that is no reason to give up."""
    loading, ping = [3], redis.Redis.ping

    def busy(client: redis.Redis) -> object:
        found = ping(client)
        if loading[0]:
            loading[0] -= 1
            raise redis.BusyLoadingError
        return found

    server = Valkey(tmp_path).start()
    try:
        monkeypatch.setattr(redis.Redis, "ping", busy)
        server._wait_until_it_answers(0.0)
        assert loading == [0]
    finally:
        server.stop()
