"""Runs the demo as users do, and reads its state."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from steward.children import die_with_parent
from steward.demo.models import GOOD
from tests.support.models.adapters_and_deltas import merged
from tests.support.workers.child_runs import write_model
from workers.models.gguf import RECORD, packaged_gguf

STARTUP = 600


@dataclass
class Demo:
    """A demo that has processed its example submissions and still runs."""

    process: subprocess.Popen[str]
    folder: Path
    result: dict[str, Any]

    @property
    def hub(self) -> str:
        """The address of its Hub."""
        return str(self.result["hub"])

    @property
    def good(self) -> dict[str, Any]:
        """The request that finished: that of the model that works."""
        (finished,) = (request for request in self.result["requests"] if request["status"] == "FINISHED")
        return finished

    def screen(self) -> str:
        """What the demo has printed to standard error."""
        return (self.folder.parent / "demo.log").read_text("utf-8")

    def world(self) -> dict[str, Any]:
        """The accounts and tokens of its Hub, from `world.yaml`."""
        world: dict[str, Any] = yaml.safe_load((self.folder / "world.yaml").read_text())
        return world

    def tokens(self) -> dict[str, str]:
        """Account → token."""
        return {user["name"]: user["tokens"][0]["token"] for user in self.world()["users"]}

    def processes(self) -> dict[int, str]:
        """The running descendants of its process: process id → command line."""
        parents: dict[int, int] = {}
        commands: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    state, parent, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
                    if state == "Z":
                        continue  # it has ended; its new parent has not reaped it yet
                    parents[int(entry.name)] = int(parent)
                    commands[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except (FileNotFoundError, ProcessLookupError):
                    continue  # it ended while we looked
        descendants = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in descendants and pid not in descendants}:
            descendants |= more
        return {pid: commands[pid] for pid in descendants - {self.process.pid}}

    def python(self, script: str, *arguments: str, **environment: str) -> str:
        """Run `script` in a fresh interpreter against its Hub, as an outside user does; return the output."""
        clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        clean |= {"HF_ENDPOINT": self.hub, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        clean |= {"OMP_WAIT_POLICY": "PASSIVE"}  # the machine is shared with everything that the demo runs
        clean |= {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            env={**clean, **environment},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr[-4_000:]
        return done.stdout


def cache_tiny_model(cache: Path) -> Path:
    """Store a tiny model where the demo expects its converted model, below the cache folder `cache`; return `cache`.

    The demo uploads, hashes and downloads the real model's 270 MB, and evaluates it for minutes on a busy machine.
    """
    gguf = packaged_gguf()
    source = {"file": gguf.name, "bytes": gguf.stat().st_size, "dtype": "bfloat16"}
    folder = cache / "steward" / "demo" / GOOD.partition("/")[2]
    write_model(folder, {**merged(), RECORD: json.dumps(source).encode()})
    return cache


def play(folder: Path, suite: str = "starter", cache: Path | None = None) -> Iterator[Demo]:
    """Run the demo with its files below `folder`, and stop it when the generator is closed.

    `cache`: the cache folder with its converted model, by default the user's own.
    """
    log = (folder / "demo.log").open("w")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so in the background of a script; children inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "steward.cli", "demo", "--json", "--suite", suite],
        env={**os.environ, "TMPDIR": str(folder), **({"XDG_CACHE_HOME": str(cache)} if cache else {})},
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (folder / "demo.log").read_text()[-4_000:]
        (stage,) = folder.glob("steward-demo-*")
        yield Demo(process, stage, json.loads(line))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(30)
        log.close()
