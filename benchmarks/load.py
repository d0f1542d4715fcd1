"""Posts deliveries over raw sockets as fast as they are answered, in its own process.

    python -m benchmarks.load --port 7860 [--connections 64] [--seconds 4]

Prints one JSON object: requests per second, the 50th and 99th percentile of the response time, statuses. Each delivery
has its own id. It uses uvloop and httptools and minimal Python code per request, so that the figures are the server's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import statistics
import time
from collections import Counter
from itertools import count
from typing import Any

import httptools
import uvloop

SECRET = "s3cret"
PATH = "/webhooks/hub"
DELIVERY: dict[str, Any] = {
    "event": {"action": "update", "scope": "repo.content"},
    "repo": {
        "type": "dataset",
        "name": "board/requests",
        "id": "6390e855e30d9209411de93a",
        "private": False,
        "url": {
            "web": "https://huggingface.co/datasets/board/requests",
            "api": "https://huggingface.co/api/datasets/board/requests",
        },
        "owner": {"id": "6390e855e30d9209411de93b"},
        "headSha": "227c78346870a85e5de4fff8a585db68df975406",
        "tags": ["size_categories:10K<n<100K", "format:json", "modality:text", "library:datasets", "region:us"],
    },
    "webhook": {"id": "6390e855e30d9209411de93c", "version": 3},
    "updatedRefs": [
        {
            "ref": "refs/heads/main",
            "oldSha": "227c78346870a85e5de4fff8a585db68df975405",
            "newSha": "227c78346870a85e5de4fff8a585db68df975406",
        }
    ],
}
"""The Hub's delivery for a commit on main of a dataset."""


class Load:
    """The state that all senders share: the request, the end time, and the results."""

    def __init__(self, seconds: float) -> None:
        body = json.dumps(DELIVERY).encode()
        self.head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"X-Webhook-Secret: {SECRET}\r\nContent-Length: {len(body)}\r\nWebhook-Id: {secrets.token_hex(8)}-"
        ).encode()
        self.rest = b"\r\n\r\n" + body
        self.numbers = count()
        self.times: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.end = time.perf_counter() + seconds


class Sender(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, load: Load, done: asyncio.Future[None]) -> None:
        self.load = load
        self.done = done
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.post()

    def post(self) -> None:
        self.posted = time.perf_counter()
        self.transport.write(b"%b%d%b" % (self.load.head, next(self.load.numbers), self.load.rest))

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        self.load.times.append(now - self.posted)
        self.load.statuses[self.parser.get_status_code()] += 1
        if now < self.load.end:
            self.post()
        else:
            self.transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def send(port: int, connections: int, seconds: float) -> dict[str, Any]:
    """Post for `seconds` over `connections` connections to 127.0.0.1 and return the results."""
    loop = asyncio.get_running_loop()
    load = Load(seconds)
    began = time.perf_counter()
    ends = [loop.create_future() for _ in range(connections)]
    for end in ends:
        await loop.create_connection(lambda end=end: Sender(load, end), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*ends)
    took = time.perf_counter() - began
    percentiles = statistics.quantiles(load.times, n=100)
    return {
        "per_second": len(load.times) / took,
        "p50_ms": percentiles[49] * 1000,
        "p99_ms": percentiles[98] * 1000,
        "statuses": dict(load.statuses),
    }


def main() -> None:
    """Send and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    print(json.dumps(uvloop.run(send(options.port, options.connections, options.seconds))))


if __name__ == "__main__":
    main()
