"""Bodies of API commits: NDJSON or the older JSON, checked and turned into changes of git."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from localhub.errors import BadRequest
from localhub.git.lfs_pointer import pointer_text
from localhub.git.repository import Change, RemoveFile, SetFile
from localhub.http import bodies
from localhub.repos.cards import README, check_card
from localhub.repos.eval_results import BENCHMARK_FILE, benchmark_problem
from localhub.repos.lfs_store import OID, LfsStore
from localhub.repos.paths import clean, clean_folder
from localhub.repos.records import Repo

MAX_REGULAR_BYTES = 10 << 20
"""Bytes of a file that may be stored in git itself."""
MAX_SUMMARY_CHARS, MAX_DESCRIPTION_CHARS = 5_000, 65_536


@dataclass(frozen=True)
class LfsFile:
    """A file whose bytes are already uploaded; `size` may be missing for a copy."""

    path: str
    sha256: str
    size: int | None


@dataclass
class CommitRequest:
    """The changes of a commit. Removals are applied first: a commit can replace a folder by a file."""

    summary: str = ""
    description: str = ""
    parent: str | None = None
    removals: list[RemoveFile] = field(default_factory=list)
    files: list[SetFile] = field(default_factory=list)
    large: list[LfsFile] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The commit's message: title, empty line, description."""
        return f"{self.summary}\n\n{self.description}" if self.description else self.summary


def parse_ndjson(lines: Iterable[bytes]) -> CommitRequest:
    """Parse a commit sent line by line, the header first; `BadRequest` for anything else."""
    request: CommitRequest | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        item = bodies.parse_object(line, f"line {number}")
        key, value = item.get("key"), item.get("value")
        if not isinstance(value, Mapping):
            raise BadRequest(f"Line {number} has no value.")
        if request is None:
            if key != "header":
                raise BadRequest("The first line must be the header.")
            request = _header(value)
        else:
            _add(request, key, value)
    if request is None:
        raise BadRequest("The commit is empty: its first line must be the header.")
    return request


def parse_json(body: bytes) -> CommitRequest:
    """Parse a commit in one JSON object: `{summary, description, parentCommit, files, lfsFiles, deletedEntries}`."""
    fields = bodies.parse_object(body)
    request = _header(fields)
    for name, key in (("files", "file"), ("lfsFiles", "lfsFile"), ("deletedEntries", "deletedEntry")):
        entries = fields.get(name) or []
        if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
            raise BadRequest(f"{name} must be a list of objects.")
        for entry in entries:
            _add(request, key, entry)
    return request


def git_changes(lfs: LfsStore, repo: Repo, request: CommitRequest) -> Iterator[Change]:
    """The request as changes of git; `BadRequest` for an LFS object that the repo does not hold, an invalid card,
    or an invalid `eval.yaml`."""
    yield from request.removals
    for put in request.files:
        if put.path == README:
            _check_readme(cast(bytes, put.content))
        if put.path == BENCHMARK_FILE and repo.type == "dataset":
            _check_benchmark(cast(bytes, put.content))
        yield put
    for file in request.large:
        size = lfs.size(repo.oid, file.sha256)
        if size is None or file.size not in (None, size):
            raise BadRequest(
                f"Your push was rejected because an LFS pointer pointed to a file that does not exist: {file.path}"
                f" ({file.sha256}). Upload it first."
            )
        yield SetFile(file.path, pointer_text(file.sha256, size))


def _check_readme(content: bytes) -> None:
    errors = check_card(content.decode("utf-8", "replace"))["errors"]
    if errors:
        raise BadRequest("\n".join(error["message"] for error in errors))


def _check_benchmark(content: bytes) -> None:
    if problem := benchmark_problem(content):
        raise BadRequest(problem)


def _header(value: Mapping[str, Any]) -> CommitRequest:
    summary = _text(value, "summary", MAX_SUMMARY_CHARS).strip()
    if not summary:
        raise BadRequest("A commit needs a summary.")
    parent = value.get("parentCommit")
    if parent is not None and not (isinstance(parent, str) and 7 <= len(parent) <= 40):
        raise BadRequest("parentCommit must be a commit id of 7 to 40 hex digits.")
    return CommitRequest(summary, _text(value, "description", MAX_DESCRIPTION_CHARS).strip(), parent)


def _add(request: CommitRequest, key: object, value: Mapping[str, Any]) -> None:
    if key == "file":
        path = clean(_text(value, "path", None))
        request.files.append(SetFile(path, _content(path, value)))
        _moved(request, path, value)
    elif key == "lfsFile":
        path = clean(_text(value, "path", None))
        request.large.append(_lfs_file(path, value))
        _moved(request, path, value)
    elif key == "deletedFile":
        # The Hub removes a folder of that name too.
        request.removals.append(RemoveFile(clean_folder(_text(value, "path", None))))
    elif key == "deletedFolder":
        request.removals.append(RemoveFile(clean_folder(_text(value, "path", None)), folder=True))
    elif key == "deletedEntry":
        request.removals.append(RemoveFile(clean_folder(_text(value, "path", None))))
    else:
        raise BadRequest(f"A commit has no operation {key!r}.")


def _moved(request: CommitRequest, path: str, value: Mapping[str, Any]) -> None:
    if value.get("oldPath") not in (None, path):
        request.removals.append(RemoveFile(clean(_text(value, "oldPath", None)), folder=False))


def _content(path: str, value: Mapping[str, Any]) -> bytes:
    content, encoding = value.get("content"), value.get("encoding", "utf-8")
    if not isinstance(content, str) or encoding not in ("utf-8", "base64"):
        raise BadRequest(f"The content of {path} must be text, with encoding utf-8 or base64.")
    try:
        data = base64.b64decode(content, validate=True) if encoding == "base64" else content.encode()
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"The content of {path} is not valid {encoding}.") from error
    if len(data) > MAX_REGULAR_BYTES:
        raise BadRequest(
            f"Your push was rejected because it contains files larger than 10 MiB: {path}."
            " Please use https://git-lfs.github.com/ to store large files."
        )
    return data


def _lfs_file(path: str, value: Mapping[str, Any]) -> LfsFile:
    oid, size = value.get("oid"), value.get("size")
    if value.get("algo", "sha256") != "sha256" or not isinstance(oid, str) or not OID.fullmatch(oid):
        raise BadRequest(f"{path}: an LFS file is named by its sha256 in 64 hex digits.")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise BadRequest(f"{path}: size must be a number of bytes.")
    return LfsFile(path, oid, size)


def _text(value: Mapping[str, Any], name: str, limit: int | None) -> str:
    """A field that holds text; without a `limit` it is required, with one it may be missing."""
    text = value.get(name, "" if limit else None)
    text = "" if text is None and limit else text
    if not isinstance(text, str):
        raise BadRequest(f"{name} must be text.")
    if limit and len(text) > limit:
        raise BadRequest(f"{name} may have {limit} characters; it has {len(text)}.")
    # A lone surrogate cannot be stored, and git ends a message at a null.
    return text.encode("utf-8", "replace").decode().replace("\0", "") if limit else text
