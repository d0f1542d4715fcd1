"""The queue server of `steward up`: one per folder, with a wait while it loads its data."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from redis_state.stopping import Stop
from steward import valkey
from steward.supervisor import Supervisor
from steward.testing.waiting import wait_until
from steward.valkey import Valkey, ValkeyMissing


def test_no_second_server_writes_into_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second server for the same folder is refused; once the first has ended, the next one starts."""
    monkeypatch.setattr(valkey, "LOCK_SECONDS", 0.0)
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
    """A server that is still loading a large file is waited for, even beyond the time that a start may take."""
    loading, ping = [3], redis.Redis.ping

    def busy(client: redis.Redis) -> object:
        pong = ping(client)
        if loading[0]:
            loading[0] -= 1
            raise redis.BusyLoadingError
        return pong

    server = Valkey(tmp_path).start()
    try:
        monkeypatch.setattr(redis.Redis, "ping", busy)
        server._wait_until_it_answers(0.0)
        assert loading == [0]
    finally:
        server.stop()


def read(client: redis.Redis, key: str) -> object:
    """Return the stored value; None while the server does not answer."""
    with suppress(redis.ConnectionError):
        return client.get(key)
    return None


def test_a_server_that_dies_is_started_again_with_what_it_had(tmp_path: Path) -> None:
    """A killed queue server is restarted at the same address with the data that it had."""
    messages, stop = list[str](), Stop()
    with Valkey(tmp_path, say=messages.append) as server:
        supervisor = Supervisor([], messages.append, server.revive)
        thread = threading.Thread(target=supervisor.run, args=(stop,))
        thread.start()
        try:
            client = redis.Redis.from_url(server.url)
            client.set("kept", "1")
            first = server.process
            assert first is not None
            first.kill()
            wait_until(lambda: read(client, "kept") == b"1" and server.process is not first)
            assert messages == ["The queue server ended with status -9; it restarts."]
        finally:
            stop.set()
            thread.join(20)


def zero_the_end(data: Path) -> None:
    """Append a block of zeros, as a file system does that loses power."""
    with next(data.glob("*.incr.aof")).open("ab") as file:
        file.write(bytes(4096))


def zero_the_last_command(data: Path) -> None:
    """Write zeros over the last bytes."""
    file = next(data.glob("*.incr.aof"))
    file.write_bytes(file.read_bytes()[:-20] + bytes(20))


def spoil_the_manifest(data: Path) -> None:
    """Write garbage over the manifest."""
    next(data.glob("*.manifest")).write_bytes(bytes(range(200, 256)))


def cut_the_base(data: Path) -> None:
    """Cut off the second half of the snapshot."""
    file = next(data.glob("*.base.rdb"))
    os.truncate(file, file.stat().st_size // 2)


def lose_a_file(data: Path) -> None:
    """Remove a file that the manifest names."""
    next(data.glob("*.base.rdb")).unlink()


@pytest.mark.parametrize("damage", [zero_the_end, zero_the_last_command, spoil_the_manifest, cut_the_base, lose_a_file])
def test_damaged_data_is_moved_aside(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """The server starts without data that it cannot load, and one message says where the data is now."""
    messages = list[str]()
    with Valkey(tmp_path, say=messages.append) as server:
        assert redis.Redis.from_url(server.url).set("kept", 1)
    damage(tmp_path / "appendonlydir")
    with Valkey(tmp_path, say=messages.append) as server:
        client = redis.Redis.from_url(server.url)
        assert client.dbsize() == 0 and client.set("new", 1)
    (aside,) = tmp_path.glob("damaged-*/appendonlydir")
    assert any(aside.iterdir())
    (words,) = messages
    assert str(aside.parent) in words and "\n" not in words
    with Valkey(tmp_path, say=messages.append) as server:
        assert redis.Redis.from_url(server.url).get("new") == b"1" and len(messages) == 1


def test_data_that_ends_in_the_middle_of_a_command_is_loaded_up_to_there(tmp_path: Path) -> None:
    """If the file of commands ends in the middle of one, the server loads all commands before it."""
    messages = list[str]()
    with Valkey(tmp_path, say=messages.append) as server:
        client = redis.Redis.from_url(server.url)
        assert client.set("kept", 1) and client.set("cut", 1)
    file = next((tmp_path / "appendonlydir").glob("*.incr.aof"))
    os.truncate(file, file.stat().st_size - 3)
    with Valkey(tmp_path, say=messages.append) as server:
        client = redis.Redis.from_url(server.url)
        assert (client.get("kept"), client.get("cut"), messages) == (b"1", None, [])


def test_good_data_stays_where_the_server_cannot_start_for_another_reason(tmp_path: Path) -> None:
    """If the server cannot start because its user file is wrong, the data is not moved aside."""
    users, messages = tmp_path / "users.acl", list[str]()
    users.write_text("user default on nopass ~* &* +@all\n")
    with Valkey(tmp_path, users=users, say=messages.append) as server:
        assert redis.Redis.from_url(server.url).set("kept", 1)
    users.write_text("nonsense\n")
    with pytest.raises(ValkeyMissing):
        Valkey(tmp_path, users=users, say=messages.append).start()
    assert not list(tmp_path.glob("damaged-*"))
    users.write_text("user default on nopass ~* &* +@all\n")
    with Valkey(tmp_path, users=users, say=messages.append) as server:
        assert redis.Redis.from_url(server.url).get("kept") == b"1" and messages == []


def test_good_data_stays_where_the_server_is_stopped_while_it_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the server is stopped while it loads, as by systemd's SIGTERM to the service, the data is not moved aside."""
    server, data = tmp_path / "server", tmp_path / "data"
    server.write_text("#!/bin/sh\necho 'Received shutdown signal during loading, exiting now.'\n")
    server.chmod(0o755)
    monkeypatch.setattr(valkey, "find_server", lambda: str(server))
    (data / "appendonlydir").mkdir(parents=True)
    with pytest.raises(ValkeyMissing, match="shutdown signal"):
        Valkey(data).start()
    assert (data / "appendonlydir").is_dir()
    assert not list(data.glob("damaged-*"))
