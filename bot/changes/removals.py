"""Removing a model's results and requests from the board, and putting them back (`leaderboard.removals`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bot.changes import rename_facts
from bot.changes.changesets import ApprovedPart, ChangesetPart, landed_commit
from bot.changes.proposal_text import Note
from bot.core.context import BoardContext
from hub.errors import EntryNotFound, TooLarge
from hub.records import Repo
from leaderboard.holds import Hold
from leaderboard.reasons import Problem
from leaderboard.removals import (
    ARCHIVE,
    FORMER_ARCHIVE,
    REASONS,
    archived,
    belongs,
    original_path,
    part_of,
    remove_request,
    restore_request,
)
from leaderboard.renames import FilePlan
from leaderboard.requests import Request, RequestPath, parse_path, parse_request
from redis_state.board.entry import IndexEntry

MOST = 60
MAX_FILE = 10 * 1024 * 1024


@dataclass(frozen=True)
class Removal:
    """`remove` or `restore`, of `words["model"]`, and of one precision or type of weights where `words` name it."""

    what: Literal["remove", "restore"]

    def title(self, words: dict[str, str]) -> str:
        """What the commits are called."""
        part = part_of(words)
        return f"{self.what.title()} {words['model']}{f' ({part})' if part else ''}"

    def prepare(self, context: BoardContext, words: dict[str, str]) -> list[ChangesetPart] | Problem:
        """The parts of it, or why it cannot be done."""
        parts: list[ChangesetPart] = []
        for repo in self.order(context):
            found = self.plan(context, words, repo)
            if isinstance(found, Problem):
                return found
            parts += [found] if found.files else []
        code = "nothing" if self.what == "remove" else "not-removed"
        return parts or REASONS[code].problem(model=words["model"])

    def order(self, context: BoardContext) -> tuple[Repo, Repo]:
        """Which repo first: what says that there are results never points to none for long."""
        return (context.requests, context.results) if self.what == "remove" else (context.results, context.requests)

    def plan(self, context: BoardContext, words: dict[str, str], repo: Repo) -> ChangesetPart | Problem:
        """The part of it in `repo`, as the files are now."""
        if self.what == "remove" and (flags := rename_facts.flags(context, words["model"])):
            return REASONS["flagged"].problem(model=flags[0].model)
        commit = context.hub.head(repo)
        requests = self._requests(context, words, context.requests, commit if repo == context.requests else "main")
        if isinstance(requests, Problem):
            return requests
        if repo == context.requests:
            return self._part_of_requests(repo, commit, words, requests)
        return self._part_of_results(context, commit, words, requests)

    def _requests(
        self, context: BoardContext, words: dict[str, str], repo: Repo, commit: str
    ) -> list[Request] | Problem:
        found: list[Request] = []
        for entry in context.index.of_model(words["model"]):
            if not _is_meant(entry, words):
                continue
            try:
                file = context.hub.find_file(repo, entry.path, commit, max_bytes=context.board.max_request_bytes)
            except TooLarge:
                return REASONS["unreadable"].problem(path=entry.path)
            request = parse_request(entry.path, file.data) if file is not None else None
            if isinstance(request, list):
                return REASONS["unreadable"].problem(path=entry.path)
            found += [request] if request is not None else []
        return found

    def _part_of_requests(
        self, repo: Repo, commit: str, words: dict[str, str], requests: Sequence[Request]
    ) -> ChangesetPart | Problem:
        why = Hold(reason=words.get("reason") or "no reason was given", by=words["by"], at=words["at"])
        files: list[FilePlan] = []
        for request in requests:
            found = remove_request(request, why) if self.what == "remove" else restore_request(request)
            if isinstance(found, Problem):
                return found
            files += [found] if found is not None else []
        return ChangesetPart(repo, commit, tuple(files))

    def _part_of_results(
        self, context: BoardContext, commit: str, words: dict[str, str], requests: Sequence[Request]
    ) -> ChangesetPart | Problem:
        there = self._listed(context, words["model"], commit)
        taken = set(there) if self.what == "restore" else set[str]()
        paths = (
            {path: path for path in there} if self.what == "remove" else self._archived(context, words["model"], commit)
        )
        if len(paths) > MOST:
            return REASONS["too-much"].problem()
        files: list[FilePlan] = []
        for plain, path in paths.items():
            try:
                data = context.hub.read_file(context.results, path, commit, max_bytes=MAX_FILE).data
            except TooLarge:
                return REASONS["too-much"].problem()
            if part_of(words) and not any(belongs(plain, data, request) for request in requests):
                continue
            if plain in taken:
                return REASONS["in-the-way"].problem(path=plain)
            files.append(FilePlan(path, archived(path) if self.what == "remove" else plain, data, data))
        return ChangesetPart(context.results, commit, tuple(files))

    def _archived(self, context: BoardContext, model: str, commit: str) -> dict[str, str]:
        """Path before the removal → path in the archive."""
        folders = (FORMER_ARCHIVE + model, ARCHIVE + model)
        found = [path for folder in folders for path in self._listed(context, folder, commit)]
        return {original: path for path in found if (original := original_path(path)) is not None}

    def _listed(self, context: BoardContext, folder: str, commit: str) -> list[str]:
        try:
            return [file.path for file in context.hub.list_files(context.results, commit, folder=folder)]
        except EntryNotFound:
            return []

    def objection(
        self, context: BoardContext, words: dict[str, str], commit_title: str, parts: Sequence[ApprovedPart]
    ) -> Problem | None:
        """Why it must not be begun, by now; what was begun goes on."""
        if self.what == "restore" or any(landed_commit(context, commit_title, part) for part in parts):
            return None
        flags = rename_facts.flags(context, words["model"])
        return REASONS["flagged"].problem(model=flags[0].model) if flags else None

    def follow_up(
        self, context: BoardContext, words: dict[str, str], commits: Sequence[tuple[Repo, str]], cause: str
    ) -> tuple[Note, ...]:
        """Nothing more is to be done."""
        del context, words, commits, cause
        return ()


def _is_meant(entry: IndexEntry, words: dict[str, str]) -> bool:
    where = parse_path(entry.path)
    if not isinstance(where, RequestPath) or where.model != words["model"]:
        return False
    asked = {"precision": where.precision, "weight_type": where.weight_type}
    return all((words.get(name) or value).lower() == value.lower() for name, value in asked.items())


REMOVE, RESTORE = Removal("remove"), Removal("restore")
