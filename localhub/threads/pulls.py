"""The git side of pull requests: their refs, commits, conflicts and diffs, and the squash that merges them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import pygit2

from localhub.accounts.store import Account
from localhub.clock import Clock
from localhub.controls.limits import RateLimits
from localhub.errors import HubError, RevisionNotFound
from localhub.git.merges import TreeMerge
from localhub.git.merges import merge as merge_commits
from localhub.git.refs import RefChange
from localhub.repos.events import HubEvent, Subscriber
from localhub.repos.records import Repo
from localhub.repos.store import RepoStore, author_of
from localhub.threads.store import Thread, ThreadStore

_PR_REF = re.compile(r"refs/pr/([1-9][0-9]{0,17})")
_MAX_NEW_COMMITS = 100
"""Commits of one push that become entries of the timeline."""


class Pulls:
    """Merges pull requests and deletes their refs; emits the events of both."""

    def __init__(self, repos: RepoStore, limits: RateLimits, clock: Clock, emit: Subscriber) -> None:
        self._repos = repos
        self._limits = limits
        self._clock = clock
        self._emit = emit

    def merge(self, repo: Repo, thread: Thread, actor: Account) -> str:
        """Squash an open pull request onto its base; return the new commit's id.

        Raises `HubError` 409 with the reason if it cannot be merged.
        """
        _check_mergeable(thread)
        base, head = _head_of(repo, thread.base or ""), _head_of(repo, thread.ref)
        tree_merge = merge_commits(repo.git, base, head)
        _check_conflicts(tree_merge)
        message = _squash_message(repo, thread, base, head, actor)
        self._limits.count_commit(repo)
        when = self._clock.seconds()
        commit = repo.git.commit(thread.base or "", tree_merge.changes, base, author_of(actor), message, when=when)
        self._repos.touch(repo)
        self._emit(HubEvent("repo.content", "update", repo, actor, (RefChange(thread.base or "", base, commit),)))
        return commit

    def drop_ref(self, repo: Repo, thread: Thread, actor: Account) -> None:
        """Delete `refs/pr/N`, if it exists."""
        with repo.git.lock:
            head = repo.git.head(thread.ref)
            if head is None:
                return
            repo.git.update_ref(thread.ref, None, head)
        self._emit(HubEvent("repo.content", "update", repo, actor, (RefChange(thread.ref, head, None),)))


def checked_base(repo: Repo, base: str) -> str:
    """The full ref of an existing branch; `RevisionNotFound` for anything else."""
    ref = base if base.startswith("refs/heads/") else f"refs/heads/{base}"
    if repo.git.head(ref) is None:
        raise RevisionNotFound(base)
    return ref


def create_ref(repo: Repo, thread: Thread, head: str | None = None) -> tuple[str, str]:
    """Create `refs/pr/N` at `head`, by default at its base; return the commits of its base and its head.

    The caller is in the transaction that adds the thread. If a ref of that number exists, a server that was killed
    before the end of such a transaction left it: no thread belongs to it, and it is overwritten.
    """
    base = _head_of(repo, thread.base or "")
    head = head or base
    repo.git.update_ref(thread.ref, head, repo.git.head(thread.ref))
    return base, head


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
        """The fields of libgit2's commit."""
        subject = commit.message.strip().split("\n", 1)[0]
        author = f"{commit.author.name} <{commit.author.email}>"
        return cls(subject, str(commit.id), tuple(str(parent) for parent in commit.parent_ids), author)


def new_commits(repo: Repo, old: str, new: str) -> list[PullCommit]:
    """The commits that `new` has and `old` has not, oldest first; of many, the newest hundred."""
    with repo.git.open() as git:
        walker = git.walk(pygit2.Oid(hex=new))
        walker.hide(pygit2.Oid(hex=old))
        return [PullCommit.of(commit) for commit, _ in zip(walker, range(_MAX_NEW_COMMITS), strict=False)][::-1]


def conflicts(repo: Repo, thread: Thread) -> list[str] | Literal[True]:
    """The files in conflict with the base; True if both have no common history."""
    if thread.is_over:
        return []
    base, head = repo.git.head(thread.base or ""), repo.git.head(thread.ref)
    if base is None or head is None:
        return True
    paths = merge_commits(repo.git, base, head).conflicts
    return True if paths is True else list(paths)


def diff(repo: Repo, thread: Thread) -> str:
    """The changes of the pull request since it branched off its base, as a git diff."""
    span = changed_span(repo, thread)
    return repo.git.diff(*span) if span else ""


def changed_span(repo: Repo, thread: Thread) -> tuple[str | None, str] | None:
    """The merge base and the head of the pull request; None if its commits are deleted."""
    head = repo.git.head(thread.ref) or thread.head_sha
    if head is None:
        return None
    if thread.merge_sha:
        base: str | None = repo.git.resolve(f"{thread.merge_sha}^")
    else:
        base = repo.git.head(thread.base or "")
    return (repo.git.merge_base(base, head) if base else None, head)


def changed_bytes(repo: Repo, thread: Thread) -> int:
    """Bytes of the files that the pull request adds or changes; 0 if its ref is deleted."""
    span = None if thread.ref_deleted else changed_span(repo, thread)
    if span is None:
        return 0
    return sum(len(repo.git.read(change.new.oid)) for change in repo.git.changed_paths(*span) if change.new)


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


def _check_conflicts(tree_merge: TreeMerge) -> None:
    conflicts = tree_merge.conflicts
    if conflicts is True:
        raise HubError(409, "This pull request has no history in common with its base: it cannot be merged.")
    if conflicts:
        raise HubError(409, f"This pull request has conflicts with its base in {', '.join(conflicts[:20])}.")


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
