"""The images, run as containers: small, without root, and a whole board in two of them.

`make image` builds them and runs this. It needs root and podman, and is skipped elsewhere.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from huggingface_hub import CommitOperationAdd, HfApi

from localhub.testing import LocalHub
from steward.testing.hub import fresh_world
from steward.testing.waiting import wait_until
from steward.valkey import free_port
from workers.models import tiny_model
from workers.starter import dataset_files

PODMAN = shlex.split(os.environ.get("STEWARD_PODMAN", ""))
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not PODMAN, reason="STEWARD_PODMAN names no podman: `make image` builds the images and does"),
]
LIMIT, WITHOUT_TABLES = 520_000_000, 400_000_000
"""Bytes of the bot's image, unpacked: in all, and without the library that writes tables (`EXTRAS=`)."""
TABLES = "/opt/steward/lib/python3*/site-packages/pyarrow"
COMPILERS = ("gcc", "cc", "g++", "clang", "ld", "as", "make", "rustc", "cargo", "go", "pip")
IMAGES = {"bot": "steward-bot", "worker": "steward-worker"}
UID = 1000
WORLD = (
    fresh_world()
    .org("steward-suites")
    .repo("model", "maya/tiny")
    .repo("dataset", "steward-suites/starter", {name: content.decode() for name, content in dataset_files().items()})
)
TOO_TINY = ("causal", "half-precision", "licence", "model-card", "category", "size", "honest-precision", "vocabulary")
"""Admission rules that are off, because the tiny model breaks them."""


