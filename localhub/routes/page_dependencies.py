"""What the routes of pages have in common: errors as pages, who looks, whom a form speaks for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, UploadFile

from localhub.accounts.store import Account, Caller
from localhub.errors import BadRequest, Forbidden, HubError, RepoMoved
from localhub.http.routing import RepoKind
from localhub.pages import page
from localhub.repos import access
from localhub.repos.store import Repo
from localhub.routes.dependencies import Name, Namespace, type_of

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route whose refusals are pages for a browser; programs go on getting JSON."""

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
    """A refusal as a person reads it."""
    heading = HTTPStatus(error.status).phrase if error.status in list(HTTPStatus) else "Error"
    # Also a wrong token is told on a page, which must not ask for that token again.
    request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"authorization"]
    return page(request, "error.html", error.status, heading=heading, message=error.message)


def viewer(request: Request) -> Caller:
    """Who looks: by cookie, else by token."""
    return access.page_caller(request)


Viewer = Annotated[Caller, Depends(viewer)]


def repo_at(request: Request, prefix: RepoKind, ns: Namespace, name: Name, who: Viewer) -> Repo:
    """The repo of a web address, if the one who looks may know of it."""
    return access.repo_for(request, type_of(prefix), f"{ns}/{name}", "read", who)


PageRepo = Annotated[Repo, Depends(repo_at)]


def same_site(request: Request) -> None:
    """Refuses forms that another site's page sends: the cookie travels with them."""
    origin = request.headers.get("origin")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("This form was sent from another site.")
    if origin and origin != "null" and urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden("This form was sent from another site.")


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, texts alone."""
    fields: FormData = await request.form(max_files=1, max_fields=50)
    return {name: value for name, value in fields.items() if not isinstance(value, UploadFile)}


SameSite = Depends(same_site)
Form = Annotated[dict[str, str], Depends(form_of)]


def acting_account(request: Request, form: dict[str, str]) -> Caller:
    """The account that a form chose in `as`, else the one that looks."""
    name = form.get("as")
    return Caller(user_named(request, name)) if name else viewer(request)


def user_named(request: Request, name: str) -> Account:
    """The user of that name; `BadRequest` where there is none."""
    account = access.state_of(request).accounts.by_name(name)
    if account is None or account.kind != "user":
        raise BadRequest(f"There is no user {name} to act as.")
    return account


def remember_account(response: Response, account: Account | None) -> None:
    """Goes on as the account that just acted."""
    if account:
        response.set_cookie(access.COOKIE, account.name, httponly=True, samesite="lax")
