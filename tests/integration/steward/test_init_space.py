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
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
import yaml
from huggingface_hub import HfApi

from localhub.testing import HubWorld, LocalHub
from steward.valkey import free_port
from tests.support.board.space_setup import SpaceSetup, space_world
from tests.support.sizes import WHOLE, sample
from tests.support.waiting import wait_until

ORG = ("--space", "--org", "fresh", "--maintainer", "maya")
REQUEST = {"model": "maya/remote", "precision": "float32", "weight_type": "Original", "status": "PENDING"}


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[SpaceSetup]:
    """An operator and a Hub without a board."""
    with LocalHub(tmp_path / "hub", space_world()) as hub:
        yield SpaceSetup.of(hub, tmp_path / "terminal")


def test_a_plan_then_a_space_then_nothing_more(setup: SpaceSetup) -> None:
    """The plan changes nothing; --apply makes repos, Spaces, settings, webhooks; a repetition changes nothing."""
    before = setup.picture()
    machine = ("--hardware", "t4-small", "--sleep", "900", "--storage", "small")
    plan = setup.init(*ORG, *setup.wheel(), *machine)
    assert plan.exit_code == 0, plan.output
    assert setup.picture() == before
    made = setup.init(*ORG, *setup.wheel(), *machine, "--apply")
    assert made.exit_code == 0, made.output
    planned = [line.removeprefix("Would ") for line in plan.output.splitlines() if line.startswith("Would ")]
    assert len(planned) == len([line for line in made.output.splitlines() if line.split()[0] in _DONE])
    assert "https://fresh-bot.hf.space" in made.output and "hf_bot" not in made.output

    api = HfApi(setup.hub.url, token="hf_bot")
    secret = (setup.folder / "secrets" / "webhook").read_text()
    repo = setup.hub.state.repos.get("space", "fresh/bot")
    assert repo is not None and repo.sdk == "docker"
    environment = setup.hub.state.spaces.environment(repo)
    assert (environment["STEWARD_BOT_TOKEN"], environment["STEWARD_WEBHOOK_SECRET"]) == ("hf_bot", secret)
    assert {key: one.value for key, one in api.get_space_variables("fresh/bot").items()} == {
        "HF_ENDPOINT": setup.hub.url
    }
    runtime = api.get_space_runtime("fresh/bot")
    assert (runtime.hardware, runtime.sleep_time, runtime.storage) == ("t4-small", 900, "small")
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

    picture, heads = setup.picture(), setup.heads()
    again = setup.init(*ORG, *setup.wheel(), *machine, "--apply")
    assert again.exit_code == 0 and "The Docker Space fresh/bot is up to date." in again.output, again.output
    assert (setup.picture(), setup.heads()) == (picture, heads)

    board = setup.folder / "board.yaml"
    board.write_text(board.read_text().replace('title: "fresh"', 'title: "Fresher"'))
    changed = setup.init(*ORG, *setup.wheel(), "--apply")
    assert "Wrote README.md, board.yaml in the Space fresh/bot." in changed.output, changed.output
    assert "Fresher" in _text(api, "board.yaml")


_DONE = ("Created", "Wrote", "Set", "Requested", "Generated")


def _text(api: HfApi, path: str) -> str:
    address = f"{api.endpoint}/spaces/fresh/bot/resolve/main/{path}"
    return httpx2.get(address, headers={"Authorization": f"Bearer {api.token}"}).text


WRITES = sample(range(0, 48), lambda at: at in (1, 14, 30))
"""Which POST of the setup fails; beyond the last one, it works."""


@pytest.mark.parametrize("at", [at for at in WRITES if WHOLE or at])
def test_a_failure_half_way_leaves_everything_as_before(setup: SpaceSetup, at: int) -> None:
    """The Hub refuses one call: all that was made is gone again, here and there; the next run works."""
    before = setup.picture()
    faults = setup.hub.state.faults
    faults.delay("POST *", seconds=0, times=at)
    rule = faults.fail("POST *", status=403)
    broken = setup.init(*ORG, *setup.wheel(), "--hardware", "t4-small", "--apply")
    if rule in faults.rules():
        assert broken.exit_code == 0 and at > 30  # the setup makes fewer calls
        return
    assert broken.exit_code == 1 and "The setup failed:" in broken.stderr, broken.output
    assert "Everything is as before." in broken.stderr
    assert setup.picture() == before
    faults.clear()
    assert setup.init(*ORG, *setup.wheel(), "--hardware", "t4-small", "--apply").exit_code == 0


