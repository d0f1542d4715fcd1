"""Pages of the Community tab: the list, a thread, a pull request's changes, and the forms to take part."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from localhub.accounts.store import Account, Caller
from localhub.errors import BadRequest, HubError
from localhub.pages import query, selectable_users
from localhub.pages.diffview import parse
from localhub.repos import access
from localhub.repos.store import Repo
from localhub.routes.dependencies import StateDep
from localhub.routes.page_dependencies import (
    Form,
    PageRepo,
    PageRoute,
    SameSite,
    Viewer,
    acting_account,
    remember_account,
)
from localhub.routes.pages_repo import repo_page
from localhub.routes.threads import CommentId, Num
from localhub.state import HubState
from localhub.threads import pulls
from localhub.threads.service import Thread, ThreadEvent, ThreadFilter

router = APIRouter(route_class=PageRoute, default_response_class=HTMLResponse)

PAGE = 30
_THREADS = "/{prefix:prefix}{ns}/{name}/discussions"
_THREAD = _THREADS + "/{num}"
_WORDS: dict[tuple[str, object], str] = {
    ("pinning-change", True): "pinned this",
    ("pinning-change", False): "unpinned this",
    ("locking-change", True): "locked this",
    ("locking-change", False): "unlocked this",
}


@router.get(_THREADS)
def community(
    request: Request,
    state: StateDep,
    repo: PageRepo,
    status: Literal["open", "closed"] = "open",
    p: Annotated[int, Query(ge=0, le=10**6)] = 0,
) -> Response:
    """The list of threads, open or closed."""
    closed = status == "closed"
    threads, count = state.threads.page(repo, ThreadFilter(over=closed, sort="pinned"), start=p * PAGE, size=PAGE)
    return repo_page(
        request,
        state,
        repo,
        "community",
        "discussions.html",
        threads=[(thread, _account(state, thread.author_id)) for thread in threads],
        closed=closed,
        counts={
            "open": state.threads.count(repo, ThreadFilter(over=False)),
            "closed": state.threads.count(repo, ThreadFilter(over=True)),
        },
        previous_page=query(status=status, p=p - 1) if p else None,
        next_page=query(status=status, p=p + 1) if (p + 1) * PAGE < count else None,
    )


@router.get(_THREADS + "/new")
def new_form(request: Request, state: StateDep, repo: PageRepo) -> Response:
    """The form for a new discussion."""
    return _new(request, state, repo)


@router.post(_THREADS + "/new", dependencies=[SameSite])
async def new(request: Request, state: StateDep, repo: PageRepo, form: Form) -> Response:
    """Opens a discussion."""
    return await run_in_threadpool(_open, request, state, repo, form)


@router.get(_THREAD)
def thread(request: Request, state: StateDep, repo: PageRepo, who: Viewer, num: Num) -> Response:
    """A thread: its timeline, and what one can do about it."""
    return _thread_page(request, state, repo, who, state.threads.get(repo, num))


@router.get(_THREAD + "/files")
def changes(request: Request, state: StateDep, repo: PageRepo, who: Viewer, num: Num) -> Response:
    """What a pull request changes."""
    access.require_content_access(state, who, repo)
    found = _pull(state, repo, num)
    files, cut = parse(pulls.diff(repo, found))
    context = {"thread": found, "author": _account(state, found.author_id), "problem": None, "view": "changes"}
    return repo_page(request, state, repo, "community", "thread.html", **context, files=files, cut=cut)


@router.get(_THREAD + "/files.diff")
def plain_diff(state: StateDep, repo: PageRepo, who: Viewer, num: Num) -> Response:
    """What a pull request changes, as a git diff: its `diffUrl`."""
    access.require_content_access(state, who, repo)
    return PlainTextResponse(pulls.diff(repo, _pull(state, repo, num)))


@router.post(_THREAD, dependencies=[SameSite])
async def act(request: Request, state: StateDep, repo: PageRepo, num: Num, form: Form) -> Response:
    """Comments, closes, reopens, publishes or merges."""
    return await run_in_threadpool(_act, request, state, repo, num, form)


@router.post(_THREAD + "/comment/{comment_id}", dependencies=[SameSite])
async def change_comment(
    request: Request, state: StateDep, repo: PageRepo, who: Viewer, num: Num, comment_id: CommentId, form: Form
) -> Response:
    """Edits or hides a comment."""
    return await run_in_threadpool(_change_comment, request, state, repo, who, num, comment_id, form)


def _open(request: Request, state: HubState, repo: Repo, form: dict[str, str]) -> Response:
    title, description = form.get("title", ""), form.get("description", "")
    try:
        who = acting_account(request, form)
        made = state.threads.open_discussion(repo, who, title, description)
    except HubError as error:
        return _new(request, state, repo, title=title, description=description, problem=error)
    return _redirect_to_thread(repo, made, "", who.account)


def _act(request: Request, state: HubState, repo: Repo, num: int, form: dict[str, str]) -> Response:
    found, text = state.threads.get(repo, num), form.get("comment", "")
    who = Caller()
    try:
        who = acting_account(request, form)
        anchor = _do(state, repo, who, found, form.get("action", "comment"), text)
    except HubError as error:
        return _thread_page(request, state, repo, who, found, problem=error, draft=text)
    return _redirect_to_thread(repo, found, anchor, who.account)


def _do(state: HubState, repo: Repo, who: Caller, found: Thread, action: str, text: str) -> str:
    """What the pressed button says; the entry of the timeline to show afterwards."""
    if action == "comment":
        return state.threads.comment(repo, who, found, text).id
    if action == "close":
        return state.threads.set_status(repo, who, found, "closed", text).id
    if action in ("reopen", "open"):
        return state.threads.set_status(repo, who, found, "open", text).id
    if action == "merge":
        state.threads.merge(repo, who, found, text)
        return "reply"
    raise BadRequest("One can comment here, close, reopen, publish or merge.")


def _change_comment(
    request: Request, state: HubState, repo: Repo, who: Caller, num: int, comment_id: str, form: dict[str, str]
) -> Response:
    found = state.threads.get(repo, num)
    try:
        if form.get("action") == "hide":
            event = state.threads.hide(repo, who, found, comment_id)
        else:
            event = state.threads.edit(repo, who, found, comment_id, form.get("content", ""))
    except HubError as error:
        return _thread_page(request, state, repo, who, found, problem=error)
    return _redirect_to_thread(repo, found, event.id, who.account)


def _redirect_to_thread(repo: Repo, found: Thread, anchor: str, account: Account | None) -> Response:
    """Back to the thread by GET, so that a reload sends nothing twice."""
    response = RedirectResponse(f"{repo.web_path}/discussions/{found.num}" + (f"#{anchor}" if anchor else ""), 303)
    remember_account(response, account)
    return response


def _new(
    request: Request,
    state: HubState,
    repo: Repo,
    *,
    title: str = "",
    description: str = "",
    problem: HubError | None = None,
) -> Response:
    return repo_page(
        request,
        state,
        repo,
        "community",
        "new.html",
        status_code=problem.status if problem else 200,
        title=title,
        description=description,
        problem=problem.message if problem else None,
    )


def _thread_page(
    request: Request,
    state: HubState,
    repo: Repo,
    who: Caller,
    found: Thread,
    *,
    problem: HubError | None = None,
    draft: str = "",
) -> Response:
    everybody = selectable_users(state, who.account)
    speakers = [one for one in everybody if access.allows(state, Caller(one), repo, "discuss")]
    writers = [one for one in everybody if access.allows(state, Caller(one), repo, "write")]
    return repo_page(
        request,
        state,
        repo,
        "community",
        "thread.html",
        status_code=problem.status if problem else 200,
        view="talk",
        thread=found,
        author=_account(state, found.author_id),
        entries=_entries(state, repo, who, found),
        conflicts=pulls.conflicts(repo, found) if found.is_pull else [],
        people=writers if found.locked or repo.discussions_disabled else speakers,
        mergers=writers,
        stewards=[one for one in everybody if one in writers or one.id == found.author_id],
        problem=problem.message if problem else None,
        draft=draft,
    )


def _entries(state: HubState, repo: Repo, who: Caller, found: Thread) -> list[dict[str, Any]]:
    known: dict[str, tuple[Account | None, str | None]] = {}
    may_write = access.allows(state, who, repo, "write")
    shown = []
    for event in state.threads.events(found):
        key = event.author_id or ""
        if key not in known:
            author = _account(state, event.author_id)
            known[key] = (author, _role(state, repo, found, author))
        author, role = known[key]
        own = who.account is not None and who.account.id == event.author_id
        shown.append(
            {
                "event": event,
                "author": author,
                "role": role,
                "words": _event_text(event),
                "may_edit": own,
                "may_hide": own or may_write,
            }
        )
    return shown


def _role(state: HubState, repo: Repo, found: Thread, author: Account | None) -> str | None:
    """What a reader should know of the one who speaks."""
    if author is None:
        return None
    if access.role_in(state, author, repo):
        return "owner" if author.id == repo.owner_id else "member"
    return "author" if author.id == found.author_id else None


def _event_text(event: ThreadEvent) -> str:
    data = event.data
    if event.type == "status-change":
        return {"open": "opened this", "closed": "closed this", "merged": "merged this"}.get(data["status"], "")
    if event.type == "title-change":
        return f"changed the title from “{data['from']}” to “{data['to']}”"
    if event.type == "ref-deleted":
        return "deleted the commits of this pull request"
    return _WORDS.get((event.type, next(iter(data.values()), None)), event.type)


def _pull(state: HubState, repo: Repo, num: int) -> Thread:
    found = state.threads.get(repo, num)
    if not found.is_pull:
        raise HubError(404, f"#{num} is a discussion: it changes no files.")
    return found


def _account(state: HubState, account_id: str | None) -> Account | None:
    return state.accounts.by_id(account_id) if account_id else None
