"""A board on which people ask in discussions for renames and removals, and maintainers approve them."""

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
from steward.testing.board import ADA, REQUESTS, BoardDriver
from steward.valkey import Valkey
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
    """The board on its own Hub; Maya is its maintainer."""
    with LocalHub(folder, rename_world()) as hub, redis.Redis.from_url(valkey.url) as client:
        hub.state.limits.set(commits_per_hour=None)
        prepare(hub)
        client.flushall()
        with board_on(hub, client, POINTED) as made:
            maintained(made)
            yield made


def begin(stand: BoardDriver) -> tuple[dict[str, str], dict[str, str]]:
    """Put both repos back into their first state, with a Hub without faults and an empty Redis; return their files."""
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
    """A discussion in the requests repo in which people write commands."""

    def __init__(self, stand: BoardDriver, api: HfApi | None = None) -> None:
        self.stand = stand
        opened = (api or stand.ada).create_discussion(REQUESTS, "My model", description="Hello.", repo_type="dataset")
        self.number = opened.num

    def write(self, text: str, token: str = ADA) -> None:
        """Post a comment."""
        api = HfApi(self.stand.hub.url, token=token)
        api.comment_discussion(REQUESTS, self.number, comment=text, repo_type="dataset")

    def say(self, text: str, token: str = ADA) -> str:
        """Post a comment, and sync the thread; return the bot's last comment."""
        self.write(text, token)
        self.look()
        return self.all()[-1]

    def look(self) -> None:
        """Advance the clock, and sync the thread and every key that this marks."""
        self.stand.time += 120
        look_at(self.stand, REQUESTS, self.number)

    def all(self) -> list[str]:
        """Return the bot's comments."""
        return comments(self.stand, REQUESTS, self.number)

    def proposal(self) -> str:
        """Return the bot's newest comment with a proposal."""
        return next(text for text in reversed(self.all()) if "demo proposal " in text)

    def digest(self) -> str:
        """Return the digest that an approval names."""
        command = re.search(r"/approve ([0-9a-f]{8})", self.proposal())
        assert command is not None
        return command[1]


MAYA = "hf_maya"


def renamed(files: dict[str, bytes], kind: Any) -> set[str]:
    """Return the paths of the files after the rename."""
    it = plan(kind, OLD, NEW, files if kind == "results" else {p: d for p, d in files.items() if p.endswith(".json")})
    places = {file.path: file.place for file in it.files}
    return {places.get(where, where) for where in files}


def disagree(stand: BoardDriver) -> list[str]:
    """Return the disagreements between the repos that front ends would see."""
    return sorted(f"{disagreement.what} {disagreement.path}" for disagreement in disagreements(stand.context))


def agrees(stand: BoardDriver) -> str:
    """Return "old" or "new" if requests and results name the model alike, else a description of the difference."""
    requests, results = set(on_main(stand)), set(on_main(stand, RESULTS))
    if requests == set(POINTED) and results == set(RESULT_FILES):
        return "old"
    if requests == renamed(POINTED, "requests") and results == renamed(RESULT_FILES, "results"):
        pointed = stand.file(path(NEW))["steward"]["results"]
        return "new" if pointed == result_path(NEW) else f"points at {pointed}"
    return f"{sorted(requests)} {sorted(results)}"