@pytest.mark.skipif(not WHOLE, reason="waits for the client's repetitions: make matrices")
@pytest.mark.parametrize("route", ["POST /api/repos/create", "POST /api/settings/webhooks", "POST */commit/main"])
def test_a_call_that_fails_after_its_effect_is_undone(setup: SpaceSetup, route: str) -> None:
    """The Hub makes it and answers with an error, again and again: nothing is left."""
    before = setup.picture()
    setup.hub.state.faults.fail_after(route, times=None)
    broken = setup.init(*ORG, *setup.wheel(), "--apply")
    assert broken.exit_code == 1, broken.output
    assert setup.picture() == before


def test_what_was_there_before_is_put_back(tmp_path: Path) -> None:
    """A Space and a repo that exist get their former settings and files back, and stay; what stays is told."""
    world = space_world().repo("space", "fresh/bot", sdk="docker", variables={"HF_ENDPOINT": "https://old.example"})
    world.repo("dataset", "fresh/requests")
    with LocalHub(tmp_path / "hub", world) as hub:
        setup = SpaceSetup.of(hub, tmp_path / "terminal")
        before = setup.picture()
        hub.state.faults.fail("POST /api/spaces/fresh/bot/commit/*", status=403)
        broken = setup.init(*ORG, *setup.wheel(), "--hardware", "t4-small", "--storage", "small", "--apply")
        assert broken.exit_code == 1, broken.output
        for what in (
            "the storage small",
            "the hardware t4-small",
            "the variable HF_ENDPOINT",
            "the files README.md in the",
        ):
            assert f"Removed again: {what}" in broken.stderr
        after = setup.picture()
        assert after == before

        hub.state.faults.fail("POST /api/settings/webhooks", status=403)
        hub.state.faults.fail("DELETE *", status=403, times=None)
        stuck = setup.init(*ORG, *setup.wheel(), "--apply")
        assert (
            "Could not be removed: the dataset fresh/results: " in stuck.stderr
            and "The rest is as before." in stuck.stderr
        )
        hub.state.faults.clear()
        assert setup.init(*ORG, *setup.wheel(), "--apply").exit_code == 0


def test_a_space_gets_new_secrets_only_when_asked(setup: SpaceSetup) -> None:
    """Secrets that exist stay; with --new-secret Space and webhooks get the present ones."""
    assert setup.init(*ORG, *setup.wheel(), "--apply").exit_code == 0
    (setup.folder / "secrets" / "webhook").write_text("another")
    repo = setup.hub.state.repos.get("space", "fresh/bot")
    assert repo is not None
    assert setup.init(*ORG, *setup.wheel(), "--apply").exit_code == 0
    assert setup.hub.state.spaces.environment(repo)["STEWARD_WEBHOOK_SECRET"] != "another"
    assert setup.init(*ORG, *setup.wheel(), "--new-secret", "--apply").exit_code == 0
    assert setup.hub.state.spaces.environment(repo)["STEWARD_WEBHOOK_SECRET"] == "another"
    assert {hook.secret for hook in setup.hub.state.webhooks.all()} == {"another"}


MARKED = "# Made by `steward init --space`, version 0\n"
BOARD = """\
name: {org}
title: A board
suite: {suite}
repos: {{requests: {requests}, results: {org}/results, logs: {org}/logs, community: {org}/leaderboard,
        details_namespace: fresh-details}}
"""


def board_file(org: str = "fresh", suite: str = "starter", requests: str = "") -> str:
    """A board file."""
    return BOARD.format(org=org, suite=suite, requests=requests or f"{org}/requests")


