"""`steward init --space`: from a token to a leaderboard whose bot runs in a Docker Space."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import yaml
from huggingface_hub import HfApi, Volume

from localhub.testing import LocalHub
from steward.testing.waiting import wait_until
from steward.valkey import free_port
from tests.support.board.space_setup import ORG, SpaceSetup, space_world

REQUEST = {"model": "maya/remote", "precision": "float32", "weight_type": "Original", "status": "PENDING"}


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[SpaceSetup]:
    """An operator and a Hub without a board."""
    with LocalHub(tmp_path / "hub", space_world()) as hub:
        yield SpaceSetup.of(hub, tmp_path / "terminal")


def check_space(setup: SpaceSetup, api: HfApi, secret: str) -> None:
    """Check the Space's hardware, storage, secrets, settings, card and board file, and that the webhooks call it."""
    repo = setup.hub.state.repos.get("space", "fresh/bot")
    assert repo is not None and repo.sdk == "docker"
    environment = setup.hub.state.spaces.environment(repo)
    assert (environment["STEWARD_BOT_TOKEN"], environment["STEWARD_WEBHOOK_SECRET"]) == ("hf_bot", secret)
    assert {key: variable.value for key, variable in api.get_space_variables("fresh/bot").items()} == {
        "HF_ENDPOINT": setup.hub.url
    }
    runtime = api.get_space_runtime("fresh/bot")
    assert (runtime.hardware, runtime.sleep_time, runtime.storage) == ("t4-small", 900, None)
    assert runtime.volumes == [Volume(type="bucket", source="fresh/bot-data", mount_path="/data/steward/redis")]
    assert api.bucket_info("fresh/bot-data").private
    card = yaml.safe_load(_text(api, "README.md").split("---")[1])
    assert (card["sdk"], card["app_port"], card["hf_oauth"], card.get("hf_oauth_scopes")) == (
        "docker",
        7860,
        True,
        None,
    )
    assert _text(api, "board.yaml") == (setup.folder / "board.yaml").read_text()
    assert {hook.url for hook in api.list_webhooks()} == {"https://fresh-bot.hf.space/webhooks/hub"}
    assert {hook.secret for hook in setup.hub.state.webhooks.all()} == {secret}


def test_a_plan_then_a_space_then_nothing_more(setup: SpaceSetup) -> None:
    """`init --space` prints a plan, with --apply creates everything, and in a second run changes nothing."""
    before = setup.everything_stored()
    machine = ("--hardware", "t4-small", "--sleep", "900", "--storage", "small")
    plan = setup.init(*ORG, *setup.wheel(), *machine)
    assert plan.exit_code == 0, plan.output
    assert setup.everything_stored() == before
    result = setup.init(*ORG, *setup.wheel(), *machine, "--apply")
    assert result.exit_code == 0, result.output
    planned = [line.removeprefix("Would ") for line in plan.output.splitlines() if line.startswith("Would ")]
    assert len(planned) == len([line for line in result.output.splitlines() if line.split()[0] in _DONE])
    assert "https://fresh-bot.hf.space" in result.output and "hf_bot" not in result.output

    api = HfApi(setup.hub.url, token="hf_bot")
    secret = (setup.folder / "secrets" / "webhook").read_text()
    assert secret not in result.output + plan.output
    check_space(setup, api, secret)

    everything_stored, heads = setup.everything_stored(), setup.heads()
    again = setup.init(*ORG, *setup.wheel(), *machine, "--apply")
    assert again.exit_code == 0 and "The Docker Space fresh/bot is up to date." in again.output, again.output
    assert (setup.everything_stored(), setup.heads()) == (everything_stored, heads)

    board = setup.folder / "board.yaml"
    board.write_text(board.read_text().replace('title: "fresh"', 'title: "Fresher"'))
    changed = setup.init(*ORG, *setup.wheel(), "--apply")
    assert "Wrote README.md, board.yaml in the Space fresh/bot." in changed.output, changed.output
    assert "Fresher" in _text(api, "board.yaml")


_DONE = ("Created", "Wrote", "Set", "Requested", "Mounted", "Generated")


def _text(api: HfApi, path: str) -> str:
    address = f"{api.endpoint}/spaces/fresh/bot/resolve/main/{path}"
    return httpx2.get(address, headers={"Authorization": f"Bearer {api.token}"}).text


