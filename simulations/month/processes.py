"""The processes of the month: localhub, a queue server and all processes of Steward, with the accelerated clock."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import redis
import yaml

from bot.core.context import BoardContext
from hub.client import Hub
from leaderboard.boards import parse_board
from leaderboard.suites import find_suite
from redis_state.redis import connect
from simulations.month import scripted_evaluator, scripted_harness, scripted_scores
from simulations.month.accelerated_clock import AcceleratedClock
from steward.children import Children
from steward.valkey import free_port, packaged_server

BOT, FORM, WORKER, EYES, SCORES, SECRET = "hf_bot", "hf_form", "hf_worker", "hf_eyes", "hf_scores", "s3cret"
LENDERS = {"lender-1": "hf_lender-1", "lender-2": "hf_lender-2"}
"""Accounts of other people's workers, with their tokens; a worker of another account computes some answers again."""
FORGER = "worker-2"
APP, APP_SECRET, IMAGE = "month", "the-app's-secret", "steward-worker"
NOT_OF_JOBS = ("REDIS_URL", "STEWARD_BOARD", "STEWARD_MIRRORS", "STEWARD_PORT", "STEWARD_WORKER_TOKEN")
"""Settings of a worker that a Job does without, or gets as a secret."""
COMMANDS = {"web": ["serve"], "sync": ["sync", "--no-timer"], "schedule": ["schedule"], "worker": ["work"]}
ROOT = Path(__file__).parents[2]
HARNESS = "month_harness"
PATIENCE = 60.0
"""Real seconds in which a process must start."""


