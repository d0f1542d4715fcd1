"""A board in real processes, which tests kill, disconnect and overload; and its state as users see it.

All of it is production code except the evaluation harness, which answers at once (`instant_harness`). Each process logs
in to the queue server as the user of its role (deploy/redis); the test fails if the server refuses one of its commands.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import redis
import yaml
from huggingface_hub import CommitOperationAdd, HfApi

from hub.client import Hub
from hub.records import Repo
from leaderboard.request_paths import RequestPath
from localhub.testing import HubWorld, LocalHub
from redis_state.keys import Keys
from steward.testing.board import ADA, BOT, FORM, WORKER
from steward.testing.hub import CODE, empty_board_world, model_files
from steward.valkey import Valkey, free_port
from tests.support.chaos.redis_users import address, queue_server, refused
from workers.starter import dataset_files

T = TypeVar("T")
HERE = Path(__file__).parent
SECRET = "s3cret"
BOARD = {
    "name": "town",
    "title": "The town's board",
    "suite": "starter",
    "threads": "always",
    "effects": "on",
    "pull_requests": "merge",
    # The models of these tests have placeholders for weights, which these checks would refuse.
    "admission": {
        "off": [
            *("python-files", "causal", "headers", "layers", "size", "honest-precision", "half-precision"),
            *("tokenizer-loads", "chat-template", "vocabulary", "special-tokens", "base-declared", "licence"),
            *("model-card", "category", "merge", "duplicate", "copy", "quota-submitter", "quota-organisation"),
        ]
    },
    "repos": {
        "requests": "town/requests",
        "results": "town/results",
        "logs": "town/logs",
        "community": "town/board",
        "details_namespace": "town-details",
    },
}
PUBLISHING: dict[str, Any] = {
    "effects": {"model-pr": "on", "others": "on"},
    "model_pages": {
        "Navigation": {"dataset": "ada/riddles", "task_id": "navigation", "unit": "percent", "same_task": True}
    },
}
"""The fields of a board that publishes scores on models' own pages."""
BENCHMARK = """\
name: Riddles
evaluation_framework: math-arena
tasks: [{id: navigation, config: default, split: test}]
"""
SCORES = "hf_scores"
"""The token for pull requests on models' repos."""
ENDED = ("FINISHED", "FAILED")
KEYS = Keys("town")
PATIENCE = 300.0
"""Seconds: a busy machine takes minutes to start ten processes, or to recover after one is killed."""


def world(webhook_urls: list[str]) -> HubWorld:
    """Return a world with the board's accounts and repos, a few models, and a webhook for each web server."""
    files = {name: content.decode() for name, content in dataset_files().items()}
    made = empty_board_world("town", "bot").org("steward-suites").repo("dataset", "steward-suites/starter", files)
    for name in ("good", "good-slow", "good-dies", "other", "another"):
        made.repo("model", f"ada/{name}", model_files('{"model_type": "gpt2"}'))
    made.repo("model", "ada/remote", model_files(CODE))
    made.repo("dataset", "ada/riddles", {"eval.yaml": BENCHMARK})
    token = {"token": SCORES, "role": "fineGrained", "global": ["discussion.write"]}
    made["users"].append({"name": "scores", "tokens": [token]})
    for url in webhook_urls:
        made.webhook("bot", url, ("dataset", "town/requests"), secret=SECRET)
    return made


