"""A public page, declared once: `page_routes` serves it as HTML and as JSON, from one function that reads it.

The two routes differ in how they read a query. The page ignores invalid values, since people follow old links; the API
refuses them, since programs should notice.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel

from bot.read_models.models import ErrorResponse
from bot.web.answers import CannotAnswer, answer
from bot.web.api import MAX_ROWS, NOT_MODIFIED, PROBLEMS
from bot.web.board import BoardReader
from bot.web.frame import Frame

PAGE_ROWS = 50
"""Rows of a list on a page."""
SearchText = Annotated[str, Query(max_length=1_000, description="a search, as in the FAQ: `yi-34b; Hub License: mit`")]
PageNumber = Annotated[int, Query(ge=1, le=10_000_000, description="page, from 1; after the last page, the last one")]
PageSize = Annotated[int, Query(ge=1, le=MAX_ROWS, description="rows of a page")]
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": ErrorResponse, "description": "There is no public one."}}
Q = TypeVar("Q")
V = TypeVar("V", bound=BaseModel)


class NoQuery:
    """The query of a page that takes no parameters."""


class NotPublic(CannotAnswer):
    """There is no public `kind` of this `name`; `described` is the noun of the sentence that says so."""

    def __init__(self, kind: str, described: str, name: str) -> None:
        message = f"There is no {described}, or its model is private."
        advice = "Look for it with /api/search?q=…"
        super().__init__(404, ErrorResponse(code=f"no-{kind}", message=message, advice=advice))
        self.kind, self.name = kind, name


def _no_values(_board: BoardReader, _query: object, _view: object) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Page(Generic[Q, V]):
    """One page. `templates/{template}.html` shows `found`, the view that `read` returns, and `asked`, the query; a page
    without a template is JSON only.

    `query` is a class whose fields are the parameters of the API, those of the path included. The docstring of `read`
    describes the operation in OpenAPI, and its return type is the model of the response.
    """

    path: str
    template: str
    read: Callable[[BoardReader, Q], V]
    query: Callable[..., Q]
    query_of_page: Callable[[Request, BoardReader], Q] | None = None
    """Reads the query of the HTML page, if it has more than the parameters of the path."""
    more_values: Callable[[BoardReader, Q, V], Mapping[str, Any]] = _no_values
    """Further values for the template."""
    menu: str = ""
    """The page's name in the menu; empty: the menu does not show it."""
    api_path: str = ""
    """The path of the page's JSON; empty: the page has none."""
    summary: str = ""
    """The operation in a few words, for OpenAPI."""
    tag: str = "board"
    operation: str = ""
    """The operation's name, which generated clients use; empty: that of `read`."""


def page_routes(page: Page[Q, V], board: BoardReader, frame: Frame) -> APIRouter:
    """The route of the page, and the route of its JSON."""
    routes = APIRouter(tags=[page.tag], responses={**PROBLEMS, **NOT_MODIFIED})

    def html(request: Request) -> Response:
        ask = page.query_of_page
        query = ask(request, board) if ask is not None else page.query(**request.path_params)
        try:
            view = page.read(board, query)
        except NotPublic as error:
            if (moved := _redirect(page, board, error)) is not None:
                return moved
            return frame.page(request, "missing", status=404, what=error.kind, said=error.name[:300])
        return frame.page(request, page.template, found=view, asked=query, **page.more_values(board, query, view))

    if page.template:
        routes.get(page.path, include_in_schema=False)(html)
    if page.api_path:

        @routes.get(
            page.api_path,
            name=page.operation or page.read.__name__,
            summary=page.summary,
            description=inspect.getdoc(page.read),
            response_model=inspect.signature(page.read).return_annotation,
            responses=MISSING if "{" in page.path else None,
        )
        def json(request: Request, query: Annotated[Q, Depends(page.query)]) -> Response:
            try:
                return answer(request, page.read(board, query))
            except NotPublic as error:
                if (moved := _redirect(page, board, error, api=True)) is not None:
                    return moved
                raise

    return routes


def _redirect(page: Page[Q, V], board: BoardReader, error: NotPublic, *, api: bool = False) -> Response | None:
    """The redirect to the page of a model that was renamed; None if `error` is about anything else.

    Browsers ask again each time: another model may get the former name.
    """
    if error.kind != "model" or not (name := board.renamed(error.name)):
        return None
    address = (page.api_path if api else page.path).partition("{")[0] + quote(name)
    return RedirectResponse(address, 301, {"cache-control": "no-cache"})
