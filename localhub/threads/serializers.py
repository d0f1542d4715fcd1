"""Threads and their events as the API's JSON."""

from __future__ import annotations

from typing import Any

from localhub.accounts.store import Account, Accounts
from localhub.json_values import JsonObject
from localhub.markdown import render
from localhub.repos.access import Access
from localhub.repos.records import Repo
from localhub.threads import pulls
from localhub.threads.service import HIDDEN
from localhub.threads.store import Thread, ThreadEvent


def thread_url(base_url: str, repo: Repo, thread: Thread) -> str:
    """The address of the thread's page; `base_url` is the Hub's own."""
    return f"{base_url}{repo.web_path}/discussions/{thread.num}"


class ThreadSerializer:
    """Serialises threads of one repo; reads each account once."""

    def __init__(self, accounts: Accounts, access: Access, base_url: str, repo: Repo) -> None:
        self.repo = repo
        self._accounts = accounts
        self._access = access
        self._base_url = base_url
        self._authors: dict[str, dict[str, Any] | None] = {}

    def author(self, account_id: str | None) -> JsonObject | None:
        """The account as events show it; None if it was deleted."""
        if account_id is None:
            return None
        if account_id not in self._authors:
            account = self._accounts.by_id(account_id)
            self._authors[account_id] = self._account_json(account) if account else None
        return self._authors[account_id]

    def summary(self, thread: Thread) -> JsonObject:
        """The thread as an entry of the list."""
        owner = {"name": self.repo.namespace, "type": self._owner_kind(), "isParticipating": False}
        return self._with_author(
            {
                "num": thread.num,
                "repo": self._repo(),
                "title": thread.title,
                "createdAt": thread.created_at,
                "status": thread.status,
                "isPullRequest": thread.is_pull,
                "numComments": thread.num_comments,
                "numReactionUsers": 0,
                "topReactions": [],
                "pinned": thread.pinned,
                "repoOwner": {**owner, "isDiscussionAuthor": thread.author_id == self.repo.owner_id},
            },
            thread.author_id,
        )

    def detail(self, thread: Thread, events: list[ThreadEvent], *, diff: bool) -> JsonObject:
        """A thread with its timeline; a pull request also with its conflicts, changes and, with `diff`, its diff."""
        fields: dict[str, Any] = {
            "_id": thread.oid,
            "num": thread.num,
            "repo": self._repo(),
            "title": thread.title,
            "createdAt": thread.created_at,
            "status": thread.status,
            "events": [self.event(event) for event in events],
            "pinned": thread.pinned,
            "locked": thread.locked,
            "collection": "discussions",
            "isPullRequest": thread.is_pull,
            "isReport": False,
        }
        if self._owner_kind() == "org":
            fields["org"] = self.author(self.repo.owner_id)
        if thread.is_pull:
            fields |= self._pull(thread)
            if diff:
                fields["diff"] = pulls.diff(self.repo, thread)
        return self._with_author(fields, thread.author_id)

    def event(self, event: ThreadEvent) -> JsonObject:
        """One entry of a timeline."""
        data = self._comment(event) if event.type == "comment" else dict(event.data)
        fields = {"id": event.id, "createdAt": event.created_at, "type": event.type, "data": data}
        return self._with_author(fields, event.author_id)

    def changes(self, thread: Thread) -> JsonObject:
        """The base of a pull request, and its merge commit if it is merged."""
        fields: dict[str, Any] = {"base": thread.base}
        if thread.merge_sha:
            fields["mergeCommitId"] = thread.merge_sha
        return fields

    def _pull(self, thread: Thread) -> JsonObject:
        changes = {**self.changes(thread), "refDeleted": thread.ref_deleted}
        if thread.head_sha:
            changes["headCommitId"] = thread.head_sha
        return {
            "filesWithConflicts": pulls.conflicts(self.repo, thread),
            "changes": changes,
            "diffUrl": f"{thread_url(self._base_url, self.repo, thread)}/files.diff",
        }

    def _comment(self, event: ThreadEvent) -> JsonObject:
        # No `history`: the Hub's API description has none, and a client that relied on it would fail on the Hub.
        data = event.data
        latest = {"raw": data["raw"], "html": str(render(data["raw"])), "updatedAt": data["updated_at"]}
        editor = self.author(data["updated_by"])
        fields = {
            "edited": data["edited"],
            "hidden": data["hidden"],
            "latest": {**latest, "author": editor} if editor else latest,
            "numEdits": data["num_edits"],
            "editors": [editor["name"]] if editor else [],
            "editorAvatarUrls": [editor["avatarUrl"]] if editor else [],
            "reactions": [],
            "isReport": False,
        }
        if data["hidden"]:
            fields["hiddenBy"] = (self.author(data["hidden_by"]) or {}).get("name", "")
            fields["latest"]["raw"] = HIDDEN
            if data.get("hidden_reason"):
                fields["hiddenReason"] = data["hidden_reason"]
        return fields

    def _repo(self) -> dict[str, str]:
        return {"name": self.repo.full_name, "type": self.repo.type}

    def _owner_kind(self) -> str:
        owner = self._accounts.by_id(self.repo.owner_id)
        return owner.kind if owner else "user"

    def _account_json(self, account: Account) -> JsonObject:
        role = self._access.role_in(account, self.repo)
        return {
            "_id": account.id,
            "name": account.name,
            "fullname": account.fullname,
            "avatarUrl": account.avatar_url,
            "type": account.kind,
            "isPro": account.is_pro,
            "isHf": False,
            "isHfAdmin": False,
            "isMod": False,
            "isOwner": account.id == self.repo.owner_id,
            "isOrgMember": role is not None and account.id != self.repo.owner_id,
        }

    def _with_author(self, fields: dict[str, Any], account_id: str | None) -> JsonObject:
        author = self.author(account_id)
        return {**fields, "author": author} if author else fields
