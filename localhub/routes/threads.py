"""Discussions and pull requests of a repo."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel

from localhub.accounts.store import Caller
from localhub.errors import HubError
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.repos.records import Repo
from localhub.routes.dependencies import CallerDep, Readable, StateDep
from localhub.state import HubState
from localhub.threads import pulls
from localhub.threads.serializers import ThreadSerializer, thread_url
from localhub.threads.store import ThreadFilter

router = HubRouter(tags=["discussions"])

PAGE_SIZE = 50
"""Threads on one page of the list; the Hub does not publish its own number."""
_REPO = "/api/{kind}/{ns}/{name}/discussions"
_THREAD = _REPO + "/{num}"

Num = Annotated[int, Path(ge=1, le=2**53)]
CommentId = Annotated[str, Path(max_length=64)]
HideReason = Literal["Spam", "Abuse", "Graphic Content", "Resolved", "Off-Topic", "Low Quality"]


class NewThread(BaseModel):
    """Body of a new discussion or pull request."""

    title: str
    description: str = ""
    pullRequest: bool = False  # noqa: N815 (the Hub's word)


class NewComment(BaseModel):
    """Body of a comment."""

    comment: str


class NewContent(BaseModel):
    """Body of an edit."""

    content: str


class NewTitle(BaseModel):
    """Body of a rename."""

    title: str


class NewStatus(BaseModel):
    """Body of a change of status."""

    status: Literal["open", "closed"]
    comment: str | None = None


class MergeNote(BaseModel):
    """Body of a merge; may be missing."""

    comment: str | None = None


class Hide(BaseModel):
    """Body of hiding a comment; may be missing."""

    reason: HideReason | None = None


class Pin(BaseModel):
    """Body of pinning."""

    pinned: bool


class Lock(BaseModel):
    """Body of locking."""

    locked: bool


@router.get(_REPO)
def list_threads(
    state: StateDep,
    repo: Readable,
    type: Literal["all", "discussion", "pull_request"] = "all",
    status: Literal["all", "open", "closed"] = "all",
    author: Annotated[str | None, Query(max_length=200)] = None,
    search: Annotated[str | None, Query(max_length=200)] = None,
    sort: Literal["recently-created", "trending", "reactions"] = "recently-created",
    p: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> JsonObject:
    """One page of threads; drafts count as open, merged pull requests as closed."""
    account = state.accounts.by_name(author) if author else None
    filter_ = ThreadFilter(
        is_pull=None if type == "all" else type == "pull_request",
        over=None if status == "all" else status == "closed",
        author_id=(account.id if account else "") if author else None,
        search=search,
        sort=sort,
    )
    threads, count = state.threads.page(repo, filter_, start=p * PAGE_SIZE, size=PAGE_SIZE)
    serializer = _serializer(state, repo)
    return {
        "discussions": [serializer.summary(thread) for thread in threads],
        "count": count,
        "start": p * PAGE_SIZE,
        "numClosedDiscussions": state.threads.count(repo, ThreadFilter(over=True)),
    }


@router.post(_REPO)
def open_thread(state: StateDep, repo: Readable, caller: CallerDep, body: NewThread) -> JsonObject:
    """Open a discussion, or a draft pull request with its ref."""
    if body.pullRequest:
        thread = state.threads.open_pull(repo, caller, body.title, body.description, "main", draft=True)
    else:
        thread = state.threads.open_discussion(repo, caller, body.title, body.description)
    url = thread_url(state.url, repo, thread)
    fields: dict[str, Any] = {"url": url, "num": thread.num, "pullRequest": thread.is_pull}
    return {**fields, "references": {"base": thread.base}} if thread.is_pull else fields


@router.get(_THREAD)
def read_thread(state: StateDep, repo: Readable, caller: CallerDep, num: Num, diff: str | None = None) -> JsonObject:
    """A thread with its timeline; `diff=1` adds a pull request's diff."""
    thread = state.threads.get(repo, num)
    with_diff = diff in ("1", "true") and _may_read_files(state, caller, repo)
    return _serializer(state, repo).detail(thread, state.threads.events(thread), diff=with_diff)


@router.delete(_THREAD)
def delete_thread(state: StateDep, repo: Readable, caller: CallerDep, num: Num) -> JsonObject:
    """Delete a thread for good."""
    state.threads.delete(repo, caller, state.threads.get(repo, num))
    return {}


