"""Sending files: whole, in part (`Range`), or with 304 if the client has them (`If-None-Match`)."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from localhub.errors import HubError

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_CHUNK_BYTES = 1 << 18


def send_bytes(request: Request, data: bytes, etag: str, name: str, headers: Mapping[str, str]) -> Response:
    """Send bytes from memory."""
    status, start, end, sent = _plan(request, len(data), etag, name, headers)
    if status in (304, 416) or request.method == "HEAD":
        return Response(status_code=status, headers=sent)
    return Response(data[start:end], status, sent)


def send_file(request: Request, path: Path, etag: str, name: str, headers: Mapping[str, str]) -> Response:
    """Send a file from the disk, read piece by piece."""
    status, start, end, sent = _plan(request, path.stat().st_size, etag, name, headers)
    if status in (304, 416) or request.method == "HEAD":
        return Response(status_code=status, headers=sent)
    return StreamingResponse(_pieces(path, start, end), status, sent)


def quoted_etag(etag: str) -> str:
    """The ETag as a header carries it."""
    return f'"{etag}"'


def not_modified(request: Request, etag: str) -> bool:
    """Whether the client already has the content with that ETag."""
    header = request.headers.get("if-none-match", "")
    return any(tag.strip().removeprefix("W/").strip('"') in (etag, "*") for tag in header.split(",") if tag.strip())


def _plan(
    request: Request, size: int, etag: str, name: str, headers: Mapping[str, str]
) -> tuple[int, int, int, dict[str, str]]:
    """Status, first byte, byte after the last, and headers of the answer."""
    sent = {"ETag": quoted_etag(etag), "Accept-Ranges": "bytes", **headers}
    if not_modified(request, etag):
        return 304, 0, 0, sent
    sent |= {"Content-Type": _media_type(name), "Content-Disposition": _disposition(name)}
    # An uploaded file must not act as a page of this site.
    sent |= {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
    span = _range(request, size, etag)
    if span is None:
        return 200, 0, size, sent | {"Content-Length": str(size)}
    start, end = span
    if start >= end:
        return 416, 0, 0, sent | {"Content-Range": f"bytes */{size}", "Content-Length": "0"}
    return (
        206,
        start,
        end,
        sent | {"Content-Range": f"bytes {start}-{end - 1}/{size}", "Content-Length": str(end - start)},
    )


def _range(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """The requested bytes; None for all: without `Range`, for several ranges, or if the content has changed."""
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if_range = request.headers.get("if-range")
    if match is None or (not match[1] and not match[2]) or (if_range and if_range.strip('"') != etag):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    start = int(match[1])
    return start, min(size, int(match[2]) + 1) if match[2] else size


def _pieces(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            piece = file.read(min(_CHUNK_BYTES, end - start))
            if not piece:
                raise HubError(500, f"{path.name} is shorter than it was")
            start += len(piece)
            yield piece


def _media_type(name: str) -> str:
    guessed, encoding = mimetypes.guess_type(name)
    if encoding or guessed is None:
        return "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


def _disposition(name: str) -> str:
    plain = "".join(char if " " <= char <= "~" and char not in '"\\' else "_" for char in name)
    return f"inline; filename*=UTF-8''{quote(name)}; filename=\"{plain}\";"
