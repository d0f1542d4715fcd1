"""Actions on discussions and pull requests: each checks access, writes to the timeline, and emits events.

Writes are one transaction each; the events go out after it. A process that dies in between has changed the thread
without a webhook. The real Hub loses webhooks too, so no receiver may rely on deliveries alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from localhub.accounts.store import Account, Caller
from localhub.clock import Clock, iso
from localhub.database import Database
from localhub.errors import Forbidden, HubError, RevisionNotFound
from localhub.git.refs import RefChange
from localhub.json_values import JsonObject
from localhub.markdown import render
from localhub.repos.access import Access
from localhub.repos.events import HubEvent, Subscriber
from localhub.repos.records import Repo
from localhub.threads import rules
from localhub.threads.pulls import Pulls, checked_base, create_ref, new_commits, pull_of_ref
from localhub.threads.rules import checked_text, checked_title
from localhub.threads.store import Thread, ThreadEvent, ThreadFilter, ThreadStore

HIDDEN = "This comment has been hidden"
_NO_DESCRIPTION = "_No description was given._"


@dataclass(frozen=True, kw_only=True)
class DiscussionEvent(HubEvent):
    """A change of a thread, or of one `comment` in it."""

    thread: Thread
    comment: ThreadEvent | None = None


class ThreadService:
    """The discussions and pull requests of all repos."""

    def __init__(self, database: Database, access: Access, pulls: Pulls, emit: Subscriber, clock: Clock) -> None:
        self._database = database
        self._access = access
        self._pulls = pulls
        self._emit = emit
        self._clock = clock
        self._rows = ThreadStore(database)

    def get(self, repo: Repo, num: int) -> Thread:
        """The thread of that number; `HubError` 404, with the Hub's own message, if there is none."""
        # SQLite's integers have 64 bits: a longer number cannot be asked for.
        thread = self._rows.find(repo.oid, num) if 0 < num < 1 << 63 else None
        if thread is None:
            raise HubError(404, f"No discussion found matching num #{num}")
        return thread

    def events(self, thread: Thread) -> list[ThreadEvent]:
        """The entries of the timeline, oldest first."""
        return self._rows.events(thread)

    def page(self, repo: Repo, filter_: ThreadFilter, *, start: int, size: int) -> tuple[list[Thread], int]:
        """`size` threads from `start` on, newest first, and the number of all that match the filter."""
        return self._rows.page(repo.oid, filter_, start=start, size=size)

    def latest(self, count: int) -> list[Thread]:
        """The newest threads of all repos."""
        return self._rows.latest(count)

    def count(self, repo: Repo, filter_: ThreadFilter) -> int:
        """How many threads match the filter."""
        return self._rows.count(repo.oid, filter_)

    def open_discussion(self, repo: Repo, caller: Caller, title: str, description: str) -> Thread:
        """Open a discussion with its first comment."""
        author = rules.require_opener(self._access, repo, caller)
        title, text = checked_title(title), checked_text(description.strip() or _NO_DESCRIPTION, "description")
        with self._database.write():
            thread, first = self._add_thread(repo, author, title, text, base=None, status="open")
        self._notify("discussion", "create", repo, thread, author, first)
        return thread

    def open_pull(
        self,
        repo: Repo,
        caller: Caller,
        title: str,
        description: str,
        base: str,
        draft: bool = False,
        head: str | None = None,
    ) -> Thread:
        """Open a pull request against the branch `base` (`main` or `refs/heads/main`), and create its ref.

        `head`: the commit, built on the base, that the ref starts at; None: the base itself.
        """
        author = rules.require_opener(self._access, repo, caller)
        title, text = checked_title(title), checked_text(description.strip() or _NO_DESCRIPTION, "description")
        base_ref = checked_base(repo, base)
        status: Literal["draft", "open"] = "draft" if draft else "open"
        # The transaction makes the thread visible only with its ref. The repo's lock is taken before it, as always.
        with repo.git.lock, self._database.write():
            thread, first = self._add_thread(repo, author, title, text, base=base_ref, status=status)
            base_commit, head_commit = create_ref(repo, thread, head)
            thread = self._note_commits(repo, thread, base_commit, head_commit, author)
        self._notify("discussion", "create", repo, thread, author, first)
        self._emit(HubEvent("repo.content", "update", repo, author, (RefChange(thread.ref, None, head_commit),)))
        return thread

    def check_push(self, repo: Repo, caller: Caller, num: int) -> None:
        """Raise unless the caller may commit to `refs/pr/{num}`: its author may, and callers with write access."""
        thread = self.get(repo, num)
        if not thread.is_pull or thread.ref_deleted:
            raise RevisionNotFound(f"refs/pr/{num}")
        account = caller.require_account()
        self._access.require_access(caller, repo, "discuss" if thread.author_id == account.id else "write")
        if thread.status == "merged":
            raise HubError(409, "This pull request is merged: nothing can be added to it.")

    def comment(self, repo: Repo, caller: Caller, thread: Thread, text: str) -> ThreadEvent:
        """Add a comment by the caller."""
        author = rules.require_commenter(self._access, repo, caller, thread)
        comment = self._add_comment(thread, author, checked_text(text, "comment"))
        self._notify("discussion.comment", "create", repo, self._rows.by_oid(thread.oid), author, comment)
        return comment

    def edit(self, repo: Repo, caller: Caller, thread: Thread, comment_id: str, text: str) -> ThreadEvent:
        """Change the text of a comment; only its author may."""
        author = rules.require_commenter(self._access, repo, caller, thread)
        text = checked_text(text, "content")
        with self._database.write():
            comment = self._comment(thread, comment_id)
            if comment.author_id != author.id:
                raise Forbidden("Only its author can edit a comment.")
            if comment.data["hidden"]:
                raise HubError(409, "This comment is hidden: it cannot be edited any more.")
            comment = self._rows.change_event(comment, self._edited(comment, text, author))
        self._notify("discussion.comment", "update", repo, thread, author, comment)
        return comment

    def hide(
        self, repo: Repo, caller: Caller, thread: Thread, comment_id: str, reason: str | None = None
    ) -> ThreadEvent:
        """Remove a comment's text for good; its author may, and callers with write access."""
        account = caller.require_account()
        with self._database.write():
            comment = self._comment(thread, comment_id)
            if comment.author_id != account.id or not self._access.allows(caller, repo, "discuss"):
                self._access.require_access(caller, repo, "write")
            hidden = {"hidden": True, "hidden_by": account.id, "hidden_reason": reason, "raw": HIDDEN}
            comment = self._rows.change_event(comment, {**comment.data, **hidden, "updated_at": self._now()})
        self._notify("discussion.comment", "update", repo, thread, account, comment)
        return comment

    def rename(self, repo: Repo, caller: Caller, thread: Thread, title: str) -> ThreadEvent:
        """Change the title."""
        account = rules.require_moderator(self._access, repo, caller, thread)
        title = checked_title(title)
        with self._database.write():
            change = {"from": self._rows.by_oid(thread.oid).title, "to": title}
            event = self._add(thread, "title-change", account, change)
            thread = self._rows.change(thread, title=title)
        self._notify("discussion", "update", repo, thread, account)
        return event

    def set_status(
        self, repo: Repo, caller: Caller, thread: Thread, status: Literal["open", "closed"], comment: str | None = None
    ) -> ThreadEvent:
        """Close or open a thread; a `comment` comes before the change in the timeline."""
        account = rules.require_moderator(self._access, repo, caller, thread)
        text = checked_text(comment, "comment") if comment and comment.strip() else None
        with self._database.write():
            current = self._rows.by_oid(thread.oid)
            rules.check_step(current, status)
            added = self._add_comment(thread, account, text) if text else None
            event = self._add(thread, "status-change", account, {"status": status})
            thread = self._rows.change(thread, status=status)
        if added:
            self._notify("discussion.comment", "create", repo, thread, account, added)
        self._notify("discussion", "update", repo, thread, account)
        return event

    def merge(self, repo: Repo, caller: Caller, thread: Thread, comment: str | None = None) -> Thread:
        """Squash a pull request onto its base; `HubError` 409 for a draft, a finished one, or conflicts."""
        account = rules.require_writer(self._access, repo, caller)
        text = checked_text(comment, "comment") if comment and comment.strip() else None
        with repo.git.lock:
            merge_sha = self._pulls.merge(repo, self._rows.by_oid(thread.oid), account)
            with self._database.write():
                added = self._add_comment(thread, account, text) if text else None
                self._add(thread, "status-change", account, {"status": "merged"})
                thread = self._rows.change(thread, status="merged", merge_sha=merge_sha)
        if added:
            self._notify("discussion.comment", "create", repo, thread, account, added)
        self._notify("discussion", "update", repo, thread, account)
        return thread

    def pin(self, repo: Repo, caller: Caller, thread: Thread, pinned: bool) -> Thread:
        """Pin the thread to the top of the list, or unpin it."""
        return self._switch(repo, caller, thread, "pinning-change", "pinned", pinned)

    def lock(self, repo: Repo, caller: Caller, thread: Thread, locked: bool) -> Thread:
        """Lock the thread for callers without write access, or unlock it."""
        return self._switch(repo, caller, thread, "locking-change", "locked", locked)

    def delete(self, repo: Repo, caller: Caller, thread: Thread) -> None:
        """Remove a thread for good; its number is not used again."""
        account = rules.require_writer(self._access, repo, caller)
        self._rows.remove(thread)
        if thread.is_pull:
            self._pulls.drop_ref(repo, thread, account)
        self._notify("discussion", "delete", repo, thread, account)

    def delete_ref(self, repo: Repo, caller: Caller, thread: Thread) -> Thread:
        """Delete the ref of a closed or merged pull request, which frees its commits."""
        account = rules.require_moderator(self._access, repo, caller, thread)
        if not thread.is_pull or not thread.is_over or thread.ref_deleted:
            raise HubError(409, "Only a closed or merged pull request has a reference to delete, and only once.")
        with self._database.write():
            self._add(thread, "ref-deleted", account, {})
            thread = self._rows.change(thread, ref_deleted=True)
        self._pulls.drop_ref(repo, thread, account)
        return thread

    def _note_commits(self, repo: Repo, thread: Thread, old: str, new: str, actor: Account | None) -> Thread:
        """Add an entry to the timeline for each new commit of a pull request."""
        with self._database.write():
            for commit in new_commits(repo, old, new):
                data = {"subject": commit.subject, "oid": commit.oid, "parents": list(commit.parents)}
                self._add(thread, "commit", actor, data)
            return self._rows.change(thread, head_sha=new)

    def _add_thread(
        self, repo: Repo, author: Account, title: str, text: str, *, base: str | None, status: Literal["draft", "open"]
    ) -> tuple[Thread, ThreadEvent]:
        """Add a thread with its first comment, in the transaction of the caller."""
        moment = self._now()
        thread = self._rows.add(repo.oid, title=title, status=status, author_id=author.id, now=moment, base=base)
        first = self._add_comment(thread, author, text)
        return self._rows.by_oid(thread.oid), first

    def _switch(self, repo: Repo, caller: Caller, thread: Thread, kind: str, column: str, on: bool) -> Thread:
        account = rules.require_writer(self._access, repo, caller)
        if getattr(thread, column) == on:
            return thread
        with self._database.write():
            self._add(thread, kind, account, {column: on})
            thread = self._rows.change(thread, **{column: on})
        self._notify("discussion", "update", repo, thread, account)
        return thread

    def _comment(self, thread: Thread, comment_id: str) -> ThreadEvent:
        event = self._rows.event(thread, comment_id)
        if event is None or event.type != "comment":
            raise HubError(404, f"No comment {comment_id} in discussion #{thread.num}")
        return event

    def _edited(self, comment: ThreadEvent, text: str, editor: Account) -> JsonObject:
        edits = comment.data["num_edits"] + 1
        changed = {"raw": text, "edited": True, "num_edits": edits, "updated_at": self._now(), "updated_by": editor.id}
        return {**comment.data, **changed}

    def _add_comment(self, thread: Thread, author: Account, text: str) -> ThreadEvent:
        data = {"raw": text, "edited": False, "hidden": False, "num_edits": 0, "updated_by": author.id}
        render(text)  # fills the renderer's cache now, so that no later reader waits for it
        return self._add(thread, "comment", author, {**data, "updated_at": self._now()})

    def _add(self, thread: Thread, kind: str, account: Account | None, data: dict[str, Any]) -> ThreadEvent:
        return self._rows.add_event(thread, kind, account.id if account else None, self._now(), data)

    def _notify(
        self,
        kind: Literal["discussion", "discussion.comment"],
        action: Literal["create", "update", "delete"],
        repo: Repo,
        thread: Thread,
        actor: Account,
        comment: ThreadEvent | None = None,
    ) -> None:
        self._emit(DiscussionEvent(kind, action, repo, actor, thread=thread, comment=comment))

    def _now(self) -> str:
        return iso(self._clock.now())

    def follow(self, event: HubEvent) -> None:
        """Note commits on `refs/pr/N` in the timeline; remove the threads of a deleted repo."""
        if event.kind == "repo" and event.action == "delete":
            self._rows.remove_repo(event.repo.oid)
        if event.kind != "repo.content":
            return
        for change in event.updated_refs:
            thread = pull_of_ref(self._rows, event.repo, change.ref)
            if thread and change.new and change.old:
                self._note_commits(event.repo, thread, change.old, change.new, event.actor)