@dataclass(frozen=True)
class Mistake:
    """One mistake: the words of the command, what differs around it, and the sentence that refuses it."""

    name: str
    sentence: str
    words: tuple[str, ...] = ORG
    changes: dict[str, str | None] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    has_wheel: bool = True


def at(space: str, *more: str) -> tuple[str, ...]:
    """The words of a setup in a Space of this name."""
    return (*ORG, "--bot-space", space, *more)


def of(org: str, *more: str) -> tuple[str, ...]:
    """The words of a setup for an organisation."""
    return ("--space", "--org", org, "--details", "fresh-details", *more)


def tokens() -> HubWorld:
    """The world of the mistakes."""
    world = space_world()
    scoped = {"entity": {"type": "org", "name": "fresh"}, "permissions": ["repo.write", "repo.content.read"]}
    world._add("users", {"name": "bot", "tokens": [
        {"token": "hf_read", "role": "read"},
        {"token": "hf_talk", "role": "fineGrained", "global": ["discussion.write"]},
        {"token": "hf_no_hooks", "role": "fineGrained", "scoped": [scoped]},
    ]})  # fmt: skip
    world.org("readers", {"bot": "read"}).org("served", {"bot": "admin"}).org("open", {"bot": "admin"})
    world.org("locked", {"bot": "contributor", "maya": "admin"})
    docker = {"sdk": "docker"}
    theirs = {"Dockerfile": MARKED, "board.yaml": board_file("elsewhere")}
    return (
        world.repo("space", "fresh/gradio", sdk="gradio")
        .repo("space", "fresh/mixed", {"app.py": "", "README.md": ""}, **docker)
        .repo("space", "fresh/other", theirs, **docker)
        .repo("space", "fresh/secretive", {"Dockerfile": MARKED}, secrets={"STEWARD_WEBHOOK_SECRET": "s"}, **docker)
        .repo("space", "fresh/open", {"Dockerfile": MARKED}, variables={"STEWARD_BOT_TOKEN": "hf_x"}, **docker)
        .repo("space", "fresh/closed", {"Dockerfile": MARKED}, secrets={"HF_ENDPOINT": "x"}, **docker)
        .repo("space", "fresh/large", {"Dockerfile": MARKED}, storage="large", **docker)
        .repo("space", "eve/theirs", {"Dockerfile": MARKED}, **docker)
        .repo("dataset", "served/requests")
        .repo("dataset", "open/logs-private")
        .repo("dataset", "locked/requests", owner="maya")
        .webhook("bot", "https://first.example.org/webhooks/hub", ("dataset", "served/requests"))
    )


