"""The HTTP client that posts deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localhub.webhooks.delivery_log import OutgoingDelivery
from localhub.webhooks.store import Webhook

if TYPE_CHECKING:
    import httpx2

_MAX_ANSWER_BYTES = 65_536
"""Bytes that are read of a receiver's answer."""


class Sender:
    """Posts deliveries. It reuses no connection: one from before a receiver's restart would fail."""

    def __init__(self) -> None:
        self._client: httpx2.Client | None = None

    def post(self, webhook: Webhook, delivery: OutgoingDelivery, timeout: float) -> tuple[int, str | None]:
        """Post one delivery; return the receiver's status and the error, if any: (0, reason) without an answer."""
        import httpx2  # here and not above: a Hub without webhooks starts without loading it

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
