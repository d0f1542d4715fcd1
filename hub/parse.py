"""Parses the Hub's JSON into `records.py`. Optional fields get a default; a missing required field raises Garbled."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from hub.errors import Garbled
from hub.records import (
    Account,
    Comment,
    FileEntry,
    LogEntry,
    ModelInfo,
    ModelRepoFile,
    PublishedScore,
    Thread,
    ThreadStatus,
    ThreadSummary,
    WatchedItem,
    Webhook,
)

T = TypeVar("T")
Json = Mapping[str, Any]

_OTHER_REFS = ("tags", "converts", "pullRequests")
_NEXT = re.compile(r'<([^>]+)>[^<]*;\s*rel="?next\b')

DELETED = "deleted"
"""The author name of deleted accounts, as in huggingface_hub."""

SOMEWHERE = "*"
"""Stands for conflicting files that the Hub does not name."""


def parsed(read: Callable[[Any], T], answer: Any) -> T:
    """Return `read(answer)`. Raises Garbled if the response does not follow the protocol."""
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise Garbled(f"The Hub's response is incomplete: {type(error).__name__} {error}.") from error


def next_page(headers: Mapping[str, str]) -> str:
    """Return the URL with `rel="next"` in the `Link` header; empty on the last page."""
    match = _NEXT.search(headers.get("link", ""))  # a URL may contain commas, which also separate links
    return match[1] if match is not None else ""


def items(answer: Any) -> list[Any]:
    """Parse a list of objects. Raises TypeError for anything else: a proxy may answer 200 with an error object."""
    if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
        raise TypeError("it is no list of objects")
    return answer


def heads(answer: Any) -> dict[str, str]:
    """Parse the refs of a repo, each with its commit. The Hub always lists the branches, even if there are none."""
    refs = [*answer["branches"], *(ref for kind in _OTHER_REFS for ref in answer.get(kind) or ())]
    return {str(ref["ref"]): str(ref["targetCommit"]) for ref in refs}


def when(text: str) -> datetime:
    """Parse `2026-11-24T12:00:00.000Z` as an aware datetime."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def author(item: Json) -> tuple[str | None, str]:
    """Return id (None if the Hub omits it) and name of the author."""
    account = item.get("author") or {}
    return account.get("_id") or account.get("id"), account.get("name") or DELETED


def user(item: Json) -> Account:
    """Parse a user's public profile."""
    created = item.get("createdAt")
    return Account(str(item["_id"]), str(item["user"]), when(created).timestamp() if created else 0.0)


def public_names(items: Any) -> list[str]:
    """Parse the names of the public repos in a list of repos."""
    return [str(item["id"]) for item in items if item["private"] is False]


def file_entry(item: Json) -> FileEntry:
    """Parse an item of `tree` or `paths-info`."""
    lfs = item.get("lfs") or {}
    return FileEntry(
        path=item["path"], oid=lfs.get("oid") or item["oid"], size=lfs.get("size") or item.get("size") or 0
    )


def log_entry(item: Json) -> LogEntry:
    """Parse an item of `commits`."""
    names = tuple(account.get("user") or DELETED for account in item.get("authors") or ())
    date = item.get("date")
    title = item.get("title") or ""
    return LogEntry(item["id"], title, item.get("message") or "", names, when(date) if date else None)


def model_info(item: Json) -> ModelInfo:
    """Parse the repo info of a model, fetched with `blobs=true`."""
    card, tensors = _object(item.get("cardData")), _object(item.get("safetensors"))
    created = item.get("createdAt")
    return ModelInfo(
        id=item["id"],
        sha=item["sha"],
        private=bool(item.get("private")),
        gated=bool(item.get("gated")),
        disabled=bool(item.get("disabled")),
        license=_license(card),
        tags=tuple(item.get("tags") or ()),
        parameters=tensors.get("total"),
        parameters_by_dtype=_object(tensors.get("parameters")),
        files=tuple(_model_file(file) for file in item.get("siblings") or ()),
        config=_object(item.get("config")),
        card=card,
        created_at=when(created) if created else None,
        likes=item.get("likes") or 0,
    )


