"""Pictures of the leaderboard, of a model and of a comparison, for chats that show a link to them (Open Graph)."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from bot.web.answers import tagged
from bot.web.board import BoardReader
from bot.web.charts.previews import Preview, PreviewBar, draw_preview
from bot.web.leaderboard_view import MAX_PINNED, LeaderboardRowView, row_views
from bot.web.pages.compare import CompareQuery, compare
from bot.web.selection import Selection

HEADERS = {
    "cache-control": "public, max-age=300",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "cross-origin",
}
TOP = 5
"""Evaluations on the picture of the leaderboard."""
Names = Annotated[list[str] | None, Query(max_length=MAX_PINNED)]


def preview_routes(board: BoardReader) -> APIRouter:
    """The routes of the pictures. Each is drawn on a thread, as all pages are."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/previews/leaderboard.png")
    def leaderboard(request: Request) -> Response:
        return _answer(request, leaderboard_preview(board))

    @routes.get("/previews/models/{name:path}.png")
    def model(request: Request, name: Annotated[str, Path(max_length=200)]) -> Response:
        return _answer(request, model_preview(board, name))

    @routes.get("/previews/compare.png")
    def comparison(request: Request, pin: Names = None, model: Names = None) -> Response:
        return _answer(request, compare_preview(board, CompareQuery(pin, model)))

    return routes


def leaderboard_preview(board: BoardReader) -> Preview:
    """The preview of the leaderboard, with its TOP best evaluations."""
    rows = board.table.leaderboard()
    shown = rows.select(Selection())
    best = row_views(rows, shown, shown.order[:TOP].tolist())
    says = f"{len(shown.order):,} evaluations" if len(shown.order) != 1 else "1 evaluation"
    return Preview(board.context.board.title, "Leaderboard", says, tuple(_average(row, ranked=True) for row in best))


def model_preview(board: BoardReader, name: str) -> Preview | None:
    """The preview of a model, with its rank and scores; None for a model that is not on the leaderboard."""
    rows = board.table.leaderboard()
    best = rows.best_of(name)
    if best is None:
        return None
    shown = rows.select(Selection())
    (row,) = row_views(rows, shown, [best])
    rank = f"rank {row.rank:,} of {len(shown.order):,} · " if row.rank else "flagged · " if row.flagged else ""
    bars = tuple(PreviewBar(name, f"{value:.2f}", value) for name, value in row.scores.items())
    return Preview(board.context.board.title, row.model, f"{rank}average {row.average or 0.0:.2f}", bars)


def compare_preview(board: BoardReader, query: CompareQuery) -> Preview | None:
    """The preview of a comparison, with the averages of the models; None for fewer than two."""
    rows = [compared.row for compared in compare(board, query).compared]
    if len(rows) < 2:
        return None
    says = f"{len(rows)} models side by side"
    return Preview(board.context.board.title, "Comparison", says, tuple(map(_average, rows)))


def _average(row: LeaderboardRowView, *, ranked: bool = False) -> PreviewBar:
    average = row.average or 0.0
    return PreviewBar(f"{row.rank}  {row.model}" if ranked else row.model, f"{average:.2f}", average)


def _answer(request: Request, preview: Preview | None) -> Response:
    if preview is None:
        return Response(status_code=404)
    return tagged(request, draw_preview(preview), "image/png", HEADERS)
