"""Uploads of large files to the LFS store; the commit refers to them by sha256."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from hub.errors import BadRequest
from hub.parse import parsed
from hub.records import Repo, WriteFile
from hub.retries import Retries
from hub.session import HubSession

_MIME = "application/vnd.git-lfs+json"
_BATCH = 100


def sha256(data: bytes) -> str:
    """Return the id of an LFS object."""
    return hashlib.sha256(data).hexdigest()


def upload(session: HubSession, retries: Retries, repo: Repo, puts: Sequence[WriteFile]) -> None:
    """Store the contents of `puts`. Idempotent, because the store identifies objects by their digest."""
    for start in range(0, len(puts), _BATCH):
        by_oid = {sha256(put.data): put.data for put in puts[start : start + _BATCH]}
        for item in _batch(session, retries, repo, by_oid):
            _store(session, retries, item, by_oid)


def _batch(session: HubSession, retries: Retries, repo: Repo, by_oid: dict[str, bytes]) -> list[dict[str, object]]:
    """Ask for the upload URLs of the objects; objects that are stored already have no `actions`."""
    body = {
        "operation": "upload",
        "transfers": ["basic"],
        "hash_algo": "sha256",
        "objects": [{"oid": oid, "size": len(data)} for oid, data in by_oid.items()],
    }
    answer = retries.call(
        lambda: session.send(
            "POST",
            f"{repo.web}.git/info/lfs/objects/batch",
            route="lfs-batch",
            json=body,
            headers={"accept": _MIME, "content-type": _MIME},
        ),
        repeatable=True,
    )
    return parsed(lambda it: list(it["objects"]), answer.json())


def _store(session: HubSession, retries: Retries, item: dict[str, Any], by_oid: dict[str, bytes]) -> None:
    if error := item.get("error"):
        raise BadRequest(f"The Hub does not take a large file: {str(error.get('message', error))[:300]}")
    actions = item.get("actions") or {}
    oid = parsed(lambda it: it["oid"], item)
    if upload_to := actions.get("upload"):
        retries.call(
            lambda: session.send(
                "PUT", upload_to["href"], route="lfs-put", content=by_oid[oid], headers=upload_to.get("header") or {}
            ),
            repeatable=True,
        )
    if verify_at := actions.get("verify"):
        body = {"oid": oid, "size": len(by_oid[oid])}
        retries.call(
            lambda: session.send(
                "POST", verify_at["href"], route="lfs-verify", json=body, headers=verify_at.get("header") or {}
            ),
            repeatable=True,
        )