@router.post(_THREAD + "/comment", status_code=201)
def comment(state: StateDep, repo: Readable, caller: CallerDep, num: Num, body: NewComment) -> JsonObject:
    """Add a comment."""
    event = state.threads.comment(repo, caller, state.threads.get(repo, num), body.comment)
    return {"newMessage": _serializer(state, repo).event(event)}


@router.post(_THREAD + "/comment/{comment_id}/edit")
def edit_comment(
    state: StateDep, repo: Readable, caller: CallerDep, num: Num, comment_id: CommentId, body: NewContent
) -> JsonObject:
    """Change the text of the caller's own comment."""
    event = state.threads.edit(repo, caller, state.threads.get(repo, num), comment_id, body.content)
    return {"updatedComment": _serializer(state, repo).event(event)}


@router.post(_THREAD + "/comment/{comment_id}/hide")
def hide_comment(
    state: StateDep, repo: Readable, caller: CallerDep, num: Num, comment_id: CommentId, body: Hide | None = None
) -> JsonObject:
    """Remove a comment's text for good."""
    reason = body.reason if body else None
    event = state.threads.hide(repo, caller, state.threads.get(repo, num), comment_id, reason)
    return {"updatedComment": _serializer(state, repo).event(event)}


@router.post(_THREAD + "/title")
def rename(state: StateDep, repo: Readable, caller: CallerDep, num: Num, body: NewTitle) -> JsonObject:
    """Change a thread's title."""
    event = state.threads.rename(repo, caller, state.threads.get(repo, num), body.title)
    return {"newTitle": _serializer(state, repo).event(event)}


@router.post(_THREAD + "/status")
def set_status(state: StateDep, repo: Readable, caller: CallerDep, num: Num, body: NewStatus) -> JsonObject:
    """Close or open a thread; the comment, if any, is in the timeline and in a webhook, but not in this answer."""
    event = state.threads.set_status(repo, caller, state.threads.get(repo, num), body.status, body.comment)
    return {"newStatus": _serializer(state, repo).event(event)}


@router.post(_THREAD + "/merge")
def merge(state: StateDep, repo: Readable, caller: CallerDep, num: Num, body: MergeNote | None = None) -> JsonObject:
    """Squash a pull request onto its base. 409 for a draft, a finished one, or conflicts [?]."""
    merged = state.threads.merge(repo, caller, state.threads.get(repo, num), body.comment if body else None)
    return {"status": merged.status, "mergeCommitId": merged.merge_sha}


@router.post(_THREAD + "/pin")
def pin(state: StateDep, repo: Readable, caller: CallerDep, num: Num, body: Pin) -> dict[str, bool]:
    """Pin a thread to the top of the list, or unpin it."""
    return {"pinned": state.threads.pin(repo, caller, state.threads.get(repo, num), body.pinned).pinned}


@router.post(_THREAD + "/lock")
def lock(state: StateDep, repo: Readable, caller: CallerDep, num: Num, body: Lock) -> dict[str, bool]:
    """Lock a thread for callers without write access, or unlock it [?: the Hub has this only in its pages]."""
    return {"locked": state.threads.lock(repo, caller, state.threads.get(repo, num), body.locked).locked}


@router.delete(_THREAD + "/ref")
def delete_ref(state: StateDep, repo: Readable, caller: CallerDep, num: Num) -> JsonObject:
    """Delete the ref of a closed or merged pull request."""
    state.threads.delete_ref(repo, caller, state.threads.get(repo, num))
    return {}


@router.get(_THREAD + "/storage")
def storage(state: StateDep, repo: Readable, num: Num) -> JsonObject:
    """The bytes of the files that a pull request adds or changes."""
    thread = state.threads.get(repo, num)
    return {"estimatedStorage": pulls.changed_bytes(repo, thread), "refDeleted": thread.ref_deleted}


@router.post("/api/discussions/mark-as-read")
def mark_as_read(caller: CallerDep) -> JsonObject:
    """Do nothing: this Hub has no notifications."""
    caller.require_account()
    return {}


def _serializer(state: HubState, repo: Repo) -> ThreadSerializer:
    return ThreadSerializer(state.accounts, state.access, state.url, repo)


def _may_read_files(state: HubState, caller: Caller, repo: Repo) -> bool:
    """Whether the caller may see files: a gated repo's discussions are public, the files in a diff are not."""
    try:
        state.access.require_content_access(caller, repo)
    except HubError:
        return False
    return True
