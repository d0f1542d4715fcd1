"""A whole board whose attempts run wherever its backends say: a Hub, a bot with its web server, and requests of all
kinds. It tells how each request ended, so that two backends can be compared."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi

from bot.core.attempt_tokens import AttemptTokens
from bot.core.context import BoardContext
from bot.core.platforms import Platform, Platforms
from bot.core.settings import BotSettings
from bot.probe import Probe
from bot.processes.schedule import Schedule
from bot.processes.sync_loop import SyncLoop
from hub.client import Hub
from leaderboard.boards import parse_board
from leaderboard.tiers import Tier
from redis_state import clock
from tests.support.board.running_board import client_of
from tests.support.models.broken_models import BROKEN
from tests.support.waiting import wait_until
from tests.support.workers.real_worker import RealWorker
from workers.models.tiny_model import model

SECRET = "the webhooks' secret"
BOT = "hf_ada"
REQUESTS = "trial/requests"
POLICY = """
effects: on
threads: never
attempts: 1
admission: {off: [model-card, licence, category, base-declared, tokenizer-loads, chat-template, causal, size, duplicate,
  copy, layers, headers, vocabulary, special-tokens, quota-submitter, quota-organisation]}
"""
DYING = ("nan-weights", "template-raises", "missing-layers", "generation-object")
"""Models whose evaluation fails; each for a cause of its own."""
ENDED = ("FINISHED", "FAILED")


@dataclass(frozen=True)
class RequestEnd:
    """How a request ended: its status, its cause, and its scores."""

    status: str
    cause: str
    scores: str


@dataclass
class BackendBoard:
    """A running board. `connected` is the address of its web server."""

    stand: RealWorker
    context: BoardContext
    connected: str

    def submit(self, count: int) -> list[str]:
        """Submit `count` requests: good models at two precisions, a private one, bad and dying ones; their paths."""
        api = HfApi(self.stand.hub.url, BOT)
        broken = {each.name: each for each in BROKEN}
        names: list[tuple[str, str]] = []
        for name in (*DYING, "pickles-only"):
            self.stand.upload(f"ada/{name}", broken[name].files())
            names.append((f"ada/{name}", "float32"))
        for number in range(max(2, count - len(names))):
            repo = f"trial/good-{number // 2}"
            if number % 2 == 0:
                api.create_repo(repo, private=number == 0, exist_ok=True)
                self.stand.upload(repo, {**model(), "notes.txt": str(number).encode()})
            names.append((repo, ("float32", "bfloat16")[number % 2]))
        requests = [self._request(name, precision) for name, precision in names[:count]]
        api.create_commit(REQUESTS, requests, commit_message="Submit", repo_type="dataset")
        self.context.mark("requests")
        return [request.path_in_repo for request in requests]

    def _request(self, name: str, precision: str) -> CommitOperationAdd:
        fields = {"model": name, "status": "PENDING", "revision": "main", "precision": precision}
        return CommitOperationAdd(f"{name}_eval_request_False_{precision}_Original.json", json.dumps(fields).encode())

    def file(self, path: str) -> dict[str, Any]:
        """A request file as it is on the Hub."""
        content: dict[str, Any] = json.loads(self.context.hub.read_file(self.context.requests, path).data)
        return content

    def ends(self, paths: list[str], seconds: float) -> dict[str, RequestEnd]:
        """How the requests end, once all have."""
        files = {}

        def all_ended() -> bool:
            self.context.mark("requests")
            for path in paths:
                if path not in files and (file := self.file(path))["status"] in ENDED:
                    files[path] = file
            return len(files) == len(paths)

        wait_until(all_ended, seconds=seconds, interval=0.5, describe=lambda: {path: self.file(path) for path in paths})
        return {path: self._end(path, files[path]) for path in paths}

    def _end(self, path: str, file: Mapping[str, Any]) -> RequestEnd:
        block = file.get("steward", {})
        cause = (block.get("failure") or {}).get("cause", "")
        scores = self.context.scores.find([path]).get(path)
        return RequestEnd(file["status"], cause, repr(scores.raw) if scores is not None else "")


@contextmanager
def backend_board(
    stand: RealWorker, folder: Path, probe: Probe, backends: Mapping[Tier, Any], platforms: Mapping[Tier, Platform]
) -> Iterator[BackendBoard]:
    """Run the bot of the board of `stand`, with these backends."""
    admin = HfApi(stand.hub.url, BOT)
    for name in ("requests", "results", "logs"):
        admin.create_repo(f"trial/{name}", repo_type="dataset", exist_ok=True)
    admin.create_repo("trial/community", repo_type="space", space_sdk="static", exist_ok=True)
    text = (stand.folder / "board.yaml").read_text() + POLICY
    (stand.folder / "bot.yaml").write_text(text)
    secrets: dict[str, Any] = {"webhook_secret": SECRET}
    settings = BotSettings(redis_url=stand.valkey.url, board=stand.folder / "bot.yaml", port=0, **secrets)
    board = parse_board(text).model_copy(update={"backends": dict(backends)})
    with client_of(settings) as web, Hub(stand.hub.url, BOT) as hub:
        url = str(web.base_url)
        context = BoardContext(
            board, stand.suite, hub, stand.queue.connection, now=clock.now, probe=probe, mirrors=folder / "mirrors"
        )
        context.platforms = Platforms(platforms, AttemptTokens(board.name, [SECRET]), url)
        with running_bot(context):
            yield BackendBoard(stand, context, url)


@contextmanager
def running_bot(context: BoardContext, loops: int = 2) -> Iterator[None]:
    """Run sync loops and the timer of a bot on threads; end them with the block, as a kill would."""
    parts = [*(SyncLoop(context) for _ in range(loops)), Schedule(context)]
    threads = [threading.Thread(target=part.run, daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for part in parts:
            part.stop()
        deadline = time.monotonic() + 30
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