def podman(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run podman to its end."""
    process = subprocess.run([*PODMAN, *words], capture_output=True, text=True, timeout=300)
    assert process.returncode == 0 or not check, f"podman {words[0]}: {process.stdout}{process.stderr}"
    return process


def inspected(what: str, name: str, field: str) -> str:
    """One field of an image or a container."""
    return podman(what, "inspect", "--format", "{{" + field + "}}", name).stdout.strip()


@dataclass
class Board:
    """A fresh board on a Hub of this machine, whose `/data` is a folder here, and the containers that run it."""

    hub: LocalHub
    data: Path
    port: int

    def run(self, image: str, *words: str, name: str = "", **environment: str) -> str:
        """Run `steward WORDS` in a container that has no rights and can write to /data only; return its output."""
        variables = {"HF_ENDPOINT": self.hub.url, "STEWARD_PORT": str(self.port), **environment}
        settings = [f"--env={key}={value}" for key, value in variables.items()]
        walls = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--ulimit=host"]
        mounts = ["--network=host", f"--volume={self.data}:/data"]
        way = ["--detach", "--name", name] if name else ["--rm"]
        return podman("run", *way, *walls, *mounts, *settings, IMAGES[image], *words).stdout

    def page(self, path: str) -> int:
        """The status with which the web server answers; 0 where it does not."""
        try:
            return httpx2.get(f"http://127.0.0.1:{self.port}{path}", timeout=5).status_code
        except httpx2.HTTPError:
            return 0

    def submit(self, model: str) -> str:
        """Commit a request as the form does, and return its path."""
        path = f"{model}_eval_request_False_float32_Original.json"
        fields = {"model": model, "status": "PENDING", "revision": "main", "precision": "float32"}
        HfApi(self.hub.url, token="hf_form").create_commit(
            "fresh/requests",
            [CommitOperationAdd(path, json.dumps(fields).encode())],
            commit_message=f"Add {model}",
            repo_type="dataset",
        )
        return path

    def request(self, path: str) -> dict[str, Any]:
        """A request file as the public reads it."""
        contents: dict[str, Any] = httpx2.get(f"{self.hub.url}/datasets/fresh/requests/resolve/main/{path}").json()
        return contents


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A board that `steward init` in the bot's image has made, with all effects on."""
    folder = tmp_path_factory.mktemp("images")
    data = folder / "data"
    data.mkdir(mode=0o700)
    os.chown(data, UID, UID)
    with LocalHub(folder / "hub", WORLD) as hub:
        operations = [CommitOperationAdd(name, content) for name, content in tiny_model.model().items()]
        HfApi(hub.url, token="hf_maya").create_commit("maya/tiny", operations, commit_message="Add the model")
        running = Board(hub, data, free_port())
        url = f"http://127.0.0.1:{running.port}/webhooks/hub"
        secrets = {"STEWARD_BOT_TOKEN": "hf_bot", "STEWARD_WEBHOOK_SECRET_FILE": "/data/webhook-secret"}
        output = running.run(
            "bot", "init", "--org", "fresh", "--url", url, "--maintainer", "maya", "--apply", **secrets
        )
        assert "Wrote the board file" in output
        written = data / "board.yaml"
        assert written.stat().st_uid == UID
        fields = yaml.safe_load(written.read_text("utf-8"))
        fields |= {"effects": "on", "front_ends": [front_end(hub)], "admission": {"off": list(TOO_TINY)}}
        written.write_text(yaml.safe_dump(fields), "utf-8")
        yield running


def front_end(hub: LocalHub) -> str:
    """The Hub's id of the form's account."""
    return str(HfApi(hub.url, token="hf_form").whoami()["id"])


@pytest.fixture(scope="module")
def containers(board: Board) -> Iterator[dict[str, str]]:
    """The names of the containers of a Space and of a worker, by image."""
    names = {image: f"steward-test-{image}-{board.port}" for image in IMAGES}
    try:
        yield names
    finally:
        for name in names.values():
            podman("rm", "--force", "--time", "0", name, check=False)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_without_root_and_holds_no_compiler(image: str) -> None:
    """An image runs as user 1000, who owns `/data`, and has no compiler or build tool."""
    script = f"id -u; stat -c %u /data; for name in {' '.join(COMPILERS)}; do command -v $name; done; exit 0"
    ids = podman(
        "run", "--rm", "--network=none", "--ulimit=host", "--entrypoint", "sh", IMAGES[image], "-c", script
    ).stdout.split()
    assert ids == [str(UID), str(UID)]


def test_the_bots_image_is_small() -> None:
    """The unpacked image of the bot is smaller than its limits, with and without pyarrow."""
    sizes = {image: int(inspected("image", name, ".Size")) for image, name in IMAGES.items()}
    script = f"du --summarize --bytes {TABLES}"
    of_tables = podman(
        "run", "--rm", "--network=none", "--ulimit=host", "--entrypoint", "sh", IMAGES["bot"], "-c", script
    ).stdout.split()[0]
    print("; ".join(f"{IMAGES[image]}: {size / 1e6:.0f} MB" for image, size in sizes.items()), f"pyarrow: {of_tables}")
    assert sizes["bot"] < LIMIT
    assert sizes["bot"] - int(of_tables) < WITHOUT_TABLES


def test_the_bots_container_is_ready_and_judges_a_request(board: Board, containers: dict[str, str]) -> None:
    """`steward up --no-worker` becomes healthy and ready, refuses a wrong webhook secret, and fails a bad request."""
    secrets = {"STEWARD_BOT_TOKEN": "hf_bot", "STEWARD_WEBHOOK_SECRET_FILE": "/data/webhook-secret"}
    board.run("bot", name=containers["bot"], **secrets)
    wait_until(lambda: board.page("/healthz") == 200, seconds=60)
    wait_until(lambda: board.page("/readyz") == 200, seconds=60)
    podman("healthcheck", "run", containers["bot"])
    url = f"http://127.0.0.1:{board.port}/webhooks/hub"
    assert httpx2.post(url, content="{}", headers={"x-webhook-secret": "guessed"}).status_code in (401, 403)
    path = board.submit("maya/remote")
    wait_until(lambda: board.request(path)["status"] == "FAILED", seconds=60)
    inbox = httpx2.get(f"http://127.0.0.1:{board.port}/healthz").json()["inbox"]
    assert sum(inbox.values()) > 0  # it came by webhook


def test_the_workers_container_evaluates_a_request(board: Board, containers: dict[str, str]) -> None:
    """The worker's container evaluates a tiny model on the CPU with the real harness, and the bot publishes results."""
    redis_url = (board.data / "steward" / "redis-url").read_text("utf-8")
    board.run(
        "worker", name=containers["worker"], REDIS_URL=redis_url, STEWARD_WORKER_TOKEN="hf_gpu", STEWARD_DEVICE="cpu"
    )
    path = board.submit("maya/tiny")
    wait_until(lambda: board.request(path)["status"] in ("FINISHED", "FAILED"), seconds=400)
    request = board.request(path)
    assert request["status"] == "FINISHED", (request, podman("logs", containers["worker"]).stderr[-3_000:])
    files = HfApi(board.hub.url, token=False).list_repo_files("fresh/results", repo_type="dataset")
    assert len([name for name in files if name.startswith("maya/tiny/")]) == 1


def test_the_containers_stop_within_ten_seconds(containers: dict[str, str]) -> None:
    """`podman stop` ends both containers with status 0."""
    for name in containers.values():
        podman("stop", "--time", "10", name)
        assert inspected("container", name, ".State.ExitCode") == "0", name
