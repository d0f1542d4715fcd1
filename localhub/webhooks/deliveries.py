"""The queue of deliveries and the threads that send them, with retries, and one at a time to each webhook.

Each webhook has a queue of its own: the deliveries that are due are sent one after the other, in the order of their
events; a delivery that failed waits for its retry without delaying the ones behind it.

Races, all accepted:
* the process dies after the receiver answered and before the answer is stored: the delivery is sent again, with its id;
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localhub.clock import Clock
from localhub.controls.faults import DeliveryFault, WebhookFaults
from localhub.controls.stats import Stats
from localhub.database import Database
from localhub.ids import new_id
from localhub.webhooks.delivery_log import DeliveryLog, DeliveryState, OutgoingDelivery
from localhub.webhooks.store import Webhook, WebhookStore

if TYPE_CHECKING:
    import httpx2

_DAY_SECONDS = 24 * 3600.0
_THREADS = 6
_MAX_SHUFFLE_SECONDS = 2.0
"""Seconds that shuffled deliveries wait for each other at most."""
_MAX_ANSWER_BYTES = 65_536
"""Bytes that are read of a receiver's answer."""


@dataclass(frozen=True, kw_only=True)
class DeliveryPolicy:
    """Limits of deliveries. The Hub does not publish its own: these are likely values. Seconds are real ones."""

    timeout: float = 10.0
    retries: int = 7
    first_wait: float = 1.0
    longest_wait: float = 300.0
    suspend_after: int = 10  # deliveries given up in a row
    quota: int = 1000  # triggers in 24 hours of the Hub's clock

    def wait(self, attempts: int) -> float:
        """The seconds to wait after that many attempts: doubled each time."""
        return min(self.longest_wait, self.first_wait * 2.0 ** min(attempts - 1, 30))


StartJob = Callable[[Webhook, OutgoingDelivery], tuple[int, str | None]]
"""Starts the Job of a webhook for a delivery; returns what `Sender.post` returns."""


class Sender:
    """Posts deliveries. It reuses no connection: one from before a receiver's restart would fail."""

    def __init__(self) -> None:
        self._client: httpx2.Client | None = None

    def post(self, webhook: Webhook, delivery: OutgoingDelivery, timeout: float) -> tuple[int, str | None]:
        """Post one delivery; return the receiver's status and the error, if any: (0, reason) without an answer."""
        import httpx2  # imported here because a Hub without webhooks need not load it

        if self._client is None:
            limits = httpx2.Limits(max_keepalive_connections=0)
            self._client = httpx2.Client(limits=limits, trust_env=False, follow_redirects=False)
        headers = {"Content-Type": "application/json", "Webhook-Id": delivery.delivery_id, "User-Agent": "localhub"}
        if webhook.secret is not None:
            headers["X-Webhook-Secret"] = webhook.secret
        try:
            with self._client.stream(
                "POST", webhook.url, content=delivery.payload.encode(), headers=headers, timeout=timeout
            ) as answer:
                _read_some(answer)
                status: int = answer.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            return 0, f"{type(error).__name__}: {error}"[:500]
        return status, None if 200 <= status < 300 else f"answered {status}"

    def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            self._client.close()


def _read_some(answer: httpx2.Response) -> None:
    """Read the answer's body up to the limit, so that the receiver is not cut off while it writes."""
    size = 0
    for part in answer.iter_raw():
        size += len(part)
        if size > _MAX_ANSWER_BYTES:
            return


