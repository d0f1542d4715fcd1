"""`steward init`: from an account on a Hub to the repos and webhooks of a board."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from huggingface_hub import HfApi
from typer.testing import CliRunner

from bot.core.context import BoardContext
from bot.web.space import SHIPPED, space_version
from hub.client import Hub
from hub.records import Repo
from leaderboard.adoption import RECORD
from leaderboard.boards import parse_board
from leaderboard.suites import shipped
from localhub.testing import HubWorld, LocalHub
from steward.cli import app
from steward.space import space_checks, space_of, state_of

URL = "http://127.0.0.1:9/webhooks/hub"
BOARD = """
name: fresh
title: Fresh
suite: starter
effects: shadow
repos: {requests: fresh/requests, results: fresh/results, logs: fresh/logs, community: fresh/board,
        details_namespace: fresh-details}
"""
OWN_BENCHMARK = b"""
name: Ours
evaluation_framework: inspect-ai
tasks: [{id: t, field_spec: {input: q, target: a}, solvers: [{name: generate}], scorers: [{name: exact}]}]
"""
SPACE = Repo("space", "fresh/leaderboard")
WORLD = HubWorld().user("bot").org("fresh", {"bot": "admin"}).org("fresh-details")


def test_init_makes_what_is_missing_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init` prints a plan; with --apply it creates repos and webhooks, and a second run creates nothing more."""
    (tmp_path / "board.yaml").write_text(BOARD)
    with LocalHub(tmp_path / "hub", WORLD) as hub:
        settings = {
            "HF_ENDPOINT": hub.url,
            "STEWARD_BOARD": str(tmp_path / "board.yaml"),
            "STEWARD_BOT_TOKEN": "hf_bot",
        }
        for name, value in {**settings, "STEWARD_WEBHOOK_SECRET": "s"}.items():
            monkeypatch.setenv(name, value)
        api, run = HfApi(hub.url, token="hf_bot"), CliRunner().invoke
        result = run(app, ["init", "--url", URL])
        assert result.exit_code == 0
        assert result.output.count("Would create") == 9
        assert list(api.list_datasets(author="fresh")) == []
        assert run(app, ["init", "--url", URL, "--apply"]).output.count("Created") == 9
        again = run(app, ["init", "--url", URL, "--apply"])
        assert again.output.count(" exists.") == 10
        assert not api.repo_info("fresh/logs", repo_type="dataset").private
        assert api.repo_info("fresh/logs-private", repo_type="dataset").private
        assert not api.repo_info("fresh/requests", repo_type="dataset").private
        watched = sorted((hook.watched[0].name, hook.domains[0]) for hook in api.list_webhooks())
        expected = [(f"fresh/{name}", "discussion") for name in ("board", "requests", "results")]
        expected.insert(2, ("fresh/requests", "repo"))
        assert watched == expected
        card = Path(
            api.hf_hub_download("fresh/requests", "README.md", repo_type="dataset", cache_dir=tmp_path / "cache")
        )
        assert "Each file is one submission" in card.read_text()
        assert all(len(hook.watched) == len(hook.domains) == 1 for hook in api.list_webhooks())


