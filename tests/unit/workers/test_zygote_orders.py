"""The orders that a worker sends its zygote."""

from __future__ import annotations

import os
import threading
from typing import Any

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
    """A cross-check of long answers reaches the child whole: an order that ends the zygote would let them pass."""
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
