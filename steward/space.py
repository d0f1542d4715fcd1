"""The Space that shows the leaderboard: `steward init` writes its files, `steward doctor` checks their version."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bot.core.context import BoardContext
    from bot.setup.doctor.findings import Check
    from hub.client import Hub
    from hub.records import Repo
    from leaderboard.boards import Board

CARD = "README.md"
OLD = ", but is of another version of Steward: --space brings it up to date"
State = Literal["empty", "current", "old", "other"]
"""Whether a Space has no page, the page of this version, of another version, or a page that is not Steward's."""


def space_of(board: Board) -> Repo | None:
    """The Space for the leaderboard; None if the community repo is not a Space, or there is no contents repo."""
    from hub.records import Repo

    is_space = board.repos.community_type == "space" and bool(board.repos.contents)
    return Repo("space", board.repos.community) if is_space else None


def state_of(hub: Hub, space: Repo) -> State:
    """The state of a Space; one that does not exist is empty. Makes at most four calls."""
    from bot.web.space import INDEX, space_version, version_of

    if not hub.repo_exists(space):
        return "empty"
    index = hub.find_file(space, INDEX)
    if index is not None:
        version = version_of(index.data)
        return "other" if not version else "current" if version == space_version() else "old"
    card = hub.find_file(space, CARD)
    has_more = any(entry.path not in (CARD, ".gitattributes") for entry in hub.each_file(space))
    return "other" if has_more or (card is not None and b"sdk: static" not in card.data) else "empty"


def write_space(hub: Hub, board: Board, *, site: str, update: bool, apply: bool) -> Iterator[str]:
    """Write the page of a Space that has none; with `update`, also an outdated one. Yields a line. Raises HubError.

    `site` is the address of the board's pages, which the Space links. A page that is not Steward's stays as it is.
    """
    from bot.web.space import space_files
    from hub.file_checks import has_content
    from hub.records import WriteFile
    from leaderboard.suites import find_suite

    space = space_of(board)
    if space is None:
        return
    state = state_of(hub, space)
    if state == "other":
        yield f"The Space {space.id} has a page that is not Steward's: it stays as it is."
        return
    if state != "empty" and not update:
        yield f"The page of the Space {space.id} exists{'' if state == 'current' else OLD}."
        return
    files = space_files(board, find_suite(board.suite), hub.endpoint, site)
    present = hub.paths_info(space, list(files)) if hub.repo_exists(space) else {}
    changed = [
        WriteFile(path, data)
        for path, data in files.items()
        if path not in present or not has_content(BytesIO(data), present[path].oid)
    ]
    if not changed:
        yield f"The page of the Space {space.id} is up to date."
        return
    if apply:
        hub.commit(space, changed, "Show the leaderboard", regular=[file.path for file in changed])
    yield f"{'Wrote' if apply else 'Would write'} the page of the Space {space.id}, which shows the leaderboard."


def space_checks(context: BoardContext) -> Iterator[Check]:
    """Yield whether the Space shows the leaderboard with the files of this version."""
    from bot.setup.doctor.findings import Check
    from hub.errors import HubError

    space = space_of(context.board)
    if space is None:
        return
    fix = "Run `steward init --url … --space --apply`."
    try:
        state = state_of(context.hub, space)
    except HubError as error:
        yield Check(
            "space", "error", f"Could not be checked: {error}", "Fix the errors above, and run the doctor again."
        )
        return
    match state:
        case "empty":
            yield Check("space", "warning", f"The Space {space.id} shows no leaderboard.", fix)
        case "old":
            yield Check("space", "warning", f"The page of the Space {space.id} is of another version of Steward.", fix)
        case "other":
            yield Check("space", "ok", f"The Space {space.id} has a page of its own.")
        case "current":
            yield Check("space", "ok", f"The Space {space.id} shows the leaderboard.")