@dataclass
class BoardProcesses:
    """The processes of a board, by name: starts and kills them, acts as users do, and reads what users see."""

    folder: Path
    valkey: Valkey
    hub: LocalHub
    ports: list[int]
    publishing: bool = False
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "board.yaml").write_text(yaml.safe_dump(BOARD | (PUBLISHING if self.publishing else {})))
        self.redis = redis.Redis.from_url(self.valkey.url)
        self.form, self.ada = HfApi(self.hub.url, token=FORM), HfApi(self.hub.url, token=ADA)
        self.reader = Hub(self.hub.url, FORM)

    # --- processes

    def start(
        self, name: str, *, crash_at: str = "", redis_url: str = "", within: Sequence[str] = (), **settings: str
    ) -> None:
        """Start `web…`, `sync…`, `schedule…` or `worker…`; the first web server listens on the first port, and so on.

        A sync process also runs the timer, unless a `schedule` was started before. `within` is the command line of a
        program that replaces itself by the process.
        """
        kind = name.rstrip("0123456789")
        number = int(name.removeprefix(kind) or 0)
        environment = {
            **{k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR") or k.startswith("OPENBLAS_")},
            "HF_ENDPOINT": self.hub.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "REDIS_URL": address(self.folder, kind, redis_url),
            "STEWARD_BOARD": str(self.folder / "board.yaml"),
            "STEWARD_MIRRORS": str(self.folder / "mirrors"),
            "STEWARD_CRASH_AT": crash_at,
            "STEWARD_WEBHOOK_SECRET": SECRET,
            "STEWARD_PORT": str(self.ports[number]) if kind == "web" else "1",
            "STEWARD_BOT_TOKEN": BOT if kind in ("sync", "schedule") else "",
            **({"STEWARD_MODEL_PR_TOKEN": SCORES} if self.publishing and kind == "sync" else {}),
            "STEWARD_WORKER_TOKEN": WORKER if kind == "worker" else "",
            "STEWARD_WORK_DIR": str(self.folder / f"work-{name}"),
            "STEWARD_HARNESS": "instant_harness",
            "STEWARD_PRELOAD": "",
            "STEWARD_CLAIM_PATIENCE": "2",
            "PYTHONPATH": os.pathsep.join((str(HERE), str(HERE.parents[2]))),  # the harness, and simulations
            **settings,
        }
        command = {"web": ["serve"], "sync": ["sync"], "schedule": ["schedule"], "worker": ["work"]}[kind]
        if kind == "sync" and "schedule" in self.processes:
            command = ["sync", "--no-timer"]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*within, sys.executable, "-m", "steward.cli", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        """Kill a process with SIGKILL, as a power cut does."""
        self.processes[name].kill()
        self.processes[name].wait()

    def died(self, name: str) -> bool:
        """Whether the process has ended by itself."""
        return self.processes[name].poll() is not None

    def stop(self) -> None:
        """End all processes, and close the connections."""
        self.end_processes()
        self.reader.close()
        self.redis.close()

    def end_processes(self) -> None:
        """End all processes by SIGTERM, and by SIGKILL after 12 seconds."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(12)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def words(self) -> str:
        """The statuses, the dirty keys, and the end of every log."""
        logs = {name: (self.folder / f"{name}.log").read_text("utf-8", "replace")[-3_000:] for name in self.processes}
        dirty = [key.decode() for key in self.redis.zrange(KEYS.dirty, 0, -1)]
        return "\n".join([str(self.statuses()), f"dirty: {dirty}", *(f"--- {n}\n{text}" for n, text in logs.items())])

    def web_answers(self, number: int = 0) -> bool:
        """Whether a web server answers."""
        import httpx2

        try:
            return httpx2.get(f"http://127.0.0.1:{self.ports[number]}/healthz", timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False

    # --- what people do

    def submit(self, *models: str) -> list[str]:
        """Commit requests for models of Ada's as the form does, in one commit; return their paths."""
        paths = [str(RequestPath("ada", name, False, "float32", "Original")) for name in models]
        operations = [
            CommitOperationAdd(path, json.dumps({"model": f"ada/{name}", "status": "PENDING"}).encode())
            for name, path in zip(models, paths, strict=True)
        ]
        self.form.create_commit("town/requests", operations, commit_message="Add", repo_type="dataset")
        return paths

    def propose(self, model: str) -> int:
        """Open a pull request as Ada with a request for her model; return its number."""
        asked = {"model": f"ada/{model}", "base_model": "", "revision": "main", "precision": "float32"}
        asked |= {"weight_type": "Original", "status": "PENDING", "model_type": "pretrained"}
        asked["submitted_time"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        path = str(RequestPath("ada", model, False, "float32", "Original"))
        operation = CommitOperationAdd(path, json.dumps(asked).encode())
        made = self.ada.create_commit(
            "town/requests", [operation], commit_message=f"Add {model}", repo_type="dataset", create_pr=True
        )
        return int(made.pr_num or 0)

    def say(self, number: int, words: str) -> None:
        """Comment as Ada in a thread of the requests repo."""
        self.ada.comment_discussion("town/requests", number, comment=words, repo_type="dataset")

    def ask_for_scores(self) -> int:
        """Open a discussion as Ada in the requests repo; return its number."""
        made = self.ada.create_discussion("town/requests", "Scores", description="Hello.", repo_type="dataset")
        return int(made.num)

    # --- what people see

    def file(self, path: str) -> dict[str, Any]:
        """A request file."""
        fields: dict[str, Any] = json.loads(self.reader.read_file(Repo("dataset", "town/requests"), path).data)
        return fields

    def statuses(self) -> dict[str, str]:
        """Request path → status."""
        listed = self.reader.list_files(Repo("dataset", "town/requests"))
        paths = [file.path for file in listed if file.path.endswith(".json") and not file.path.startswith(".")]
        return {path: self.file(path)["status"] for path in paths}

    def answers(self, number: int, words: str) -> int:
        """Return how many comments of the bot in a thread of the requests repo contain `words`."""
        comments = self.reader.thread(Repo("dataset", "town/requests"), number).comments
        return sum(comment.author_name == "bot" and words in comment.text for comment in comments)

    def pulls_with_scores(self) -> list[tuple[int, str, list[str]]]:
        """Each pull request on the model `good`: number, status, the files with scores in it."""
        return [
            (pull.num, pull.status, [path for path in self._files(f"refs/pr/{pull.num}") if path.startswith(".eval")])
            for pull in self.ada.get_repo_discussions("ada/good", discussion_type="pull_request")
        ]

    def _files(self, revision: str) -> list[str]:
        return self.ada.list_repo_files("ada/good", revision=revision)

    def ended(self) -> bool:
        """Whether every request has ended and nothing is left to do. It reads Redis first, because that is cheap."""
        return self.is_idle() and all(status in ENDED for status in self.statuses().values()) and self.is_idle()

    def is_idle(self) -> bool:
        """Whether no key is dirty, apart from keys of lists that become due again some minutes later."""
        due = self.redis.zrange(KEYS.dirty, 0, -1)
        # For instance, the maintainers' list is due again some minutes later.
        return not [key for key in due if not key.startswith((b"threads", b"results", b"digest"))]

    def visible_state(self) -> dict[str, Any]:
        """All files and threads that users see, without what differs between runs (times, commit ids, addresses)."""
        seen: dict[str, Any] = {}
        for name in ("requests", "results", "logs"):
            repo = Repo("dataset", f"town/{name}")
            for entry in self.reader.list_files(repo):
                if entry.path.endswith(".json"):
                    seen[f"{name}/{settled(entry.path)}"] = facts(name, self.reader.read_file(repo, entry.path).data)
                elif entry.path.endswith(".txt"):
                    seen[f"{name}/{settled(entry.path)}"] = "a log"
        for thread in self.reader.threads(Repo("dataset", "town/requests")):
            whole = self.reader.thread(Repo("dataset", "town/requests"), thread.num)
            comments = sorted(settled(comment.text.strip()) for comment in whole.comments)
            seen.setdefault(f"thread {thread.title}", []).append((thread.status, comments))
        return seen

    def final_state(self) -> dict[str, Any]:
        """The visible state, once all requests have ended and it no longer changes."""
        before = None
        while (seen := self.visible_state()) != before or not self.ended():
            before = seen
            time.sleep(0.5)
        return seen


def settled(text: str) -> str:
    """`text` without times, commit ids and addresses. The number of an attempt stays: it counts the attempts."""
    text = re.sub(r"http://127\.0\.0\.1:\d+", "HUB", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.-]+(?: UTC|Z)?", "TIME", text)
    text = re.sub(r"rank \d+ of \d+", "RANK", text)  # among the models that had finished by then
    return re.sub(r"\b[0-9a-f]{40}\b|\b[0-9a-f]{24}\b|`[0-9a-f]{8}`|\b[0-9a-f]{12}-[0-9a-f]{8}\b", "ID", text)


def facts(repo: str, data: bytes) -> Any:
    """Return what tests compare of a file: the status and Steward's facts of a request; the score of a result, and how
    many answers it took from an interrupted attempt; the cause in a log of an attempt."""
    fields = json.loads(data)
    if repo == "requests":
        steward = {k: v for k, v in fields["steward"].items() if k not in ("thread", "revision")}
        return json.loads(settled(json.dumps({"status": fields["status"], "steward": steward}, sort_keys=True)))
    if repo == "results":
        return [fields["steward"]["request"], fields["steward"]["average"], fields["steward"].get("replayed", 0)]
    failure = fields.get("failure") or {}
    return [fields["path"], failure.get("cause")]


@contextmanager
def open_board_processes(folder: Path, *, webs: int = 1, publishing: bool = False) -> Iterator[BoardProcesses]:
    """A board whose Hub and queue server run, without any process; with `publishing` it has the settings PUBLISHING."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = [free_port() for _ in range(webs)]
    urls = [f"http://127.0.0.1:{port}/webhooks/hub" for port in ports]
    with queue_server(folder, BOARD["name"]) as valkey, LocalHub(folder / "hub", world(urls)) as hub:
        board = BoardProcesses(folder, valkey, hub, ports, publishing)
        try:
            yield board
            assert not (words := refused(board.redis)), words
        finally:
            board.stop()
