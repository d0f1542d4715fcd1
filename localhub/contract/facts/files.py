"""Files: headers, ETag, Range, large files, and how they are uploaded."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

from localhub.contract.checks import check, check_equal, only, part
from localhub.contract.client import HubAnswer
from localhub.contract.registry import FactGroup
from localhub.contract.scratch import ScratchRepo
from localhub.contract.workspace import BASE_FILES, Workspace, commit, committed, head

files = FactGroup("files")

_PATH = "notes/deep/c.txt"
_DATA = BASE_FILES[_PATH]
_LARGE_PATH = "weights.safetensors"
_LARGE = b"\x10\0\0\0\0\0\0\0" + b"{            }  " + bytes(range(256)) * 4
_LFS_TYPE = "application/vnd.git-lfs+json"
_AS_IT_IS = {"accept-encoding": "identity"}


def _resolve(ws: Workspace, path: str, revision: str = "main", method: str = "GET", **headers: str) -> HubAnswer:
    url = f"{ws.contents().web}/resolve/{revision}/{quote(path)}"
    return ws.client.call(method, url, headers=_AS_IT_IS | headers, follow=True)


def _etag(answer: HubAnswer) -> str:
    value = answer.headers.get("x-linked-etag") or answer.headers.get("etag", "")
    return value.removeprefix("W/").strip('"')


def _batch(ws: Workspace, repo: ScratchRepo, data: bytes) -> HubAnswer:
    body = {
        "operation": "upload",
        "transfers": ["basic"],
        "hash_algo": "sha256",
        "objects": [{"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}],
    }
    headers = {"accept": _LFS_TYPE, "content-type": _LFS_TYPE}
    return ws.client.post(f"{repo.web}.git/info/lfs/objects/batch", json=body, headers=headers).expect(200)


def upload_large(ws: Workspace, repo: ScratchRepo, path: str, data: bytes) -> str:
    """Store `data` in LFS and commit it at `path`; return the commit. Four calls at most."""
    item = part(_batch(ws, repo, data).json(), "objects", 0)
    oid = str(part(item, "oid"))
    if "actions" in item:
        upload = part(item, "actions", "upload")
        ws.client.guard.admit_upload(part(upload, "href"))
        ws.client.call(
            "PUT", upload["href"], content=data, headers=upload.get("header") or {}, sender="anonymous"
        ).expect(200)
        if verify := item["actions"].get("verify"):
            ws.client.guard.admit_upload(part(verify, "href"))
            body, headers = {"oid": oid, "size": len(data)}, {"content-type": _LFS_TYPE, **(verify.get("header") or {})}
            ws.client.post(verify["href"], json=body, headers=headers).expect(200)
    answer = commit(ws, repo, {}, "Upload a large file", large={path: (oid, len(data))}).expect(200)
    return str(part(answer.json(), "commitOid"))


def _large(ws: Workspace) -> str:
    """The commit of the large file."""
    return ws.once("large file", lambda: upload_large(ws, ws.contents(), _LARGE_PATH, _LARGE))


@files.fact(calls=3)
def headers(ws: Workspace) -> None:
    """HEAD of a file gives `X-Repo-Commit`, `ETag` (the id of the git blob), and the size in `Content-Length`."""
    answer = _resolve(ws, _PATH, method="HEAD").expect(200)
    check_equal("X-Repo-Commit", answer.headers.get("x-repo-commit"), head(ws, ws.contents()))
    blob = hashlib.sha1(b"blob %d\0" % len(_DATA) + _DATA, usedforsecurity=False).hexdigest()
    check_equal("ETag", _etag(answer), blob)
    check_equal("Content-Length", answer.headers.get("content-length"), str(len(_DATA)))


@files.fact(calls=4)
def content_at_commit(ws: Workspace) -> None:
    """A file at a commit is the file of that commit, which `X-Repo-Commit` names, also after a newer one."""
    repo = ws.contents()
    old = committed(ws, repo, {"versions.txt": b"old"}, "Write a version")
    committed(ws, repo, {"versions.txt": b"new"}, "Write another version")
    answer = _resolve(ws, "versions.txt", old).expect(200)
    check_equal("content", answer.text, "old")
    check_equal("X-Repo-Commit", answer.headers.get("x-repo-commit"), old)


@files.fact(calls=2)
def quoted_name(ws: Workspace) -> None:
    """A file's name may hold spaces, `%`, `#` and letters beyond ASCII, quoted in the address."""
    path = "names/50% #1 ü.txt"
    check_equal("content", _resolve(ws, path).expect(200).body, BASE_FILES[path])