def test_a_board_without_a_server_gets_no_webhooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init --no-webhooks` needs no URL and no secret, creates no webhooks, and writes a page that links no server."""
    monkeypatch.chdir(tmp_path)
    for name in ("STEWARD_WEBHOOK_SECRET", "STEWARD_WEBHOOK_SECRET_FILE", "STEWARD_PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)
    with LocalHub(tmp_path / "hub", WORLD) as hub:
        settings = {"HF_ENDPOINT": hub.url, "STEWARD_BOARD": "board.yaml", "STEWARD_BOT_TOKEN": "hf_bot"}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        api, command = HfApi(hub.url, token="hf_bot"), ["init", "--org", "fresh", "--no-webhooks"]
        for more in (["--url", URL], ["--bot-space", "fresh/bot"]):
            refused = CliRunner().invoke(app, [*command, *more])
            assert refused.exit_code == 2 and "--no-webhooks is for a board without a server" in refused.output
        result = CliRunner().invoke(app, [*command, "--apply"])
        assert result.exit_code == 0, result.output
        assert result.output.count("Created the ") == 7 and "webhook" not in result.output
        assert "docs/sleeping-board.md" in result.output
        assert list(api.list_webhooks()) == []
        page = api.hf_hub_download(SPACE.id, "index.html", repo_type="space", cache_dir=tmp_path / "cache")
        assert "/submit" not in Path(page).read_text()
        again = CliRunner().invoke(app, [*command, "--space", "--apply"])
        assert again.exit_code == 0 and "is up to date" in again.output, again.output


def test_init_says_first_that_its_own_question_set_is_no_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`init` begins with the line that the Hub takes no `eval.yaml` for tasks of lm-eval, unless there is one."""
    (tmp_path / "board.yaml").write_text(BOARD + "\nquestions: {steward-suites/starter: fresh/questions}\n")
    with LocalHub(tmp_path / "hub", WORLD) as hub:
        settings = {"HF_ENDPOINT": hub.url, "STEWARD_BOARD": str(tmp_path / "board.yaml")}
        for name, value in {**settings, "STEWARD_BOT_TOKEN": "hf_bot", "STEWARD_WEBHOOK_SECRET": "s"}.items():
            monkeypatch.setenv(name, value)
        api, run = HfApi(hub.url, token="hf_bot"), CliRunner().invoke
        for _ in range(2):
            first, second, *_ = run(app, ["init", "--url", URL, "--apply"]).output.splitlines()
            assert first.startswith("The dataset fresh/questions gets no eval.yaml") and "eval.yaml" not in second
            api.create_repo("fresh/questions", repo_type="dataset", exist_ok=True)
        assert api.list_repo_files("fresh/questions", repo_type="dataset") == [".gitattributes"]
        file = {"path_in_repo": "eval.yaml", "path_or_fileobj": OWN_BENCHMARK}
        api.upload_file(repo_id="fresh/questions", repo_type="dataset", **file)
        assert "eval.yaml" not in run(app, ["init", "--url", URL]).output


def test_a_new_board_has_a_table_of_evaluations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init` creates the repo for the table of evaluations, and says what to install if pyarrow is missing."""
    with LocalHub(tmp_path / "hub", WORLD) as hub:
        settings = {"HF_ENDPOINT": hub.url, "STEWARD_BOARD": str(tmp_path / "board.yaml")}
        for name, value in {**settings, "STEWARD_BOT_TOKEN": "hf_bot", "STEWARD_WEBHOOK_SECRET": "s"}.items():
            monkeypatch.setenv(name, value)
        command = ["init", "--org", "fresh", "--url", URL, "--apply"]
        first = CliRunner().invoke(app, command)
        assert "Created the dataset fresh/contents" in first.output, first.output
        assert "pyarrow" not in first.output
        monkeypatch.setattr("bot.core.mirrors.contents_table.can_write", lambda: False)
        assert "pip install 'steward-leaderboard[contents]'" in CliRunner().invoke(app, command).output


def new_page(api: HfApi, reader: Hub) -> bytes:
    """Check the files of the Space that init wrote; return its page."""
    files = set(api.list_repo_files(SPACE.id, repo_type="space"))
    assert {"README.md", "index.html", "snapshot.js", *SHIPPED} <= files
    index, card = reader.read_file(SPACE, "index.html").data, reader.read_file(SPACE, "README.md").data
    assert b"sdk: static" in card and b"app_file: index.html" in card
    assert b'href="https://bot.example.org/submit"' in index
    assert f"{api.endpoint}/datasets/fresh/contents/resolve/main/leaderboard.json".encode() in index
    assert not re.search(rb'(?:href|src)="/', index)
    return index


@pytest.mark.long("two seconds of a processor")
def test_the_space_of_a_new_board_shows_the_leaderboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init` writes the Space's page, updates an old one only with --space, and never replaces another program's."""
    with LocalHub(tmp_path / "hub", WORLD) as hub:
        settings = {"HF_ENDPOINT": hub.url, "STEWARD_BOARD": str(tmp_path / "board.yaml")}
        for name, value in {**settings, "STEWARD_BOT_TOKEN": "hf_bot", "STEWARD_WEBHOOK_SECRET": "s"}.items():
            monkeypatch.setenv(name, value)
        api = HfApi(hub.url, token="hf_bot")

        def init(*more: str) -> str:
            command = ["init", "--org", "fresh", "--url", "https://bot.example.org/webhooks/hub", *more]
            return CliRunner().invoke(app, command).output

        assert "Would write the page of the Space fresh/leaderboard" in init()
        assert "Wrote the page of the Space fresh/leaderboard" in init("--apply")
        reader = Hub(hub.url, "hf_bot")
        index = new_page(api, reader)
        assert "The page of the Space fresh/leaderboard exists." in init("--apply")
        assert "is up to date" in init("--apply", "--space")

        board = parse_board((tmp_path / "board.yaml").read_text())
        old = index.replace(space_version().encode(), b"0" * 12)
        for content, state in ((index, "current"), (old, "old"), (b"<p>Ours</p>", "other")):
            api.upload_file(repo_id=SPACE.id, repo_type="space", path_in_repo="index.html", path_or_fileobj=content)
            assert state_of(reader, SPACE) == state
            (check,) = space_checks(cast(BoardContext, SimpleNamespace(board=board, hub=reader)))
            assert (check.state, "--space" in check.mend) == (("warning", True) if state == "old" else ("ok", False))
            if state == "old":
                assert "--space brings it up to date" in init("--apply")
                assert "Would write the page" in init("--space")
                assert "Wrote the page" in init("--apply", "--space")
                assert reader.read_file(SPACE, "index.html").data == index
        assert "it stays as it is" in init("--apply", "--space")
        assert reader.read_file(SPACE, "index.html").data == b"<p>Ours</p>"
        assert space_of(board) == SPACE
        reader.close()


