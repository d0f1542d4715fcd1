"""`git upload-pack` as a subprocess, for clones over HTTP.

libgit2 has no server side, so this runs git itself: without a shell, on a path made only of the repo's id, and with the
protocol version as the only value from the caller. The routes check the caller before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import IO

from localhub.errors import BadRequest, HubError

SERVICE = "git-upload-pack"
_CHUNK_BYTES = 1 << 16
_PROTOCOL = re.compile(r"version=[0-2]")


async def advertise(repo: Path, protocol: str | None) -> bytes:
    """The refs, which a client asks for first."""
    process = _start(repo, protocol, "--advertise-refs")
    out, _ = await asyncio.to_thread(process.communicate)
    if process.returncode:
        raise HubError(503, "git cannot read this repository now. Try again later.")
    line = f"# service={SERVICE}\n"
    first = f"{len(line) + 4:04x}{line}0000".encode()
    # Version 2 answers with its capabilities alone; git takes the service line before them all the same.
    return first + out


async def upload_pack(repo: Path, protocol: str | None, body: bytes) -> AsyncIterator[bytes]:
    """git's answer to a client's request; `BadRequest` if git answers nothing."""
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
        while chunk := await asyncio.to_thread(os.read, process.stdout.fileno(), _CHUNK_BYTES):
            yield chunk
        await feeding
    finally:
        # git still writes if the caller has disconnected; if it has ended, this does nothing. The threads end with git.
        process.kill()
        await asyncio.to_thread(_wait_for_exit, process)


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
