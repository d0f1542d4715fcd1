"""Mistakes in `steward init --space`: each is refused with a sentence of its own before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import HfApi, Volume

from localhub.testing import HubWorld, LocalHub
from tests.support.board.space_setup import ORG, SpaceSetup, space_world
from tests.support.long import long_except

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
    """One mistake: the command's arguments, changed settings and files, and the sentence that refuses it."""

    name: str
    sentence: str
    words: tuple[str, ...] = ORG
    changes: dict[str, str | None] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    has_wheel: bool = True


def at(space: str, *more: str) -> tuple[str, ...]:
    """The command's arguments for a setup in a Space of this name."""
    return (*ORG, "--bot-space", space, *more)


def of(org: str, *more: str) -> tuple[str, ...]:
    """The command's arguments for a setup for an organisation."""
    return ("--space", "--org", org, "--details", "fresh-details", *more)


def mistaken_world() -> HubWorld:
    """A Hub with the accounts, repos and Spaces that the mistakes concern."""
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
        .repo("space", "fresh/full", {"Dockerfile": MARKED}, **docker)
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
    Mistake("no-bucket", "'huge' cannot be the name of a bucket", (*ORG, "--storage", "huge")),
    Mistake("bucket-of-another", "may not create the bucket eve/data", (*ORG, "--storage", "eve/data")),
    Mistake("public-bucket", "is public", (*ORG, "--storage", "fresh/public")),
    Mistake("storage-taken", "is mounted at /data/steward/redis", at("fresh/full", "--storage", "small")),
    Mistake("sleep-of-free-hardware", "its --sleep cannot be set", (*ORG, "--sleep", "600")),
    Mistake("sleep-too-short", "--sleep cannot be 5 seconds", (*ORG, "--hardware", "t4-small", "--sleep", "5")),
    Mistake("options-without-space", "no Space is asked for",
            ("--org", "fresh", "--url", HOOK, "--hardware", "t4-small")),
    Mistake("unpublished-version", "which is on no package index", has_wheel=False),
    Mistake("no-wheel", "there is no such file", (*ORG, "--wheel", "none.whl"), has_wheel=False),
    Mistake("another-wheel", "its name is not steward_leaderboard-….whl", (*ORG, "--wheel", "numpy-2.whl"),
            files={"numpy-2.whl": "x"}, has_wheel=False),
    Mistake("no-zip", "it is not a zip archive", (*ORG, "--wheel", "steward_leaderboard-1-py3-none-any.whl"),
            files={"steward_leaderboard-1-py3-none-any.whl": "x"}, has_wheel=False),
    Mistake("another-server", "another server runs this board", of("served")),
    Mistake("public-private-logs", "is for logs that not everybody may read", of("open")),
    Mistake("repo-without-rights", "may not write to the dataset locked/requests", of("locked")),
)  # fmt: skip


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """One Hub for all mistakes: none of them changes it."""
    with LocalHub(tmp_path_factory.mktemp("hub"), mistaken_world()) as hub:
        api = HfApi(hub.url, token="hf_bot")
        api.create_bucket("fresh/public")
        volume = Volume(type="bucket", source="fresh/public", mount_path="/data/steward/redis/")
        api.set_space_volumes("fresh/full", [volume])
        yield hub


SOME = {"token-without-scope", "private-address", "space-of-another-board", "hardware-without-plan", "another-server"}
"""The mistakes that `make test` makes."""


@pytest.mark.parametrize(
    "mistake", long_except(SOME, MISTAKES, "the others are found by the same step", lambda mistake: mistake.name)
)
def test_a_mistake_is_refused_before_anything_is_written(
    mistaken: LocalHub, tmp_path: Path, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`init` exits with status 2 and a sentence that names the mistake, and writes nothing to the Hub or the folder."""
    monkeypatch.setattr("steward.bot_space.hosting.__version__", "1.1.0.dev0")  # never a published version
    setup = SpaceSetup.of(mistaken, tmp_path / "terminal")
    for name, text in mistake.files.items():
        file = setup.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    before, heads = setup.everything_stored(), setup.heads()
    mistaken.state.stats.reset()
    wheel = setup.wheel() if mistake.has_wheel and "--url" not in mistake.words[:4] else ()
    refused = setup.init(*mistake.words, *wheel, "--apply", changes=mistake.changes)
    assert refused.exit_code == 2, refused.output
    assert mistake.sentence in refused.stderr, refused.stderr
    assert "nothing was changed" in refused.stderr and "Traceback" not in refused.output
    assert (setup.everything_stored(), setup.heads()) == (before, heads)
    calls = mistaken.state.stats.read()["calls"]
    assert [call for call in calls if call["method"] != "GET" and "paths-info" not in call["route"]] == []


def test_the_mistakes_are_many_and_their_sentences_differ() -> None:
    """The table has at least thirty mistakes, with unique names and at least thirty different sentences."""
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 30
    assert len({mistake.sentence for mistake in MISTAKES}) >= 30