NO_SECRET = {"STEWARD_WEBHOOK_SECRET_FILE": None}
HOOK = "https://bot.example.org/webhooks/hub"
MISTAKES = (
    Mistake("unknown-suite", "There is no suite 'none'", (*ORG, "--suite", "none")),
    Mistake("suite-elsewhere", "is not below this folder", ("--space",),
            files={"board.yaml": board_file(suite="../own.yaml"), "../own.yaml": "x"}),
    Mistake("broken-suite", "the suite file is not YAML", ("--space",),
            files={"board.yaml": board_file(suite="own.yaml"), "own.yaml": "tasks: ["}),
    Mistake("no-board", "There is no board file", ("--space",)),
    Mistake("bad-organisation", "cannot be the name of an organisation", ("--space", "--org", "our board")),
    Mistake("missing-organisation", "There is no organisation nowhere on the Hub.", of("nowhere")),
    Mistake("missing-details", "There is no organisation nowhere-else", (*ORG, "--details", "nowhere-else")),
    Mistake("anothers-account", "may not create repos in eve", of("eve")),
    Mistake("read-member", "may not create repos in readers", of("readers")),
    Mistake("broken-board", "is not YAML", ("--space",), files={"board.yaml": "name: ["}),
    Mistake("wrong-board", "invalid fields", ("--space",), files={"board.yaml": "name: x\n"}),
    Mistake("two-roles", "needs a repo of its own", ("--space",),
            files={"board.yaml": board_file(requests="fresh/results")}),
    Mistake("community-missing", "There is no organisation gone", ("--space",),
            files={"board.yaml": board_file().replace("community: fresh/leaderboard", "community: gone/leaderboard")}),
    Mistake("board-folder", "cannot be written to", changes={"STEWARD_BOARD": "taken/board.yaml"}, files={"taken": ""}),
    Mistake("unknown-maintainer", "There is no user nemo on the Hub.", (*ORG, "--maintainer", "nemo")),
    Mistake("no-token", "Set STEWARD_BOT_TOKEN", changes={"STEWARD_BOT_TOKEN": None}),
    Mistake("wrong-token", "could not be asked", changes={"STEWARD_BOT_TOKEN": "hf_wrong"}),
    Mistake("read-token", "may not create repos in fresh", changes={"STEWARD_BOT_TOKEN": "hf_read"}),
    Mistake("token-without-scope", "may not create repos in fresh", changes={"STEWARD_BOT_TOKEN": "hf_talk"}),
    Mistake("token-without-webhooks", "may not manage the webhooks of bot",
            changes={"STEWARD_BOT_TOKEN": "hf_no_hooks"}),
    Mistake("hub-away", "could not be asked", changes={"HF_ENDPOINT": "http://127.0.0.1:9"}),
    Mistake("no-secret", "Set STEWARD_WEBHOOK_SECRET", changes=NO_SECRET),
    Mistake("empty-secret", "is empty", files={"secrets/webhook": " "}),
    Mistake("strange-secret", "characters that the Hub does not take", changes={"STEWARD_WEBHOOK_SECRET": "schlüssel"}),
    Mistake("no-address", "is no address of a webhook", at("fresh/bot", "--url", "bot.example.org")),
    Mistake("wrong-path", "is no address of a webhook", at("fresh/bot", "--url", "https://bot.example.org/hooks")),
    Mistake("password-in-address", "more than the address", at("fresh/bot", "--url", HOOK.replace("//", "//me:pw@"))),
    Mistake("private-address", "an address of a private network", at("fresh/bot", "--url", "https://10.0.0.7/webhooks/hub"),
            {"HF_ENDPOINT": "https://127.0.0.1:9"}),
    Mistake("plain-address", "unencrypted", at("fresh/bot", "--url", HOOK.replace("https", "http")),
            {"HF_ENDPOINT": "https://127.0.0.1:9"}),
    Mistake("space-name", "cannot be the name of a Space", at("fresh/bot..x")),
    Mistake("space-without-owner", "cannot be the name of a Space", at("bot")),
    Mistake("space-is-the-leaderboard", "is the board's community Space", at("fresh/leaderboard")),
    Mistake("space-owner-missing", "There is no organisation nowhere on the Hub.", at("nowhere/bot")),
    Mistake("space-owner-refuses", "may not create a Space in eve", at("eve/bot")),
    Mistake("space-of-another", "may not write to it", at("eve/theirs")),
    Mistake("space-of-another-sdk", "exists with the SDK gradio", at("fresh/gradio")),
    Mistake("space-with-other-files", "files that are not Steward's: 'app.py'", at("fresh/mixed")),
    Mistake("space-of-another-board", "runs another board, elsewhere/requests", at("fresh/other")),
    Mistake("secret-lost", "which the Hub does not show", at("fresh/secretive")),
    Mistake("secret-as-variable", "has STEWARD_BOT_TOKEN as a variable", at("fresh/open")),
    Mistake("variable-as-secret", "has HF_ENDPOINT as a secret", at("fresh/closed")),
    Mistake("unknown-hardware", "no hardware 'abacus'", (*ORG, "--hardware", "abacus")),
    Mistake("hardware-without-plan", "t4-small costs money", of("poor", "--hardware", "t4-small")),
    Mistake("unknown-storage", "There is no storage 'huge'", (*ORG, "--storage", "huge")),
    Mistake("storage-without-plan", "Storage costs money", of("poor", "--storage", "small")),
    Mistake("storage-cannot-shrink", "which cannot become small", at("fresh/large", "--storage", "small")),
    Mistake("sleep-of-free-hardware", "its --sleep cannot be set", (*ORG, "--sleep", "600")),
    Mistake("sleep-too-short", "--sleep cannot be 5 seconds", (*ORG, "--hardware", "t4-small", "--sleep", "5")),
    Mistake("options-without-space", "no Space is asked for",
            ("--org", "fresh", "--url", HOOK, "--hardware", "t4-small")),
    Mistake("unpublished-version", "which is on no package index", has_wheel=False),
    Mistake("no-wheel", "there is no such file", (*ORG, "--wheel", "none.whl"), has_wheel=False),
    Mistake("another-wheel", "its name does not begin with", (*ORG, "--wheel", "numpy-2.whl"),
            files={"numpy-2.whl": "x"}, has_wheel=False),
    Mistake("no-zip", "its content is none", (*ORG, "--wheel", "steward_leaderboard-1-py3-none-any.whl"),
            files={"steward_leaderboard-1-py3-none-any.whl": "x"}, has_wheel=False),
    Mistake("another-server", "another server runs this board", of("served")),
    Mistake("public-private-logs", "is for logs that not everybody may read", of("open")),
    Mistake("repo-without-rights", "may not write to the dataset locked/requests", of("locked")),
)  # fmt: skip


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """One Hub for all mistakes: none of them changes it."""
    with LocalHub(tmp_path_factory.mktemp("hub"), tokens()) as hub:
        yield hub


