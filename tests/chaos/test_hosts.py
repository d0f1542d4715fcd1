"""A board on five hosts, which speak TLS with their queue server: two are cut off, two lose power, one joins later.

    front: web, sync    queue: Redis    back: sync    gpu, gpu1: a worker each

`make chaos` and `make hosts` run it. It needs root, for network namespaces, and a queue server that speaks TLS.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
import redis

from localhub.testing import LocalHub
from redis_state.attempts import Attempts
from redis_state.redis import text
from steward.testing.waiting import wait_until
from tests.support.chaos.board_processes import BOARD, BOT, ENDED, KEYS, PATIENCE, SECRET, WORKER, BoardProcesses, world
from tests.support.chaos.end_state import check_end_state
from tests.support.chaos.network_hosts import Host, Network, missing
from tests.support.chaos.redis_users import MAKE_USERS, ROLES, refused

SERVER = shutil.which("valkey-server") or shutil.which("redis-server")
pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(400),
    pytest.mark.long("the processes of six hosts: `make chaos` and `make hosts` start them"),
    pytest.mark.skipif(not SERVER, reason="no valkey-server or redis-server on PATH: the packaged one speaks no TLS"),
]
BEAT = 1.0
LEASE = 3.5 * BEAT
PORT, TLS_PORT = 7860, 6379
TOKENS = {"web": ("WEBHOOK_SECRET", SECRET), "sync": ("BOT_TOKEN", BOT), "worker": ("WORKER_TOKEN", WORKER)}


@dataclass
class Queue:
    """The Redis server of the hosts, which takes TLS connections only and has a user for each role."""

    folder: Path
    host: Host
    onlooker: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def url(self) -> str:
        """The address for the test, which may run every command."""
        return f"rediss://onlooker:{self.onlooker}@{self._tail}"

    @property
    def _tail(self) -> str:
        return f"{self.host.address}:{TLS_PORT}/0?ssl_ca_certs={self.folder / 'ca.pem'}"

    def start(self) -> None:
        """Make certificates and users, and start the server on its host."""
        self.folder.mkdir()
        certificates(self.folder, self.host.address)
        subprocess.run([MAKE_USERS, BOARD["name"], self.folder, f"rediss://{self._tail}"], check=True)
        with (self.folder / "users.acl").open("a") as users:
            users.write(f"user onlooker on >{self.onlooker} ~* &* +@all\n")
        options = {
            "port": "0",
            "tls-port": str(TLS_PORT),
            "tls-cert-file": str(self.folder / "server.pem"),
            "tls-key-file": str(self.folder / "server.key"),
            "tls-ca-cert-file": str(self.folder / "ca.pem"),
            "tls-auth-clients": "no",
            "protected-mode": "no",  # without a password a client may send PING from anywhere, and no more
            "aclfile": str(self.folder / "users.acl"),
            "bind": self.host.address,
            "dir": str(self.folder),
            "appendonly": "yes",
            "save": "",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        with (self.folder / "server.log").open("ab") as log:
            subprocess.Popen([*self.host.within, str(SERVER), *words], stdout=log, stderr=log)
        wait_until(self._answers, describe=(self.folder / "server.log").read_text, seconds=PATIENCE)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


def certificates(folder: Path, address: str) -> None:
    """Make an authority, ca.pem, and a certificate signed by it for the server at `address`."""
    new = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    ca = ["-subj", "/CN=The town's authority", "-addext", "keyUsage=critical,keyCertSign", "-keyout", "ca.key"]
    server = ["-subj", "/CN=queue", "-addext", f"subjectAltName=IP:{address}", "-CA", "ca.pem", "-CAkey", "ca.key"]
    server += ["-addext", "basicConstraints=critical,CA:false", "-keyout", "server.key"]
    for words in ([*ca, "-out", "ca.pem"], [*server, "-out", "server.pem"]):
        subprocess.run([*new, *words], cwd=folder, check=True, capture_output=True)


@dataclass
class BoardOnHosts(BoardProcesses):
    """A board whose processes run on hosts, and read their secrets from files."""

    network: Network = field(default_factory=Network)
    homes: dict[str, Host] = field(default_factory=dict)

    def settle(self, name: str, host: Host) -> None:
        """Start the process `name` on `host`."""
        kind = name.rstrip("0123456789")
        secret, value = TOKENS[kind]
        (self.folder / f"{name}.secret").write_text(value)
        self.homes[name] = host
        self.start(
            name,
            within=host.within,
            REDIS_URL_FILE=str(self.folder / "users" / f"redis-url-{ROLES[kind]}"),
            STEWARD_BEAT_SECONDS=str(BEAT),
            STEWARD_HOST=host.address,
            STEWARD_MIRRORS=str(self.folder / f"mirrors-{host.name}"),
            **{f"STEWARD_{secret}": "", f"STEWARD_{secret}_FILE": str(self.folder / f"{name}.secret")},
        )

    def web_answers(self, number: int = 0, page: str = "healthz") -> bool:
        """Whether the web server answers from its host."""
        url = f"http://{self.network.hosts['front'].address}:{self.ports[number]}/{page}"
        try:
            return bool(httpx2.get(url, timeout=10).status_code == 200)
        except httpx2.HTTPError:
            return False

    def runner(self, model: str) -> Host | None:
        """The host that evaluates ada's `model`, by the attempt with the latest heartbeat."""
        attempts = Attempts(self.redis, KEYS)
        for raw in self.redis.zrevrange(KEYS.attempts, 0, -1):
            state = attempts.read(text(raw))
            if state is not None and state.state == "running" and state.path.startswith(f"ada/{model}_"):
                pid = state.worker.split("-")[-2]
                return next(home for name, home in self.homes.items() if str(self.processes[name].pid) == pid)
        return None


