"""Discussions and pull requests of a repo."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from localhub.accounts.store import Caller
from localhub.errors import HubError
from localhub.repos import access
from localhub.repos.store import Repo
from localhub.routes.dependencies import CallerDep, Readable, StateDep
from localhub.state import HubState
from localhub.threads import pulls
from localhub.threads.serializers import ThreadSerializer, thread_url
from localhub.threads.service import ThreadFilter

router = APIRouter(tags=["discussions"])

PAGE = 50
"""Threads on one page of the list; the Hub does not say how many it gives."""
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
    """Body of a merge, which may be missing."""

    comment: str | None = None


class Hide(BaseModel):
    """Body of hiding a comment, which may be missing."""

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
) -> dict[str, Any]:
    """One page of threads; drafts count as open and merged pull requests as closed."""
    account = state.accounts.by_name(author) if author else None
    wanted = ThreadFilter(
        is_pull=None if type == "all" else type == "pull_request",
        over=None if status == "all" else status == "closed",
        author_id=(account.id if account else "nobody") if author else None,
        search=search,
        sort=sort,
    )
    threads, count = state.threads.page(repo, wanted, start=p * PAGE, size=PAGE)
    view = ThreadSerializer(state, repo)
    return {
        "discussions": [view.summary(thread) for thread in threads],
        "count": count,
        "start": p * PAGE,
        "numClosedDiscussions": state.threads.count(repo, ThreadFilter(over=True)),
    }


@router.post(_REPO)
def open_thread(state: StateDep, repo: Readable, who: CallerDep, body: NewThread) -> dict[str, Any]:
    """Opens a discussion, or a draft pull request whose ref exists from then on."""
    if body.pullRequest:
        thread = state.threads.open_pull(repo, who, body.title, body.description, "main", draft=True)
    else:
        thread = state.threads.open_discussion(repo, who, body.title, body.description)
    told: dict[str, Any] = {"url": thread_url(state, repo, thread), "num": thread.num, "pullRequest": thread.is_pull}
    return {**told, "references": {"base": thread.base}} if thread.is_pull else told


@router.get(_THREAD)
def read_thread(state: StateDep, repo: Readable, who: CallerDep, num: Num, diff: str | None = None) -> dict[str, Any]:
    """A thread with its timeline; `diff=1` adds a pull request's diff."""
    thread = state.threads.get(repo, num)
    with_diff = diff in ("1", "true") and _may_read_files(state, who, repo)
    return ThreadSerializer(state, repo).detail(thread, state.threads.events(thread), diff=with_diff)


@router.delete(_THREAD)
def delete_thread(state: StateDep, repo: Readable, who: CallerDep, num: Num) -> dict[str, Any]:
    """Removes a thread for good."""
    state.threads.delete(repo, who, state.threads.get(repo, num))
    return {}


@router.post(_THREAD + "/comment", status_code=201)
def comment(state: StateDep, repo: Readable, who: CallerDep, num: Num, body: NewComment) -> dict[str, Any]:
    """Adds a comment."""
    event = state.threads.comment(repo, who, state.threads.get(repo, num), body.comment)
    return {"newMessage": ThreadSerializer(state, repo).event(event)}


@router.post(_THREAD + "/comment/{comment_id}/edit")
def edit_comment(
    state: StateDep, repo: Readable, who: CallerDep, num: Num, comment_id: CommentId, body: NewContent
) -> dict[str, Any]:
    """Gives one's own comment other words."""
    event = state.threads.edit(repo, who, state.threads.get(repo, num), comment_id, body.content)
    return {"updatedComment": ThreadSerializer(state, repo).event(event)}


@router.post(_THREAD + "/comment/{comment_id}/hide")
def hide_comment(
    state: StateDep, repo: Readable, who: CallerDep, num: Num, comment_id: CommentId, body: Hide | None = None
) -> dict[str, Any]:
    """Takes a comment's words away for good."""
    reason = body.reason if body else None
    event = state.threads.hide(repo, who, state.threads.get(repo, num), comment_id, reason)
    return {"updatedComment": ThreadSerializer(state, repo).event(event)}


@router.post(_THREAD + "/title")
def rename(state: StateDep, repo: Readable, who: CallerDep, num: Num, body: NewTitle) -> dict[str, Any]:
    """Gives a thread another title."""
    event = state.threads.rename(repo, who, state.threads.get(repo, num), body.title)
    return {"newTitle": ThreadSerializer(state, repo).event(event)}


@router.post(_THREAD + "/status")
def set_status(state: StateDep, repo: Readable, who: CallerDep, num: Num, body: NewStatus) -> dict[str, Any]:
    """Closes or opens a thread; the comment, if any, comes as a webhook and in the timeline but not in this answer."""
    event = state.threads.set_status(repo, who, state.threads.get(repo, num), body.status, body.comment)
    return {"newStatus": ThreadSerializer(state, repo).event(event)}


@router.post(_THREAD + "/merge")
def merge(state: StateDep, repo: Readable, who: CallerDep, num: Num, body: MergeNote | None = None) -> dict[str, Any]:
    """Squashes a pull request onto its base. 409 for a draft, a finished one, or conflicts [?]."""
    merged = state.threads.merge(repo, who, state.threads.get(repo, num), body.comment if body else None)
    return {"status": merged.status, "mergeCommitId": merged.merge_sha}


@router.post(_THREAD + "/pin")
def pin(state: StateDep, repo: Readable, who: CallerDep, num: Num, body: Pin) -> dict[str, bool]:
    """Keeps a thread on top of the list, or no longer."""
    return {"pinned": state.threads.pin(repo, who, state.threads.get(repo, num), body.pinned).pinned}


@router.post(_THREAD + "/lock")
def lock(state: StateDep, repo: Readable, who: CallerDep, num: Num, body: Lock) -> dict[str, bool]:
    """Leaves a thread to those who may write to the repo [?: the Hub has this in its pages alone]."""
    return {"locked": state.threads.lock(repo, who, state.threads.get(repo, num), body.locked).locked}


@router.delete(_THREAD + "/ref")
def delete_ref(state: StateDep, repo: Readable, who: CallerDep, num: Num) -> dict[str, Any]:
    """Frees the commits of a closed or merged pull request."""
    state.threads.delete_ref(repo, who, state.threads.get(repo, num))
    return {}


@router.get(_THREAD + "/storage")
def storage(state: StateDep, repo: Readable, num: Num) -> dict[str, Any]:
    """What the commits of a pull request weigh: the blobs that its base has not."""
    thread = state.threads.get(repo, num)
    return {"estimatedStorage": pulls.changed_bytes(repo, thread), "refDeleted": thread.ref_deleted}


@router.post("/api/discussions/mark-as-read")
def mark_as_read(who: CallerDep) -> dict[str, Any]:
    """Nobody keeps notifications here: whatever is to be marked as read is."""
    access.require_account(who)
    return {}


def _may_read_files(state: HubState, who: Caller, repo: Repo) -> bool:
    """A gated repo's discussions are for everybody, the files in a diff are not."""
    try:
        access.require_content_access(state, who, repo)
    except HubError:
        return False
    return True
