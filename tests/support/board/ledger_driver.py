"""A ledger on its own Hub, with a clock that the test sets. As a program, it syncs one repo, and a test may kill it."""

from __future__ import annotations

import json
import sys
from typing import Any

import redis
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from bot.ledger.commit_budget import CommitBudget
from bot.ledger.edits import EditBase, FieldEdit, PutFile, guard_of
from bot.ledger.ledger import Ledger
from bot.ledger.store import EditStore
from hub.budget import Commits
from hub.client import Hub
from hub.errors import NotFound
from hub.records import Repo
from hub.retries import Retries
from localhub.testing import HubWorld
from redis_state.clock import Clock
from redis_state.dirty import DirtyKeys
from redis_state.heads import Heads
from redis_state.keys import Keys
from redis_state.parking import ParkedSyncs
from redis_state.webhook_quota import WebhookQuota

BOT, ADA = "hf_bot", "hf_ada"
REQUESTS, RESULTS = Repo("dataset", "board/requests"), Repo("dataset", "board/results")
QUICK = Retries(attempts=3, wait_initial=0.001, wait_max=0.01, jitter=0.0, timeout=10, patience=0.5)
WORLD = HubWorld().user("steward-bot", BOT).user("ada", ADA).org("board", {"steward-bot": "write", "ada": "write"})
WORLD.datasets(REQUESTS.id, RESULTS.id)


class LedgerDriver:
    """A ledger, with methods that commit as people do and stage edits as syncs do."""

    def __init__(self, url: str, connection: redis.Redis, *, budget: Commits | None = None, time: float = 2e9) -> None:
        self.time = time
        self.now: Clock = lambda: self.time
        self.calls: list[str] = []
        self.hub = Hub(url, BOT, retries=QUICK, on_call=lambda _, route: self.calls.append(route))
        self.ada = HfApi(url, token=ADA)
        self.keys = Keys("demo")
        self.redis = connection
        self.dirty = DirtyKeys(connection, self.keys)
        self.parking = ParkedSyncs(connection, self.keys)
        self.webhook_quota = WebhookQuota(connection, self.keys)
        edits, heads = EditStore(connection, self.keys), Heads(connection, self.keys)
        commits = CommitBudget(self.hub, connection, self.keys, self.webhook_quota, lambda: self.now())
        commits.limits = budget or commits.limits
        self.ledger = Ledger(self.hub, edits, commits, heads, self.parking, lambda: self.now())

    # --- people's commits

    def put(self, path: str, fields: Any, repo: Repo = REQUESTS) -> None:
        """Commit a file as Ada."""
        data = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        self.commit([CommitOperationAdd(path, data)], repo)

    def delete(self, path: str) -> None:
        """Delete a file as Ada."""
        self.commit([CommitOperationDelete(path)], REQUESTS)

    def commit(self, operations: list[Any], repo: Repo) -> None:
        """Commit these operations as Ada."""
        self.ada.create_commit(repo.id, operations, commit_message="Ada's", repo_type="dataset")

    # --- the bot's edits

    def edit(self, path: str, name: str, was: str = "PENDING", becomes: str = "RUNNING", **more: Any) -> FieldEdit:
        """Return an edit of the file's present content that changes one status to another."""
        file = self.hub.read_file(REQUESTS, path)
        return FieldEdit(
            id=name,
            path=path,
            line=f"{becomes} {path}",
            subject=path,
            fields={"status": becomes},
            guard={**guard_of(file.data.decode(), "status"), "status": (was,)},
            base=EditBase(data=file.data, commit=file.commit, oid=file.oid),
            wake=(f"request:{path}",),
            **more,
        )

    def result(self, name: str, **more: Any) -> PutFile:
        """Return an edit that adds a file to the results repo."""
        return PutFile(id=name, path=f"{name}.json", data=b"{}\n", line=f"Add {name}", wake=("request:r",), **more)

    def stage_some(self, number: int) -> list[str]:
        """Commit `number` requests, and stage an edit of each; return their paths."""
        paths = [f"o/m{n}.json" for n in range(number)]
        self.commit([CommitOperationAdd(path, b'{"status": "PENDING", "params": 1}') for path in paths], REQUESTS)
        self.ledger.stage(REQUESTS, *(self.edit(path, f"run {path}") for path in paths))
        return paths

    def write(self, repo: Repo = REQUESTS) -> float | None:
        """Sync the ledger of `repo` once."""
        return self.ledger.write(repo)

    def drain(self, *repos: Repo) -> None:
        """Sync until no edit is staged; between two syncs, set the clock to the time at which the ledger goes on."""
        for _ in range(2_000):
            due = [again for repo in repos or (REQUESTS,) if (again := self.write(repo)) is not None]
            if not due:
                return
            self.time = max(self.time, min(due))
        raise AssertionError("the ledger never comes to an end")

    # --- the repo and the staged edits

    def fields(self, path: str, repo: Repo = REQUESTS) -> Any:
        """Return the parsed file on the Hub, or None if there is no such file."""
        try:
            return json.loads(self.hub.read_file(repo, path).data)
        except NotFound:
            return None

    def titles(self, repo: Repo = REQUESTS) -> list[str]:
        """Return the titles of the bot's commits, oldest first."""
        commits = self.hub.commits(repo, limit=1_000)
        return [entry.title for entry in reversed(commits) if entry.authors == ("steward-bot",)]

    def marked(self) -> set[str]:
        """Return the dirty keys."""
        return {key.decode() for key in self.redis.zrange(self.keys.dirty, 0, -1)}

    def staged(self, repo: Repo = REQUESTS) -> list[str]:
        """Return the ids of the staged edits."""
        return [staged.edit.id for staged in self.ledger.edits.read(repo)]


if __name__ == "__main__":  # python -m tests.support.board.ledger_driver HUB REDIS TIME
    LedgerDriver(sys.argv[1], redis.Redis.from_url(sys.argv[2]), time=float(sys.argv[3])).write()
