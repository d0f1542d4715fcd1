"""Rules of threads: who may act in one, which texts are valid, which changes of status."""

from __future__ import annotations

from localhub.accounts.store import Account, Caller
from localhub.errors import BadRequest, Forbidden, HubError
from localhub.repos.access import Access
from localhub.repos.records import Repo
from localhub.threads.store import Thread

TITLE_MIN, TITLE_MAX, TEXT_MAX = 3, 200, 65_536


def require_opener(access: Access, repo: Repo, caller: Caller) -> Account:
    """The caller's account, if it may open threads: with read access, in a repo that has discussions."""
    author = caller.require_account()
    access.require_access(caller, repo, "discuss")
    if repo.discussions_disabled:
        raise Forbidden("Discussions are disabled for this repo.")
    return author


def require_commenter(access: Access, repo: Repo, caller: Caller, thread: Thread) -> Account:
    """The caller's account, if it may comment: as for opening; in a locked thread only with write access."""
    author = require_opener(access, repo, caller)
    if thread.locked and not access.allows(caller, repo, "write"):
        raise Forbidden("This discussion has been locked.")
    return author


def require_moderator(access: Access, repo: Repo, caller: Caller, thread: Thread) -> Account:
    """The caller's account, if it may change status and title: the thread's author, or with write access."""
    account = caller.require_account()
    own = thread.author_id == account.id and not thread.locked
    access.require_access(caller, repo, "discuss" if own else "write")
    return account


def require_writer(access: Access, repo: Repo, caller: Caller) -> Account:
    """The caller's account, if it has write access: for merging, pinning, locking and deleting."""
    account = caller.require_account()
    access.require_access(caller, repo, "write")
    return account


def checked_title(title: str) -> str:
    """The title on one line, without spaces around it; `BadRequest` unless it has 3 to 200 characters."""
    title = "".join(char for char in " ".join(title.split()) if char.isprintable())
    if not TITLE_MIN <= len(title) <= TITLE_MAX:
        raise BadRequest(f"A title has {TITLE_MIN} to {TITLE_MAX} characters; this one has {len(title)}.")
    return title


def checked_text(text: str, name: str) -> str:
    """The text as it can be stored; `BadRequest` if it is empty or too long."""
    # A lone surrogate out of a JSON escape cannot be stored, a null cannot stand in a commit's message.
    text = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    if not text.strip():
        raise BadRequest(f"The {name} is empty.")
    if len(text) > TEXT_MAX:
        raise BadRequest(f"The {name} has {len(text)} characters; {TEXT_MAX} is the most.")
    return text


def check_step(thread: Thread, status: str) -> None:
    """Raise 409 unless the thread's status can become `status` (open or closed)."""
    if thread.status == "merged":
        raise HubError(409, "This pull request is merged: its status cannot change any more.")
    if thread.status == status:
        raise HubError(409, f"This discussion is {status} already.")
    if thread.ref_deleted and status == "open":
        raise HubError(409, "The commits of this pull request were deleted: it cannot be opened again.")