def _object(value: Any) -> Json:
    """Return `value` if it is an object, else an empty one: a model's author may have written anything."""
    return value if isinstance(value, dict) else {}


def _model_file(item: Json) -> ModelRepoFile:
    return ModelRepoFile(item["rfilename"], item.get("size"), (item.get("lfs") or {}).get("sha256"))


def _license(card: Json) -> str | None:
    """Return the card's licence: several are joined by commas, and `other` is replaced by the card's license_name."""
    licence = card.get("license")
    if licence == "other" and isinstance(card.get("license_name"), str):
        return cast(str, card["license_name"])
    return ", ".join(str(name) for name in licence) if isinstance(licence, list) else licence


def thread(item: Json, num: int) -> Thread:
    """Parse the details of a discussion or pull request."""
    creator = author(item)
    changes = item.get("changes") or {}
    events = item.get("events") or ()
    pushed = [event["data"]["oid"] for event in events if event["type"] == "commit"]
    comments = tuple(comment(event) for event in events if event["type"] == "comment")
    created = item.get("createdAt")
    return Thread(
        num=item.get("num") or num,
        title=item["title"],
        status=cast(ThreadStatus, item["status"]),
        is_pull_request=bool(item.get("isPullRequest")),
        author_id=creator[0],
        author_name=creator[1],
        created_at=when(created) if created else comments[0].created_at,
        locked=bool(item.get("locked")),
        comments=comments,
        target=changes.get("base"),
        head_commit=changes.get("headCommitId") or (pushed[-1] if pushed else None),
        merge_commit=changes.get("mergeCommitId"),
        conflicting_files=_conflicts(item.get("filesWithConflicts")),
        merged_by=_set_by(events, "merged"),
        closed_by=_set_by(events, "closed"),
    )


def _set_by(events: Any, status: ThreadStatus) -> tuple[str | None, str] | None:
    """Return the account that last gave the thread this status; None if it is not known."""
    changes = [event for event in events if event["type"] == "status-change" and event["data"].get("status") == status]
    return author(changes[-1]) if changes and changes[-1].get("author") else None


def published_scores(item: Json) -> list[PublishedScore]:
    """Parse the scores in a model's files; files with errors, and entries that name no task, are left out."""
    scores = []
    item["id"]  # an error response with the status 200 has no id
    for entry in item.get("evalResults") or ():
        dataset = _object(_object(entry.get("data")).get("dataset"))
        name, task = dataset.get("id"), dataset.get("task_id")
        if isinstance(name, str) and isinstance(task, str):
            scores.append(PublishedScore(name, task, str(entry["filename"]), entry.get("pullRequest")))
    return scores


def _conflicts(files: Any) -> tuple[str, ...]:
    if isinstance(files, list):
        return tuple(str(file) for file in files)
    return (SOMEWHERE,) if files else ()


def comment(event: Json) -> Comment:
    """Parse a `comment` event."""
    account, data = author(event), event["data"]
    hidden = bool(data.get("hidden"))
    text = "" if hidden else (data.get("latest") or {}).get("raw") or ""
    return Comment(
        event["id"], account[0], account[1], when(event["createdAt"]), text, hidden, bool(data.get("edited"))
    )


def summary(item: Json) -> ThreadSummary:
    """Parse an item of the list of discussions."""
    account = author(item)
    return ThreadSummary(
        num=item["num"],
        title=item["title"],
        status=cast(ThreadStatus, item["status"]),
        author_id=account[0],
        author_name=account[1],
        created_at=when(item["createdAt"]),
        comments=item.get("numComments") or 0,
    )


def webhook(item: Json) -> Webhook:
    """Parse a webhook; `disabled` is a boolean or a reason."""
    disabled = item.get("disabled")
    return Webhook(
        id=item["id"],
        url=item.get("url"),
        watched=frozenset(
            WatchedItem(watched_item["type"], watched_item["name"]) for watched_item in item.get("watched") or ()
        ),
        domains=frozenset(item.get("domains") or ()),
        disabled=(disabled if isinstance(disabled, str) else "disabled") if disabled else None,
    )
