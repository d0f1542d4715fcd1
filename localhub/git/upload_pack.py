"""`git upload-pack` as a subprocess, for clones over HTTP.

libgit2 has no server side, so this runs git itself: without a shell, on a path made only of the repo's id, and with the
protocol version as the only value from the caller. The routes check the caller before.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import subprocess
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import IO

from localhub.errors import BadRequest, HubError
from localhub.git.repository import MAIN, Author, GitRepo

SERVICE = "git-upload-pack"
# Version 2 answers with its capabilities alone; git takes the service line before them all the same.
_SERVICE_LINE = b"001e# service=git-upload-pack\n0000"
_CHUNK_BYTES = 1 << 16
_PROTOCOL = re.compile(r"version=[0-2]")


async def advertise(repo: GitRepo, protocol: str | None) -> bytes:
    """The refs as they are now, which a client asks for first: the bytes that git would send.

    Clients ask for them often, and starting git for each answer would take longer than all the rest of it.
    """
    protocol = protocol if protocol and _PROTOCOL.fullmatch(protocol) else ""
    return _SERVICE_LINE + await asyncio.to_thread(_advertisement, repo, protocol)


def _advertisement(repo: GitRepo, protocol: str) -> bytes:
    if protocol == "version=2":
        return _model_advertisement(protocol)  # capabilities alone, the same for every repo
    refs = repo.advertised_refs()
    if not refs or refs[0][0] != "HEAD":
        return _run_advertisement(repo.path, protocol)  # other capabilities: there is no commit on main
    before, _, after = _model_advertisement(protocol).partition(b"\0")
    version = before[: -len(f"0123{refs[0][1]} HEAD")]  # a line of its own in version 1, else nothing
    capabilities = after.partition(b"\n")[0]
    lines = [f"{oid} {name}".encode() for name, oid in refs]
    lines[0] += b"\0" + capabilities
    return version + b"".join(b"%04x%s\n" % (len(line) + 5, line) for line in lines) + b"0000"


@functools.cache
def _model_advertisement(protocol: str) -> bytes:
    """What the installed git advertises of a repo with one commit: the capabilities of all repos are the same."""
    with tempfile.TemporaryDirectory() as folder:
        repo = GitRepo(Path(folder) / "model.git")
        repo.create()
        repo.commit(MAIN, [], None, Author("localhub", "localhub@localhost"), "Model")
        return _run_advertisement(repo.path, protocol)


def _run_advertisement(repo: Path, protocol: str) -> bytes:
    process = _start(repo, protocol, "--advertise-refs")
    out, _ = process.communicate()
    if process.returncode:
        raise HubError(503, "git cannot read this repository now. Try again later.")
    return out


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