CALLS = 29
"""The number of POST requests in a complete setup."""


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(at, marks=() if at == 20 else pytest.mark.long("the same at another call"))
        for at in range(CALLS + 1)
    ],
)
def test_a_failure_half_way_leaves_everything_as_before(setup: SpaceSetup, at: int) -> None:
    """If the Hub refuses any call, the setup removes everything that it made, and the next run succeeds.

    The last case has no call to refuse: the setup succeeds.
    """
    before = setup.everything_stored()
    faults = setup.hub.state.faults
    faults.delay("POST *", seconds=0, times=at)
    rule = faults.fail("POST *", status=403)
    broken = setup.init(*ORG, *setup.wheel(), "--hardware", "t4-small", "--apply")
    if rule in faults.rules():
        assert (broken.exit_code, at) == (0, CALLS)
        return
    assert broken.exit_code == 1 and "The setup failed:" in broken.stderr, broken.output
    assert "Everything is as before." in broken.stderr
    assert setup.everything_stored() == before
    faults.clear()
    assert setup.init(*ORG, *setup.wheel(), "--hardware", "t4-small", "--apply").exit_code == 0


@pytest.mark.long("waits for the client's repetitions")
@pytest.mark.parametrize("route", ["POST /api/repos/create", "POST /api/spaces/*/secrets"])
def test_a_call_that_fails_after_its_effect_is_undone(setup: SpaceSetup, route: str) -> None:
    """If a call takes effect but the Hub always answers it with an error, the setup fails and removes the effect."""
    before = setup.everything_stored()
    setup.hub.state.faults.fail_after(route, times=None)
    broken = setup.init(*ORG, *setup.wheel(), "--apply")
    assert broken.exit_code == 1, broken.output
    assert setup.everything_stored() == before


@pytest.mark.long("waits for the client's repetitions")
def test_an_effect_is_found_in_spite_of_the_answer(setup: SpaceSetup) -> None:
    """If the Hub makes webhooks and commits but answers with errors, the setup succeeds and makes none twice."""
    for route in ("POST /api/settings/webhooks", "POST */commit/main"):
        setup.hub.state.faults.fail_after(route, times=None)
    assert setup.init(*ORG, *setup.wheel(), "--apply").exit_code == 0
    setup.hub.state.faults.clear()
    everything_stored, heads = setup.everything_stored(), setup.heads()
    assert setup.init(*ORG, *setup.wheel(), "--apply").exit_code == 0
    assert (setup.everything_stored(), setup.heads()) == (everything_stored, heads)


@pytest.mark.long("sets up one board three times")
def test_what_was_there_before_is_put_back(tmp_path: Path) -> None:
    """A failed setup restores an existing Space's settings and files, and reports what it could not remove."""
    world = space_world().repo("space", "fresh/bot", sdk="docker", variables={"HF_ENDPOINT": "https://old.example"})
    world.repo("dataset", "fresh/requests")
    with LocalHub(tmp_path / "hub", world) as hub:
        setup = SpaceSetup.of(hub, tmp_path / "terminal")
        api = HfApi(hub.url, token="hf_bot")
        former = [Volume(type="dataset", source="fresh/requests", mount_path="/mnt/x")]
        api.set_space_volumes("fresh/bot", former)
        before = setup.everything_stored()
        hub.state.faults.fail("POST /api/spaces/fresh/bot/commit/*", status=403)
        broken = setup.init(*ORG, *setup.wheel(), "--hardware", "t4-small", "--storage", "small", "--apply")
        assert broken.exit_code == 1, broken.output
        for what in (
            "the bucket fresh/bot-data of",
            "the bucket fresh/bot-data.",
            "the hardware t4-small",
            "the variable HF_ENDPOINT",
            "the files README.md, no-rows.jsonl in the",
        ):
            assert f"Removed again: {what}" in broken.stderr
        after = setup.everything_stored()
        assert after == before
        assert api.get_space_runtime("fresh/bot").volumes == former and not list(api.list_buckets("fresh"))

        hub.state.faults.fail("POST /api/settings/webhooks", status=403)
        hub.state.faults.fail("DELETE *", status=403, times=None)
        stuck = setup.init(*ORG, *setup.wheel(), "--apply")
        assert (
            "Could not be removed: the dataset fresh/results: " in stuck.stderr
            and "The rest is as before." in stuck.stderr
        )
        hub.state.faults.clear()
        assert setup.init(*ORG, *setup.wheel(), "--apply").exit_code == 0