class Deliveries:
    """The queues of all webhooks, the threads that send, and the log."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        stats: Stats,
        faults: WebhookFaults,
        webhooks: WebhookStore,
        start_job: StartJob,
    ) -> None:
        self.log = DeliveryLog(database)
        self.policy = DeliveryPolicy()
        self._clock = clock
        self._stats = stats
        self._faults = faults
        self._webhooks = webhooks
        self._sender = Sender()
        self._start_job = start_job
        self._changed = threading.Condition()
        self._queues: dict[str, list[tuple[float, float, OutgoingDelivery]]] = {}
        """Webhook id → heap of (due, order, delivery)."""
        self._busy: set[str] = set()
        self._threads: list[threading.Thread] = []
        self._order = itertools.count()
        self._closed = False

    def start(self) -> None:
        """Queue the deliveries that were still pending when the Hub last stopped."""
        for delivery in self.log.pending():
            self._push(delivery)

    def send(self, bodies: Sequence[tuple[Webhook, dict[str, Any]]]) -> None:
        """Store one delivery per webhook and body, then queue them."""
        deliveries: list[tuple[OutgoingDelivery, DeliveryFault]] = []
        for webhook, body in bodies:
            deliveries += self._with_faults(webhook, json.dumps(body, ensure_ascii=False))
        self.log.add([delivery for delivery, _ in deliveries], self._clock.seconds())
        self._webhooks.note_trigger(webhook for webhook, _ in bodies)
        for delivery, fault in deliveries:
            self._stats.delivery(delivery.webhook_id, "queued" if delivery.state == "pending" else delivery.state)
            if delivery.state == "pending":
                self._push(delivery, fault)

    def replay(self, webhook: Webhook, delivery: OutgoingDelivery) -> int:
        """Send a delivery again, to the webhook's present URL with its present secret.

        Returns the receiver's status, 0 without an answer.
        """
        row = self._new(webhook, delivery.payload, delivery.delivery_id, "pending")
        self.log.add([row], self._clock.seconds())
        status, error = self._deliver(webhook, row)
        outcome: DeliveryState = "delivered" if 200 <= status < 300 else "failed"
        self.log.update(row, state=outcome, attempts=1, status=status or None, error=error)
        self._stats.delivery(webhook.id, "replayed")
        return status

    def forget(self, webhook_id: str, state: DeliveryState) -> None:
        """Give up the pending deliveries of a webhook."""
        with self._changed:
            self._queues.pop(webhook_id, None)
            self._changed.notify_all()
        self.log.end_pending(webhook_id, state)

    def drain(self, seconds: float) -> bool:
        """Wait until no delivery is pending; False if that takes more than `seconds` (real ones)."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queues and not self._busy, seconds)

    def close(self) -> None:
        """Stop sending; the next `start` queues the deliveries that are still pending."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=1.0)  # a thread that waits for a slow receiver ends with the process
        self._sender.close()

    def _with_faults(self, webhook: Webhook, text: str) -> list[tuple[OutgoingDelivery, DeliveryFault]]:
        """The log entries of one payload: one to send, two by a fault, or one that is dropped or over the quota."""
        delivery_id = str(uuid.uuid4())
        since = self._clock.seconds() - _DAY_SECONDS
        if self.log.triggers_since(webhook.id, since) >= self.policy.quota:
            return [(self._new(webhook, text, delivery_id, "over-quota"), DeliveryFault(copies=0))]
        fault = self._faults.next_fault()
        if not fault.copies:
            return [(self._new(webhook, text, delivery_id, "dropped"), fault)]
        return [(self._new(webhook, text, delivery_id, "pending", fault.seconds), fault) for _ in range(fault.copies)]

    def _new(
        self, webhook: Webhook, text: str, delivery_id: str, state: DeliveryState, delay: float = 0.0
    ) -> OutgoingDelivery:
        created, due = self._clock.seconds(), time.time() + delay
        return OutgoingDelivery(new_id(), webhook.id, delivery_id, text, state, 0, None, None, created, due)

    def _push(self, delivery: OutgoingDelivery, fault: DeliveryFault | None = None) -> None:
        order = float(next(self._order))
        due = delivery.due
        if fault and fault.shuffled:
            order, due = -random.random(), due + _MAX_SHUFFLE_SECONDS  # noqa: S311 (an order, not a secret)
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._queues.setdefault(delivery.webhook_id, []), (due, order, delivery))
            if fault and fault.last_of_shuffle:
                self._release_shuffled()
            self._start_threads()
            self._changed.notify_all()  # one alone could wake a `drain`, which sends nothing

    def _release_shuffled(self) -> None:
        """Make the shuffled deliveries due now, in their random order (their order is negative)."""
        for queue in self._queues.values():
            queue[:] = [(0.0 if order < 0 else due, order, delivery) for due, order, delivery in queue]
            heapq.heapify(queue)

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
            retry = None
            try:
                retry = self._attempt(delivery)
            finally:
                with self._changed:
                    self._busy.discard(delivery.webhook_id)
                    if retry:
                        self._push(retry)
                    self._changed.notify_all()

    def _take(self) -> OutgoingDelivery | None:
        """Wait for a delivery that is due to a webhook without another under way; None once this is closed."""
        with self._changed:
            while not self._closed:
                free = [queue for webhook_id, queue in self._queues.items() if webhook_id not in self._busy]
                first = min(free, key=lambda queue: queue[0][:2], default=None)
                if first and first[0][0] <= time.time():
                    return self._begin(first)
                self._changed.wait(max(0.0, first[0][0] - time.time()) if first else None)
        return None

    def _begin(self, queue: list[tuple[float, float, OutgoingDelivery]]) -> OutgoingDelivery:
        delivery = heapq.heappop(queue)[2]
        if not queue:
            del self._queues[delivery.webhook_id]
        self._busy.add(delivery.webhook_id)
        return delivery

    def _attempt(self, delivery: OutgoingDelivery) -> OutgoingDelivery | None:
        """Send the delivery once; return it with its new due time if it is to be retried."""
        webhook = self._webhooks.find(delivery.webhook_id)
        if webhook is None:
            return None
        if webhook.disabled:
            self.log.update(delivery, state="suspended" if "suspended" in webhook.disabled else "disabled")
            return None
        status, error = self._deliver(webhook, delivery)
        if self._closed:
            return None
        self._stats.delivery(webhook.id, "attempted")
        outcome = {"attempts": delivery.attempts + 1, "status": status or None, "error": error}
        if 200 <= status < 300:
            self._end(webhook, delivery, "delivered", outcome)
            return None
        if delivery.attempts >= self.policy.retries:
            self._end(webhook, delivery, "failed", outcome)
            return None
        due = time.time() + self.policy.wait(delivery.attempts + 1)
        return self.log.update(delivery, **outcome, due=due)

    def _deliver(self, webhook: Webhook, delivery: OutgoingDelivery) -> tuple[int, str | None]:
        """Call the webhook's URL, or start its Job; return the status, 0 without an answer, and the error, if any."""
        if webhook.starts_job:
            return self._start_job(webhook, delivery)
        return self._sender.post(webhook, delivery, self.policy.timeout)

    def _end(self, webhook: Webhook, delivery: OutgoingDelivery, state: DeliveryState, outcome: dict[str, Any]) -> None:
        self.log.update(delivery, **outcome, state=state)
        self._stats.delivery(webhook.id, state)
        delivered, suspend_after = state == "delivered", self.policy.suspend_after
        if self._webhooks.note_outcome(webhook, delivered=delivered, suspend_after=suspend_after):
            self.forget(webhook.id, "suspended")