CHOSEN = ("token-without-scope", "private-address", "space-of-another-board", "hardware-without-plan", "another-server")


@pytest.mark.parametrize("mistake", [one for one in MISTAKES if WHOLE or one.name in CHOSEN], ids=lambda one: one.name)
def test_a_mistake_is_refused_before_anything_is_written(mistaken: LocalHub, tmp_path: Path, mistake: Mistake) -> None:
    """Exit status 2, a sentence that names it, advice; the Hub and the folder are as before, and no write was sent."""
    setup = SpaceSetup.of(mistaken, tmp_path / "terminal")
    for name, text in mistake.files.items():
        file = setup.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    before, heads = setup.picture(), setup.heads()
    mistaken.state.stats.reset()
    wheel = setup.wheel() if mistake.has_wheel and "--url" not in mistake.words[:4] else ()
    refused = setup.init(*mistake.words, *wheel, "--apply", changes=mistake.changes)
    assert refused.exit_code == 2, refused.output
    assert mistake.sentence in refused.stderr, refused.stderr
    assert "nothing was changed" in refused.stderr and "Traceback" not in refused.output
    assert (setup.picture(), setup.heads()) == (before, heads)
    calls = mistaken.state.stats.read()["calls"]
    assert [call for call in calls if call["method"] != "GET" and "paths-info" not in call["route"]] == []


def test_the_mistakes_are_many_and_their_sentences_differ() -> None:
    """At least thirty mistakes; each has a name of its own."""
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 30
    assert len({mistake.sentence for mistake in MISTAKES}) >= 30


@pytest.mark.e2e
@pytest.mark.skipif(not WHOLE, reason="starts the bot's processes: make matrices")
def test_one_command_gives_a_working_leaderboard(tmp_path: Path) -> None:
    """What the Space's Dockerfile starts, in the Space's environment, shows the board and takes a delivery."""
    port = free_port()
    world = space_world(spaceHosts={"fresh/bot": f"http://127.0.0.1:{port}"}).repo("model", "maya/remote")
    with LocalHub(tmp_path / "hub", world) as hub:
        setup = SpaceSetup.of(hub, tmp_path / "terminal")
        started = time.monotonic()
        made = setup.init(*ORG, *setup.wheel(), "--apply")
        assert made.exit_code == 0 and time.monotonic() - started < 120, made.output
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
    """A Space that runs here."""

    command: list[str]
    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes]


def start_space(hub: LocalHub, root: Path, port: int) -> StartedSpace:
    """Start what the Space's Dockerfile starts, with its environment and the Space's, below `root` in place of `/`."""
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