@dataclass
class MonthProcesses:
    """Starts and stops the board's processes; `running` holds them by name."""

    folder: Path
    clock: AcceleratedClock
    children: Children
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    workers: int = 2
    own_evaluator: bool = False
    hub_url: str = ""
    started: int = 0

    def __post_init__(self) -> None:
        self.queue_port, self.web_port = free_port(), free_port()
        self.queue_url = f"redis://127.0.0.1:{self.queue_port}/0"
        self.web_url = f"http://127.0.0.1:{self.web_port}"
        self.webhook_url = f"{self.web_url}/webhooks/hub"
        self.image = self.folder / "image"
        for name in ("harness", "forging"):
            (self.folder / name).mkdir(parents=True)
            shutil.copy(scripted_harness.__file__, self.folder / name / f"{HARNESS}.py")
        (self.folder / "forging" / scripted_harness.FORGER_FILE).touch()
        self._copy_evaluator()

    def _copy_evaluator(self) -> None:
        """Copy the scripted evaluator with the modules that it imports: the sandbox shows its folder alone."""
        inner = self.evaluator / "simulations" / "month"
        inner.mkdir(parents=True)
        for folder in (inner.parent, inner):
            (folder / "__init__.py").touch()
        shutil.copy(scripted_scores.__file__, inner / "scripted_scores.py")
        shutil.copy(scripted_evaluator.__file__, self.evaluator / "__main__.py")

    @property
    def evaluator(self) -> Path:
        """The folder of the scripted evaluator."""
        return self.folder / "evaluator"

    @property
    def parts(self) -> list[str]:
        """The names of Steward's processes: a web server, two sync processes, the timer, and workers."""
        return ["web", "sync-0", "sync-1", "schedule", *(f"worker-{n}" for n in range(self.workers))]

    # --- start

    def open(self, world: Mapping[str, Any]) -> None:
        """Start the queue server, and localhub with `world`."""
        self.start_queue()
        path = self.folder / "world.json"
        path.write_text(json.dumps(world))
        arguments = [sys.executable, "-m", "localhub", "--port", "0", "--data", str(self.folder / "hub")]
        process = self._start("localhub", [*arguments, "--world", str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        self.hub_url = json.loads(process.stdout.readline())["url"]
        self._write_image()

    def _write_image(self) -> None:
        """Write the program `steward` of the Jobs' image, which runs with the accelerated clock."""
        settings = {
            name: value for name, value in self._settings("worker", "worker-0").items() if name not in NOT_OF_JOBS
        }
        settings["STEWARD_WORK_DIR"] = str(self.folder / "work-job")
        self.image.mkdir()
        program = self.image / "steward"
        program.write_text(self.clock.script(settings, f'{sys.executable} -m steward.cli "$@"'))
        program.chmod(0o755)

    def write_board(self, board: Mapping[str, Any]) -> None:
        """Write the board file, which every process reads when it starts."""
        (self.folder / "board.yaml").write_text(yaml.safe_dump(dict(board)))

    def context(self) -> BoardContext:
        """Return a board context that reads the bot's state, with a read-only account on the Hub."""
        board = parse_board((self.folder / "board.yaml").read_text())
        mirrors = self.folder / "eyes"
        hub = Hub(self.hub_url, EYES, timeout=60)
        return BoardContext(
            board, find_suite(board.suite), hub, connect(self.queue_url), self.clock.now, mirrors=mirrors
        )

    def start(self, *names: str) -> None:
        """Start the processes `names`."""
        for name in names:
            self._start_part(name, self._settings(name.partition("-")[0], name))

    def start_forger(self) -> None:
        """Start the worker FORGER with a harness that publishes a perfect score for each model."""
        settings = self._settings("worker", FORGER)
        settings["PYTHONPATH"] = os.pathsep.join((str(self.folder / "forging"), str(ROOT)))
        self._start_part(FORGER, settings)

    def _start_part(self, name: str, settings: Mapping[str, str]) -> None:
        words = COMMANDS[name.partition("-")[0]]
        self._start(name, [sys.executable, "-m", "steward.cli", *words], settings=settings)

    def start_queue(self) -> None:
        """Start the queue server on its existing data.

        It is the packaged one: Debian's, which has another allocator, hangs under libfaketime.
        """
        folder = self.folder / "queue"
        folder.mkdir(exist_ok=True)
        options = {"--port": str(self.queue_port), "--bind": "127.0.0.1", "--dir": str(folder), "--appendonly": "yes"}
        options |= {"--maxmemory-policy": "noeviction", "--save": "", "--hz": "1"}
        self._start("queue", [packaged_server(), *(part for option in options.items() for part in option)])
        with redis.Redis(port=self.queue_port) as client:
            self.wait(lambda: _pings(client))

    def _start(
        self, name: str, arguments: list[str], *, stdout: int | None = None, settings: Mapping[str, str] | None = None
    ) -> Any:
        command, time_settings = self.clock.command(name, arguments)
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
        kept |= {key: value for key, value in os.environ.items() if key.startswith("OPENBLAS_")}
        child = self.children.start(
            name, command, environment={**kept, **time_settings, **(settings or {})}, stdout=stdout
        )
        self.running[name] = child.process
        self.started += 1
        return child.process

    def _settings(self, kind: str, name: str) -> dict[str, str]:
        of_worker = {"STEWARD_WORKER_TOKEN": LENDERS.get(name.replace("worker-", "lender-"), WORKER)}
        bots = {"STEWARD_BOT_TOKEN": BOT, "STEWARD_MODEL_PR_TOKEN": SCORES, "STEWARD_WEBHOOK_SECRET": SECRET}
        app = {"OAUTH_CLIENT_ID": APP, "OAUTH_CLIENT_SECRET": APP_SECRET}
        token = {"worker": of_worker, "web": {"STEWARD_WEBHOOK_SECRET": SECRET, **app}}
        token |= {part: {**bots, "STEWARD_WORKER_TOKEN": WORKER} for part in ("sync", "schedule")}
        return {
            "HF_ENDPOINT": self.hub_url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "REDIS_URL": self.queue_url,
            "STEWARD_BOARD": str(self.folder / "board.yaml"),
            "STEWARD_MIRRORS": str(self.folder / f"mirrors-{name}"),
            "STEWARD_PORT": str(self.web_port),
            "STEWARD_PUBLIC_URL": self.web_url,
            "STEWARD_WORK_DIR": str(self.folder / f"work-{name}"),
            **({} if self.own_evaluator else {"STEWARD_HARNESS": HARNESS}),
            "STEWARD_PRELOAD": "",
            "STEWARD_DEVICE": "cpu",
            # The accelerated clock shortens waits, but not the time that the processor needs.
            "STEWARD_PROBE_PATIENCE": f"{max(1.0, self.clock.rate):g}",
            "PYTHONFAULTHANDLER": "1",
            "PYTHONPATH": os.pathsep.join((str(self.folder / "harness"), str(ROOT))),
            **token[kind],
        }

    # --- end

    def stop(self, name: str, *, seconds: float = 30) -> bool:
        """Send SIGTERM, and after `seconds` SIGKILL to the whole session; return whether the process ended by itself.

        A process that has to be killed first writes the stacks of its threads to its log.
        """
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # makes faulthandler write the stacks
            time.sleep(1)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False
        finally:
            self._forget(process)
        return True

    def kill(self, name: str) -> None:
        """Kill the process with SIGKILL, as a power cut does."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._forget(process)

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        self.children.started = [child for child in self.children.started if child.process is not process]

    def lose_queue(self) -> None:
        """Kill the queue server, delete its data, and start it again."""
        self.kill("queue")
        shutil.rmtree(self.folder / "queue")
        self.start_queue()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all processes with SIGSTOP while the block runs."""
        groups = [process.pid for process in self.running.values()]
        for pid in groups:
            os.killpg(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in groups:
                os.killpg(pid, signal.SIGCONT)

    # --- state

    def wait(self, condition: Any, *, seconds: float = PATIENCE) -> None:
        """Return once `condition()` is true. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not yet after {seconds:.0f} s: {condition.__name__}")
            time.sleep(0.05)

    def web_answers(self) -> bool:
        """Whether the web server is ready."""
        try:
            return bool(httpx2.get(f"{self.web_url}/healthz", timeout=5).is_success)
        except httpx2.HTTPError:
            return False

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """Call localhub's admin API."""
        answer = httpx2.request(method, f"{self.hub_url}/_admin/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def steward(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `steward` command as an operator, with the same clock."""
        command, time_settings = self.clock.command("operator", [sys.executable, "-m", "steward.cli", *arguments])
        settings = self._settings("sync", "operator")
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **time_settings, **settings}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
