"""What people do with discussions and pull requests: who may, what it leaves in the timeline, and whom it is told.

Writes are one transaction each; the events go out after it. A process that dies in between has changed the thread
without a webhook: so does the real Hub now and then, and nobody may rely on deliveries alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from localhub.accounts.store import Account, Caller
from localhub.clock import iso, now
from localhub.errors import Forbidden, HubError, RevisionNotFound
from localhub.markdown import render
from localhub.repos import access
from localhub.repos.events import HubEvent
from localhub.threads import pulls, rules
from localhub.threads.rules import checked_text, checked_title
from localhub.threads.store import Thread, ThreadEvent, ThreadFilter, ThreadStore

if TYPE_CHECKING:
    from localhub.repos.store import Repo
    from localhub.state import HubState

HIDDEN = "This comment has been hidden"
_OPENED = "_No description was given._"


class ThreadService:
    """The Community tabs of a box."""

    def __init__(self, state: HubState) -> None:
        self.state = state
        self.rows = ThreadStore(state.store)
        state.subscribe(self.follow)

    def get(self, repo: Repo, num: int) -> Thread:
        """The thread of that number; `HubError` 404 in the Hub's words."""
        # SQLite's integers have 64 bits: a longer number cannot be asked for.
        thread = self.rows.find(repo.oid, num) if 0 < num < 1 << 63 else None
        if thread is None:
            raise HubError(404, f"No discussion found matching num #{num}")
        return thread

    def events(self, thread: Thread) -> list[ThreadEvent]:
        """The timeline, oldest first."""
        return self.rows.events(thread)

    def page(self, repo: Repo, wanted: ThreadFilter, *, start: int, size: int) -> tuple[list[Thread], int]:
        """Threads from `start` on, newest first, and how many fit the filter in all."""
        return self.rows.page(repo.oid, wanted, start=start, size=size)

    def latest(self, count: int) -> list[Thread]:
        """The newest threads of all repos."""
        return self.rows.latest(count)

    def count(self, repo: Repo, wanted: ThreadFilter) -> int:
        """How many threads fit the filter."""
        return self.rows.count(repo.oid, wanted)

    def open_discussion(self, repo: Repo, caller: Caller, title: str, description: str) -> Thread:
        """A new discussion with its first comment."""
        author = rules.require_opener(self.state, repo, caller)
        title, text = checked_title(title), checked_text(description.strip() or _OPENED, "description")
        with self.state.store.write():
            thread, first = self._add_thread(repo, author, title, text, base=None, status="open")
        self._tell("discussion", "create", repo, thread, author, first)
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
        """A new pull request against the branch `base` (`main` or `refs/heads/main`), with its ref made.

        `head`: a commit built on the base that the ref starts at; None: the base itself.
        """
        author = rules.require_opener(self.state, repo, caller)
        title, text = checked_title(title), checked_text(description.strip() or _OPENED, "description")
        base_ref = pulls.checked_base(repo, base)
        status: Literal["draft", "open"] = "draft" if draft else "open"
        # Nobody finds the thread before its ref is there. The repo's lock comes before the transaction, as always.
        with repo.git.lock, self.state.store.write():
            thread, first = self._add_thread(repo, author, title, text, base=base_ref, status=status)
            thread, born = pulls.make_ref(self.state, repo, thread, author, head)
        self._tell("discussion", "create", repo, thread, author, first)
        self.state.emit(born)
        return thread

    def check_push(self, repo: Repo, caller: Caller, num: int) -> None:
        """Raises unless the caller may commit to `refs/pr/{num}`: its author may, and who may write to the repo."""
        thread = self.get(repo, num)
        if not thread.is_pull or thread.ref_deleted:
            raise RevisionNotFound(f"refs/pr/{num}")
        account = access.require_account(caller)
        access.require_access(self.state, caller, repo, "discuss" if thread.author_id == account.id else "write")
        if thread.status == "merged":
            raise HubError(409, "This pull request is merged: nothing can be added to it.")

    def comment(self, repo: Repo, caller: Caller, thread: Thread, text: str) -> ThreadEvent:
        """A new comment by the caller."""
        author = rules.require_commenter(self.state, repo, caller, thread)
        comment = self._add_comment(thread, author, checked_text(text, "comment"))
        self._tell("discussion.comment", "create", repo, self.rows.by_oid(thread.oid), author, comment)
        return comment

    def edit(self, repo: Repo, caller: Caller, thread: Thread, comment_id: str, text: str) -> ThreadEvent:
        """New words in a comment: its author's right alone."""
        author = rules.require_commenter(self.state, repo, caller, thread)
        text = checked_text(text, "content")
        with self.state.store.write():
            comment = self._comment(thread, comment_id)
            if comment.author_id != author.id:
                raise Forbidden("Only its author can edit a comment.")
            if comment.data["hidden"]:
                raise HubError(409, "This comment is hidden: it cannot be edited any more.")
            comment = self.rows.change_event(comment, self._edited(comment, text, author))
        self._tell("discussion.comment", "update", repo, thread, author, comment)
        return comment

    def hide(
        self, repo: Repo, caller: Caller, thread: Thread, comment_id: str, reason: str | None = None
    ) -> ThreadEvent:
        """Takes a comment's words away for good: by its author, or by those who may write to the repo."""
        account = access.require_account(caller)
        with self.state.store.write():
            comment = self._comment(thread, comment_id)
            if comment.author_id != account.id or not access.allows(self.state, caller, repo, "discuss"):
                access.require_access(self.state, caller, repo, "write")
            hidden = {"hidden": True, "hidden_by": account.id, "hidden_reason": reason, "raw": HIDDEN}
            comment = self.rows.change_event(comment, {**comment.data, **hidden, "updated_at": self._now()})
        self._tell("discussion.comment", "update", repo, thread, account, comment)
        return comment

    def rename(self, repo: Repo, caller: Caller, thread: Thread, title: str) -> ThreadEvent:
        """Another title."""
        account = rules.require_moderator(self.state, repo, caller, thread)
        title = checked_title(title)
        with self.state.store.write():
            change = {"from": self.rows.by_oid(thread.oid).title, "to": title}
            event = self._add(thread, "title-change", account, change)
            thread = self.rows.change(thread, title=title)
        self._tell("discussion", "update", repo, thread, account)
        return event

    def set_status(
        self, repo: Repo, caller: Caller, thread: Thread, status: Literal["open", "closed"], comment: str | None = None
    ) -> ThreadEvent:
        """Closes or opens, and says why if there is a `comment`, which stands before it in the timeline."""
        account = rules.require_moderator(self.state, repo, caller, thread)
        text = checked_text(comment, "comment") if comment and comment.strip() else None
        with self.state.store.write():
            current = self.rows.by_oid(thread.oid)
            rules.check_step(current, status)
            said = self._add_comment(thread, account, text) if text else None
            event = self._add(thread, "status-change", account, {"status": status})
            thread = self.rows.change(thread, status=status)
        if said:
            self._tell("discussion.comment", "create", repo, thread, account, said)
        self._tell("discussion", "update", repo, thread, account)
        return event

    def merge(self, repo: Repo, caller: Caller, thread: Thread, comment: str | None = None) -> Thread:
        """Squashes a pull request onto its base. `HubError` 409 for a draft, a finished one, or conflicts."""
        account = rules.require_writer(self.state, repo, caller)
        text = checked_text(comment, "comment") if comment and comment.strip() else None
        with pulls.commits_locked(repo):
            merge_sha = pulls.merge(self.state, repo, self.rows.by_oid(thread.oid), account)
            with self.state.store.write():
                said = self._add_comment(thread, account, text) if text else None
                self._add(thread, "status-change", account, {"status": "merged"})
                thread = self.rows.change(thread, status="merged", merge_sha=merge_sha)
        if said:
            self._tell("discussion.comment", "create", repo, thread, account, said)
        self._tell("discussion", "update", repo, thread, account)
        return thread

    def pin(self, repo: Repo, caller: Caller, thread: Thread, pinned: bool) -> Thread:
        """Keeps the thread on top of the list, or no longer."""
        return self._switch(repo, caller, thread, "pinning-change", "pinned", pinned)

    def lock(self, repo: Repo, caller: Caller, thread: Thread, locked: bool) -> Thread:
        """Leaves the thread to those who may write to the repo, or gives it back."""
        return self._switch(repo, caller, thread, "locking-change", "locked", locked)

    def delete(self, repo: Repo, caller: Caller, thread: Thread) -> None:
        """Removes a thread for good; its number is not given again."""
        account = rules.require_writer(self.state, repo, caller)
        self.rows.remove(thread)
        if thread.is_pull:
            pulls.drop_ref(self.state, repo, thread, account)
        self._tell("discussion", "delete", repo, thread, account)

    def delete_ref(self, repo: Repo, caller: Caller, thread: Thread) -> Thread:
        """Frees what a closed or merged pull request keeps in its ref."""
        account = rules.require_moderator(self.state, repo, caller, thread)
        if not thread.is_pull or not thread.is_over or thread.ref_deleted:
            raise HubError(409, "Only a closed or merged pull request has a reference to delete, and only once.")
        with self.state.store.write():
            self._add(thread, "ref-deleted", account, {})
            thread = self.rows.change(thread, ref_deleted=True)
        pulls.drop_ref(self.state, repo, thread, account)
        return thread

    def note_commits(self, repo: Repo, thread: Thread, old: str, new: str, actor: Account | None) -> Thread:
        """An entry of the timeline for each commit that came to a pull request."""
        with self.state.store.write():
            for commit in pulls.new_commits(repo, old, new):
                data = {"subject": commit.subject, "oid": commit.oid, "parents": list(commit.parents)}
                self._add(thread, "commit", actor, data)
            return self.rows.change(thread, head_sha=new)

    def _add_thread(
        self, repo: Repo, author: Account, title: str, text: str, *, base: str | None, status: Literal["draft", "open"]
    ) -> tuple[Thread, ThreadEvent]:
        """A thread with its first comment, in the transaction around it."""
        moment = self._now()
        thread = self.rows.add(repo.oid, title=title, status=status, author_id=author.id, now=moment, base=base)
        first = self._add_comment(thread, author, text)
        return self.rows.by_oid(thread.oid), first

    def _switch(self, repo: Repo, caller: Caller, thread: Thread, kind: str, column: str, on: bool) -> Thread:
        account = rules.require_writer(self.state, repo, caller)
        if getattr(thread, column) == on:
            return thread
        with self.state.store.write():
            self._add(thread, kind, account, {column: on})
            thread = self.rows.change(thread, **{column: on})
        self._tell("discussion", "update", repo, thread, account)
        return thread

    def _comment(self, thread: Thread, comment_id: str) -> ThreadEvent:
        found = self.rows.event(thread, comment_id)
        if found is None or found.type != "comment":
            raise HubError(404, f"No comment {comment_id} in discussion #{thread.num}")
        return found

    def _edited(self, comment: ThreadEvent, text: str, editor: Account) -> dict[str, Any]:
        edits = comment.data["num_edits"] + 1
        changed = {"raw": text, "edited": True, "num_edits": edits, "updated_at": self._now(), "updated_by": editor.id}
        return {**comment.data, **changed}

    def _add_comment(self, thread: Thread, author: Account, text: str) -> ThreadEvent:
        data = {"raw": text, "edited": False, "hidden": False, "num_edits": 0, "updated_by": author.id}
        render(text)  # warms the renderer's cache outside of any later reader's time
        return self._add(thread, "comment", author, {**data, "updated_at": self._now()})

    def _add(self, thread: Thread, kind: str, account: Account | None, data: dict[str, Any]) -> ThreadEvent:
        return self.rows.add_event(thread, kind, account.id if account else None, self._now(), data)

    def _tell(
        self,
        kind: Literal["discussion", "discussion.comment"],
        action: Literal["create", "update", "delete"],
        repo: Repo,
        thread: Thread,
        actor: Account,
        comment: ThreadEvent | None = None,
    ) -> None:
        self.state.emit(HubEvent(kind, action, repo, actor, thread=thread, comment=comment))

    def _now(self) -> str:
        return iso(now(self.state))

    def follow(self, event: HubEvent) -> None:
        """Commits on `refs/pr/N` become entries of the timeline; a deleted repo takes its threads along."""
        if event.kind == "repo" and event.action == "delete":
            self.rows.remove_repo(event.repo.oid)
        if event.kind != "repo.content":
            return
        for change in event.updated_refs:
            thread = pulls.pull_of_ref(self.rows, event.repo, change.ref)
            if thread and change.new and change.old:
                self.note_commits(event.repo, thread, change.old, change.new, event.actor)


__all__ = ["HIDDEN", "Thread", "ThreadEvent", "ThreadFilter", "ThreadService"]
