"""The pages for people. They come last among the routes, for they answer to any `/{ns}/{name}`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from localhub.accounts.store import Caller
from localhub.errors import HubError
from localhub.pages import FOLDER, STATIC, page
from localhub.repos import access
from localhub.repos.store import Repo
from localhub.routes import pages_repo, pages_threads, pages_webhooks
from localhub.routes.dependencies import StateDep
from localhub.routes.page_dependencies import PageRoute, Viewer, remember_account, user_named
from localhub.state import HubState
from localhub.threads.service import Thread

router = APIRouter(tags=["pages"], route_class=PageRoute, default_response_class=HTMLResponse)

_KINDS = (("model", "Models"), ("dataset", "Datasets"), ("space", "Spaces"))
_SHOWN, _LATEST = 100, 15

Next = Annotated[str, Query(max_length=2000)]


@router.get("/")
def home(request: Request, state: StateDep, who: Viewer) -> Response:
    """Every repo, and what people talk about."""
    visible = [repo for repo in state.repos.all() if access.allows(state, who, repo, "read")]
    groups = [(title, [repo for repo in visible if repo.type == kind][:_SHOWN]) for kind, title in _KINDS]
    return page(
        request,
        "home.html",
        repos=[(title, repos) for title, repos in groups if repos],
        threads=_latest_threads(state, who),
    )


@router.get("/login")
def login(request: Request, name: Annotated[str, Query(alias="as", max_length=200)], next: Next = "/") -> Response:
    """Goes on as any known user. No proof is asked for: this Hub is for one machine, and a toy in this one respect."""
    response = RedirectResponse(_here(next), 303)
    remember_account(response, user_named(request, name))
    return response


@router.get("/logout")
def logout(next: Next = "/") -> Response:
    """Goes on as nobody."""
    response = RedirectResponse(_here(next), 303)
    response.delete_cookie(access.COOKIE)
    return response


@router.get("/_static/{file}")
def static(file: str) -> Response:
    """The style sheet and the icon."""
    if file not in STATIC:
        raise HubError(404, "There is no such file.")
    return FileResponse(FOLDER / file, media_type=STATIC[file], headers={"Cache-Control": "max-age=3600"})


router.include_router(pages_webhooks.router)
router.include_router(pages_threads.router)
router.include_router(pages_repo.router)


@router.get("/{account}")
def account_page(request: Request, state: StateDep, who: Viewer, account: str) -> Response:
    """A user or an organisation: its repos, and who belongs to it."""
    found = state.accounts.by_name(account)
    if found is None:
        raise HubError(404, f"Nobody here is called {account}.")
    members = state.accounts.members(found) if found.kind == "org" else state.accounts.orgs(found)
    repos = [repo for repo in state.repos.all(namespace=found.name) if access.allows(state, who, repo, "read")]
    return page(request, "account.html", account=found, members=members, repos=repos[:_SHOWN])


def _latest_threads(state: HubState, who: Caller) -> list[tuple[Thread, Repo]]:
    found: list[tuple[Thread, Repo]] = []
    for thread in state.threads.latest(10 * _LATEST):
        repo = state.repos.by_oid(thread.repo_oid)
        if repo and access.allows(state, who, repo, "read"):
            found.append((thread, repo))
    return found[:_LATEST]


def _here(target: str) -> str:
    """A path of this site, whatever was asked for."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain else "/"
