"""Records every write of the bot on the Hub, and selects the writes that touch old files and threads."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from hub.comments import marker_of
from leaderboard.request_paths import is_request_path
from localhub.repos.events import HubEvent
from localhub.threads.service import DiscussionEvent
from redis_state.shadowed_writes import ShadowedWrite

MAIN = "refs/heads/main"
FLAGS_REPO = "board/flags"
_MODEL = re.compile(r"[\w.-]+/model-\w+")
_MENTIONED = re.compile(r"(?<![\w/`.@-])@([A-Za-z0-9][\w-]*)")


@dataclass(frozen=True)
class BotWrite:
    """One action of the bot: `what` is edit, new-thread, comment, edit-comment, closed or merged."""

    what: str
    repo: str
    thread: int | None = None
    path: str = ""
    status: str = ""
    was: str | None = None
    """The earlier blob at `path`."""
    text: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """The key that identifies the action in a list of shadowed effects."""
        if self.what in ("new-thread", "comment"):
            marker = marker_of(self.text)
            return self.what, self.repo, str(marker)
        return self.what, self.repo, str(self.thread or ""), self.path, self.status


class WriteRecorder:
    """Records the writes of the account `bot`, in order."""

    def __init__(self, hub: Any, bot: str) -> None:
        self.hub = hub
        self.bot = bot
        self.writes: list[BotWrite] = []
        hub.state.subscribe(self._look)

    def _look(self, event: HubEvent) -> None:
        if event.actor is None or event.actor.name != self.bot:
            return
        repo = f"{event.repo.type}/{event.repo.full_name}"
        if event.kind == "repo.content":
            self.writes += self._edits(event, repo)
        elif isinstance(event, DiscussionEvent):
            self.writes.append(_thread_deed(event, repo))

    def _edits(self, event: HubEvent, repo: str) -> Iterable[BotWrite]:
        for change in event.updated_refs:
            if change.ref != MAIN or change.new is None:
                continue
            for changed in event.repo.git.changed_paths(change.old, change.new):
                data = event.repo.git.file(change.new, changed.path)
                was = changed.old.oid if changed.old is not None else None
                yield BotWrite("edit", repo, path=changed.path, status=_status(data), was=was)


@dataclass(frozen=True)
class BoardBefore:
    """The state at adoption: the blob of each request file, the highest thread number of each repo."""

    files: dict[str, str]
    threads: dict[str, int]

    def touched(
        self, writes: Iterable[BotWrite], *, asked: Collection[tuple[str, int]], paths: Collection[str]
    ) -> list[BotWrite]:
        """Return the bot's actions on old files and threads, except on the threads `asked` and the requests `paths`."""
        left = self.files.keys() - paths
        return [write for write in writes if self._is_touched(write, asked, left)]

    def _is_touched(self, write: BotWrite, asked: Collection[tuple[str, int]], left: Collection[str]) -> bool:
        if write.what == "edit" and is_request_path(write.path):
            return write.path in self.files and self.files[write.path] == write.was
        if write.what == "edit":
            return write.was is not None and write.repo != f"dataset/{FLAGS_REPO}"
        if write.what == "new-thread":
            models = {path.partition("_eval_request_")[0] for path in left}
            return any(model in models for model in _MODEL.findall(write.text))
        return (write.thread or 0) <= self.threads.get(write.repo, 0) and (write.repo, write.thread or 0) not in asked


def _thread_deed(event: DiscussionEvent, repo: str) -> BotWrite:
    """Return the bot's action in a thread."""
    text = str(event.comment.data["raw"]) if event.comment is not None else ""
    if event.kind == "discussion.comment":
        return BotWrite("comment" if event.action == "create" else "edit-comment", repo, event.thread.num, text=text)
    kind = "new-thread" if event.action == "create" else event.thread.status
    return BotWrite(kind, repo, event.thread.num, status=event.thread.status, text=text)


def mentioned(writes: Iterable[BotWrite]) -> set[str]:
    """Return the names that the bot mentioned."""
    return {name for write in writes for name in _MENTIONED.findall(write.text)}


def by_key(things: Iterable[ShadowedWrite]) -> dict[tuple[str, ...], ShadowedWrite]:
    """Return shadowed effects by key, without edits of comments, which follow from other effects."""
    shadowed_writes: dict[tuple[str, ...], ShadowedWrite] = {}
    for shadowed in things:
        match shadowed.id.partition(" ")[0]:
            case "edit":
                shadowed_writes["edit", shadowed.repo, "", shadowed.path, shadowed.status] = shadowed
            case "open":
                shadowed_writes["new-thread", shadowed.repo, shadowed.id.partition(" ")[2]] = shadowed
            case "comment":
                shadowed_writes["comment", shadowed.repo, shadowed.id.split(" ", 2)[2]] = shadowed
            case "closed":
                shadowed_writes["closed", shadowed.repo, str(shadowed.thread), "", "closed"] = shadowed
            case "merge":
                shadowed_writes["merged", shadowed.repo, str(shadowed.thread), "", "merged"] = shadowed
    return shadowed_writes


def _status(data: bytes | None) -> str:
    try:
        fields = json.loads(data or b"")
    except ValueError:
        return ""
    return str(fields.get("status", "")) if isinstance(fields, dict) else ""
