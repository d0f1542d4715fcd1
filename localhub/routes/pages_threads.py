"""Pages of the Community tab: the list, a thread, a pull request's changes, and the forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Query, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from localhub.accounts.store import Account, Caller
from localhub.errors import BadRequest, HubError
from localhub.http.routing import HubRouter
from localhub.pages import query
from localhub.pages.diffview import parse
from localhub.repos.records import Repo
from localhub.routes.dependencies import StateDep
from localhub.routes.page_dependencies import (
    Form,
    PageRepo,
    PageRoute,
    SameSite,
    Viewer,
    acting_account,
    remember_account,
    selectable_users,
)
from localhub.routes.pages_repo import repo_page
from localhub.routes.threads import CommentId, Num
from localhub.state import HubState
from localhub.threads import pulls
from localhub.threads.store import Thread, ThreadEvent, ThreadFilter

router = HubRouter(tags=["pages"], route_class=PageRoute, default_response_class=HTMLResponse)

PAGE_SIZE = 30
_THREADS = "/{prefix:prefix}{ns}/{name}/discussions"
_THREAD = _THREADS + "/{num}"
_CHANGE_TEXTS: dict[tuple[str, object], str] = {
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
    threads, count = state.threads.page(
        repo, ThreadFilter(over=closed, sort="pinned"), start=p * PAGE_SIZE, size=PAGE_SIZE
    )
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
        next_page=query(status=status, p=p + 1) if (p + 1) * PAGE_SIZE < count else None,
    )


@router.get(_THREADS + "/new")
def new_form(request: Request, state: StateDep, repo: PageRepo) -> Response:
    """The form for a new discussion."""
    return _new(request, state, repo)


@router.post(_THREADS + "/new", dependencies=[SameSite])
async def new(request: Request, state: StateDep, repo: PageRepo, form: Form) -> Response:
    """Open a discussion."""
    return await run_in_threadpool(_open, request, state, repo, form)


@router.get(_THREAD)
def thread(request: Request, state: StateDep, repo: PageRepo, caller: Viewer, num: Num) -> Response:
    """A thread with its timeline and forms."""
    return _thread_page(request, state, repo, caller, state.threads.get(repo, num))


@router.get(_THREAD + "/files")
def changes(request: Request, state: StateDep, repo: PageRepo, caller: Viewer, num: Num) -> Response:
    """The changes of a pull request."""
    state.access.require_content_access(caller, repo)
    pull = _pull(state, repo, num)
    files, cut = parse(pulls.diff(repo, pull))
    context = {"thread": pull, "author": _account(state, pull.author_id), "problem": None, "view": "changes"}
    return repo_page(request, state, repo, "community", "thread.html", **context, files=files, cut=cut)


@router.get(_THREAD + "/files.diff")
def plain_diff(state: StateDep, repo: PageRepo, caller: Viewer, num: Num) -> Response:
    """The changes of a pull request as a git diff, at its `diffUrl`."""
    state.access.require_content_access(caller, repo)
    return PlainTextResponse(pulls.diff(repo, _pull(state, repo, num)))


@router.post(_THREAD, dependencies=[SameSite])
async def act(request: Request, state: StateDep, repo: PageRepo, num: Num, form: Form) -> Response:
    """Comment on, close, reopen, publish or merge a thread."""
    return await run_in_threadpool(_act, request, state, repo, num, form)


@router.post(_THREAD + "/comment/{comment_id}", dependencies=[SameSite])
async def change_comment(
    request: Request, state: StateDep, repo: PageRepo, caller: Viewer, num: Num, comment_id: CommentId, form: Form
) -> Response:
    """Edit or hide a comment."""
    return await run_in_threadpool(_change_comment, request, state, repo, caller, num, comment_id, form)


def _open(request: Request, state: HubState, repo: Repo, form: dict[str, str]) -> Response:
    title, description = form.get("title", ""), form.get("description", "")
    try:
        caller = acting_account(request, form)
        thread = state.threads.open_discussion(repo, caller, title, description)
    except HubError as error:
        return _new(request, state, repo, title=title, description=description, problem=error)
    return _redirect_to_thread(repo, thread, "", caller.account)


def _act(request: Request, state: HubState, repo: Repo, num: int, form: dict[str, str]) -> Response:
    thread, text = state.threads.get(repo, num), form.get("comment", "")
    caller = Caller()
    try:
        caller = acting_account(request, form)
        anchor = _act_on(state, repo, caller, thread, form.get("action", "comment"), text)
    except HubError as error:
        return _thread_page(request, state, repo, caller, thread, problem=error, draft=text)
    return _redirect_to_thread(repo, thread, anchor, caller.account)


def _act_on(state: HubState, repo: Repo, caller: Caller, thread: Thread, action: str, text: str) -> str:
    """Do the action of the pressed button; return the anchor of the page to show afterwards."""
    if action == "comment":
        return state.threads.comment(repo, caller, thread, text).id
    if action == "close":
        return state.threads.set_status(repo, caller, thread, "closed", text).id
    if action in ("reopen", "open"):
        return state.threads.set_status(repo, caller, thread, "open", text).id
    if action == "merge":
        state.threads.merge(repo, caller, thread, text)
        return "reply"
    raise BadRequest("One can comment here, close, reopen, publish or merge.")


def _change_comment(
    request: Request, state: HubState, repo: Repo, caller: Caller, num: int, comment_id: str, form: dict[str, str]
) -> Response:
    thread = state.threads.get(repo, num)
    try:
        if form.get("action") == "hide":
            event = state.threads.hide(repo, caller, thread, comment_id)
        else:
            event = state.threads.edit(repo, caller, thread, comment_id, form.get("content", ""))
    except HubError as error:
        return _thread_page(request, state, repo, caller, thread, problem=error)
    return _redirect_to_thread(repo, thread, event.id, caller.account)


def _redirect_to_thread(repo: Repo, thread: Thread, anchor: str, account: Account | None) -> Response:
    """Redirect to the thread by GET, so that a reload sends no form twice."""
    response = RedirectResponse(f"{repo.web_path}/discussions/{thread.num}" + (f"#{anchor}" if anchor else ""), 303)
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
    caller: Caller,
    thread: Thread,
    *,
    problem: HubError | None = None,
    draft: str = "",
) -> Response:
    users = selectable_users(state.accounts, caller.account)
    commenters = [user for user in users if state.access.allows(Caller(user), repo, "discuss")]
    writers = [user for user in users if state.access.allows(Caller(user), repo, "write")]
    return repo_page(
        request,
        state,
        repo,
        "community",
        "thread.html",
        status_code=problem.status if problem else 200,
        view="talk",
        thread=thread,
        author=_account(state, thread.author_id),
        entries=_entries(state, repo, caller, thread),
        conflicts=pulls.conflicts(repo, thread) if thread.is_pull else [],
        people=writers if thread.locked or repo.discussions_disabled else commenters,
        mergers=writers,
        moderators=[user for user in users if user in writers or user.id == thread.author_id],
        problem=problem.message if problem else None,
        draft=draft,
    )


@dataclass(frozen=True)
class _TimelineEntry:
    """One entry of a thread's timeline, as a page shows it to one viewer."""

    event: ThreadEvent
    author: Account | None
    role: str | None
    text: str | None
    may_edit: bool
    may_hide: bool


