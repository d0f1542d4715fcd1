"""Files and folders as the API's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from localhub.clock import iso
from localhub.git.history import last_commits
from localhub.git.repository import BlobFacts, GitRepo
from localhub.git.trees import TreeEntry


def items(
    git: GitRepo, commit: str, entries: Sequence[TreeEntry], *, expand: bool = False, with_xet: bool = False
) -> list[dict[str, Any]]:
    """Entries of a commit: `{type, path, oid, size, lfs?}`, with `expand` also `lastCommit` and `securityFileStatus`.

    `with_xet` adds `xetHash` to large files. This Hub has no Xet, but the client needs such a hash from `paths-info`
    to copy a large file between repos. In `tree` the hash would make clients with Xet download by it, so only
    `paths-info` has it; its value is the SHA-256, which the client then sends in its request to copy.
    """
    facts = git.facts(entry.oid for entry in entries if entry.type == "file")
    api_items = [_item(entry, facts.get(entry.oid), with_xet=with_xet) for entry in entries]
    if expand:
        _expand(git, commit, api_items)
    return api_items


def _item(entry: TreeEntry, facts: BlobFacts | None, *, with_xet: bool) -> dict[str, Any]:
    item: dict[str, Any] = {"type": entry.type, "oid": entry.oid, "size": 0, "path": entry.path}
    if facts is None:
        return item
    item["size"] = facts.size
    if facts.pointer:
        pointer = facts.pointer
        item["lfs"] = {"oid": pointer.sha256, "size": pointer.size, "pointerSize": pointer.pointer_size}
        if with_xet:
            item["xetHash"] = pointer.sha256
    return item


def _expand(git: GitRepo, commit: str, api_items: list[dict[str, Any]]) -> None:
    last = last_commits(git, commit, [item["path"] for item in api_items])
    for item in api_items:
        info = last.get(item["path"])
        if info:
            item["lastCommit"] = {"id": info.id, "title": info.title, "date": iso(info.date)}
        if item["type"] == "file":
            item["securityFileStatus"] = _unscanned()


def _unscanned() -> dict[str, Any]:
    """The status of a file that is not scanned: this Hub has no scanner."""
    scans = ("avScan", "pickleImportScan", "jFrogScan", "protectAiScan", "virusTotalScan")
    return {"status": "unscanned", **{scan: {"status": "unscanned"} for scan in scans}}
