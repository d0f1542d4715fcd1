"""The start page, sign-in, accounts, webhooks and static files; includes the pages of repos and threads.

Pages are the last routes, because they match any `/{ns}/{name}`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from localhub.accounts.store import Caller
from localhub.errors import BadRequest, HubError
from localhub.http.routing import HubRouter
from localhub.pages import FOLDER, STATIC
from localhub.repos.records import Repo
from localhub.routes import pages_repo, pages_threads
from localhub.routes.callers import COOKIE
from localhub.routes.dependencies import StateDep
from localhub.routes.page_dependencies import Form, PageRoute, SameSite, Viewer, page, remember_account, user_named
from localhub.routes.webhooks import Id
from localhub.state import HubState
from localhub.threads.store import Thread
from localhub.webhooks.store import Webhook

router = HubRouter(tags=["pages"], route_class=PageRoute, default_response_class=HTMLResponse)

_KINDS = (("model", "Models"), ("dataset", "Datasets"), ("space", "Spaces"))
_MAX_REPOS, _MAX_THREADS, _MAX_DELIVERIES = 100, 15, 50

Next = Annotated[str, Query(max_length=2000)]


@router.get("/")
def home(request: Request, state: StateDep, caller: Viewer) -> Response:
    """The organisations, and the repos and the latest threads that the viewer may see."""
    visible = [repo for repo in state.repos.all() if state.access.allows(caller, repo, "read")]
    groups = [(title, [repo for repo in visible if repo.type == kind][:_MAX_REPOS]) for kind, title in _KINDS]
    return page(
        request,
        "home.html",
        orgs=state.accounts.all("org")[:_MAX_REPOS],
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


@router.get("/settings/webhooks")
def webhooks(request: Request, state: StateDep, caller: Viewer) -> Response:
    """The viewer's webhooks."""
    return page(request, "webhooks.html", hooks=state.webhooks.all(caller.account) if caller.account else [])


@router.get("/settings/webhooks/{webhook_id}")
def webhook(request: Request, state: StateDep, caller: Viewer, webhook_id: Id) -> Response:
    """One webhook and its activity log."""
    return _webhook_page(request, state, state.webhooks.get(webhook_id, caller.require_account()))


@router.post("/settings/webhooks/{webhook_id}", dependencies=[SameSite])
async def change_webhook(request: Request, state: StateDep, caller: Viewer, webhook_id: Id, form: Form) -> Response:
    """Enable or disable a webhook, or send a delivery again."""
    return await run_in_threadpool(_change_webhook, request, state, caller, webhook_id, form)


router.join(pages_threads.router)
router.join(pages_repo.router)


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


def _change_webhook(
    request: Request, state: HubState, caller: Caller, webhook_id: str, form: dict[str, str]
) -> Response:
    hook = state.webhooks.get(webhook_id, caller.require_account())
    action, notice = form.get("action"), None
    if action == "enable":
        hook = state.webhooks.enable(hook)
    elif action == "disable":
        hook = state.webhooks.disable(hook)
    elif action == "replay":
        notice = _replay(state, hook, form.get("log", ""))
    else:
        raise BadRequest("A webhook can be enabled, disabled, or a delivery replayed.")
    return _webhook_page(request, state, hook, notice)


def _replay(state: HubState, hook: Webhook, log_id: str) -> str:
    delivery = state.webhooks.deliveries.log.find(hook.id, log_id)
    if delivery is None:
        raise HubError(404, "There is no such delivery in this webhook's activity.")
    status = state.webhooks.deliveries.replay(hook, delivery)
    return f"Sent again: the receiver answered {status}." if status else "Sent again, but the receiver did not answer."


def _webhook_page(request: Request, state: HubState, hook: Webhook, notice: str | None = None) -> Response:
    rows: list[dict[str, Any]] = [
        {**vars(item), "body": item.body, "when": datetime.fromtimestamp(item.created_at, UTC)}
        for item in state.webhooks.deliveries.log.latest(hook.id, _MAX_DELIVERIES)
    ]
    return page(request, "webhook.html", hook=hook, deliveries=rows, problem=notice)