@contextmanager
def five_hosts(folder: Path) -> Iterator[BoardOnHosts]:
    """Run a board on five hosts, and yield it once the web server and both workers are ready."""
    with Network() as network:
        front, queue, back, gpu, gpu1 = map(network.join, ("front", "queue", "back", "gpu", "gpu1"))
        server = Queue(folder / "users", queue)
        server.start()
        hooks = [f"http://{front.address}:{PORT}/webhooks/hub"]
        with LocalHub(folder / "hub", world(hooks), host=network.address) as hub:
            board = BoardOnHosts(folder, server, hub, [PORT], network=network)  # type: ignore[arg-type]  # its `url` is enough
            try:
                for name, host in {"web": front, "sync": front, "sync1": back, "worker": gpu, "worker1": gpu1}.items():
                    board.settle(name, host)
                wait_until(lambda: board.web_answers(page="readyz"), describe=board.words, seconds=PATIENCE)
                wait_until(lambda: board.redis.hlen(KEYS.workers) == 2, describe=board.words, seconds=PATIENCE)
                yield board
                assert not (words := refused(board.redis)), words
            finally:
                for host in network.hosts.values():
                    network.heal(host)
                board.stop()


def ends(board: BoardProcesses, *paths: str) -> bool:
    """Whether these requests have ended."""
    statuses = board.statuses()
    return all(statuses.get(path) in ENDED for path in paths)


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    if why := missing():
        pytest.skip(why)


def cut_off_the_queue_server(board: BoardOnHosts) -> None:
    """Check that the web server is healthy but not ready without Redis, and ready again with it."""
    board.network.cut(board.network.hosts["queue"])
    wait_until(lambda: not board.web_answers(page="readyz"), describe=board.folder.as_posix, seconds=PATIENCE)
    assert board.web_answers(page="healthz")
    board.network.heal(board.network.hosts["queue"])
    wait_until(lambda: board.web_answers(page="readyz"), describe=board.words, seconds=PATIENCE)
    said("the queue server's host was cut off: the web server lived, and was not ready until it was back")


def test_hosts_are_cut_off_and_killed_and_join(tmp_path: Path) -> None:
    """A worker's host is cut off, two hosts are killed and one joins: every request ends as it should, once."""
    with five_hosts(tmp_path) as board:
        network = board.network
        paths = board.submit("good", "remote", "good-dies")
        wait_until(lambda: ends(board, *paths), describe=board.words, seconds=PATIENCE)
        said("a submission became a result")

        cut_off_the_queue_server(board)

        board.submit("good-slow")
        first = wait_until(lambda: board.runner("good-slow"), describe=board.words, seconds=PATIENCE)
        network.cut(first)
        cut = time.monotonic()
        second = wait_until(
            lambda: (on := board.runner("good-slow")) != first and on, describe=board.words, seconds=PATIENCE
        )
        said(f"{first.name} is cut off: {second.name} evaluates its model anew")
        network.kill(second)
        late = network.join("late")
        board.settle("worker2", late)
        third = wait_until(
            lambda: (on := board.runner("good-slow")) not in (first, second) and on,
            describe=board.words,
            seconds=PATIENCE,
        )
        assert third == late
        said(f"{second.name} has no power any more: late, which joined just now, evaluates the model")
        assert time.monotonic() > cut + LEASE
        network.heal(first)
        said(f"{first.name} is back after {time.monotonic() - cut:.0f} s, with a result that no process waits for")

        board.submit("other")
        network.kill(back := network.hosts["back"])
        said("back, with one of two sync processes, has no power any more")
        check_end_state(board)
        said("every request has its right end, one status comment, one result; nothing was refused")
        died = {name for name in board.processes if board.died(name)}
        assert died == {name for name, home in board.homes.items() if home in (second, back)}


def said(words: str) -> None:
    """Print a line for the operator of `make hosts`."""
    print(f"  {words}", flush=True)
