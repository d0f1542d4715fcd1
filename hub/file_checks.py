"""Checks that a response is the requested file, by the commit and the content id in its headers.

A proxy between Steward and the Hub may answer 200 with a page of its own, with an old copy, or with a part of a file.
The Hub sends the commit of each file and the id of its content: the git blob id, or the sha256 of a file in LFS. A
response that does not match them raises Garbled, after which the client repeats the call.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from io import BytesIO
from typing import BinaryIO

from hub.errors import Garbled

_COMMIT = re.compile(r"[0-9a-f]{40}")
_CONTENT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA256_DIGITS = 64
_CHUNK_BYTES = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


def content_id(headers: Mapping[str, str]) -> str:
    """Return the id of the file's content: the git blob id, or the sha256 of a file in LFS."""
    etag = headers.get("x-linked-etag") or headers.get("etag", "")
    return etag.removeprefix("W/").strip('"')


def has_content(stream: BinaryIO, oid: str) -> bool:
    """Whether the bytes in `stream` have the id `oid`: a git blob id, or the sha256 of a file in LFS."""
    size = stream.seek(0, 2)
    stream.seek(0)
    is_large = len(oid) == _SHA256_DIGITS
    digest = hashlib.sha256() if is_large else hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest() == oid


def check_headers(headers: Mapping[str, str], revision: str) -> None:
    """Raise Garbled if these are not the headers of a file at `revision`."""
    commit = headers.get("x-repo-commit", "")
    if not _COMMIT.fullmatch(commit) or not _CONTENT_ID.fullmatch(content_id(headers)):
        raise Garbled("The response is no file of the Hub: its commit or id is missing; perhaps a proxy sent it.")
    if _COMMIT.fullmatch(revision) and commit != revision:
        raise Garbled(f"The Hub sent a file at {commit[:8]} instead of {revision[:8]}.")


def check_file(headers: Mapping[str, str], stream: BinaryIO) -> None:
    """Raise Garbled if the bytes in `stream` are not the whole file."""
    if not has_content(stream, content_id(headers)):
        raise Garbled("The file that arrived is not the one that the Hub announced; perhaps a proxy changed it.")


def check_part(headers: Mapping[str, str], data: bytes, start: int, end: int) -> None:
    """Raise Garbled if `data` is not the part of the file from `start` up to `end`, or up to the file's earlier end."""
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    if match is not None:
        first, last, size = map(int, match.groups())
        if first != start or last + 1 != min(end, size) or len(data) != last + 1 - first:
            raise Garbled(f"The Hub sent the bytes {match[0][6:]}, {len(data)} in all, instead of {start}-{end - 1}.")
    is_whole = start == 0 and (len(data) < end if match is None else len(data) == int(match[3]))
    if is_whole:
        check_file(headers, BytesIO(data))
