"""An HTTP server on this machine that receives the deliveries of the run's webhooks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_MOST_DELIVERIES, _MOST_BYTES = 1000, 1 << 20
_LOOK_SECONDS, _SHORT_SECONDS = 0.02, 1.0


@dataclass(frozen=True)
class ReceivedDelivery:
    """One POST; header names are lower-case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        """The body as a JSON object; empty if it is not one."""
        try:
            payload = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return payload if isinstance(payload, dict) else {}

    @property
    def event(self) -> str:
        """`scope/action` of the payload."""
        event = self.payload.get("event")
        return f"{event.get('scope')}/{event.get('action')}" if isinstance(event, dict) else "no event"


class WebhookListener:
    """Listens at `host` and `port`; the Hub reaches it at `public_url`, by default directly.

    It answers 200, except for the next delivery to an address that ends with `refuse_once`, which gets 500.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, public_url: str = "") -> None:
        self.refuse_once = ""
        self._received: list[ReceivedDelivery] = []
        self._is_silent = False
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((host, port), self._handler())
        self.public_url = public_url.rstrip("/") or f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def at(self, path: str) -> list[ReceivedDelivery]:
        """The deliveries to an address that ends with `path` so far, in the order of their arrival."""
        with self._lock:
            return [delivery for delivery in self._received if delivery.path.endswith(path)]

    def wait(
        self, path: str, ready: Callable[[list[ReceivedDelivery]], bool], seconds: float
    ) -> list[ReceivedDelivery]:
        """The deliveries to `path` once they are `ready`, or after `seconds`.

        After a wait in which nothing at all has arrived, further waits are short: the Hub does not reach this machine.
        """
        deadline = time.monotonic() + (min(seconds, _SHORT_SECONDS) if self._is_silent else seconds)
        while not ready(deliveries := self.at(path)) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        self._is_silent = not self._received
        return deliveries

    def _take(self, delivery: ReceivedDelivery) -> int:
        with self._lock:
            if len(self._received) < _MOST_DELIVERIES:
                self._received.append(delivery)
            if not self.refuse_once or not delivery.path.endswith(self.refuse_once):
                return 200
            self.refuse_once = ""
            return 500

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            timeout = 10.0

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "0")
                body = self.rfile.read(min(int(length) if length.isdigit() else 0, _MOST_BYTES))
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.send_response(take(ReceivedDelivery(self.path, headers, body)))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        return Handler
