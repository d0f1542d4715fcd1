"""The git side of pull requests: their refs, their commits, what is in their way, and the squash that ends them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pygit2

from localhub.accounts.store import Account
from localhub.errors import HubError, RevisionNotFound
from localhub.git.merges import TreeMerge
from localhub.git.merges import merge as merge_commits
from localhub.repos.events import HubEvent, RefChange
from localhub.repos.store import author_of
from localhub.threads.store import Thread, ThreadStore

if TYPE_CHECKING:
    from localhub.repos.store import Repo
    from localhub.state import HubState

_PR_REF = re.compile(r"refs/pr/([1-9][0-9]{0,17})")
_NEWEST = 100  # commits of one push that become entries of the timeline


def checked_base(repo: Repo, base: str) -> str:
    """The full ref of an existing branch; `RevisionNotFound` for anything else."""
    ref = base if base.startswith("refs/heads/") else f"refs/heads/{base}"
    if repo.git.head(ref) is None:
        raise RevisionNotFound(base)
    return ref


def make_ref(
    state: HubState, repo: Repo, thread: Thread, author: Account, head: str | None = None
) -> tuple[Thread, HubEvent]:
    """Lets `refs/pr/N` start at `head`, or where the base is; the thread as it is then, and what is to be told.

    Called in the transaction that makes the thread: a ref of that number that is there already was left by a server
    which was killed before the end of such a one, and belongs to nothing.
    """
    base = _head_of(repo, thread.base or "")
    head = head or base
    repo.git.update_ref(thread.ref, head, repo.git.head(thread.ref))
    thread = state.threads.note_commits(repo, thread, base, head, author)
    return thread, HubEvent("repo.content", "update", repo, author, (RefChange(thread.ref, None, head),))


def drop_ref(state: HubState, repo: Repo, thread: Thread, actor: Account) -> None:
    """Deletes `refs/pr/N`, if it is there."""
    with repo.git.lock:
        head = repo.git.head(thread.ref)
        if head is None:
            return
        repo.git.update_ref(thread.ref, None, head)
    state.emit(HubEvent("repo.content", "update", repo, actor, (RefChange(thread.ref, head, None),)))


def pull_of_ref(rows: ThreadStore, repo: Repo, ref: str) -> Thread | None:
    """The pull request whose commits go to `ref`."""
    match = _PR_REF.fullmatch(ref)
    thread = rows.find(repo.oid, int(match[1])) if match else None
    return thread if thread and thread.is_pull else None


@dataclass(frozen=True)
class PullCommit:
    """A commit as timelines and squash messages need it."""

    subject: str
    oid: str
    parents: tuple[str, ...]
    author: str

    @classmethod
    def of(cls, commit: pygit2.Commit) -> PullCommit:
        """What of libgit2's commit is needed."""
        subject = commit.message.strip().split("\n", 1)[0]
        author = f"{commit.author.name} <{commit.author.email}>"
        return cls(subject, str(commit.id), tuple(str(parent) for parent in commit.parent_ids), author)


def new_commits(repo: Repo, old: str, new: str) -> list[PullCommit]:
    """The commits that `new` has and `old` has not, oldest first, the newest hundred of them."""
    with repo.git.open() as git:
        walker = git.walk(pygit2.Oid(hex=new))
        walker.hide(pygit2.Oid(hex=old))
        return [PullCommit.of(commit) for commit, _ in zip(walker, range(_NEWEST), strict=False)][::-1]


def conflicts(repo: Repo, thread: Thread) -> list[str] | Literal[True]:
    """The files in conflict with the base; True where both have no common history."""
    if thread.is_over:
        return []
    base, head = repo.git.head(thread.base or ""), repo.git.head(thread.ref)
    if base is None or head is None:
        return True
    found = merge_commits(repo.git, base, head).conflicts
    return True if found is True else list(found)


def diff(repo: Repo, thread: Thread) -> str:
    """What the pull request changes, as a git diff from where it left its base."""
    span = changed_span(repo, thread)
    return repo.git.diff(*span) if span else ""


def changed_span(repo: Repo, thread: Thread) -> tuple[str | None, str] | None:
    """The commits between which the pull request's changes lie; None where they are gone."""
    head = repo.git.head(thread.ref) or thread.head_sha
    if head is None:
        return None
    if thread.merge_sha:
        base: str | None = repo.git.resolve(f"{thread.merge_sha}^")
    else:
        base = repo.git.head(thread.base or "")
    return (repo.git.merge_base(base, head) if base else None, head)


def changed_bytes(repo: Repo, thread: Thread) -> int:
    """Bytes of the files that the pull request adds or changes; 0 where its ref is gone."""
    span = None if thread.ref_deleted else changed_span(repo, thread)
    if span is None:
        return 0
    return sum(len(repo.git.read(change.new.oid)) for change in repo.git.changed_paths(*span) if change.new)


@contextmanager
def commits_locked(repo: Repo) -> Iterator[None]:
    """Nobody else commits to the repo meanwhile."""
    with repo.git.lock:
        yield


def merge(state: HubState, repo: Repo, thread: Thread, actor: Account) -> str:
    """Squashes an open pull request onto its base; the new commit's id. `HubError` 409 says why it cannot be."""
    _check_mergeable(thread)
    base, head = _head_of(repo, thread.base or ""), _head_of(repo, thread.ref)
    found = merge_commits(repo.git, base, head)
    _check_conflicts(found)
    message = _squash_message(repo, thread, base, head, actor)
    state.limits.count_commit(repo)
    when = state.clock.seconds()
    made = repo.git.commit(thread.base or "", found.changes, base, author_of(actor), message, when=when)
    state.repos.touch(repo)
    state.emit(HubEvent("repo.content", "update", repo, actor, (RefChange(thread.base or "", base, made),)))
    return made


def _check_mergeable(thread: Thread) -> None:
    if not thread.is_pull:
        raise HubError(409, "This is a discussion: only a pull request can be merged.")
    reasons = {
        "draft": "This pull request is a draft: open it before you merge it.",
        "closed": "This pull request is closed: open it before you merge it.",
        "merged": "This pull request is merged already.",
    }
    if thread.status in reasons:
        raise HubError(409, reasons[thread.status])


def _check_conflicts(found: TreeMerge) -> None:
    if found.conflicts is True:
        raise HubError(409, "This pull request has no history in common with its base: it cannot be merged.")
    if found.conflicts:
        raise HubError(409, f"This pull request has conflicts with its base in {', '.join(found.conflicts[:20])}.")


def _squash_message(repo: Repo, thread: Thread, base: str, head: str, actor: Account) -> str:
    commits = new_commits(repo, base, head)
    merger = author_of(actor)
    others = {commit.author for commit in commits} - {f"{merger.name} <{merger.email}>"}
    blocks = [
        f"{thread.title} (#{thread.num})",
        "\n".join(f"- {commit.subject} ({commit.oid})" for commit in commits),
        "\n".join(f"Co-authored-by: {name}" for name in sorted(others)),
    ]
    return "\n\n".join(block for block in blocks if block)


def _head_of(repo: Repo, ref: str) -> str:
    head = repo.git.head(ref)
    if head is None:
        raise RevisionNotFound(ref)
    return head