def test_init_gives_webhooks_another_secret_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --new-secret each webhook for this URL gets the new secret, and nothing else changes."""
    (tmp_path / "board.yaml").write_text(BOARD)
    with LocalHub(tmp_path / "hub", WORLD) as hub:
        for name, value in {
            "HF_ENDPOINT": hub.url,
            "STEWARD_BOARD": str(tmp_path / "board.yaml"),
            "STEWARD_BOT_TOKEN": "hf_bot",
            "STEWARD_WEBHOOK_SECRET": "old",
        }.items():
            monkeypatch.setenv(name, value)
        api, run, webhooks = HfApi(hub.url, token="hf_bot"), CliRunner().invoke, hub.state.webhooks.all
        assert run(app, ["init", "--url", URL, "--apply"]).exit_code == 0
        api.create_webhook(url="http://127.0.0.1:9/elsewhere", watched=[{"type": "org", "name": "fresh"}], secret="its")
        before = api.list_webhooks()

        monkeypatch.setenv("STEWARD_WEBHOOK_SECRET", "new")
        result = run(app, ["init", "--url", URL, "--new-secret"])
        assert result.output.count("Would give") == 4
        assert sorted(str(webhook.secret) for webhook in webhooks()) == ["its", "old", "old", "old", "old"]
        assert run(app, ["init", "--url", URL, "--new-secret", "--apply"]).output.count("Gave the webhook of") == 4
        assert sorted(str(webhook.secret) for webhook in webhooks()) == ["its", "new", "new", "new", "new"]
        assert [(webhook.url, webhook.watched, webhook.domains) for webhook in api.list_webhooks()] == [
            (webhook.url, webhook.watched, webhook.domains) for webhook in before
        ]


def test_a_new_terminal_sources_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init` writes a file `env` with the settings, without secrets, for new terminals, and never overwrites it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "bot-token").write_text("hf_bot")
    for name in ("STEWARD_BOARD", "STEWARD_DATA", "STEWARD_WORKER_TOKEN_FILE", "STEWARD_BOT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with LocalHub(tmp_path / "hub", WORLD) as hub:
        for name, value in {
            "HF_ENDPOINT": hub.url,
            "STEWARD_BOT_TOKEN_FILE": "secrets/bot-token",
            "STEWARD_WEBHOOK_SECRET_FILE": "secrets/webhook",
        }.items():
            monkeypatch.setenv(name, value)
        command = ["init", "--org", "fresh", "--url", URL]
        assert "Would write the settings to env" in CliRunner().invoke(app, command).output
        assert not (tmp_path / "env").exists()
        result = CliRunner().invoke(app, [*command, "--apply"])
        assert "`source ./env` in each new terminal" in result.output, result.output
        terminal = ["env", "-i", "bash", "-c", ". ./env; cd /; env"]
        shell = subprocess.run(terminal, cwd=tmp_path, capture_output=True, text=True, check=True)
        settings = dict(line.split("=", 1) for line in shell.stdout.splitlines() if "=" in line)
        assert settings["HF_ENDPOINT"] == hub.url
        for name, file in (
            ("STEWARD_BOARD", "board.yaml"),
            ("STEWARD_DATA", "steward-data"),
            ("STEWARD_BOT_TOKEN_FILE", "secrets/bot-token"),
            ("STEWARD_WEBHOOK_SECRET_FILE", "secrets/webhook"),
        ):
            assert settings[name] == str(tmp_path / file)
        assert (tmp_path / "secrets" / "webhook").read_text() not in (tmp_path / "env").read_text()
        assert (tmp_path / "secrets" / ".gitignore").read_text() == "*\n"
        (tmp_path / "env").write_text("mine")
        (tmp_path / "board.yaml").unlink()
        HfApi(hub.url, token="hf_bot").delete_repo("fresh/requests", repo_type="dataset")
        assert CliRunner().invoke(app, [*command, "--apply"]).exit_code == 0
        assert (tmp_path / "env").read_text() == "mine"


def test_init_does_not_take_over_the_repos_of_another_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another folder, or with a board file of another name, `init` refuses repos that a board has already."""
    with LocalHub(tmp_path / "hub", WORLD) as hub:
        settings = {"HF_ENDPOINT": hub.url, "STEWARD_BOT_TOKEN": "hf_bot", "STEWARD_WEBHOOK_SECRET": "s"}
        for name, value in {**settings, "STEWARD_BOARD": "board.yaml"}.items():
            monkeypatch.setenv(name, value)
        folders = [tmp_path / name for name in ("first", "second")]
        for folder in folders:
            folder.mkdir()
        command = ["init", "--org", "fresh", "--url", URL, "--apply"]
        monkeypatch.chdir(folders[0])
        assert CliRunner().invoke(app, command).exit_code == 0
        assert CliRunner().invoke(app, command).exit_code == 0, "the same folder"
        monkeypatch.chdir(folders[1])
        refused = CliRunner().invoke(app, command)
        assert (refused.exit_code, list(folders[1].iterdir())) == (2, [])
        assert "fresh/requests belongs to another board already" in refused.output
        record = {
            "board": "fresh",
            "at": "2020-01-01T00:00:00Z",
            "by": {"id": "1", "name": "b"},
            "files": 0,
            "commits": {},
            "threads": {},
        }
        api = HfApi(hub.url, token="hf_bot")
        api.upload_file(
            path_or_fileobj=json.dumps(record).encode(),
            path_in_repo=RECORD,
            repo_id="fresh/requests",
            repo_type="dataset",
        )
        assert "fresh/requests belongs to the board 'fresh' already" in CliRunner().invoke(app, command).output
        text = (folders[0] / "board.yaml").read_text()
        (folders[1] / "board.yaml").write_text(text)
        assert CliRunner().invoke(app, command).exit_code == 0, "that board's own file"
        (folders[1] / "board.yaml").write_text(text.replace("name: fresh", "name: other", 1))
        refused = CliRunner().invoke(app, command)
        assert refused.exit_code == 2 and "is the record of the board 'fresh'" in refused.output


