"""All flags of models."""

from bot.read_models.models import ApiModel
from bot.web.board import BoardReader
from bot.web.flags import FlagView
from bot.web.page import NoQuery, Page


class FlagsResponse(ApiModel):
    """All flags, active ones first, sorted by name."""

    flags: list[FlagView]


def flags(board: BoardReader, _query: NoQuery) -> FlagsResponse:
    """All flags, active and lifted, each with its thread."""
    return FlagsResponse(flags=board.flags.all())


PAGE = Page(
    "/flags",
    "flags",
    flags,
    NoQuery,
    # Without a repo for flags, the bot takes no reports.
    more_values=lambda board, _query, _view: {"takes_reports": bool(board.context.board.repos.flags)},
    menu="Flags",
    api_path="/api/flags",
    summary="Flags",
)
