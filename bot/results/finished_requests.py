"""The finished requests of the board, with the suites of their results: read in clones of two repos, without a call for
each request."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.core.context import BoardContext
from bot.core.mirrors.git_trees import GitFile
from hub.records import File
from leaderboard.evaluations import differ, is_results_path, revision_of
from leaderboard.request_paths import is_request_path
from leaderboard.requests import Request, Status, parse_request
from leaderboard.results import MAX_BYTES, read_block
from leaderboard.steward_block import StewardBlock

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView


@dataclass(frozen=True)
class FinishedRequest:
    """A finished request, the path of its results, and the digest of their suite; "" if unknown.

    `commit` is the model's commit if the results are of an earlier one than those that the request names; else "".
    """

    request: Request
    file: File
    results: str = ""
    made_with: str = ""
    commit: str = ""

    @property
    def path(self) -> str:
        """The path of its file."""
        return str(self.request.path)

    @property
    def name(self) -> str:
        """The path of its file, and the earlier commit if the results are of one."""
        return f"{self.path}@{self.commit}" if self.commit else self.path


def finished_requests(context: BoardContext, models: Collection[str] = ()) -> list[FinishedRequest]:
    """All finished requests, or those of `models`, in the order of their paths. A few calls.

    Raises HubError and MirrorDamaged.
    """
    names = {model.casefold() for model in models}
    head = context.mirror.fetch(context.requests, depth=0)
    with context.mirror.read(context.requests) as view:
        finished = [each for each in _finished(context, view, head) if not names or _model(each) in names]
    return _with_suites(context, sorted(finished, key=lambda request: request.path))


def _model(finished: FinishedRequest) -> str:
    return finished.request.path.model.casefold()


def _finished(context: BoardContext, view: MirrorView, head: str) -> Iterator[FinishedRequest]:
    for blob in view.files(head):
        if blob.oid is None or not is_request_path(blob.path):
            continue
        data = view.blob(blob.oid, max_bytes=context.board.max_request_bytes)
        # A cheap test first: most files are not finished and need no parsing.
        request = parse_request(blob.path, data) if data is not None and b"FINISHED" in data.upper() else None
        if data is not None and isinstance(request, Request) and request.status is Status.FINISHED:
            yield FinishedRequest(request, File(blob.path, data, blob.oid, head), request.file.steward.results or "")


def _with_suites(context: BoardContext, finished: list[FinishedRequest]) -> list[FinishedRequest]:
    """`finished`, each with the digest of the suite that its result names."""
    wanted = {each.results for each in finished if each.results}
    if not wanted:
        return finished
    head = context.mirror.fetch(context.results, depth=0)
    with context.mirror.read(context.results) as view:
        # One listing of all files: the lookup of a single file would read the tree of all organisations each time.
        suites = {file.path: _made_with(view, file) for file in view.files(head) if file.path in wanted}
    return [replace(each, made_with=suites.get(each.results, "")) for each in finished]


def _made_with(view: MirrorView, file: GitFile) -> str:
    block = _block(view, file)
    return block.suite_digest if block is not None else ""


def _block(view: MirrorView, file: GitFile) -> StewardBlock | None:
    data = view.blob(file.oid, max_bytes=MAX_BYTES) if file.oid is not None else None
    return read_block(data) if data is not None else None


def with_earlier_commits(context: BoardContext, finished: Sequence[FinishedRequest]) -> list[FinishedRequest]:
    """`finished`, and then each with its newest results of each earlier commit, in the order of paths.

    A few calls. Raises HubError and MirrorDamaged.
    """
    by_path = {each.path: each for each in finished if each.made_with}
    models, named = {each.request.path.model for each in by_path.values()}, {each.results for each in finished}
    earlier: dict[str, FinishedRequest] = {}
    head = context.mirror.fetch(context.results, depth=0)
    with context.mirror.read(context.results) as view:
        for file in sorted(view.files(head), key=lambda file: file.path):
            model = file.path.rpartition("/")[0]
            if model not in models or file.path in named or not is_results_path(file.path):
                continue
            block = _block(view, file)
            each = by_path.get(block.request) if block is not None else None
            if block is None or each is None or each.request.path.model != model or file.path > each.results:
                continue
            if differ(block.revision, revision_of(each.request)):
                of_commit = replace(each, results=file.path, made_with=block.suite_digest, commit=block.revision)
                earlier[of_commit.name] = of_commit
    return [*finished, *(of_commit for _, of_commit in sorted(earlier.items()))]
