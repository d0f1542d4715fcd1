"""Starts a board with very many requests on a local Hub, and the bot's processes, for benchmarks.

The requests repo is written as git objects, in one commit of one pack, before the Hub starts, so that only the bot is
measured. All processes are real and run on the same machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import yaml

from bot.core.context import BoardContext
from hub.client import Hub
from leaderboard.boards import parse_board
from leaderboard.suites import find_suite
from localhub.git.repository import Author, SetFile
from localhub.testing import HubWorld
from localhub.world import open_hub
from redis_state import clock
from redis_state.redis import connect
from steward.children import Child, Children
from steward.valkey import Valkey

T = TypeVar("T")

BOARD = """
name: bench
title: Benchmark
suite: starter
effects: on
# Its models are a config and a word.
admission:
  off: [python-files, causal, headers, layers, size, honest-precision, half-precision, tokenizer-loads, chat-template,
        vocabulary, special-tokens, base-declared, licence, model-card, category, merge, duplicate, copy,
        quota-submitter, quota-organisation]
repos: {requests: board/requests, results: board/results, logs: board/logs, community: board/space,
        details_namespace: board-details}
"""
BOT, FORM, SECRET = "hf_bench_bot", "hf_bench_form", "benchmark"
REQUESTS = "board/requests"
PATIENCE = 600.0


def request_path(model: str) -> str:
    """Return the path of the request for `model`."""
    return f"{model}_eval_request_False_bfloat16_Original.json"


def request_file(model: str, status: str, **more: Any) -> bytes:
    """Return a request file with the fields that the form writes."""
    fields = {
        "model": model,
        "base_model": "",
        "revision": "main",
        "private": False,
        "precision": "bfloat16",
        "params": 7.242,
        "architectures": "MistralForCausalLM",
        "weight_type": "Original",
        "status": status,
        "submitted_time": "2024-06-12T09:30:00Z",
        "model_type": "fine-tuned",
        "job_id": -1,
        "job_start_time": None,
        "use_chat_template": True,
        "sender": model.partition("/")[0],
    }
    return json.dumps({**fields, **more}, indent=4).encode()


def model_files(model: str) -> dict[str, str]:
    """Return the files of an acceptable model; no two have the same config."""
    config = {"_name_or_path": model, "model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    return {"config.json": json.dumps(config), "model.safetensors": "weights"}


def world(models: list[str], *, webhook: str = "http://127.0.0.1:9/webhooks/hub") -> HubWorld:
    """Return a world with the accounts, the board's repos, a webhook, and acceptable models."""
    made = HubWorld().users({"bot": BOT, "form": FORM})
    for owner in sorted({model.partition("/")[0] for model in models}):
        made.user(owner)
    for model in models:
        made.repo("model", model, model_files(model))
    return (
        made.org("board", {"bot": "write", "form": "write"})
        .org("board-details")
        .datasets("board/requests", "board/results", "board/logs")
        .repo("space", "board/space", sdk="static")
        .webhook("bot", webhook, ("dataset", REQUESTS), secret=SECRET)
    )


def write_hub(folder: Path, files: Iterator[tuple[str, bytes]], models: list[str], **options: Any) -> None:
    """Write a Hub with `files` in its requests repo to `folder`."""
    state = open_hub(folder, world(models, **options))
    try:
        repo = state.repos.get("dataset", REQUESTS)
        assert repo is not None
        changes = [SetFile(path, content) for path, content in files]
        if changes:
            repo.git.commit("refs/heads/main", changes, None, Author("form", "form@example.com"), "Requests")
    finally:
        state.close()


@dataclass
class BenchmarkBoard:
    """A running Hub and queue server, and a board context to read the bot's results."""

    folder: Path
    children: Children
    valkey: Valkey
    url: str
    context: BoardContext

    def start_sync(self) -> Child:
        """Start a sync process without a mirror."""
        return self._start("sync", STEWARD_BOT_TOKEN_FILE=self._secret("bot-token", BOT))

    def start_web(self, port: int) -> Child:
        """Start the web server, and return once it listens."""
        child = self._start("serve", STEWARD_PORT=str(port), STEWARD_WEBHOOK_SECRET_FILE=self._secret("hook", SECRET))
        self.wait(lambda: _answers(f"http://127.0.0.1:{port}/healthz"))
        return child

    def _start(self, command: str, **settings: str) -> Child:
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | settings
        environment |= {"HF_ENDPOINT": self.url, "REDIS_URL": self.valkey.url, "HF_HUB_DISABLE_TELEMETRY": "1"}
        environment |= {"STEWARD_BOARD": str(self.folder / "board.yaml"), "STEWARD_LOG_LEVEL": "warning"}
        environment |= {"STEWARD_MIRRORS": str(self.folder / "mirrors")}
        return self.children.start(command, [sys.executable, "-m", "steward.cli", command], environment=environment)

    def _secret(self, name: str, value: str) -> str:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(value)
        return str(path)

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """Call localhub's admin API."""
        answer = httpx2.request(method, f"{self.url}/_admin/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def quiet(self) -> bool:
        """Whether no key is dirty or being synced."""
        redis, keys = self.context.redis, self.context.keys
        return not redis.zcard(keys.dirty) and not redis.hlen(keys.dirty_leases)

    def wait(self, condition: Callable[[], T], *, every: float = 0.01) -> T:
        """Return the value of `condition()` once it is true, while all processes run. Raises TimeoutError."""
        deadline = time.monotonic() + PATIENCE
        while not (value := condition()):
            self.children.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"still {value!r} after {PATIENCE} s: {self.children.started[-1].last_words()}")
            time.sleep(every)
        return value


@contextmanager
def stage(folder: Path) -> Iterator[BenchmarkBoard]:
    """Start Hub and queue server on the files that `write_hub` wrote to `folder`/hub."""
    (folder / "board.yaml").write_text(BOARD)
    with Children(folder / "logs") as children, Valkey(folder / "valkey") as valkey:
        command = [sys.executable, "-m", "localhub", "--port", "0", "--data", str(folder / "hub")]
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        child = children.start("localhub", command, environment=environment, stdout=subprocess.PIPE)
        assert child.process.stdout is not None
        url = json.loads(child.process.stdout.readline())["url"]
        board = parse_board(yaml.safe_dump(yaml.safe_load(BOARD)))
        redis = connect(valkey.url)
        with Hub(url, BOT) as hub:
            yield BenchmarkBoard(
                folder, children, valkey, url, BoardContext(board, find_suite(board.suite), hub, redis, clock.now)
            )
        redis.close()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2).is_success
    except httpx2.HTTPError:
        return False


def cpu_seconds(pid: int) -> float:
    """Return the seconds of a processor that a process has used, with those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """Return the peak resident memory of a process in MB, as the kernel counts it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024