def test_init_lists_all_problems_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing suite, a wrong address, unknown accounts and a missing right are listed at once, each with advice."""
    world = HubWorld().user("bot").user("maya").org("fresh", {"bot": "read"})
    monkeypatch.chdir(tmp_path)
    with LocalHub(tmp_path / "hub", world) as hub:
        for name, value in {
            "HF_ENDPOINT": hub.url,
            "STEWARD_BOARD": "board.yaml",
            "STEWARD_BOT_TOKEN": "hf_bot",
            "STEWARD_WEBHOOK_SECRET_FILE": "secret",
        }.items():
            monkeypatch.setenv(name, value)
        wrong = ["--org", "fresh", "--suite", "none.yaml", "--maintainer", "maia", "--url", "bot.example.org"]
        for words in (wrong, [*wrong, "--apply"]):
            result = CliRunner().invoke(app, ["init", *words])
            assert result.exit_code == 2, result.output
            assert [line for line in result.output.splitlines() if not line.startswith("    → ")] == [
                "steward: nothing was changed. Correct this first:",
                "  - 'bot.example.org' is no address of a webhook.",
                f"  - There is no suite 'none.yaml': name one of {', '.join(shipped())}, or a YAML file that exists.",
                "  - There is no user maia on the Hub.",
                "  - The bot's token (account bot) may not create repos in fresh.",
                "  - There is no organisation fresh-details on the Hub.",
            ]
            assert result.output.count("    → ") == 4
        assert not (tmp_path / "board.yaml").exists()
        assert not (tmp_path / "secret").exists()
        assert list(HfApi(hub.url, token="hf_bot").list_datasets(author="fresh")) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "Set STEWARD_BOT_TOKEN, or STEWARD_BOT_TOKEN_FILE"),
        ({"STEWARD_BOT_TOKEN": "hf_bot"}, "could not be asked: "),
    ],
)
def test_init_without_a_hub_lists_what_it_knows(
    settings: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the token is missing or the Hub does not answer, `init` reports this and still lists the other problems."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "board.yaml").write_text("name: [")
    for name in ("STEWARD_BOT_TOKEN", "STEWARD_BOT_TOKEN_FILE", "STEWARD_BOARD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HF_ENDPOINT": "http://127.0.0.1:9", "STEWARD_WEBHOOK_SECRET": "s", **settings}.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["init", "--url", "https://x.example/elsewhere"])
    assert result.exit_code == 2
    for expected in ("is no address of a webhook", "STEWARD_BOARD=board.yaml: the board file is not YAML", words):
        assert expected in result.output
