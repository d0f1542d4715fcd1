"""A board that keeps flags, with models that are copies, merges and originals, and discussions about them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from bot.core.context import BoardContext
from bot.probe import Probe
from bot.processes.schedule import Schedule
from bot.processes.sync_loop import SyncLoop
from bot.requests.verb_check import check_model
from hub.client import Hub
from localhub.testing import HubWorld, LocalHub
from redis_state import clock
from steward.testing.board import BOT, REQUESTS, BoardDriver
from steward.testing.hub import board_world
from steward.valkey import Valkey

SPACE = "board/space"
FLAGS = "board/flags"
CARD = "---\nlicense: apache-2.0\n{more}---\n# {name}\n\nA model.\n"
CONFIG = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}


def card(name: str, more: str = "", licence: str = "license: apache-2.0\n") -> str:
    """Return a model card with this metadata."""
    return CARD.replace("license: apache-2.0\n", licence).format(name=name, more=more)


def model(name: str, *shards: str, names: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """Return a model whose weight files have the contents `shards` and the names `names`, by default the usual ones."""
    usual = tuple(f"model-{n + 1:05}-of-{len(shards):05}.safetensors" for n in range(len(shards)))
    placed = names or (("model.safetensors",) if len(shards) == 1 else usual)
    files: dict[str, Any] = {"config.json": json.dumps(CONFIG | more.pop("config", {}))}
    files |= {"README.md": card(name, more.pop("card", ""), more.pop("licence", "license: apache-2.0\n"))}
    files |= {place: {"lfs": shard} for place, shard in zip(placed, shards, strict=True)}
    if len(shards) > 1:
        index = {"metadata": {}, "weight_map": {f"layer.{n}": place for n, place in enumerate(placed)}}
        files["model.safetensors.index.json"] = json.dumps(index)
    return {"type": "model", "id": name, "files": {**files, **more.pop("files", {})}}


def flags_world() -> HubWorld:
    """Return the world of the bot's tests, with a repo of flags and models to be flagged."""
    base = "base_model: bob/original\n"
    shards = ("the first shard", "the second shard")
    world = board_world().datasets(FLAGS)
    world["repos"] += [
        model("bob/original", *shards),
        model("ada/copy", *shards, names=("a.safetensors", "b.safetensors")),
        model("ada/tuned", "other one", "other two", card=base, config={"_name_or_path": "bob/original"}),
        model("ada/merged", "merged", files={"mergekit_config.yml": MERGEKIT}),
        model("ada/half", "the first shard", "another second"),
        model("ada/plain", "plain"),
        model("ada/loud", "loud"),
        model("ada/quiet", "quiet"),
        model("ada/shy", "shy"),
        model("ada/again", "loud"),
    ]
    return world


MERGEKIT = "merge_method: slerp\nslices:\n  - sources:\n      - model: bob/original\n      - model: eve/lion\n"


