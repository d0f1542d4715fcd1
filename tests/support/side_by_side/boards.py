"""Boards of several kinds in real processes, on one Hub at the same time.

Each board has its web server, its sync process, its queue server with a user for each role, and a worker unless it
takes predictions alone, as docs/deploying.md says. All boards share users, and the accounts of bot and worker.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import redis
import yaml
from huggingface_hub import HfApi, constants

from hub.client import Hub
from hub.records import Repo, Thread
from localhub.testing import LocalHub
from steward.children import Children, end
from steward.testing.board import BOT, FORM, WORKER
from steward.testing.waiting import wait_until
from steward.valkey import Valkey, free_port
from tests.support.board.sign_in import Browser
from tests.support.chaos.redis_users import address, queue_server, refused
from tests.support.side_by_side.hub_world import (
    APP_SECRET,
    BOT_NAME,
    FORM_NAME,
    MIA,
    REPOS,
    SECRET,
    upload_models,
    world,
)
from tests.support.side_by_side.kinds import (
    ANSWERS,
    BROKEN,
    GOOD,
    KINDS,
    BoardKind,
)

ENDED = ("FINISHED", "FAILED")
PATIENCE = 900.0
"""Seconds: a busy machine takes minutes to start a dozen processes, or to evaluate a model."""
PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


@dataclass
class RunningBoard:
    """One of the boards: its processes, addresses and files on the Hub."""

    kind: BoardKind
    folder: Path
    hub: LocalHub
    valkey: Valkey
    port: int
    children: Children

    def __post_init__(self) -> None:
        self.form, self.reader = HfApi(self.hub.url, token=FORM), Hub(self.hub.url, BOT)
        self.redis = redis.Redis.from_url(self.valkey.url)
        self.client = httpx2.Client(base_url=self.url, timeout=60, follow_redirects=True)
        self.browsers: list[Browser] = []

    @property
    def url(self) -> str:
        """The address of its pages."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def columns(self) -> list[str]:
        """The benchmarks of its suite."""
        return [benchmark["name"] for benchmark in self.kind.suite("0" * 40)["benchmarks"]]

    # --- processes

    def write_files(self, suite: dict[str, Any]) -> None:
        """Write the board file and the suite file."""
        ids = {name: self._id_of(name) for name in (FORM_NAME, MIA)}
        (self.folder / "suite.yaml").write_text(yaml.safe_dump(suite), "utf-8")
        board = {
            "name": self.kind.name,
            "title": f"The board of {self.kind.name}",
            "suite": str(self.folder / "suite.yaml"),
            "repos": {
                **{name: self.kind.repo(name) for name in REPOS},
                "community": self.kind.repo("leaderboard"),
                "details_namespace": f"{self.kind.name}-details",
            },
            "maintainers": [ids[MIA]],
            "front_ends": [ids[FORM_NAME]],
            "threads": "always",
            "effects": "on",
            "pull_requests": "merge",
            **({"precisions": ["predictions"]} if self.kind.takes_predictions else {}),
        }
        (self.folder / "board.yaml").write_text(yaml.safe_dump(board, sort_keys=False), "utf-8")

    def _id_of(self, name: str) -> str:
        account = self.hub.state.accounts.by_name(name)
        assert account is not None
        return account.id

    def environment(self, role: str, **settings: str) -> dict[str, str]:
        """Return the environment of a process with this role: web, sync or worker."""
        inherited = {name: value for name, value in os.environ.items() if name in PASSED_ON}
        return {
            **inherited,
            "HF_ENDPOINT": self.hub.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "OMP_NUM_THREADS": "1",
            "REDIS_URL": address(self.folder, role),
            "STEWARD_BOARD": str(self.folder / "board.yaml"),
            "STEWARD_MIRRORS": str(self.folder / "mirrors"),
            "STEWARD_PUBLIC_URL": self.url,
            **settings,
        }

    def start(self, role: str) -> None:
        """Start the process of a role."""
        own = {
            "web": {
                "STEWARD_PORT": str(self.port),
                "STEWARD_WEBHOOK_SECRET": SECRET,
                "OAUTH_CLIENT_ID": f"{self.kind.name}-app",
                "OAUTH_CLIENT_SECRET": APP_SECRET,
            },
            "sync": {"STEWARD_BOT_TOKEN": BOT},
            "worker": {
                "STEWARD_WORKER_TOKEN": WORKER,
                "STEWARD_WORK_DIR": str(self.folder / "work"),
                "STEWARD_DEVICE": "cpu",
            },
        }[role]
        command = {"web": "serve", "sync": "sync", "worker": "work"}[role]
        self.children.start(
            f"{self.kind.name}-{role}",
            [sys.executable, "-P", "-m", "steward.cli", command],
            environment=self.environment(role, **own),
        )

    def restart(self, role: str) -> None:
        """End the process of a role, and start another one, which reads the files again."""
        (child,) = [each for each in self.children.started if each.name == f"{self.kind.name}-{role}"]
        self.children.started.remove(child)
        end([child.process], within=20)
        self.start(role)

    def is_ready(self) -> bool:
        """Whether the web server answers, and the sync process has reached the Hub."""
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx2.HTTPError:
            return False

    def stop(self) -> None:
        """Close the test's clients of the board."""
        for browser in self.browsers:
            browser.close()
        self.client.close()
        self.reader.close()
        self.redis.close()

    def command(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """Run an operator's command with more settings; return its exit status and its output as one line."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "steward.cli", *arguments],
            env=self.environment("sync", STEWARD_BOT_TOKEN=BOT, **settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        return done.returncode, " ".join(f"{done.stdout} {done.stderr}".split())

    # --- pages and files

    def browser(self, person: str = "") -> Browser:
        """Return a browser on its pages, signed in as `person`."""
        made = Browser(base_url=self.url, timeout=60)
        self.browsers.append(made)
        if person:
            made.sign_in(person)
        return made

    def page(self, path: str) -> str:
        """Return a page as a visitor without a session sees it."""
        answer = self.client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        return answer.text

    def api(self, path: str) -> Any:
        """Return an answer of the API."""
        answer = self.client.get(f"/api{path}")
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    def repo(self, name: str) -> Repo:
        """One of its datasets."""
        return Repo("dataset", self.kind.repo(name))

    def read(self, name: str, path: str) -> bytes:
        """A file of one of its datasets."""
        return self.reader.read_file(self.repo(name), path).data

    def paths(self, name: str) -> list[str]:
        """The files in one of its datasets."""
        return sorted(file.path for file in self.reader.list_files(self.repo(name)) if file.path[0] != ".")

    def request(self, model: str) -> dict[str, Any] | None:
        """The request file of a model, if there is one."""
        file = self.reader.find_file(self.repo("requests"), self.kind.path(model))
        return None if file is None else dict(json.loads(file.data))

    def status(self, model: str) -> str:
        """The status of a request; empty if there is none."""
        return str((self.request(model) or {}).get("status", ""))

    def ended(self, *models: str) -> bool:
        """Whether all these requests have ended."""
        return all(self.status(model) in ENDED for model in models)

    def thread(self, model: str) -> Thread:
        """The thread of a request in the requests repo."""
        request = self.request(model)
        assert request is not None
        return self.reader.thread(self.repo("requests"), request["steward"]["thread"])

    def words(self, thread: Thread) -> str:
        """Return the text of the bot's comments in a thread, without escapes."""
        texts = [comment.text for comment in thread.comments if comment.author_name == BOT_NAME]
        return "\n".join(texts).replace("\\", "").replace("\u200b", "")

    def describe(self) -> str:
        """Return the state of its requests, the dirty keys, and the end of every log."""
        dirty = [key.decode() for key in self.redis.zrange(f"steward:1:{self.kind.name}:dirty", 0, -1)]
        logs = [
            f"--- {child.name}\n{child.last_words(3_000)}"
            for child in self.children.started
            if child.name.startswith(self.kind.name)
        ]
        statuses = {model: self.status(model) for model in (*GOOD, BROKEN)}
        return "\n".join([f"{self.kind.name}: {statuses}", f"dirty: {dirty}", *logs])


@dataclass
class SideBySide:
    """All boards, and their Hub."""

    hub: LocalHub
    children: Children
    boards: dict[str, RunningBoard] = field(default_factory=dict)
    discussions: dict[str, int] = field(default_factory=dict)
    """Board → the number of the discussion in which a command submitted."""

    @property
    def answers(self) -> str:
        """The commit of the private answers."""
        with Hub(self.hub.url, BOT) as reader:
            return reader.head(Repo("dataset", ANSWERS))

    @property
    def running(self) -> Sequence[RunningBoard]:
        """The boards, in the order of their kinds."""
        return tuple(self.boards.values())

    def person(self, name: str) -> HfApi:
        """Return a person's own client of the Hub."""
        return HfApi(self.hub.url, token=f"hf_{name}")

    def wait(self, condition: Any, *, seconds: float = PATIENCE) -> Any:
        """Wait for a condition while every process runs."""
        describe = lambda: "\n".join(board.describe() for board in self.running)  # noqa: E731
        return wait_until(condition, seconds=seconds, interval=0.3, check=self.children.check, describe=describe)


@contextmanager
def side_by_side(folder: Path, kinds: Sequence[BoardKind] = KINDS) -> Iterator[SideBySide]:
    """Start all boards in `folder`; yield them once each is ready and knows its worker, without any submission.

    At the end, fail if a queue server has refused a command of one of the processes.
    """
    constants.HF_HUB_DISABLE_XET = True  # localhub has no Xet storage
    ports = {kind.name: free_port() for kind in kinds}
    with ExitStack() as stack:
        hub = stack.enter_context(LocalHub(folder / "hub", world(ports, kinds)))
        upload_models(hub)
        servers = {}
        for kind in kinds:
            (folder / kind.name).mkdir()
            servers[kind.name] = stack.enter_context(queue_server(folder / kind.name, kind.name))
        children = stack.enter_context(Children(folder / "logs"))
        made = SideBySide(hub, children)
        for kind in kinds:
            board = RunningBoard(kind, folder / kind.name, hub, servers[kind.name], ports[kind.name], children)
            stack.callback(board.stop)
            board.write_files(dict(kind.suite(made.answers)))
            made.boards[kind.name] = board
            board.start("web"), board.start("sync")
        made.wait(lambda: all(board.is_ready() for board in made.running))
        for board in made.running:
            if not board.kind.takes_predictions:
                board.start("worker")
        made.wait(
            lambda: all(board.kind.takes_predictions or board.api("/workers")["workers"] for board in made.running)
        )
        yield made
        children.stop()
        words = {board.kind.name: refused(board.redis) for board in made.running}
        assert not any(words.values()), words
