"""The finished requests of the board, with the suites of their results: read in clones of two repos, without a call for
each request."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.core.context import BoardContext
from bot.core.mirrors.git_trees import GitFile
from hub.records import File
from leaderboard.request_paths import is_request_path
from leaderboard.requests import Request, Status, parse_request
from leaderboard.results import MAX_BYTES, suite_digest

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView


@dataclass(frozen=True)
class FinishedRequest:
    """A finished request, and the digest of the suite of its result; "" if unknown."""

    request: Request
    file: File
    made_with: str

    @property
    def path(self) -> str:
        """The path of its file."""
        return str(self.request.path)


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
            yield FinishedRequest(request, File(blob.path, data, blob.oid, head), "")


def _with_suites(context: BoardContext, finished: list[FinishedRequest]) -> list[FinishedRequest]:
    """`finished`, each with the digest of the suite that its result names."""
    wanted = {path for each in finished if (path := each.request.file.steward.results) is not None}
    if not wanted:
        return finished
    head = context.mirror.fetch(context.results, depth=0)
    with context.mirror.read(context.results) as view:
        # One listing of all files: the lookup of a single file would read the tree of all organisations each time.
        suites = {file.path: _made_with(view, file) for file in view.files(head) if file.path in wanted}
    return [replace(each, made_with=suites.get(each.request.file.steward.results or "", "")) for each in finished]


def _made_with(view: MirrorView, file: GitFile) -> str:
    data = view.blob(file.oid, max_bytes=MAX_BYTES) if file.oid is not None else None
    return (suite_digest(data) or "") if data is not None else ""
