"""The orders that a worker sends to its zygote, the process that forks the children."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from workers.sandbox import zygote as module
from workers.sandbox.sandbox_spec import IsolationMode
from workers.sandbox.zygote import Zygote
from workers.sandbox.zygote_client import ZygoteClient


class RecordingZygote(Zygote):
    """A zygote that records its orders in the place of executing them."""

    def __init__(self, orders: int) -> None:
        super().__init__(IsolationMode(namespaces="none"), lambda *_: 0.0, orders, -1)
        self.received: list[dict[str, Any]] = []

    def execute(self, order: dict[str, Any]) -> None:
        """Record the order."""
        self.received.append(order)


def test_an_order_may_hold_long_answers() -> None:
    """The zygote receives an order with megabytes of answers, as of a cross-check, and the orders after it."""
    receiving, sending = os.pipe()
    zygote = RecordingZygote(receiving)
    serving = threading.Thread(target=zygote.serve)
    serving.start()
    client = ZygoteClient.__new__(ZygoteClient)
    client._orders = sending
    orders: list[dict[str, Any]] = [{"fork": {"answers": ["語" * 200_000] * 8}}, {"kill": 1}, {"kill": 2}]
    for order in orders:
        client._send(order)
    os.close(sending)
    serving.join()
    os.close(receiving)
    assert zygote.received == orders


def test_a_group_is_killed_while_its_number_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zygote kills a child's process group before it reaps the child, after which its number may be reused."""
    killed: list[int] = []

    def kill_group(pid: int) -> None:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # raises an error if it was reaped
        killed.append(pid)

    monkeypatch.setattr(module, "_kill_group", kill_group)
    monkeypatch.setattr(module, "kill_orphans", lambda: None)
    reading, answers = os.pipe()
    zygote = Zygote(IsolationMode(namespaces="none"), lambda *_: None, -1, answers)
    zygote.pid = os.fork()
    if zygote.pid == 0:
        os._exit(3)
    zygote.number, zygote.child_pidfd = 1, os.pidfd_open(zygote.pid)
    zygote.reap()
    assert killed == [zygote.pid]
    assert b'"exit": 3' in os.read(reading, 1_000)
    os.close(reading)
    os.close(answers)
