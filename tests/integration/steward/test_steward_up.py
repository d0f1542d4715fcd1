"""A working leaderboard in three commands, and how `steward up` restarts processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
import redis
from huggingface_hub import CommitOperationAdd, HfApi
from typer.testing import CliRunner

from leaderboard.boards import parse_board
from leaderboard.effects import Effect, EffectMode
from localhub.jobs.runner import JobSettings
from localhub.testing import LocalHub
from redis_state.errors import RedisMissing
from redis_state.keys import Keys
from redis_state.redis import connect
from redis_state.shadowed_writes import ShadowList
from steward.cli import app
from steward.commands import up
from steward.commands.board import URL_FILE
from steward.new_board import NewBoardOptions
from steward.testing.hub import fresh_world
from steward.testing.waiting import wait_until
from steward.valkey import free_port, locked
from workers.models.tiny_model import model

WORLD = fresh_world().org("steward-suites").datasets("steward-suites/starter")
REQUEST = "maya/remote_eval_request_False_float32_Original.json"


BACKENDS = """\
backends:
  small: {kind: jobs, namespace: fresh, flavor: cpu-basic, image: tools, costs: {hourly: 1, by_day: 99}}
"""
TINY_MODELS = """\
admission: {off: [model-card, licence, category, base-declared, tokenizer-loads, chat-template, causal, size, duplicate,
  copy, layers, headers, vocabulary, special-tokens]}
"""


def settings_of(hub: LocalHub, folder: Path, port: int) -> dict[str, str]:
    """The environment of an operator whose files are in `folder`."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **inherited,
        "HF_ENDPOINT": hub.url,
        "STEWARD_BOARD": str(folder / "board.yaml"),
        "STEWARD_BOT_TOKEN": "hf_bot",
        "STEWARD_WEBHOOK_SECRET_FILE": str(folder / "secret"),
        "STEWARD_MIRRORS": str(folder / "mirrors"),
        "STEWARD_DATA": str(folder / "data"),
        "STEWARD_PORT": str(port),
        "STEWARD_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "STEWARD_WORKER_TOKEN": "hf_gpu",
    }


def judge_a_submission(hub: LocalHub, folder: Path) -> None:
    """Commit a request that the bot refuses, and wait until the list of the board in shadow mode shows the refusal."""
    form = HfApi(hub.url, token="hf_form")
    fields = json.dumps({"model": "maya/remote", "status": "PENDING", "revision": "main"}).encode()
    form.create_commit(
        "fresh/requests", [CommitOperationAdd(REQUEST, fields)], commit_message="Add", repo_type="dataset"
    )
    listed = ShadowList(connect((folder / "data" / "redis-url").read_text()), Keys("fresh"))
    wait_until(lambda: any("FAILED" in str(shadowed) for shadowed in listed.read().things), seconds=30)


@pytest.mark.e2e
def test_a_leaderboard_in_three_commands(tmp_path: Path) -> None:
    """init makes board file, secret, repos and webhooks; doctor finds nothing wrong; up judges a submission.

    The board has a worker backend: its sync process looks for runs, with all that it needs to start one.
    """
    port = free_port()
    with LocalHub(tmp_path / "hub", WORLD) as hub:
        environment = settings_of(hub, tmp_path, port)

        def steward(*words: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "steward.cli", *words]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            return subprocess.Popen(command, env=environment, cwd=tmp_path, text=True, **pipes)  # type: ignore

        address = f"http://127.0.0.1:{port}/webhooks/hub"
        init = steward("init", "--org", "fresh", "--url", address, "--maintainer", "maya", "--apply")
        output = init.communicate(timeout=60)[0]
        assert init.returncode == 0, output
        assert "Wrote the board file" in output
        assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
        with (tmp_path / "board.yaml").open("a") as board:
            board.write(BACKENDS)
        everything = steward("up", "--no-worker")
        try:
            wait_until(lambda: answers(port, "readyz"), seconds=60)
            wait_until(lambda: ("GET", "/api/jobs/{namespace}") in routes(hub), seconds=30)
            shadowed = parse_board((tmp_path / "board.yaml").read_text("utf-8"))
            assert shadowed.effects.mode(*set(Effect) - {Effect.MODEL_PR}) is EffectMode.SHADOW
            environment["REDIS_URL_FILE"] = str(tmp_path / "data" / "redis-url")
            only_with_its_password(tmp_path / "data")
            doctor = steward("doctor", "--json").communicate(timeout=60)[0]
            assert [check for check in json.loads(doctor.splitlines()[-1])["checks"] if check["state"] == "error"] == []
            judge_a_submission(hub, tmp_path)
        finally:
            everything.send_signal(signal.SIGTERM)
            words = everything.communicate(timeout=30)[0]
        assert everything.returncode == 0, words
        assert f"The leaderboard is ready: http://127.0.0.1:{port}\n" in words
        assert not answers(port, "healthz")


def routes(hub: LocalHub) -> set[tuple[str, str]]:
    """The calls that the Hub got."""
    return {(call["method"], call["route"]) for call in hub.state.stats.read()["calls"]}


TAKE = """\
import os, sys
from workers.jobs.https_link import HttpsLink
link = HttpsLink(os.environ["STEWARD_BOARD_URL"], sys.argv[-1], os.environ["STEWARD_ATTEMPT_TOKEN"], worker="w")
print("took", link.take_job().job.model, sorted(name for name in os.environ if "TOKEN" in name))
"""


