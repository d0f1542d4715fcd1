"""Finds the attempt of a result: by the attempt's id, its request, or its results file."""

from __future__ import annotations

from pathlib import Path

from hub.client import Hub
from hub.errors import HubError
from hub.records import Repo
from leaderboard.attempts import ATTEMPT_ID
from leaderboard.boards import Board
from leaderboard.request_paths import is_request_path
from leaderboard.requests import Request, parse_request
from leaderboard.results import MAX_BYTES, parse_harness
from leaderboard.scores import BadResults
from leaderboard.steward_block import BLOCK, StewardBlock
from workers.common.hub_access import HubAccess
from workers.jobs.recorded_attempt import CannotVerify

MAX_REQUEST_BYTES = 1_000_000


def find_attempt(board: Board, hub: HubAccess, result: str, model: str) -> tuple[str, str]:
    """The attempt that `result` names, and its model if that is known. Raises CannotVerify."""
    if ATTEMPT_ID.fullmatch(result):
        return result, model
    if Path(result).is_file():
        return _attempt_in(Path(result).read_bytes(), result)
    try:
        with Hub(hub.endpoint, hub.token) as client:
            path = result
            if is_request_path(path):
                file = client.read_file(Repo("dataset", board.repos.requests), path, max_bytes=MAX_REQUEST_BYTES)
                request = parse_request(path, file.data)
                path = (request.file.steward.results or "") if isinstance(request, Request) else ""
            if not path.endswith(".json"):
                raise CannotVerify(f"{result[:200]} names no attempt, no results file and no request that has results")
            results = client.read_file(Repo("dataset", board.repos.results), path, max_bytes=MAX_BYTES)
    except HubError as error:
        raise CannotVerify(f"{result[:200]} cannot be read: {error}") from error
    return _attempt_in(results.data, result)


def _attempt_in(data: bytes, name: str) -> tuple[str, str]:
    """Attempt and model of a results file."""
    try:
        block = StewardBlock.model_validate(parse_harness(data).get(BLOCK))
    except (BadResults, ValueError) as error:
        raise CannotVerify(f"{name[:200]} is no results file of Steward: {str(error)[:300]}") from error
    return block.attempt, block.model
