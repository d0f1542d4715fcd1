"""A running board for the commands in documents: a Hub, a queue server, a bot, users and models."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import redis
from huggingface_hub import CommitOperationAdd, HfApi

from localhub.testing import HubWorld, LocalHub
from steward.children import Children
from steward.testing.waiting import wait_until
from steward.valkey import free_port
from workers.models import tiny_model
from workers.starter import dataset_files

BOARD = """
name: board
title: The board
suite: starter
threads: failures
effects: on
repos: {requests: board/requests, results: board/results, logs: board/logs, flags: board/flags,
        community: board/leaderboard, details_namespace: details}
"""
CARD = """---
license: apache-2.0
---
# {name}

A model of one layer, with random weights. It knows nothing, and has to guess. It is there to see how a leaderboard
treats whatever is submitted to it, from the first check to the last score, and to the discussion that follows.
"""
MODELS = ("org/name", "org/model", "org/other", "org/pulled")
REPOS = ("requests", "results", "logs", "flags")


@dataclass(frozen=True)
class ExampleBoard:
    """The addresses, folders and tokens of the board."""

    hub: LocalHub
    folder: Path
    web: int
    redis_url: str

    @property
    def web_url(self) -> str:
        """The address of the bot's web server."""
        return f"http://127.0.0.1:{self.web}"

    @property
    def settings(self) -> dict[str, str]:
        """The environment of an operator of this board."""
        return {
            "HF_ENDPOINT": self.hub.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": "hf_ada",
            "REDIS_URL": self.redis_url,
            "STEWARD_BOARD": str(self.folder / "board.yaml"),
            "STEWARD_BOT_TOKEN": "hf_bot",
            "STEWARD_MIRRORS": str(self.folder / "mirrors"),
        }

    def pull_request(self) -> tuple[int, str]:
        """Open a pull request as Ada that passes every check; wait for the bot's report; return number and head."""
        ada = HfApi(self.hub.url, token="hf_ada")
        path = "org/pulled_eval_request_False_float32_Original.json"
        fields = {"model": "org/pulled", "status": "PENDING", "revision": "main", "precision": "float32"}
        made = ada.create_commit(
            "board/requests",
            [CommitOperationAdd(path, json.dumps({**fields, "weight_type": "Original"}).encode())],
            commit_message="Add org/pulled",
            repo_type="dataset",
            create_pr=True,
        )
        number = int(made.pr_num or 0)
        wait_until(
            lambda: len(ada.get_discussion_details("board/requests", number, repo_type="dataset").events) > 2,
            seconds=90,
        )
        return number, str(made.oid)


def world(web: int) -> HubWorld:
    """Return a world with accounts, organisations and repos: those of the board, and those of the examples."""
    tokens = {"steward-bot": "hf_bot", "maya": "hf_maya", "ada": "hf_ada", "gpu": "hf_worker", "YOUR-NAME": "hf_you"}
    watched = ("dataset", "board/requests"), ("space", "board/leaderboard")
    questions = {name: data.decode() for name, data in dataset_files().items()}
    made = (
        HubWorld()
        .users(tokens)
        .org("board", {"maya": "admin", "steward-bot": "admin"})
        .org("details", {"gpu": "write", "steward-bot": "read"})
        .org("our-board", {"YOUR-NAME": "admin", "steward-bot": "admin"})
        .org("our-board-details", {"gpu": "write", "steward-bot": "read"})
        .org("org", {"ada": "admin"})
        .org("steward-suites", {"maya": "admin"})
        .repo("space", "board/leaderboard", sdk="static")
        .repo("dataset", "steward-suites/starter", questions)
        .webhook("steward-bot", f"http://127.0.0.1:{web}/webhooks/hub", *watched, secret="s")
    )
    for name in REPOS:
        made.repo("dataset", f"board/{name}", private=name == "logs")
    return made


@contextmanager
def living(folder: Path, redis_url: str) -> Iterator[ExampleBoard]:
    """Run the board in `folder`; yields it once it answers, and ends all its processes."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    web = free_port()
    (folder / "board.yaml").write_text(BOARD, "utf-8")
    with LocalHub(folder / "hub-data", world(web)) as hub, Children(folder / "logs") as children:
        for number, name in enumerate(MODELS):
            upload(hub.url, name, number)
        stage = ExampleBoard(hub, folder, web, redis_url)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ}
        settings = {**kept, **stage.settings, "STEWARD_PORT": str(web), "STEWARD_WEBHOOK_SECRET": "s"}
        command = [sys.executable, "-P", "-m", "steward.cli", "up", "--no-worker"]
        children.start("up", command, environment=settings)
        wait_until(lambda: answers(f"{stage.web_url}/readyz"), check=children.check, seconds=90)
        yield stage


def upload(endpoint: str, name: str, number: int) -> None:
    """Upload a working model with its own weights."""
    api = HfApi(endpoint, token="hf_ada")
    api.create_repo(name)
    weights = tiny_model.tensors()
    kind, shape, _ = weights["model.norm.weight"]
    weights["model.norm.weight"] = (kind, shape, tiny_model.floats(shape[0], 1_000 + number))
    files: Mapping[str, bytes] = {
        **tiny_model.model(),
        "model.safetensors": tiny_model.safetensors(weights),
        "README.md": CARD.format(name=name).encode(),
    }
    api.create_commit(name, [CommitOperationAdd(path, data) for path, data in files.items()], commit_message="Upload")


def answers(address: str) -> bool:
    """Whether a server answers at this address with status 200."""
    try:
        return bool(httpx2.get(address, timeout=5).status_code == 200)
    except httpx2.HTTPError:
        return False