class FlagBoardDriver(BoardDriver):
    """A board that keeps flags; the form's account is its maintainer."""

    def __init__(self, hub: LocalHub, connection: redis.Redis, probe: Probe | None = None) -> None:
        super().__init__(hub, connection, probe)
        old = self.context
        form = old.hub.user("form").id
        repos = old.board.repos.model_copy(update={"flags": FLAGS})
        board = old.board.model_copy(update={"repos": repos, "maintainers": (form,), "front_ends": (form,)})
        door = Hub(hub.url, BOT, on_call=lambda method, route: self.calls.append((method, route)))
        old.hub.close()
        self.context = BoardContext(
            board, old.suite, door, connection, now=lambda: self.time, probe=old.probe, mirrors=old.mirrors
        )
        self.loop, self.schedule = SyncLoop(self.context), Schedule(self.context)

    def table(self, path: str = "flagged.json") -> Any:
        """Return a compiled flag table, parsed."""
        repo = self.context.flags_repo
        assert repo is not None
        file = self.context.hub.find_file(repo, path)
        return json.loads(file.data) if file is not None else None

    def record(self, name: str) -> dict[str, Any]:
        """Return the record of the flag on `name`."""
        repo = self.context.flags_repo
        assert repo is not None
        fields: dict[str, Any] = json.loads(self.context.hub.read_file(repo, f"flags/{name}.json").data)
        return fields

    def codes(self, name: str, precision: str = "float32") -> set[str]:
        """Return the codes of the reasons for which a submission of `name` would be refused."""
        check = check_model(self.context, name, precision=precision)
        return {reason.code for rule in check.rules for reason in rule.reasons}

    def put_flags(self, **files: object) -> None:
        """Commit files to the flags repo without the bot: path → content."""
        adds = [CommitOperationAdd(path, in_bytes(content)) for path, content in files.items()]
        self.form.create_commit(FLAGS, adds, commit_message="By hand", repo_type="dataset")

    def sync_flags(self) -> None:
        """Sync the flags repo as the reconciler does."""
        self.time += 300
        self.context.mark("flags")
        self.work()

    def clear(self) -> None:
        """Delete every file of the flags repo and of the requests repo."""
        for repo in (FLAGS, REQUESTS):
            there = self.form.list_repo_files(repo, repo_type="dataset")
            gone = [CommitOperationDelete(path) for path in there if path not in (".gitattributes", "README.md")]
            if gone:
                self.form.create_commit(repo, gone, commit_message="Clear", repo_type="dataset")


@contextmanager
def no_flags(hub: LocalHub, valkey: Valkey, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board without flags and with an empty Redis, on a Hub that later tests use too."""
    with redis.Redis.from_url(valkey.url) as connection:
        connection.flushall()
        made = FlagBoardDriver(hub, connection, probe)
        made.time = clock.now() + 1
        yield made
        made.clear()
        made.context.hub.close()


def in_bytes(content: object) -> bytes:
    """Return the content of a file as bytes."""
    return content if isinstance(content, bytes) else json.dumps(content).encode()


def by_hand(name: str, **more: Any) -> dict[str, Any]:
    """Return a flag record as a maintainer writes it by hand."""
    return {"model": name, "status": "flagged", "category": "other", "thread": "https://hub/d/1", **more}


class AppealThread:
    """A discussion in the community space."""

    def __init__(
        self, stand: FlagBoardDriver, title: str = "", post: str = "", api: Any = None, *, number: int | None = None
    ) -> None:
        self.stand = stand
        self.first: dict[str, str] = {}
        """Comment id → its text when it was first seen."""
        if number is None:
            number = (api or stand.bob).create_discussion(SPACE, title, description=post, repo_type="space").num
        self.number = int(number)
        self.look()

    def say(self, text: str, api: Any) -> None:
        """Post a comment, and sync the thread."""
        api.comment_discussion(SPACE, self.number, comment=text, repo_type="space")
        self.look()

    def look(self) -> None:
        """Advance the clock, and sync the thread and every key that this marks."""
        self.stand.time += 300  # so that the budget of commits never delays what is tested
        self.stand.context.mark(f"thread:space/{SPACE}:{self.number}")
        self.stand.work()
        for event in self.events():
            if event.type == "comment":
                self.first.setdefault(event.id, event.content)

    def events(self) -> list[Any]:
        """Return all events of the thread."""
        thread = self.stand.form.get_discussion_details(SPACE, self.number, repo_type="space")
        return list(thread.events)

    def comments(self) -> list[tuple[str, str]]:
        """Return author and text of every comment."""
        return [(event.author, event.content) for event in self.events() if event.type == "comment"]

    def replies(self) -> list[str]:
        """Return the bot's comments."""
        return [text for author, text in self.comments() if author == "steward-bot"]

    @property
    def status(self) -> str:
        """The status of the thread."""
        return str(self.stand.form.get_discussion_details(SPACE, self.number, repo_type="space").status)
