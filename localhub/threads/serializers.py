"""Threads and their events as the API words them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localhub.accounts.store import Account
from localhub.markdown import render
from localhub.repos import access
from localhub.threads import pulls
from localhub.threads.service import HIDDEN
from localhub.threads.store import Thread, ThreadEvent

if TYPE_CHECKING:
    from localhub.repos.store import Repo
    from localhub.state import HubState


def thread_url(state: HubState, repo: Repo, thread: Thread) -> str:
    """Where people read the thread."""
    return f"{state.url}{repo.web_path}/discussions/{thread.num}"


class ThreadSerializer:
    """Words threads of one repo; looks each account up once."""

    def __init__(self, state: HubState, repo: Repo) -> None:
        self.state = state
        self.repo = repo
        self._people: dict[str, dict[str, Any] | None] = {}

    def author(self, account_id: str | None) -> dict[str, Any] | None:
        """A person as events name them; None where the account was deleted."""
        if account_id is None:
            return None
        if account_id not in self._people:
            account = self.state.accounts.by_id(account_id)
            self._people[account_id] = self._person(account) if account else None
        return self._people[account_id]

    def summary(self, thread: Thread) -> dict[str, Any]:
        """`D` of the reference: an entry of the list."""
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

    def detail(self, thread: Thread, events: list[ThreadEvent], *, diff: bool) -> dict[str, Any]:
        """A thread with its timeline; a pull request also with its conflicts, its changes and, if wanted, its diff."""
        told: dict[str, Any] = {
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
            told["org"] = self.author(self.repo.owner_id)
        if thread.is_pull:
            told |= self._pull(thread)
            if diff:
                told["diff"] = pulls.diff(self.repo, thread)
        return self._with_author(told, thread.author_id)

    def event(self, event: ThreadEvent) -> dict[str, Any]:
        """One entry of a timeline."""
        data = self._comment(event) if event.type == "comment" else dict(event.data)
        told = {"id": event.id, "createdAt": event.created_at, "type": event.type, "data": data}
        return self._with_author(told, event.author_id)

    def changes(self, thread: Thread) -> dict[str, Any]:
        """Where a pull request goes and what became of it."""
        told: dict[str, Any] = {"base": thread.base}
        if thread.merge_sha:
            told["mergeCommitId"] = thread.merge_sha
        return told

    def _pull(self, thread: Thread) -> dict[str, Any]:
        changes = {**self.changes(thread), "refDeleted": thread.ref_deleted}
        if thread.head_sha:
            changes["headCommitId"] = thread.head_sha
        return {
            "filesWithConflicts": pulls.conflicts(self.repo, thread),
            "changes": changes,
            "diffUrl": f"{thread_url(self.state, self.repo, thread)}/files.diff",
        }

    def _comment(self, event: ThreadEvent) -> dict[str, Any]:
        # No `history`: the Hub's description has none, and whoever relies on it here would fail there.
        data = event.data
        latest = {"raw": data["raw"], "html": str(render(data["raw"])), "updatedAt": data["updated_at"]}
        editor = self.author(data["updated_by"])
        told = {
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
            told["hiddenBy"] = (self.author(data["hidden_by"]) or {}).get("name", "")
            told["latest"]["raw"] = HIDDEN
            if data.get("hidden_reason"):
                told["hiddenReason"] = data["hidden_reason"]
        return told

    def _repo(self) -> dict[str, str]:
        return {"name": self.repo.full_name, "type": self.repo.type}

    def _owner_kind(self) -> str:
        owner = self.state.accounts.by_id(self.repo.owner_id)
        return owner.kind if owner else "user"

    def _person(self, account: Account) -> dict[str, Any]:
        role = access.role_in(self.state, account, self.repo)
        return {
            "_id": account.id,
            "name": account.name,
            "fullname": account.fullname,
            "avatarUrl": account.avatar_url,
            "type": account.kind,
            "isPro": account.is_pro,
            "isHf": False,
            "isMod": False,
            "isOwner": account.id == self.repo.owner_id,
            "isOrgMember": role is not None and account.id != self.repo.owner_id,
        }

    def _with_author(self, told: dict[str, Any], account_id: str | None) -> dict[str, Any]:
        author = self.author(account_id)
        return {**told, "author": author} if author else told
