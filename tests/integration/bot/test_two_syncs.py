"""Two sync loops on one board, one of which is cut off from Redis for longer than its lease: nothing happens twice.

`make chaos` does this with two of every process, each of which is cut off in its turn (test_replicas).
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import redis

from bot.probe import Probe
from steward.testing.board import BoardDriver
from steward.testing.hub import board_world, hub_with
from steward.testing.waiting import wait_until
from steward.valkey import Valkey
from tests.support.chaos.tcp_proxy import CutTrigger, TcpProxy


def seen(stand: BoardDriver, path: str) -> tuple[dict[str, Any], list[list[str]], int]:
    """The file of a request, the comments of each thread, and the number of commits."""
    return stand.file(path), [[event.id for event in thread.events] for thread in stand.threads()], stand.commits()


def sync_until_cut(stand: BoardDriver, trigger: CutTrigger) -> None:
    """Work until the connection is cut: on a busy machine a sync may fail, and is due again later."""
    while trigger.cut_proxy is None:
        stand.time += 60
        stand.work()


def test_one_of_two_loops_is_cut_off_for_longer_than_its_lease(
    tmp_path: Path, valkey: Valkey, connection: redis.Redis, probe: Probe
) -> None:
    """The second loop takes the request over; once the first is connected again, it changes nothing more."""
    trigger = CutTrigger(re.compile(rb'"state":"waiting"'), "asked", keeps=True)
    cable = TcpProxy(valkey.port, "first", [trigger])
    with hub_with(board_world(), tmp_path / "hub") as hub, redis.Redis(port=cable.port) as far:
        first, second = BoardDriver(hub, far, probe), BoardDriver(hub, connection, probe)
        path = second.submit("ada/good")
        second.context.mark("requests")
        trigger.set.set()
        runs = threading.Thread(target=sync_until_cut, args=(first, trigger))
        runs.start()
        try:
            wait_until(lambda: trigger.cut_proxy is not None)
            connection.delete(second.context.keys.dirty_leases)  # as they would expire
            second.time = first.time + 300
            second.worker()
            second.tick()
            second.settle()
            ended = seen(second, path)
            (job,) = second.queued()
            assert len(ended[1]) == 1
            cable.heal()
            runs.join(30)
            assert not runs.is_alive()
            second.settle()
            assert seen(second, path) == ended
            assert second.queued() == [job]
        finally:
            cable.refuse()
            runs.join(30)
            cable.close()
            first.context.hub.close()
            second.context.hub.close()
