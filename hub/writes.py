"""Commits by compare-and-swap, recognisable after an error.

A commit on a known parent has `Steward-Change: …`, a digest of parent and changes, in its message. The Hub accepts one
commit per parent, so the digest in the history proves that exactly this change was committed.

Races closed:
  - an error, but the commit landed                       the next try searches the history first
  - an error, nothing in the history, it lands later      the next try has the same parent: one of them gets 412,
                                                          searches again, and finds the other
  - two processes make the same change                    one commit lands, and both calls return it
Race accepted: a commit without parent, or one that opens a pull request, cannot be recognised. It is sent once; after
an error, the caller has to check.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from hub.errors import BadRequest, Busy, RateLimited, StaleParent, Transient
from hub.parse import parsed
from hub.reads import Reads, quoted_path
from hub.records import Change, CreatedCommit, DeleteFile, Put, Repo
from hub.retries import Retries
from hub.session import HubSession

_SAMPLE = 512
_PREUPLOAD_BATCH = 256
_LFS_TYPE = "application/vnd.git-lfs+json"
_LFS_BATCH = 100
_LOOK_BACK = 100
"""Newest commits among which a commit is searched after an error: others may have landed on top of it."""


class Writes(Reads):
    """The part of `Hub` that changes files."""

    def commit(
        self,
        repo: Repo,
        changes: Sequence[Change],
        message: str,
        description: str = "",
        *,
        parent: str | None = None,
        branch: str = "main",
        create_pr: bool = False,
        regular: Collection[str] = (),
    ) -> CreatedCommit:
        """Commit `changes`. The paths in `regular` are known not to use LFS, which saves a call.

        With `parent` it lands on that commit or not at all (StaleParent), and exactly once in spite of errors. Without
        `parent`, or with `create_pr`, it is sent once: after Transient it may or may not have landed.
        """
        _check(message, changes)
        lines = self._lines(repo, changes, branch, create_pr=create_pr, regular=regular)
        header = {"summary": message, "description": description}
        if parent is None or create_pr:
            header |= {"parentCommit": parent} if parent is not None else {}
            return self.retries.call(
                lambda: self._post(repo, header, lines, branch, create_pr=create_pr), repeatable=False
            )
        trailer = f"Steward-Change: {digest(repo, branch, parent, changes)}"
        header |= {"description": f"{description}\n\n{trailer}".lstrip(), "parentCommit": parent}

        def once() -> CreatedCommit:
            try:
                return self._post(repo, header, lines, branch, create_pr=False)
            except (Transient, StaleParent):
                if (landed := self._landed(repo, branch, message, trailer, parent)) is not None:
                    return landed
                raise

        return self.retries.until(once, on=(Transient, Busy, RateLimited))

    def _lines(
        self, repo: Repo, changes: Sequence[Change], branch: str, *, create_pr: bool, regular: Collection[str]
    ) -> list[dict[str, object]]:
        """Upload the contents of large files, and return the lines of the commit's body."""
        puts = [change for change in changes if not isinstance(change, DeleteFile) and change.path not in regular]
        large = self._large(repo, puts, branch, create_pr=create_pr)
        _upload(self.session, self.retries, repo, [put for put in puts if put.path in large])
        return [_line(change, large) for change in changes]

    def _large(self, repo: Repo, puts: Sequence[Put], branch: str, *, create_pr: bool) -> set[str]:
        """Return the paths that the repo stores in LFS, as the Hub decides from its `.gitattributes`."""
        large: set[str] = set()
        at = f"{repo.api}/preupload/{quote(branch, safe='')}"
        for start in range(0, len(puts), _PREUPLOAD_BATCH):
            batch = puts[start : start + _PREUPLOAD_BATCH]
            sample = [base64.b64encode(put.data[:_SAMPLE]).decode() for put in batch]
            files = [{"path": p.path, "sample": s, "size": p.size} for p, s in zip(batch, sample, strict=True)]
            answer = self._repeated(
                "POST", at, "preupload", {"files": files}, {"create_pr": "1"} if create_pr else None
            )
            sizes = {put.path: put.size for put in batch}
            modes = parsed(lambda it: {file["path"]: file["uploadMode"] for file in it["files"]}, answer.json())
            large |= {path for path, mode in modes.items() if mode == "lfs" and sizes.get(path)}  # empty ones never are
        return large

    def _post(
        self, repo: Repo, header: dict[str, Any], lines: Sequence[dict[str, Any]], branch: str, *, create_pr: bool
    ) -> CreatedCommit:
        entries = [{"key": "header", "value": header}, *lines]
        answer = self.session.send(
            "POST",
            f"{repo.api}/commit/{quote(branch, safe='')}",
            route="commit",
            params={"create_pr": "1"} if create_pr else None,
            content=b"".join(json.dumps(entry).encode() + b"\n" for entry in entries),
            headers={"content-type": "application/x-ndjson"},
        )
        return parsed(_commit, answer.json())

    def _landed(self, repo: Repo, branch: str, message: str, trailer: str, parent: str) -> CreatedCommit | None:
        """Return this commit if the history since `parent` contains it.

        Its title has to match too, because the commit of a merged pull request quotes untrusted messages.
        """
        for entry in self.commits(repo, branch, limit=_LOOK_BACK):
            if entry.oid == parent:
                return None
            if entry.title.strip() == message.strip() and trailer in entry.message.splitlines():
                return CreatedCommit(entry.oid, f"{self.session.endpoint}{repo.web}/commit/{entry.oid}")
        return None