def _entries(state: HubState, repo: Repo, caller: Caller, thread: Thread) -> list[_TimelineEntry]:
    authors: dict[str, tuple[Account | None, str | None]] = {}
    may_write = state.access.allows(caller, repo, "write")
    entries = []
    for event in state.threads.events(thread):
        key = event.author_id or ""
        if key not in authors:
            author = _account(state, event.author_id)
            authors[key] = (author, _role(state, repo, thread, author))
        author, role = authors[key]
        own = caller.account is not None and caller.account.id == event.author_id
        entries.append(_TimelineEntry(event, author, role, _event_text(event), may_edit=own, may_hide=own or may_write))
    return entries


def _role(state: HubState, repo: Repo, thread: Thread, author: Account | None) -> str | None:
    """The badge beside an author's name."""
    if author is None:
        return None
    if state.access.role_in(author, repo):
        return "owner" if author.id == repo.owner_id else "member"
    return "author" if author.id == thread.author_id else None


def _event_text(event: ThreadEvent) -> str:
    data = event.data
    if event.type == "status-change":
        return {"open": "opened this", "closed": "closed this", "merged": "merged this"}.get(data["status"], "")
    if event.type == "title-change":
        return f"changed the title from “{data['from']}” to “{data['to']}”"
    if event.type == "ref-deleted":
        return "deleted the commits of this pull request"
    return _CHANGE_TEXTS.get((event.type, next(iter(data.values()), None)), event.type)


def _pull(state: HubState, repo: Repo, num: int) -> Thread:
    thread = state.threads.get(repo, num)
    if not thread.is_pull:
        raise HubError(404, f"#{num} is a discussion: it changes no files.")
    return thread


def _account(state: HubState, account_id: str | None) -> Account | None:
    return state.accounts.by_id(account_id) if account_id else None
