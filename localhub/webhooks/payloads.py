"""The payload that a webhook sends for each kind of event.

A payload is built when the event happens, except for `webhook`, which `for_webhook` adds for each receiver. It names
people by id alone, and no field names the author of an event of a repo: a receiver that needs it asks the API.
"""

from __future__ import annotations

from typing import Any

from localhub.json_values import JsonObject
from localhub.repos.events import HubEvent
from localhub.repos.records import Repo
from localhub.threads.service import DiscussionEvent
from localhub.threads.store import Thread, ThreadEvent

VERSION = 3


def payload(event: HubEvent, url: str) -> JsonObject:
    """The body for `event`; `url` is the Hub's own address."""
    fields: dict[str, Any] = {
        "event": {"action": event.action, "scope": event.kind},
        "repo": _repo(event.repo, url, with_head=event.kind.startswith("repo")),
    }
    if isinstance(event, DiscussionEvent):
        fields["discussion"] = _discussion(event.repo, event.thread, url)
        if event.comment is not None:
            fields["comment"] = _comment(event.repo, event.thread, event.comment, url)
    if event.moved_to is not None:
        fields["movedTo"] = {"name": event.moved_to.full_name, "owner": {"id": event.moved_to.owner_id}}
    if event.kind == "repo.content":
        fields["updatedRefs"] = [
            {"ref": change.ref, "oldSha": change.old, "newSha": change.new} for change in event.updated_refs
        ]
    if event.kind == "repo.config":
        private = event.updated_config.get("private")
        fields["updatedConfig"] = {} if private is None else {"private": private}
    return fields


def for_webhook(body: dict[str, Any], webhook_id: str) -> JsonObject:
    """The body as it is sent to one webhook."""
    return {**body, "webhook": {"id": webhook_id, "version": VERSION}}


def _repo(repo: Repo, url: str, *, with_head: bool) -> JsonObject:
    fields: dict[str, Any] = {
        "type": repo.type,
        "name": repo.full_name,
        "id": repo.oid,
        "private": repo.private,
        "url": {"web": url + repo.web_path, "api": url + repo.api_path},
        "owner": {"id": repo.owner_id},
    }
    if repo.type == "space":
        fields["subdomain"] = repo.subdomain
    head = _head(repo) if with_head else None
    return {**fields, "headSha": head} if head else fields


def _head(repo: Repo) -> str | None:
    """The head of main, whichever ref changed; None for a repo that is already deleted from the disk."""
    return repo.git.head() if repo.git.path.exists() else None


def _discussion(repo: Repo, thread: Thread, url: str) -> JsonObject:
    path = f"discussions/{thread.num}"
    fields: dict[str, Any] = {
        "id": thread.oid,
        "title": thread.title,
        "url": {
            "web": f"{url}{repo.web_path}/{path}",
            "api": f"{url}{repo.api_path}/{path}",
        },
        "status": thread.status,
        "author": {"id": thread.author_id},
        "num": thread.num,
        "isPullRequest": thread.is_pull,
        "pinned": thread.pinned,
    }
    if thread.is_pull:
        fields["changes"] = {"base": thread.base}
        if thread.merge_sha:
            fields["changes"]["mergeCommitId"] = thread.merge_sha
    return fields


def _comment(repo: Repo, thread: Thread, comment: ThreadEvent, url: str) -> JsonObject:
    fields: dict[str, Any] = {
        "id": comment.id,
        "author": {"id": comment.author_id},
        "hidden": comment.data["hidden"],
        "url": {"web": f"{url}{repo.web_path}/discussions/{thread.num}#{comment.id}"},
    }
    if not comment.data["hidden"]:
        fields["content"] = comment.data["raw"]
    return fields
