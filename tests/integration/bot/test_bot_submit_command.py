"""`steward submit` on the bot's own machine, and through the API of any leaderboard."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx2
import pytest
from typer.testing import CliRunner, Result

from bot.core.settings import BotSettings
from redis_state import clock
from steward.cli import app
from steward.testing.board import ADA, BOT, BoardDriver
from tests.support.board.submissions import hub_settings

settings = hub_settings

PATH = "ada/good_eval_request_False_float32_Original.json"
GOOD = ("submit", "ada/good", "--precision", "float32")
Steward = Callable[..., Result]


@pytest.fixture
def steward(stand: BoardDriver, settings: BotSettings, monkeypatch: pytest.MonkeyPatch) -> Steward:
    """Run `steward …` on the board of `stand` with ada's token."""
    for name, value in {
        "STEWARD_BOARD": str(settings.board),
        "STEWARD_BOT_TOKEN": BOT,
        "HF_ENDPOINT": stand.hub.url,
        "REDIS_URL": settings.redis_url,
        "HF_TOKEN": ADA,
    }.items():
        monkeypatch.setenv(name, value)
    return lambda *words: CliRunner().invoke(app, list(words))


@pytest.mark.long("three seconds of a processor")
def test_an_operator_submits_a_model(stand: BoardDriver, steward: Steward) -> None:
    """The command commits an accepted submission once, as the token's owner, and nothing for a refused one."""
    refused = steward("submit", "ada/pickled", "--precision", "1bit")
    assert refused.exit_code == 1, refused.output
    assert "pickle" in refused.output
    assert "→" in refused.output
    assert "cannot be the type" in steward(*GOOD, "--type", "excellent").output
    result = steward(*GOOD, "--type", "continuously pretrained")
    assert result.exit_code == 0, result.output
    assert f"/datasets/board/requests/blob/main/{PATH}" in result.output
    stand.time = clock.now() + 1  # the command has a clock of its own
    stand.settle()
    assert (stand.file(PATH)["sender"], stand.file(PATH)["status"]) == ("ada", "PENDING")
    assert stand.file(PATH)["model_type"] == "continuously pretrained"
    commits = stand.commits()
    assert steward(*GOOD, "--type", "continuously pretrained").exit_code == 0
    other = steward(*GOOD, "--by", "bob", "--json")
    assert other.exit_code == 1
    assert json.loads(other.stdout.splitlines()[-1])["code"] == "exists"
    stand.settle()
    assert stand.commits() == commits
    (decided,) = stand.context.hub.list_files(stand.context.logs, folder="decisions")
    assert b'"/submit ada/good ' in stand.context.hub.read_file(stand.context.logs, decided.path).data


def test_a_person_submits_to_a_leaderboard(web: httpx2.Client, syncing: BoardDriver, steward: Steward) -> None:
    """With `--server` the command needs only the person's token, and prints the API's answer."""
    result = steward(*GOOD, "--server", f"{web.base_url}/")
    assert result.exit_code == 0, result.output
    assert f"{str(web.base_url).rstrip('/')}/requests/{PATH}" in result.output
    refused = steward("submit", "ada/remote", "--server", str(web.base_url), "--json")
    assert refused.exit_code == 1, refused.output
    refusal = json.loads(refused.stdout.splitlines()[-1])
    assert refusal["code"] == "refused"
    assert refusal["reasons"]


def test_a_submission_that_cannot_be_sent_ends_in_a_sentence(
    web: httpx2.Client, steward: Steward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong token, a wrong address, an impossible argument and an unknown name end with status 2 and a sentence."""
    here = str(web.base_url)
    cases = {
        "Not Found": ("submit", "ada/good", "--server", f"{here}/nowhere"),
        "sent unencrypted": ("submit", "ada/good", "--server", "http://leaderboard.example"),
        "--by is for": ("submit", "ada/good", "--server", here, "--by", "bob"),
        "does not answer": ("submit", "ada/good", "--server", "http://127.0.0.1:9"),
        "weight_type": ("submit", "ada/good", "--weight-type", ""),
        "the Hub failed": ("submit", "ada/good", "--by", "nobody-at-all"),
    }
    for words, command in cases.items():
        result = steward(*command)
        assert (result.exit_code, words in result.output) == (2, True), (words, result.output)
    monkeypatch.setenv("HF_TOKEN", "hf_nobody")
    result = steward(*GOOD, "--server", here)
    assert (result.exit_code, "does not accept this token" in result.output) == (2, True), result.output