@pytest.mark.long("sets up one board three times")
def test_a_space_gets_new_secrets_only_when_asked(setup: SpaceSetup) -> None:
    """`init` keeps the Space's secrets; with --new-secret the Space and the webhooks get the present ones."""
    assert setup.init(*ORG, *setup.wheel(), "--apply").exit_code == 0
    (setup.folder / "secrets" / "webhook").write_text("another")
    repo = setup.hub.state.repos.get("space", "fresh/bot")
    assert repo is not None
    assert setup.init(*ORG, *setup.wheel(), "--apply").exit_code == 0
    assert setup.hub.state.spaces.environment(repo)["STEWARD_WEBHOOK_SECRET"] != "another"
    assert setup.init(*ORG, *setup.wheel(), "--new-secret", "--apply").exit_code == 0
    assert setup.hub.state.spaces.environment(repo)["STEWARD_WEBHOOK_SECRET"] == "another"
    assert {hook.secret for hook in setup.hub.state.webhooks.all()} == {"another"}


@pytest.mark.e2e
@pytest.mark.long("starts the bot's processes")
def test_one_command_gives_a_working_leaderboard(tmp_path: Path) -> None:
    """After one command the Space shows the board and accepts a webhook, and `steward doctor` finds no error."""
    port = free_port()
    world = space_world(spaceHosts={"fresh/bot": f"http://127.0.0.1:{port}"}).repo("model", "maya/remote")
    with LocalHub(tmp_path / "hub", world) as hub:
        setup = SpaceSetup.of(hub, tmp_path / "terminal")
        started = time.monotonic()
        result = setup.init(*ORG, *setup.wheel(), "--apply")
        assert result.exit_code == 0 and time.monotonic() - started < 120, result.output
        space = start_space(hub, tmp_path / "space", port)
        try:
            wait_until(lambda: _answers(port, "readyz"), seconds=120)
            assert "fresh" in httpx2.get(f"http://127.0.0.1:{port}/").text
            api = HfApi(hub.url, token="hf_maya")
            path = "maya/remote_eval_request_False_float32_Original.json"
            data = json.dumps(REQUEST).encode()
            api.upload_file(repo_id="fresh/requests", repo_type="dataset", path_in_repo=path, path_or_fileobj=data)
            hooks = hub.state.webhooks
            log = hooks.deliveries.log
            sent = lambda: {delivery.status for hook in hooks.all() for delivery in log.latest(hook.id, 5)}  # noqa: E731
            wait_until(lambda: 202 in sent(), seconds=60)
            assert "leaderboard.json" in httpx2.get(f"{hub.url}/spaces/fresh/leaderboard/resolve/main/index.html").text
            doctor = subprocess.run(
                [*space.command[:1], "doctor", "--json"],
                env=space.environment,
                cwd=space.folder,
                capture_output=True,
                text=True,
                check=False,
            )
            assert doctor.returncode == 0, doctor.stdout + doctor.stderr
            checks = json.loads(doctor.stdout.splitlines()[-1])["checks"]
            assert [check["words"] for check in checks if check["state"] == "error"] == []
        finally:
            space.process.send_signal(signal.SIGTERM)
            space.process.wait(timeout=60)


@dataclass
class StartedSpace:
    """A Space's processes, started on this machine."""

    command: list[str]
    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes]


def start_space(hub: LocalHub, root: Path, port: int) -> StartedSpace:
    """Run the command of the Space's Dockerfile, with its environment and the Space's, in `root` instead of `/`."""
    repo = hub.state.repos.get("space", "fresh/bot")
    assert repo is not None
    head = repo.git.head()
    assert head is not None
    image = (repo.git.file(head, "Dockerfile") or b"").decode()
    folder = root / "opt/board"
    for words in re.findall(r"^COPY (.+)$", image, re.MULTILINE):
        source, target = words.split()
        place = root / target.strip("/") / (source if target.endswith("/") else "")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(repo.git.file(head, source) or b"")
    (root / "data").mkdir(mode=0o700)
    (setting,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", image, re.MULTILINE)
    environment = dict(word.split("=", 1) for word in shlex.split(setting.replace("\\\n", " ")))
    environment = {name: re.sub(r"^/(data|opt/board)\b", rf"{root}/\1", value) for name, value in environment.items()}
    environment |= hub.state.spaces.environment(repo)
    environment |= {"STEWARD_PORT": str(port), "STEWARD_HOST": "127.0.0.1", "HOME": str(root)}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    (command,) = re.findall(r"^CMD (.+)$", image, re.MULTILINE)
    process = subprocess.Popen(json.loads(command), env=environment, cwd=folder)
    return StartedSpace([str(Path(sys.executable).parent / "steward")], environment, folder, process)


def _answers(port: int, path: str) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/{path}", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False