@files.fact(calls=3)
def not_modified(ws: Workspace) -> None:
    """A GET with `If-None-Match` of the file's ETag is 304."""
    etag = _resolve(ws, _PATH, method="HEAD").expect(200).headers.get("etag", "")
    _resolve(ws, _PATH, **{"if-none-match": etag}).expect(304)


@files.fact(calls=2)
def byte_range(ws: Workspace) -> None:
    """A GET with `Range` is 206 with `Content-Range` and the bytes asked for."""
    answer = _resolve(ws, _PATH, range="bytes=4-7").expect(206)
    check_equal("content", answer.body, _DATA[4:8])
    check_equal("Content-Range", answer.headers.get("content-range"), f"bytes 4-7/{len(_DATA)}")


@files.fact(calls=2)
def byte_range_past_end(ws: Workspace) -> None:
    """A range that begins behind the end of the file is 416."""
    _resolve(ws, _PATH, range="bytes=5000-5001").expect(416)


@files.fact(calls=1)
def upload_mode(ws: Workspace) -> None:
    """`preupload` says by `.gitattributes` whether a file goes to LFS: `.safetensors` does, `.json` does not."""
    sample = base64.b64encode(b"{}").decode()
    names = ("a.json", _LARGE_PATH)
    body = {"files": [{"path": name, "sample": sample, "size": 2} for name in names]}
    answer = ws.client.post(f"{ws.contents().api}/preupload/main", json=body).expect(200).json()
    modes = {part(file, "path"): part(file, "uploadMode") for file in part(answer, "files")}
    check_equal("uploadMode", modes, {"a.json": "regular", _LARGE_PATH: "lfs"})


@files.fact(calls=1)
def upload_large_file(ws: Workspace) -> None:
    """A large file is stored by the LFS batch call, a PUT without a token, and `verify`; then it can be committed."""
    _large(ws)


@files.fact(calls=1)
def stored_already(ws: Workspace) -> None:
    """The LFS batch call names no `actions` for a file that the repo stores already."""
    _large(ws)
    item = part(_batch(ws, ws.contents(), _LARGE).json(), "objects", 0)
    check("actions", not item.get("actions"), expected="absent", got=item)


@files.fact(calls=1)
def large_in_tree(ws: Workspace) -> None:
    """Listings give `lfs.oid` (the SHA-256) and `lfs.size` of a large file."""
    _large(ws)
    items = ws.client.get(f"{ws.contents().api}/tree/main").expect(200).json()
    entry = only("entries", items, lambda item: item.get("path") == _LARGE_PATH)
    expected = {"oid": hashlib.sha256(_LARGE).hexdigest(), "size": len(_LARGE)}
    check_equal("lfs", {name: part(entry, "lfs", name) for name in expected}, expected)


@files.fact(calls=1)
def large_in_info(ws: Workspace) -> None:
    """Repo info with `blobs=true` gives `lfs.sha256` and the `size` of a large file."""
    _large(ws)
    answer = ws.client.get(ws.contents().api, params={"blobs": "true"}).expect(200).json()
    entry = only("siblings", part(answer, "siblings"), lambda item: item.get("rfilename") == _LARGE_PATH)
    check_equal("lfs.sha256", part(entry, "lfs", "sha256"), hashlib.sha256(_LARGE).hexdigest())
    check_equal("size", part(entry, "size"), len(_LARGE))


@files.fact(calls=3)
def large_headers(ws: Workspace) -> None:
    """A large file is a redirect that gives `X-Linked-Etag` (the SHA-256), `X-Linked-Size` and `X-Repo-Commit`."""
    commit_oid = _large(ws)
    answer = ws.client.get(f"{ws.contents().web}/resolve/{commit_oid}/{_LARGE_PATH}", headers=_AS_IT_IS)
    answer.expect(302, 307)
    check_equal("X-Linked-Etag", _etag(answer), hashlib.sha256(_LARGE).hexdigest())
    check_equal("X-Linked-Size", answer.headers.get("x-linked-size"), str(len(_LARGE)))
    check_equal("X-Repo-Commit", answer.headers.get("x-repo-commit"), commit_oid)


@files.fact(calls=3)
def large_byte_range(ws: Workspace) -> None:
    """A GET with `Range` of a large file is 206 with the bytes asked for, behind the redirect."""
    _large(ws)
    answer = _resolve(ws, _LARGE_PATH, range="bytes=8-15").expect(206)
    check_equal("content", answer.body, _LARGE[8:16])
