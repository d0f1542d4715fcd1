"""The start page, sign-in, account pages and static files; includes the other pages.

Pages are the last routes, because they match any `/{ns}/{name}`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from localhub.accounts.store import Caller
from localhub.errors import HubError
from localhub.pages import FOLDER, STATIC
from localhub.repos.records import Repo
from localhub.routes import pages_repo, pages_threads, pages_webhooks
from localhub.routes.callers import COOKIE
from localhub.routes.dependencies import StateDep
from localhub.routes.page_dependencies import PageRoute, Viewer, page, remember_account, user_named
from localhub.state import HubState
from localhub.threads.store import Thread

router = APIRouter(tags=["pages"], route_class=PageRoute, default_response_class=HTMLResponse)

_KINDS = (("model", "Models"), ("dataset", "Datasets"), ("space", "Spaces"))
_MAX_REPOS, _MAX_THREADS = 100, 15

Next = Annotated[str, Query(max_length=2000)]


@router.get("/")
def home(request: Request, state: StateDep, caller: Viewer) -> Response:
    """The repos and the latest threads that the viewer may see."""
    visible = [repo for repo in state.repos.all() if state.access.allows(caller, repo, "read")]
    groups = [(title, [repo for repo in visible if repo.type == kind][:_MAX_REPOS]) for kind, title in _KINDS]
    return page(
        request,
        "home.html",
        repos=[(title, repos) for title, repos in groups if repos],
        threads=_latest_threads(state, caller),
    )


@router.get("/login")
def login(request: Request, name: Annotated[str, Query(alias="as", max_length=200)], next: Next = "/") -> Response:
    """Sign in as any user, without proof: this Hub is for one machine and protects nothing by its pages."""
    response = RedirectResponse(_local_path(next), 303)
    remember_account(response, user_named(request, name))
    return response


@router.get("/logout")
def logout(next: Next = "/") -> Response:
    """Sign out."""
    response = RedirectResponse(_local_path(next), 303)
    response.delete_cookie(COOKIE)
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
def account_page(request: Request, state: StateDep, caller: Viewer, account: str) -> Response:
    """A user with its organisations, or an organisation with its members; and its repos."""
    owner = state.accounts.by_name(account)
    if owner is None:
        raise HubError(404, f"There is no account {account}.")
    members = state.accounts.members(owner) if owner.kind == "org" else state.accounts.orgs(owner)
    repos = [repo for repo in state.repos.all(namespace=owner.name) if state.access.allows(caller, repo, "read")]
    return page(request, "account.html", account=owner, members=members, repos=repos[:_MAX_REPOS])


def _latest_threads(state: HubState, caller: Caller) -> list[tuple[Thread, Repo]]:
    visible: list[tuple[Thread, Repo]] = []
    for thread in state.threads.latest(10 * _MAX_THREADS):
        repo = state.repos.by_oid(thread.repo_oid)
        if repo and state.access.allows(caller, repo, "read"):
            visible.append((thread, repo))
    return visible[:_MAX_THREADS]


def _local_path(target: str) -> str:
    """The target if it is a path of this site, else the start page."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain else "/"