def _check(message: str, changes: Sequence[Change]) -> None:
    if not changes or not message.strip() or "\n" in message:
        raise BadRequest("A commit needs a message of one line and at least one change.")
    if len({change.path for change in changes}) != len(changes):
        raise BadRequest("A commit changes each path once.")
    for change in changes:
        quoted_path(change.path)


def _line(change: Change, large: set[str]) -> dict[str, object]:
    if isinstance(change, DeleteFile):
        return {"key": "deletedFile", "value": {"path": change.path}}
    if change.path in large:
        value = {"path": change.path, "algo": "sha256", "oid": sha256(change.data), "size": change.size}
        return {"key": "lfsFile", "value": value}
    content = base64.b64encode(change.data).decode()
    return {"key": "file", "value": {"path": change.path, "content": content, "encoding": "base64"}}


def digest(repo: Repo, branch: str, parent: str, changes: Sequence[Change]) -> str:
    """Return 32 hex digits that identify these changes on this parent."""
    hasher = hashlib.sha256(f"{repo.kind} {repo.id} {branch} {parent}\n".encode())
    for change in sorted(changes, key=lambda change: change.path):
        content = "deleted" if isinstance(change, DeleteFile) else sha256(change.data)
        hasher.update(f"{content} {change.path}\n".encode(errors="surrogateescape"))
    return hasher.hexdigest()[:32]


def _commit(answer: Any) -> CreatedCommit:
    number = re.search(r"/discussions/(\d+)", answer.get("pullRequestUrl") or "")
    return CreatedCommit(answer["commitOid"], answer["commitUrl"], int(number[1]) if number else None)


# --- LFS, the store of large files


def sha256(data: bytes) -> str:
    """Return the id of an LFS object."""
    return hashlib.sha256(data).hexdigest()


def _upload(session: HubSession, retries: Retries, repo: Repo, puts: Sequence[Put]) -> None:
    """Store the contents of `puts`. Idempotent, because the store identifies objects by their digest."""
    for start in range(0, len(puts), _LFS_BATCH):
        by_oid = {sha256(put.data): put for put in puts[start : start + _LFS_BATCH]}
        for item in _upload_urls(session, retries, repo, by_oid):
            _store(session, retries, item, by_oid)


def _upload_urls(session: HubSession, retries: Retries, repo: Repo, by_oid: dict[str, Put]) -> list[dict[str, object]]:
    """Ask for the upload URLs of the objects; objects that are stored already have no `actions`."""
    body = {
        "operation": "upload",
        "transfers": ["basic"],
        "hash_algo": "sha256",
        "objects": [{"oid": oid, "size": put.size} for oid, put in by_oid.items()],
    }
    answer = retries.call(
        lambda: session.send(
            "POST",
            f"{repo.web}.git/info/lfs/objects/batch",
            route="lfs-batch",
            json=body,
            headers={"accept": _LFS_TYPE, "content-type": _LFS_TYPE},
        ),
        repeatable=True,
    )
    return parsed(lambda it: list(it["objects"]), answer.json())


def _store(session: HubSession, retries: Retries, item: dict[str, Any], by_oid: dict[str, Put]) -> None:
    """Store one of the objects, as the Hub's answer about it says. Raises Garbled for an answer about another one."""
    if error := parsed(lambda it: it.get("error"), item):
        words = error.get("message", error) if isinstance(error, dict) else error
        raise BadRequest(f"The Hub does not take a large file: {str(words)[:300]}")
    oid, put, upload, verify = parsed(lambda it: _actions(it, by_oid), item)
    if upload is not None:
        to = upload
        retries.call(
            lambda: session.send("PUT", to.url, route="lfs-put", content=put.data, headers=to.headers), repeatable=True
        )
    if verify is not None:
        at, body = verify, {"oid": oid, "size": put.size}
        retries.call(
            lambda: session.send("POST", at.url, route="lfs-verify", json=body, headers=at.headers), repeatable=True
        )


class _LfsAction(NamedTuple):
    """A call that the Hub asks for in its answer about a large file."""

    url: str
    headers: dict[str, str]


def _actions(item: Any, by_oid: dict[str, Put]) -> tuple[str, Put, _LfsAction | None, _LfsAction | None]:
    """Return an answer's object, and the calls by which it is uploaded and verified; None for those not needed."""
    actions = item.get("actions") or {}
    upload, verify = (
        _LfsAction(str(action["href"]), dict(action.get("header") or {})) if action else None
        for action in (actions.get("upload"), actions.get("verify"))
    )
    return item["oid"], by_oid[item["oid"]], upload, verify
