"""Records everything that the bot does on the Hub, and compares it with what it may do."""

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
class Deed:
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


class Witness:
    """The actions of the account `bot`, in order."""

    def __init__(self, hub: Any, bot: str) -> None:
        self.hub = hub
        self.bot = bot
        self.deeds: list[Deed] = []
        hub.state.subscribe(self._look)

    def _look(self, event: HubEvent) -> None:
        if event.actor is None or event.actor.name != self.bot:
            return
        repo = f"{event.repo.type}/{event.repo.full_name}"
        if event.kind == "repo.content":
            self.deeds += self._edits(event, repo)
        elif isinstance(event, DiscussionEvent):
            self.deeds.append(_thread_deed(event, repo))

    def _edits(self, event: HubEvent, repo: str) -> Iterable[Deed]:
        for change in event.updated_refs:
            if change.ref != MAIN or change.new is None:
                continue
            for changed in event.repo.git.changed_paths(change.old, change.new):
                data = event.repo.git.file(change.new, changed.path)
                was = changed.old.oid if changed.old is not None else None
                yield Deed("edit", repo, path=changed.path, status=_status(data), was=was)


@dataclass(frozen=True)
class Past:
    """The state at adoption: the blob of each request file, the highest thread number of each repo."""

    files: dict[str, str]
    threads: dict[str, int]

    def touched(
        self, deeds: Iterable[Deed], *, asked: Collection[tuple[str, int]], paths: Collection[str]
    ) -> list[Deed]:
        """Return the bot's actions on old files and threads, except on the threads `asked` and the requests `paths`."""
        left = self.files.keys() - paths
        return [deed for deed in deeds if self._is_touched(deed, asked, left)]

    def _is_touched(self, deed: Deed, asked: Collection[tuple[str, int]], left: Collection[str]) -> bool:
        if deed.what == "edit" and is_request_path(deed.path):
            return deed.path in self.files and self.files[deed.path] == deed.was
        if deed.what == "edit":
            return deed.was is not None and deed.repo != f"dataset/{FLAGS_REPO}"
        if deed.what == "new-thread":
            models = {path.partition("_eval_request_")[0] for path in left}
            return any(model in models for model in _MODEL.findall(deed.text))
        return (deed.thread or 0) <= self.threads.get(deed.repo, 0) and (deed.repo, deed.thread or 0) not in asked


def _thread_deed(event: DiscussionEvent, repo: str) -> Deed:
    """Return the bot's action in a thread."""
    text = str(event.comment.data["raw"]) if event.comment is not None else ""
    if event.kind == "discussion.comment":
        return Deed("comment" if event.action == "create" else "edit-comment", repo, event.thread.num, text=text)
    kind = "new-thread" if event.action == "create" else event.thread.status
    return Deed(kind, repo, event.thread.num, status=event.thread.status, text=text)


def mentioned(deeds: Iterable[Deed]) -> set[str]:
    """Return the names that the bot mentioned."""
    return {name for deed in deeds for name in _MENTIONED.findall(deed.text)}


def keyed(things: Iterable[ShadowedWrite]) -> dict[tuple[str, ...], ShadowedWrite]:
    """Return shadowed effects by key, without edits of comments, which follow from other effects."""
    found: dict[tuple[str, ...], ShadowedWrite] = {}
    for shadowed in things:
        match shadowed.id.partition(" ")[0]:
            case "edit":
                found["edit", shadowed.repo, "", shadowed.path, shadowed.status] = shadowed
            case "open":
                found["new-thread", shadowed.repo, shadowed.id.partition(" ")[2]] = shadowed
            case "comment":
                found["comment", shadowed.repo, shadowed.id.split(" ", 2)[2]] = shadowed
            case "closed":
                found["closed", shadowed.repo, str(shadowed.thread), "", "closed"] = shadowed
            case "merge":
                found["merged", shadowed.repo, str(shadowed.thread), "", "merged"] = shadowed
    return found


def _status(data: bytes | None) -> str:
    try:
        fields = json.loads(data or b"")
    except ValueError:
        return ""
    return str(fields.get("status", "")) if isinstance(fields, dict) else ""
