"""Shared parts of the routes of pages: rendering, errors as pages, the viewer, forms and the account they act for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse
from starlette.datastructures import FormData, UploadFile

from localhub.accounts.store import Account, Accounts, Caller
from localhub.errors import BadRequest, Forbidden, HubError, RepoMoved
from localhub.http.routing import HubRoute, RepoKind
from localhub.pages import HEADERS, render_template
from localhub.repos.records import Repo
from localhub.routes.callers import COOKIE, page_caller, state_of
from localhub.routes.dependencies import Name, Namespace, StateDep, type_of

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
MAX_MENU_ACCOUNTS = 100
"""Accounts that a menu offers."""


def page(request: Request, template: str, status: int = 200, **content: Any) -> HTMLResponse:
    """Render a template with the viewer's account and the accounts that it may switch to."""
    state = state_of(request)
    account = page_caller(request).account
    common = {
        "me": account,
        "people": selectable_users(state.accounts, account),
        "here": _path_for_get(request),
        "now": state.clock.now(),
    }
    return HTMLResponse(render_template(template, **{**common, **content}), status, HEADERS)


def selectable_users(accounts: Accounts, first: Account | None = None) -> list[Account]:
    """The users that a viewer may act as, `first` before the others."""
    users = accounts.all("user")
    if first:
        users = [first, *(user for user in users if user.id != first.id)]
    return users[:MAX_MENU_ACCOUNTS]


def _path_for_get(request: Request) -> str:
    """The path to return to by GET: the request's own, or that of the page whose form was sent."""
    path: str = request.scope["raw_path"].decode("latin-1").partition("?")[0]
    return path if request.method == "GET" else path.rsplit("/comment/", 1)[0]


class PageRoute(HubRoute):
    """A route that shows refusals as pages to browsers; programs still get JSON."""

    def get_route_handler(self) -> Handler:
        """FastAPI's handler, with refusals as pages."""
        serve = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await serve(request)
            except RepoMoved:
                raise
            except HubError as error:
                if "text/html" not in request.headers.get("accept", ""):
                    raise
                return error_page(request, error)

        return handler


def error_page(request: Request, error: HubError) -> Response:
    """A refusal as a page."""
    heading = HTTPStatus(error.status).phrase if error.status in list(HTTPStatus) else "Error"
    # The page for a wrong token must not read that token again.
    request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"authorization"]
    return page(request, "error.html", error.status, heading=heading, message=error.message)


Viewer = Annotated[Caller, Depends(page_caller)]


def repo_at(state: StateDep, prefix: RepoKind, ns: Namespace, name: Name, caller: Viewer) -> Repo:
    """The repo of a web address, if the viewer has read access."""
    return state.access.repo(type_of(prefix), f"{ns}/{name}", caller, "read")


PageRepo = Annotated[Repo, Depends(repo_at)]


def same_site(request: Request) -> None:
    """Refuse forms that another site's page sends: the browser adds the cookie to them."""
    origin = request.headers.get("origin")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("This form was sent from another site.")
    if origin and origin != "null" and urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden("This form was sent from another site.")


async def form_of(request: Request) -> dict[str, str]:
    """The text fields of a form."""
    fields: FormData = await request.form(max_files=1, max_fields=50)
    return {name: value for name, value in fields.items() if not isinstance(value, UploadFile)}


SameSite = Depends(same_site)
Form = Annotated[dict[str, str], Depends(form_of)]


def acting_account(request: Request, form: dict[str, str]) -> Caller:
    """The account that a form names in `as`, else the viewer."""
    name = form.get("as")
    return Caller(user_named(request, name)) if name else page_caller(request)


def user_named(request: Request, name: str) -> Account:
    """The user of that name; `BadRequest` if there is none."""
    account = state_of(request).accounts.by_name(name)
    if account is None or account.kind != "user":
        raise BadRequest(f"There is no user {name} to act as.")
    return account


def remember_account(response: Response, account: Account | None) -> None:
    """Set the cookie to the account that just acted."""
    if account:
        response.set_cookie(COOKIE, account.name, httponly=True, samesite="lax")
