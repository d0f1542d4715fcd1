"""Remove a model's results and requests from the board, and restore them (rules: `leaderboard.removals`)."""

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
from hub.retries import unless_gone
from leaderboard.holds import Hold
from leaderboard.options import precision_named
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
from leaderboard.rename_contents import is_in_folder_of
from leaderboard.renames import FilePlan
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.requests import Request, parse_request

MAX_RESULTS_FILES = 60
MAX_FILE = 10 * 1024 * 1024


@dataclass(frozen=True)
class Removal:
    """`remove` or `restore` of `words["model"]`, limited to a precision or type of weights where `words` name one."""

    what: Literal["remove", "restore"]

    def title(self, words: dict[str, str]) -> str:
        """The title of the commits."""
        part = part_of(words)
        return f"{self.what.title()} {words['model']}{f' ({part})' if part else ''}"

    def prepare(self, context: BoardContext, words: dict[str, str]) -> list[ChangesetPart] | Problem:
        """Plan the parts, or return the problem that prevents it."""
        parts: list[ChangesetPart] = []
        for repo in self.order(context):
            part = self.plan(context, words, repo)
            if isinstance(part, Problem):
                return part
            parts += [part] if part.files else []
        code = "nothing" if self.what == "remove" else "not-removed"
        return parts or REASONS[code].problem(model=words["model"])

    def order(self, context: BoardContext) -> tuple[Repo, Repo]:
        """The order of the commits; a request never points to missing results for long."""
        return (context.requests, context.results) if self.what == "remove" else (context.results, context.requests)

    def plan(self, context: BoardContext, words: dict[str, str], repo: Repo) -> ChangesetPart | Problem:
        """Plan the part in `repo` from the present files."""
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
        requests: list[Request] = []
        for path in self._request_paths(context, words, repo, commit):
            try:
                file = context.hub.find_file(repo, path, commit, max_bytes=context.board.max_request_bytes)
            except TooLarge:
                return REASONS["unreadable"].problem(path=path)
            request = parse_request(path, file.data) if file is not None else None
            if isinstance(request, list):
                return REASONS["unreadable"].problem(path=path)
            requests += [request] if request is not None else []
        return requests

    def _request_paths(self, context: BoardContext, words: dict[str, str], repo: Repo, commit: str) -> list[str]:
        """The request files to read, also those that a rename has just moved, which the index does not have yet."""
        org = words["model"].rpartition("/")[0]
        indexed = {entry.path for entry in context.index.of_model(words["model"])}
        present = set(self._listed(context, repo, org, commit)) if org else set[str]()
        return sorted(path for path in indexed | present if _matches(path, words))

    def _part_of_requests(
        self, repo: Repo, commit: str, words: dict[str, str], requests: Sequence[Request]
    ) -> ChangesetPart | Problem:
        why = Hold(reason=words.get("reason") or "no reason was given", by=words["by"], at=words["at"])
        files: list[FilePlan] = []
        for request in requests:
            plan = remove_request(request, why) if self.what == "remove" else restore_request(request)
            if isinstance(plan, Problem):
                return plan
            files += [plan] if plan is not None else []
        return ChangesetPart(repo, commit, tuple(files))

    def _part_of_results(
        self, context: BoardContext, commit: str, words: dict[str, str], requests: Sequence[Request]
    ) -> ChangesetPart | Problem:
        listed = self._listed(context, context.results, words["model"], commit)
        present = [path for path in listed if is_in_folder_of(words["model"], path)]
        taken = set(present) if self.what == "restore" else set[str]()
        paths = (
            {path: path for path in present}
            if self.what == "remove"
            else self._archived(context, words["model"], commit)
        )
        if len(paths) > MAX_RESULTS_FILES:
            return REASONS["too-much"].problem()
        files: list[FilePlan] = []
        for original, path in paths.items():
            try:
                data = context.hub.read_file(context.results, path, commit, max_bytes=MAX_FILE).data
            except TooLarge:
                return REASONS["too-much"].problem()
            if part_of(words) and not any(belongs(original, data, request) for request in requests):
                continue
            if original in taken:
                return REASONS["in-the-way"].problem(path=original)
            files.append(FilePlan(path, archived(path) if self.what == "remove" else original, data, data))
        return ChangesetPart(context.results, commit, tuple(files))

    def _archived(self, context: BoardContext, model: str, commit: str) -> dict[str, str]:
        """Path before the removal → path in the archive."""
        folders = (FORMER_ARCHIVE + model, ARCHIVE + model)
        paths = [path for folder in folders for path in self._listed(context, context.results, folder, commit)]
        originals = ((original_path(path), path) for path in paths)
        return {original: path for original, path in originals if original and is_in_folder_of(model, original)}

    def _listed(self, context: BoardContext, repo: Repo, folder: str, commit: str) -> list[str]:
        files = unless_gone(lambda: context.hub.list_files(repo, commit, folder=folder), EntryNotFound)
        return [file.path for file in files or ()]

    def objection(
        self, context: BoardContext, words: dict[str, str], commit_title: str, parts: Sequence[ApprovedPart]
    ) -> Problem | None:
        """The flag that prevents a removal now; None for a removal that has started, and for a restoration."""
        if self.what == "restore" or any(landed_commit(context, commit_title, part) for part in parts):
            return None
        flags = rename_facts.flags(context, words["model"])
        return REASONS["flagged"].problem(model=flags[0].model) if flags else None

    def follow_up(
        self, context: BoardContext, words: dict[str, str], commits: Sequence[tuple[Repo, str]], cause: str
    ) -> tuple[Note, ...]:
        """Return no notes: nothing follows from a removal."""
        del context, words, commits, cause
        return ()


def _matches(name: str, words: dict[str, str]) -> bool:
    path = parse_path(name)
    if not isinstance(path, RequestPath) or path.model != words["model"]:
        return False
    precision = precision_named(words.get("precision") or path.precision)
    weight_type = words.get("weight_type") or path.weight_type
    return precision.lower() == path.precision.lower() and weight_type.lower() == path.weight_type.lower()


REMOVE, RESTORE = Removal("remove"), Removal("restore")