def new_board(hub: LocalHub, folder: Path, port: int) -> dict[str, str]:
    """Init a board with a backend, and submit a model to it; return the environment of its operator."""
    maya = HfApi(hub.url, token="hf_maya")
    maya.create_repo("maya/tiny")
    files = [CommitOperationAdd(path, data) for path, data in model().items()]
    maya.create_commit("maya/tiny", files, commit_message="Add")
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "HF_ENDPOINT": hub.url,
        "STEWARD_BOT_TOKEN": "hf_bot",
        "STEWARD_WEBHOOK_SECRET": "s3cret",
        "STEWARD_PORT": str(port),
        "STEWARD_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "STEWARD_WORKER_TOKEN": "hf_gpu",
    }
    init = ["init", "--org", "fresh", "--url", f"http://127.0.0.1:{port}/webhooks/hub", "--apply"]
    command = [sys.executable, "-m", "steward.cli", *init]
    subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True, timeout=120)
    board = folder / "board.yaml"
    board.write_text(board.read_text().replace("effects: shadow", "effects: on") + BACKENDS + TINY_MODELS)
    fields = {"model": "maya/tiny", "status": "PENDING", "revision": "main", "precision": "float32"}
    request = CommitOperationAdd(REQUEST.replace("remote", "tiny"), json.dumps(fields).encode())
    HfApi(hub.url, token="hf_form").create_commit(
        "fresh/requests", [request], commit_message="Add", repo_type="dataset"
    )
    return environment


@pytest.mark.e2e
@pytest.mark.long("an accepted request takes its time")
@pytest.mark.timeout(400)
def test_a_board_with_a_backend_starts_jobs(tmp_path: Path) -> None:
    """On a board with a backend, `up` starts a Job for a request, and the web server gives the Job its attempt."""
    port, image = free_port(), tmp_path / "image"
    image.mkdir()
    (image / "take.py").write_text(TAKE)
    (image / "steward").write_text(f'#!/bin/sh\nexec {sys.executable} {image}/take.py "$@"\n')
    (image / "steward").chmod(0o755)
    with LocalHub(tmp_path / "hub", WORLD) as hub:
        hub.state.jobs.configure(JobSettings(images={"tools": [str(image)]}))
        environment = new_board(hub, tmp_path, port)
        words = [sys.executable, "-m", "steward.cli", "up", "--no-worker"]
        with (tmp_path / "log").open("w") as log:
            everything = subprocess.Popen(words, env=environment, cwd=tmp_path, stdout=log, stderr=log)
        try:
            expected = "took maya/tiny ['STEWARD_ATTEMPT_TOKEN', 'STEWARD_WORKER_TOKEN']"
            wait_until(lambda: expected in printed(hub), seconds=300, describe=(tmp_path / "log").read_text)
        finally:
            everything.send_signal(signal.SIGTERM)
            everything.wait(30)


def printed(hub: LocalHub) -> list[str]:
    """What all Jobs of the board have printed."""
    owner = hub.state.accounts.by_name("fresh")
    assert owner is not None
    return [line for job in hub.state.job_store.of_owner(owner.id, (), ()) for line in hub.state.jobs.printed(job.id)]


def only_with_its_password(data: Path) -> None:
    """Check that other accounts on this machine can neither read the queue server's data and URL nor use it."""
    file = data / "redis-url"
    assert (file.stat().st_mode & 0o777, (data / "redis").stat().st_mode & 0o777) == (0o600, 0o700)
    with pytest.raises(RedisMissing, match="refuses the user or the password"):
        connect(re.sub("//.*@", "//", file.read_text()))


def answers(port: int, page: str) -> bool:
    """Whether the web server answers this page with status 200."""
    try:
        return bool(httpx2.get(f"http://127.0.0.1:{port}/{page}", timeout=5).status_code == 200)
    except httpx2.HTTPError:
        return False


def test_the_locked_server_starts_in_a_folder_with_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue server starts if its folder is a relative path, as by default."""
    monkeypatch.chdir(tmp_path)
    with locked(Path("steward-data/redis"), print) as server:
        assert connect(server.url).ping()


def test_a_deleted_data_folder_is_made_again(tmp_path: Path) -> None:
    """A queue server whose folder was deleted while it ran starts again: empty, locked, its address in a file."""
    data = tmp_path / "steward-data"
    with locked(data / "redis", print) as server:
        assert server.process is not None
        shutil.rmtree(data)
        server.process.kill()
        server.process.wait()
        up._keep_server(server, data)
        assert connect(server.url).ping()
        assert (data / URL_FILE).read_text() == server.url
        assert [path.stat().st_mode & 0o077 for path in (data / URL_FILE, data / "redis")] == [0, 0]
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=server.port).ping()


def test_a_new_board_file_takes_any_title() -> None:
    """A new board file quotes the operator's title: colons, quotes and emoji stay unchanged."""
    for title in ('A: "b" # c', "🏆 été", "- x", "yes"):
        text = NewBoardOptions("Open_Board.1", "d", title).board_text(["a1", "b2"])
        board = parse_board(text)
        assert (board.title, board.maintainers, board.name) == (title, ("a1", "b2"), "open-board-1")


def test_init_without_a_board_file_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a board file, `init` exits with an error that names the option `--org`."""
    for name, value in (("BOARD", str(tmp_path / "none.yaml")), ("BOT_TOKEN", "hf_x"), ("WEBHOOK_SECRET", "s")):
        monkeypatch.setenv(f"STEWARD_{name}", value)
    result = CliRunner().invoke(app, ["init", "--url", "https://x.example/webhooks/hub"])
    assert result.exit_code == 2
    assert "--org" in result.output
