"""Git over HTTP, for reading: `git upload-pack`, after the caller was checked.

libgit2 has no server side, so this one route runs git itself. It runs without a shell, on a path made of the repo's id
alone, and with the protocol version as the only word of the caller's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import IO

from fastapi import Request

from localhub.accounts.store import Caller
from localhub.errors import BadRequest, HubError, Unauthorized
from localhub.repos import access

SERVICE = "git-upload-pack"
_CHUNK = 1 << 16
_MAX_REQUEST = 64 << 20
_PROTOCOL = re.compile(r"version=[0-2]")
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="Authentication required", charset="UTF-8"'}


class PasswordRequired(HubError):
    """401 with the challenge without which git never sends the password that it has."""

    def __init__(self, message: str) -> None:
        super().__init__(401, message, "RepoNotFound", _CHALLENGE)


def git_caller(request: Request) -> Caller:
    """Who asks, by the token as password."""
    try:
        return access.request_caller(request)
    except Unauthorized as error:
        raise PasswordRequired(error.message) from error


async def advertise(repo: Path, protocol: str | None) -> bytes:
    """The refs, as a client asks for them first."""
    process = _start(repo, protocol, "--advertise-refs")
    out, _ = await asyncio.to_thread(process.communicate)
    if process.returncode:
        raise HubError(503, "git cannot read this repository now. Try again later.")
    line = f"# service={SERVICE}\n"
    first = f"{len(line) + 4:04x}{line}0000".encode()
    # Version 2 answers with its capabilities alone; git takes the service line before them all the same.
    return first + out


async def upload_pack(repo: Path, protocol: str | None, body: bytes) -> AsyncIterator[bytes]:
    """The answer to what a client wants, as git makes it; `BadRequest` where git makes nothing of it."""
    answer = _answer(repo, protocol, body)
    first = await anext(answer, b"")
    if not first:
        raise BadRequest("git does not understand this request.")
    return _joined(first, answer)


async def _joined(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk


async def _answer(repo: Path, protocol: str | None, body: bytes) -> AsyncGenerator[bytes]:
    process = _start(repo, protocol)
    if process.stdin is None or process.stdout is None:
        raise HubError(503, "git did not start.")
    feeding = asyncio.create_task(asyncio.to_thread(_feed, process.stdin, body))
    try:
        while chunk := await asyncio.to_thread(os.read, process.stdout.fileno(), _CHUNK):
            yield chunk
        await feeding
    finally:
        # Where the caller went away git still writes; where it is done this kills nobody. Threads end with it.
        process.kill()
        await asyncio.to_thread(_wait_for_exit, process)


async def read_request(request: Request) -> bytes:
    """What the client wants; git deflates long lists."""
    unpack = zlib.decompressobj(31) if request.headers.get("content-encoding") == "gzip" else None
    wanted = bytearray()
    try:
        async for chunk in request.stream():
            wanted += unpack.decompress(chunk, _MAX_REQUEST - len(wanted) + 1) if unpack else chunk
            if len(wanted) > _MAX_REQUEST:
                raise HubError(413, "This list of wanted objects is too long.")
    except zlib.error as error:
        raise BadRequest("The body says that it is gzip and is not.") from error
    return bytes(wanted)


def _start(repo: Path, protocol: str | None, *options: str) -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(repo), "GIT_CONFIG_NOSYSTEM": "1"}
    if protocol and _PROTOCOL.fullmatch(protocol):
        environment["GIT_PROTOCOL"] = protocol
    arguments = ["-c", "safe.directory=*", "upload-pack", "--stateless-rpc", "--strict", *options, str(repo)]
    pipe = subprocess.PIPE
    try:
        # Not asyncio's: under uvloop that forks, which takes ten times as long in a process of this size.
        return subprocess.Popen(
            ["git", *arguments], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment
        )
    except FileNotFoundError as error:
        raise HubError(503, "Cloning needs git on the machine of this Hub: install it there.") from error


def _feed(stdin: IO[bytes], body: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        stdin.write(body)
    with contextlib.suppress(BrokenPipeError):
        stdin.close()


def _wait_for_exit(process: subprocess.Popen[bytes]) -> None:
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
