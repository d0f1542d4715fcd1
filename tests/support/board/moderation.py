"""A board whose models are renamed and removed, and talks in which people ask for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from huggingface_hub import HfApi

from bot.ledger.edits import blob_id
from bot.setup.consistency import disagreements
from leaderboard.renames import plan
from localhub.testing import LocalHub
from steward.valkey import Valkey
from tests.support.board.board_driver import ADA, REQUESTS, BoardDriver
from tests.support.board.pull_requests import board_on
from tests.support.board.renames import (
    FILES,
    NEW,
    OLD,
    RESULT_FILES,
    RESULTS,
    comments,
    fill_results,
    look_at,
    maintained,
    on_main,
    operations,
    path,
    prepare,
    rename_world,
    request,
    result_path,
)

POINTED = {**FILES, path(OLD): request(OLD, note="é", steward={"results": result_path(OLD)})}


@contextmanager
def saga_board(folder: Path, valkey: Valkey) -> Iterator[BoardDriver]:
    """A board that Maya maintains, on a Hub of its own."""
    with LocalHub(folder, rename_world()) as hub, redis.Redis.from_url(valkey.url) as client:
        hub.state.limits.set(commits_per_hour=None)
        prepare(hub)
        client.flushall()
        with board_on(hub, client, POINTED) as made:
            maintained(made)
            yield made


def begin(stand: BoardDriver) -> tuple[dict[str, str], dict[str, str]]:
    """Both repos are as they were at the beginning, and the Hub is well; their files."""
    stand.hub.state.faults.clear()
    there = on_main(stand)
    wanted = {it: blob_id(data) for it, data in POINTED.items()}
    changes: dict[str, Any] = {it: None for it in there if it not in wanted}
    changes |= {it: POINTED[it] for it in wanted if there.get(it) != wanted[it]}
    if changes:
        stand.form.create_commit(REQUESTS, operations(changes), commit_message="Begin", repo_type="dataset")
    if on_main(stand, RESULTS) != {it: blob_id(data) for it, data in RESULT_FILES.items()}:
        fill_results(stand, RESULT_FILES)
    stand.context.redis.flushall()
    stand.context.flags = lambda _models, _weights: ()
    stand.context.mark("requests")
    stand.work()
    return on_main(stand), on_main(stand, RESULTS)


class ModerationThread:
    """A discussion on the requests repo, in which people give commands."""

    def __init__(self, stand: BoardDriver, api: HfApi | None = None) -> None:
        self.stand = stand
        opened = (api or stand.ada).create_discussion(REQUESTS, "My model", description="Hello.", repo_type="dataset")
        self.number = opened.num

    def write(self, text: str, token: str = ADA) -> None:
        """Somebody writes a comment."""
        api = HfApi(self.stand.hub.url, token=token)
        api.comment_discussion(REQUESTS, self.number, comment=text, repo_type="dataset")

    def say(self, text: str, token: str = ADA) -> str:
        """Somebody writes a comment, and the bot looks; the newest thing that it says."""
        self.write(text, token)
        self.look()
        return self.all()[-1]

    def look(self) -> None:
        """A while later the bot looks at the thread, and does what follows."""
        self.stand.time += 120
        look_at(self.stand, REQUESTS, self.number)

    def all(self) -> list[str]:
        """What the bot says there."""
        return comments(self.stand, REQUESTS, self.number)

    def proposal(self) -> str:
        """The comment that proposes something."""
        return next(text for text in reversed(self.all()) if "demo proposal " in text)

    def digest(self) -> str:
        """What is to be approved."""
        found = re.search(r"/approve ([0-9a-f]{8})", self.proposal())
        assert found is not None
        return found[1]


MAYA = "hf_maya"
GAPS: set[str] = set()
"""Not every request here ever had results."""


def renamed(files: dict[str, bytes], kind: Any) -> set[str]:
    """Where everything is after the rename."""
    it = plan(kind, OLD, NEW, files if kind == "results" else {p: d for p, d in files.items() if p.endswith(".json")})
    places = {one.path: one.place for one in it.files}
    return {places.get(where, where) for where in files}


def disagree(stand: BoardDriver) -> list[str]:
    """About what the repos do not agree, as front ends read them; the fixtures' own gaps left out."""
    return sorted(f"{one.what} {one.path}" for one in disagreements(stand.context) if one.what not in GAPS)


def agrees(stand: BoardDriver) -> str:
    """Whether requests and results call the model alike: by its old name, by its new one; else a complaint."""
    requests, results = set(on_main(stand)), set(on_main(stand, RESULTS))
    if requests == set(POINTED) and results == set(RESULT_FILES):
        return "old"
    if requests == renamed(POINTED, "requests") and results == renamed(RESULT_FILES, "results"):
        said = stand.file(path(NEW))["steward"]["results"]
        return "new" if said == result_path(NEW) else f"points at {said}"
    return f"{sorted(requests)} {sorted(results)}"
