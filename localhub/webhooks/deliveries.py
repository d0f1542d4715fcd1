"""Brings webhooks to their receivers: later, again if need be, and never two at a time to the same one.

A few threads share the work. Each webhook is a lane: what is due in it goes out in the order it came, one after the
other; a delivery that failed waits for its next try without holding up the ones behind it.

Named races, all accepted:
* the process dies after the receiver answered and before that is stored: the delivery is sent again, with its id;
* the webhook is disabled while a delivery is under way: that one still arrives.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localhub.clock import iso, now
from localhub.controls.faults import DeliveryFault
from localhub.ids import new_id
from localhub.webhooks.delivery_log import DeliveryLog, DeliveryState, OutgoingDelivery
from localhub.webhooks.sender import Sender

if TYPE_CHECKING:
    from localhub.state import HubState
    from localhub.webhooks.service import Webhook, WebhookService

_DAY = 24 * 3600.0
_THREADS = 6
_SHUFFLE_WAIT = 2.0  # seconds that shuffled deliveries wait for each other at most


@dataclass(frozen=True, kw_only=True)
class DeliveryPolicy:
    """What the Hub does not publish: likely values, all of them knobs. Seconds are real ones."""

    timeout: float = 10.0
    retries: int = 7
    first_wait: float = 1.0
    longest_wait: float = 300.0
    suspend_after: int = 10  # deliveries given up in a row
    quota: int = 1000  # triggers in 24 hours of the Hub's clock

    def wait(self, attempts: int) -> float:
        """The pause after that many attempts: doubled each time."""
        return min(self.longest_wait, self.first_wait * 2.0 ** min(attempts - 1, 30))


class Deliveries:
    """The queue, its threads, and the log."""

    def __init__(self, state: HubState, webhooks: WebhookService) -> None:
        self.state = state
        self.webhooks = webhooks
        self.log = DeliveryLog(state.store)
        self.policy = DeliveryPolicy()
        self._sender = Sender()
        self._changed = threading.Condition()
        self._lanes: dict[str, list[tuple[float, float, OutgoingDelivery]]] = {}
        self._busy: set[str] = set()
        self._threads: list[threading.Thread] = []
        self._order = itertools.count()
        self._closed = False

    def start(self) -> None:
        """Takes up what was not sent when the Hub last stopped."""
        for left_over in self.log.pending():
            self._push(left_over)

    def send(self, bodies: Sequence[tuple[Webhook, dict[str, Any]]]) -> None:
        """Stores one delivery per webhook and body, then queues them."""
        deliveries: list[tuple[OutgoingDelivery, DeliveryFault]] = []
        for webhook, body in bodies:
            deliveries += self._fated(webhook, json.dumps(body, ensure_ascii=False))
        self.log.add([delivery for delivery, _ in deliveries], self.state.clock.seconds())
        with self.state.store.write() as db:
            moment = iso(now(self.state))
            hooks = [(moment, webhook.id) for webhook, _ in bodies]
            db.executemany("UPDATE webhooks SET last_trigger_at = ? WHERE id = ?", hooks)
        for delivery, fate in deliveries:
            self.state.stats.delivery(delivery.webhook_id, "queued" if delivery.state == "pending" else delivery.state)
            if delivery.state == "pending":
                self._push(delivery, fate)

    def replay(self, webhook: Webhook, delivery: OutgoingDelivery) -> int:
        """Sends a delivery again, to today's URL with today's secret; the receiver's status, 0 where none came."""
        row = self._new(webhook, delivery.payload, delivery.delivery_id, "pending")
        self.log.add([row], self.state.clock.seconds())
        status, error = self._sender.post(webhook, row, self.policy.timeout)
        outcome: DeliveryState = "delivered" if 200 <= status < 300 else "failed"
        self.log.update(row, state=outcome, attempts=1, status=status or None, error=error)
        self.state.stats.delivery(webhook.id, "replayed")
        return status

    def forget(self, webhook_id: str, state: DeliveryState) -> None:
        """Gives up what is still on its way to a webhook."""
        with self._changed:
            self._lanes.pop(webhook_id, None)
            self._changed.notify_all()
        self.log.end_pending(webhook_id, state)

    def drain(self, seconds: float) -> bool:
        """Waits until nothing is on its way; False where that takes more than `seconds` (real ones)."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lanes and not self._busy, seconds)

    def close(self) -> None:
        """Stops sending; what has not arrived is taken up by the next `start`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=1.0)  # one that waits for a slow receiver ends with the process
        self._sender.close()

    def _fated(self, webhook: Webhook, text: str) -> list[tuple[OutgoingDelivery, DeliveryFault]]:
        delivery_id = str(uuid.uuid4())
        since = self.state.clock.seconds() - _DAY
        if self.log.triggers_since(webhook.id, since) >= self.policy.quota:
            return [(self._new(webhook, text, delivery_id, "over-quota"), DeliveryFault(copies=0))]
        fate = self.state.faults.webhooks.next_fate()
        if not fate.copies:
            return [(self._new(webhook, text, delivery_id, "dropped"), fate)]
        return [(self._new(webhook, text, delivery_id, "pending", fate.seconds), fate) for _ in range(fate.copies)]

    def _new(
        self, webhook: Webhook, text: str, delivery_id: str, state: DeliveryState, late: float = 0.0
    ) -> OutgoingDelivery:
        created, due = self.state.clock.seconds(), time.time() + late
        return OutgoingDelivery(new_id(), webhook.id, delivery_id, text, state, 0, None, None, created, due)

    def _push(self, delivery: OutgoingDelivery, fate: DeliveryFault | None = None) -> None:
        order = float(next(self._order))
        due = delivery.due
        if fate and fate.shuffled:
            order, due = -random.random(), due + _SHUFFLE_WAIT  # noqa: S311 (an order, not a secret)
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._lanes.setdefault(delivery.webhook_id, []), (due, order, delivery))
            if fate and fate.last_of_shuffle:
                self._release_shuffled()
            self._start_threads()
            self._changed.notify()

    def _release_shuffled(self) -> None:
        """All that waited for each other may go now, in their random order (their order is negative)."""
        for lane in self._lanes.values():
            lane[:] = [(0.0 if order < 0 else due, order, delivery) for due, order, delivery in lane]
            heapq.heapify(lane)

    def _start_threads(self) -> None:
        if self._threads:
            return
        self._threads = [
            threading.Thread(target=self._work, name=f"webhooks-{n}", daemon=True) for n in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while (delivery := self._take()) is not None:
            again = None
            try:
                again = self._attempt(delivery)
            finally:
                with self._changed:
                    self._busy.discard(delivery.webhook_id)
                    if again:
                        self._push(again)
                    self._changed.notify_all()

    def _take(self) -> OutgoingDelivery | None:
        """Waits for a delivery that is due in a lane where nothing is under way; None when all is over."""
        with self._changed:
            while not self._closed:
                free = [lane for hook, lane in self._lanes.items() if hook not in self._busy]
                first = min(free, key=lambda lane: lane[0][:2], default=None)
                if first and first[0][0] <= time.time():
                    return self._begin(first)
                self._changed.wait(max(0.0, first[0][0] - time.time()) if first else None)
        return None

    def _begin(self, lane: list[tuple[float, float, OutgoingDelivery]]) -> OutgoingDelivery:
        delivery = heapq.heappop(lane)[2]
        if not lane:
            del self._lanes[delivery.webhook_id]
        self._busy.add(delivery.webhook_id)
        return delivery

    def _attempt(self, delivery: OutgoingDelivery) -> OutgoingDelivery | None:
        """Sends it once; the delivery to try again, if so."""
        webhook = self.webhooks.find(delivery.webhook_id)
        if webhook is None:
            return None
        if webhook.disabled:
            self.log.update(delivery, state="suspended" if "suspended" in webhook.disabled else "disabled")
            return None
        status, error = self._sender.post(webhook, delivery, self.policy.timeout)
        if self._closed:
            return None
        self.state.stats.delivery(webhook.id, "attempted")
        tried = {"attempts": delivery.attempts + 1, "status": status or None, "error": error}
        if 200 <= status < 300:
            self._end(webhook, delivery, "delivered", tried)
            return None
        if delivery.attempts >= self.policy.retries:
            self._end(webhook, delivery, "failed", tried)
            return None
        due = time.time() + self.policy.wait(delivery.attempts + 1)
        return self.log.update(delivery, **tried, due=due)

    def _end(self, webhook: Webhook, delivery: OutgoingDelivery, state: DeliveryState, tried: dict[str, Any]) -> None:
        self.log.update(delivery, **tried, state=state)
        self.state.stats.delivery(webhook.id, state)
        self.webhooks.note_outcome(webhook, delivered=state == "delivered")
