"""The demo's processes: a queue server, a Hub, the bot's web server and sync process, one worker."""

from __future__ import annotations

import json
import os
import select
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2
import yaml
from huggingface_hub import HfApi

from steward.children import Child, ChildDied, Children
from steward.demo.world import APP, BOT, FRONT_END, MAINTAINER, WORKER, World
from steward.valkey import Valkey

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "OMP_NUM_THREADS")
"""Environment variables that the demo's processes inherit; all other settings are set explicitly."""
PASSED_ON_PREFIXES = ("OPENBLAS_",)


@dataclass
class Stage:
    """The demo's processes and their addresses."""

    folder: Path
    children: Children
    valkey: Valkey
    world: World
    web_port: int
    hub_url: str = ""

    @property
    def web_url(self) -> str:
        """The URL of the bot's web server."""
        return f"http://127.0.0.1:{self.web_port}"

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the minimal environment of one process."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
        }
        return {
            **inherited,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_ENDPOINT": self.hub_url,
            "REDIS_URL": self.valkey.url,
            "STEWARD_BOARD": str(self.folder / "board.yaml"),
            "STEWARD_MIRRORS": str(self.folder / "mirrors"),
            **settings,
        }

    def start_hub(self, *, port: int) -> None:
        """Start localhub with the demo's world."""
        world = self.folder / "world.yaml"
        world.write_text(yaml.safe_dump(self.world.as_world(), sort_keys=False), "utf-8")
        world.chmod(0o600)
        arguments = [sys.executable, "-P", "-m", "localhub", "--port", str(port), "--data", str(self.folder / "hub")]
        child = self.children.start(
            "localhub", [*arguments, "--world", str(world)], environment=self.environment(), stdout=subprocess.PIPE
        )
        self.hub_url = json.loads(_first_line(child, seconds=30))["url"]

    def write_board(self, suite: str = "starter") -> None:
        """Write the board file with the Hub's ids of the accounts; `suite` is a name or an absolute path."""
        ids = {
            name: HfApi(self.hub_url, token=self.world.tokens[name]).whoami()["id"] for name in (FRONT_END, MAINTAINER)
        }
        board = self.world.board_file(suite, front_end_id=ids[FRONT_END], maintainer_id=ids[MAINTAINER])
        (self.folder / "board.yaml").write_text(board, "utf-8")

    def start_bot(self) -> None:
        """Start the web server and the sync process."""
        secrets = {
            "STEWARD_WEBHOOK_SECRET_FILE": self._secret("webhook-secret", self.world.secret),
            "OAUTH_CLIENT_SECRET_FILE": self._secret("app-secret", self.world.app_secret),
        }
        signing_in = {"OAUTH_CLIENT_ID": APP, "STEWARD_PUBLIC_URL": self.web_url}
        web = self.environment(STEWARD_PORT=str(self.web_port), **signing_in, **secrets)
        self.children.start("web", [*STEWARD, "serve"], environment=web)
        token = self._secret("bot-token", self.world.tokens[BOT])
        self.children.start("sync", [*STEWARD, "sync"], environment=self.environment(STEWARD_BOT_TOKEN_FILE=token))

    def start_worker(self) -> None:
        """Start the evaluation worker with a token that can write details repos only."""
        token = self._secret("worker-token", self.world.tokens[WORKER])
        settings = self.environment(STEWARD_WORKER_TOKEN_FILE=token, STEWARD_WORK_DIR=str(self.folder / "worker"))
        self.children.start("worker", [*STEWARD, "work"], environment=settings)

    def write_env(self) -> Path:
        """Write the settings of commands, and a maintainer's token, to a file for shells; return its path."""
        settings = {
            "HF_ENDPOINT": self.hub_url,
            "HF_TOKEN": self.world.tokens[MAINTAINER],
            "REDIS_URL": self.valkey.url,
            "STEWARD_BOARD": str(self.folder / "board.yaml"),
            "STEWARD_BOT_TOKEN_FILE": str(self.folder / "bot-token"),
        }
        lines = (f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
        return Path(self._secret("env", "".join(lines)))

    def wait_until_ready(self, *, seconds: float = 60) -> None:
        """Return once the bot reports that it, the queue and the Hub are ready."""
        deadline = time.monotonic() + seconds
        answer = "nothing yet"
        while time.monotonic() < deadline:
            self.children.check()
            try:
                response = httpx2.get(f"{self.web_url}/readyz", timeout=5)
                answer = response.text
                if response.status_code == 200:
                    return
            except httpx2.HTTPError as error:
                answer = str(error)
            time.sleep(0.1)
        raise ChildDied(f"The bot is not ready after {seconds:.0f} s: {answer}")

    def _secret(self, name: str, value: str) -> str:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(value)
        return str(path)


STEWARD = (sys.executable, "-P", "-m", "steward.cli")


def build_stage(folder: Path, children: Children, web_port: int) -> Stage:
    """Return a stage in `folder` with a running queue server; the board's pages are at `web_port`."""
    valkey = Valkey(folder / "valkey").start()
    (folder / "valkey-port").write_text(str(valkey.port))  # for people who want to inspect it
    return Stage(folder, children, valkey, World(f"http://127.0.0.1:{web_port}"), web_port)


def _first_line(child: Child, *, seconds: float) -> bytes:
    assert child.process.stdout is not None
    ready, _, _ = select.select([child.process.stdout], [], [], seconds)
    line = child.process.stdout.readline() if ready else b""
    if not line.strip():
        how = "ended before it started" if ready else f"did not start within {seconds:.0f} s; is the machine very busy?"
        raise ChildDied(f"{child.name} {how}\n{child.last_words()}")
    return line
