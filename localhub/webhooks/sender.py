"""One POST of one delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

    from localhub.webhooks.delivery_log import OutgoingDelivery
    from localhub.webhooks.service import Webhook

_READ_AT_MOST = 65_536  # bytes of an answer; nobody reads more of it


class Sender:
    """An HTTP client that keeps no connection: a receiver that was restarted must not meet one of before."""

    def __init__(self) -> None:
        self._client: httpx2.Client | None = None

    def post(self, webhook: Webhook, delivery: OutgoingDelivery, timeout: float) -> tuple[int, str | None]:
        """The receiver's status and what went wrong, if anything: (0, reason) where no answer came."""
        import httpx2  # here and not above: a start without webhooks does without it

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
        """Hangs up."""
        if self._client is not None:
            self._client.close()


def _read_some(answer: httpx2.Response) -> None:
    """Takes the answer's body, so that the receiver is not cut off while it writes."""
    size = 0
    for part in answer.iter_raw():
        size += len(part)
        if size > _READ_AT_MOST:
            return
