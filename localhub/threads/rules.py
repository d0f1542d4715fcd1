"""Who may do what in a thread, and which words and steps are allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localhub.accounts.store import Account, Caller
from localhub.errors import BadRequest, Forbidden, HubError
from localhub.repos import access
from localhub.threads.store import Thread

if TYPE_CHECKING:
    from localhub.repos.store import Repo
    from localhub.state import HubState

TITLE_MIN, TITLE_MAX, TEXT_MAX = 3, 200, 65_536


def require_opener(state: HubState, repo: Repo, caller: Caller) -> Account:
    """Threads are opened by everybody who is logged in and may read, where the repo has discussions at all."""
    author = access.require_account(caller)
    access.require_access(state, caller, repo, "discuss")
    if repo.discussions_disabled:
        raise Forbidden("Discussions are disabled for this repo.")
    return author


def require_commenter(state: HubState, repo: Repo, caller: Caller, thread: Thread) -> Account:
    """Comments are for the same people; in a locked thread for those alone who may write to the repo."""
    author = require_opener(state, repo, caller)
    if thread.locked and not access.allows(state, caller, repo, "write"):
        raise Forbidden("This discussion has been locked.")
    return author


def require_moderator(state: HubState, repo: Repo, caller: Caller, thread: Thread) -> Account:
    """Status and title are for the thread's author and for those who may write to the repo."""
    account = access.require_account(caller)
    own = thread.author_id == account.id and not thread.locked
    access.require_access(state, caller, repo, "discuss" if own else "write")
    return account


def require_writer(state: HubState, repo: Repo, caller: Caller) -> Account:
    """Merging, pinning, locking and deleting are for those who may write to the repo."""
    account = access.require_account(caller)
    access.require_access(state, caller, repo, "write")
    return account


def checked_title(title: str) -> str:
    """The title on one line, without spaces around it; `BadRequest` unless it has 3 to 200 characters."""
    title = "".join(char for char in " ".join(title.split()) if char.isprintable())
    if not TITLE_MIN <= len(title) <= TITLE_MAX:
        raise BadRequest(f"A title has {TITLE_MIN} to {TITLE_MAX} characters; this one has {len(title)}.")
    return title


def checked_text(text: str, what: str) -> str:
    """The text as it can be kept; `BadRequest` where there is none or too much of it."""
    # A lone surrogate out of a JSON escape cannot be stored, a null cannot stand in a commit's message.
    text = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    if not text.strip():
        raise BadRequest(f"The {what} is empty.")
    if len(text) > TEXT_MAX:
        raise BadRequest(f"The {what} has {len(text)} characters; {TEXT_MAX} is the most.")
    return text


def check_step(thread: Thread, status: str) -> None:
    """409 unless the thread can become open or closed now."""
    if thread.status == "merged":
        raise HubError(409, "This pull request is merged: its status cannot change any more.")
    if thread.status == status:
        raise HubError(409, f"This discussion is {status} already.")
    if thread.ref_deleted and status == "open":
        raise HubError(409, "The commits of this pull request were deleted: it cannot be opened again.")
