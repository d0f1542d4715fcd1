"""Shared helpers of the localhub tests: accounts, a webhook listener, waiting, and small builders."""

import itertools
import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from huggingface_hub import CommitOperationAdd, HfApi

from localhub.testing import HubWorld
from steward.testing.waiting import wait_until

TOKENS = {
    "ada": "hf_ada",
    "bob": "hf_bob",
    "cleo": "hf_cleo",
    "dan": "hf_dan_write",
    "rita": "hf_rita_write",
    "walter": "hf_walter_write",
}
HOOKS = "/api/settings/webhooks"
_numbers = itertools.count(1)


def accounts_world() -> HubWorld:
    """Return the users and organisations of the tests: one account per role that the Hub knows."""
    details = {"entity": {"type": "org", "name": "details"}, "permissions": ["repo.content.read", "repo.write"]}
    world = (
        HubWorld()
        .user("ada", fullname="Ada L")
        .user("bob", fullname="Bob B")
        .user("cleo", fullname="Cleo")
        .user("dan", TOKENS["dan"])
        .user("rita", TOKENS["rita"])
        .user("walter", TOKENS["walter"])
        .org("board", {"ada": "admin", "bob": "contributor", "walter": "write", "rita": "read"}, fullname="The Board")
        .org("details", {"ada": "admin", "walter": "write"}, fullname="Details")
    )
    ada, *_, walter = world["users"]
    ada["tokens"].append({"token": "hf_ada_read", "role": "read"})
    walter["tokens"] += [
        {"token": "hf_walter_details", "role": "fineGrained", "scoped": [details]},
        {"token": "hf_walter_talk", "role": "fineGrained", "global": ["discussion.write"]},
    ]
    return world


def fresh(prefix: str = "repo") -> str:
    """Return a name that no other test of this run uses."""
    return f"{prefix}-{next(_numbers)}"


def make_repo(api: HfApi, repo_type: str = "dataset", owner: str = "ada", **options: Any) -> str:
    """Create a repo with a fresh name and return its id."""
    repo_id = f"{owner}/{fresh()}"
    api.create_repo(repo_id, repo_type=repo_type, **options)
    return repo_id


def put(api: HfApi, repo_id: str, files: dict[str, str | bytes], repo_type: str = "dataset", **options: Any) -> Any:
    """Commit `files` (path → content); return the client's CommitInfo."""
    operations = [
        CommitOperationAdd(path, content.encode() if isinstance(content, str) else content)
        for path, content in files.items()
    ]
    message = options.pop("commit_message", "Write files")
    return api.create_commit(repo_id, operations, commit_message=message, repo_type=repo_type, **options)


def head(api: HfApi, repo_id: str, repo_type: str = "dataset", branch: str = "main") -> str:
    """Return the commit that a branch points at, from the refs endpoint."""
    refs = api.list_repo_refs(repo_id, repo_type=repo_type)
    return next(ref.target_commit for ref in refs.branches if ref.name == branch)


def safetensors_bytes(shapes: dict[str, tuple[str, list[int]]]) -> bytes:
    """Return a safetensors file of zeros with the given tensors (name → dtype, shape)."""
    widths = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1}
    header: dict[str, Any] = {}
    offset = 0
    for name, (dtype, shape) in shapes.items():
        size = widths[dtype]
        for side in shape:
            size *= side
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(offset)


def set_policy(http: httpx.Client, **changes: Any) -> None:
    """Change some numbers of the delivery policy."""
    assert http.put("/_admin/webhooks/policy", json=changes).status_code == 200


def drain(http: httpx.Client) -> None:
    """Wait until no delivery is pending."""
    assert http.post("/_admin/webhooks/drain", params={"seconds": 10}).json()["idle"] is True


@dataclass(frozen=True)
class Received:
    """One POST that the listener received."""

    path: str
    headers: dict[str, str]  # names in lower case
    raw: bytes
    at: float

    @property
    def payload(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Listener:
    """An HTTP server for webhooks: stores the deliveries, and answers with the status that the test sets.

    `answers` is a list of statuses that are used up first; afterwards every answer is 200.
    """

    received: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    always: int = 200

    def __enter__(self) -> "Listener":
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = outer._take(Received(self.path, headers, raw, time.monotonic()))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Log nothing."""

        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, item: Received) -> int:
        with self._lock:
            self.received.append(item)
            return self.answers.pop(0) if self.answers else self.always

    def at(self, path: str) -> list[Received]:
        """Return the deliveries to one path so far, in order of arrival."""
        with self._lock:
            return [item for item in self.received if item.path == path]

    def wait(self, path: str, count: int, seconds: float = 10.0) -> list[Received]:
        """Wait until `path` has `count` deliveries, and return them."""
        return wait_until(
            lambda: items if len(items := self.at(path)) >= count else None,
            describe=lambda: f"{count} deliveries at {path}; got {[i.payload.get('event') for i in self.at(path)]}",
            seconds=seconds,
        )


@contextmanager
def watching(
    api: HfApi, listener: Listener, watched: list[dict[str, str]], domains: list[str] | None = None
) -> Iterator[str]:
    """Register a webhook on a fresh path of the listener; yields the path; deletes the webhook afterwards."""
    path = f"/{fresh('hook')}"
    webhook = api.create_webhook(
        url=listener.url + path, watched=watched, domains=domains or ["repo", "discussion"], secret="s3cret"
    )
    try:
        yield path
    finally:
        api.delete_webhook(webhook.id)
