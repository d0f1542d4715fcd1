"""The bot opens pull requests with scores on models' own repos, updates them, and closes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from huggingface_hub import HfApi, parse_eval_result_entries
from pydantic import SecretStr

from bot.core.context import model_page_key
from bot.core.settings import BotSettings, SettingsError
from bot.probe import Probe
from bot.processes.sync_process import open_board_context
from bot.setup.doctor.examining import examine
from hub.client import Hub
from hub.comments import marked
from leaderboard.effects import Effect, EffectMode
from localhub.threads.service import ThreadService
from steward.testing.board import BOARD, BOT
from tests.support.board.discussion import Discussion
from tests.support.board.model_pages import (
    BENCHMARK,
    FILE,
    MODEL,
    MODEL_PAGES,
    PUBLISH,
    SCORES,
    UNPUBLISH,
    ModelPagesDriver,
    model_pages_board,
)


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[ModelPagesDriver]:
    """A board that writes to models' pages, with one evaluated model."""
    with model_pages_board(tmp_path, connection, probe) as made:
        yield made


def test_an_owner_asks_and_the_benchmark_ranks_the_model(stand: ModelPagesDriver) -> None:
    """The owner's `/publish-scores` opens one pull request with the scores, and the benchmark then lists the model."""
    assert stand.pulls() == [] and stand.rows() == []
    assert f"[pull request #1]({stand.hub.url}/{MODEL}/discussions/1)" in stand.ask()
    assert stand.rows() == [(MODEL, 75.0, 1)]
    pull = stand.ada.get_discussion_details(MODEL, 1)
    assert (pull.author, pull.title, pull.status) == ("scores", "Add scores of Demo", "open")
    first = pull.events[0].content
    assert "which `ada` asked for" in first and f"`{BENCHMARK}`, `navigation`" in first
    (row,) = stand.ada.get_dataset_leaderboard(BENCHMARK)
    assert row.source is not None and row.source["url"].startswith(f"{stand.hub.url}/datasets/board/results/blob/main/")
    commit = str(stand.ada.model_info(MODEL).sha)
    assert row.notes == f"2-shot, float32, commit {commit[:8]}"
    data = stand.context.hub.read_file(stand.context.results, row.source["url"].partition("/main/")[2]).data
    assert b'"acc_norm,none": 0.75' in data
    (entry,) = parse_eval_result_entries(yaml.safe_load(_file(stand, "refs/pr/1")))
    assert (entry.value, entry.source_name, entry.date) == (75.0, "Demo", "2026-11-24T12:00:00Z")


def test_later_scores_are_a_commit_to_the_same_pull_request(stand: ModelPagesDriver) -> None:
    """A new evaluation updates the open pull request by one commit; a sync without new scores commits nothing."""
    stand.ask()
    stand.evaluate_again(0.5)
    assert stand.rows() == [(MODEL, 50.0, 1)]
    commits = stand.ada.list_repo_commits(MODEL, revision="refs/pr/1")
    assert [commit.title for commit in commits][:2] == ["Update scores of Demo", "Add scores of Demo"]
    stand.follow()
    assert len(stand.ada.list_repo_commits(MODEL, revision="refs/pr/1")) == len(commits)
    assert stand.pulls() == [(1, "open")]


@pytest.mark.long("a board and its evaluations for one more state of a pull request")
def test_a_flag_closes_it_and_a_lifted_flag_does_not_open_it(stand: ModelPagesDriver) -> None:
    """A flag closes the pull request; after the flag is lifted, only the owner's new command reopens it."""
    stand.ask()
    stand.ask(f"/flag other {MODEL} it was trained on the test set", stand.form)
    stand.sync_flags()
    assert stand.rows() == [] and stand.pulls() == [(1, "closed")]
    assert "because the model is flagged on Demo" in _last_comment(stand, 1)
    assert "is flagged on this leaderboard" in stand.ask()
    stand.ask(f"/unflag {MODEL} it was an error", stand.form)
    stand.sync_flags()
    assert stand.pulls() == [(1, "closed")]
    assert "pull request #1" in stand.ask()
    assert stand.rows() == [(MODEL, 75.0, 1)]


@pytest.fixture
def drafts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub on which a commit with `create_pr=1` opens a draft."""
    opened = ThreadService.open_pull

    def open_draft(*given: Any, **options: Any) -> Any:
        return opened(*given, **{**options, "draft": True})

    monkeypatch.setattr(ThreadService, "open_pull", open_draft)


@pytest.mark.long("a board and its evaluations for one more state of a pull request")
@pytest.mark.usefixtures("drafts")
def test_a_draft_is_opened(stand: ModelPagesDriver) -> None:
    """If the Hub opens the pull request as a draft, the bot makes it an open one."""
    assert "pull request #1" in stand.ask()
    stand.follow()
    assert stand.pulls() == [(1, "open")] and stand.rows() == [(MODEL, 75.0, 1)]


@pytest.mark.long("a board and its evaluations for one more state of a pull request")
def test_a_removal_closes_it(stand: ModelPagesDriver) -> None:
    """When a model is removed from the leaderboard, the bot closes its pull request and says why."""
    stand.ask()
    stand.ask(f"/remove {MODEL} the weights were wrong", stand.form)
    stand.settle()
    assert stand.pulls() == [(1, "closed")]
    assert "has no scores of this model any more" in _last_comment(stand, 1)
    assert "There are no scores" in stand.ask()


@pytest.mark.long("a board and its evaluations for one more state of a pull request")
def test_scores_that_are_there_already_are_left_alone(stand: ModelPagesDriver) -> None:
    """The bot opens no pull request, or closes its own, if the model's repo or another open one has the score."""
    entry = [{"dataset": {"id": BENCHMARK, "task_id": "navigation"}, "value": 3}]
    own = {"path_in_repo": ".eval_results/own.yaml", "path_or_fileobj": yaml.safe_dump(entry).encode()}
    made = stand.bob.upload_file(repo_id=MODEL, **own, create_pr=True)
    assert "has a score for each of these tasks already" in stand.ask()
    assert [number for number, _ in stand.pulls()] == [made.pr_num]
    stand.ada.change_discussion_status(MODEL, int(made.pr_num or 0), "closed")
    stand.ask()
    assert stand.rows() == [(MODEL, 75.0, 2)]
    stand.ada.upload_file(repo_id=MODEL, **own)
    stand.follow()
    assert stand.pulls()[1] == (2, "closed")


@pytest.mark.long("a board and its evaluations for one more state of a pull request")
def test_at_most_so_many_are_opened_a_day(stand: ModelPagesDriver) -> None:
    """Beyond the board's daily limit the reply to the owner states the limit, and no pull request is opened."""
    stand.context.board = stand.context.board.model_copy(update={"model_pages_a_day": 0})
    assert "I open at most 0 such pull requests in 24 hours" in stand.ask()
    assert stand.pulls() == []
    stand.context.board = stand.context.board.model_copy(update={"model_pages_a_day": 1})
    stand.ask()
    assert stand.pulls() == [(1, "open")]


@pytest.mark.long("a second of a processor")
@pytest.mark.parametrize("mode", [EffectMode.OFF, EffectMode.SHADOW])
def test_without_the_effect_nothing_is_written(stand: ModelPagesDriver, mode: EffectMode) -> None:
    """With the effect off or in shadow, the reply says so and no pull request is opened; shadow mode lists it."""
    stand.context.board = stand.context.board.with_effect(Effect.MODEL_PR, mode)
    assert "are off or in shadow on this leaderboard" in stand.ask()
    stand.follow()
    assert stand.pulls() == []
    listed = [write.effect for write in stand.context.effects.shadow.read().things]
    assert listed == (["model-pr"] if mode is EffectMode.SHADOW else [])


def test_a_board_without_model_pages_opens_no_pull_request(stand: ModelPagesDriver) -> None:
    """On a board without `model_pages` both commands reply so, and no pull request is opened."""
    stand.context.board = stand.context.board.model_copy(update={"model_pages": {}})
    stand.context.models_hub, was = None, stand.context.models_hub
    assert "does not write scores to models' own pages" in stand.ask()
    assert "does not write scores to models' own pages" in stand.ask(UNPUBLISH)
    stand.follow()
    assert stand.pulls() == []
    stand.context.models_hub = was


@pytest.mark.long("a board and its evaluations for one more state of a pull request")
def test_a_second_one_is_closed(stand: ModelPagesDriver) -> None:
    """The sync closes a second pull request of the bot, and ignores another account's with the same marker."""
    stand.ask()
    body = marked("Scores.", stand.context.marker("model-page", MODEL))
    file = {"path_in_repo": FILE, "path_or_fileobj": _file(stand, "refs/pr/1")}
    for token in (SCORES, "hf_bob"):
        api = HfApi(stand.hub.url, token=token)
        api.upload_file(repo_id=MODEL, **file, commit_description=body, create_pr=True)
    stand.follow()
    assert stand.pulls() == [(1, "open"), (2, "closed"), (3, "open")]


@pytest.mark.long("a board and its evaluations for one more state of a pull request")
def test_a_lost_answer_of_the_hub_opens_no_second_pull_request(stand: ModelPagesDriver) -> None:
    """If the Hub opens the pull request but answers 500, the command runs again and finds it."""
    stand.hub.state.faults.fail_after("POST /api/models/*/commit/*", times=1, status=500)
    talk = Discussion(stand)
    talk.say(PUBLISH)
    for _ in range(3):
        stand.time += 600
        stand.work()
    assert stand.pulls() == [(1, "open")] and "pull request #1" in talk.replies()[-1]


@pytest.mark.long("a second of a processor")
def test_the_doctor_looks_at_the_token(stand: ModelPagesDriver) -> None:
    """The doctor accepts a token for discussions alone, other tokens are errors, and a missing one is a warning."""

    def found() -> list[tuple[str, str]]:
        return [(check.state, check.words) for check in examine(stand.context) if check.name == "models token"]

    words = "scores may open pull requests on models, and writes to none of the board's repos."
    assert found() == [("ok", words)]
    good = stand.context.models_hub
    for token, sentence in ((BOT, "may write to board/requests"), ("hf_reads", "may open no pull request")):
        stand.context.models_hub = Hub(stand.hub.url, token)
        ((state, text),) = found()
        assert state == "error" and sentence in text
        stand.context.models_hub.close()
    stand.context.models_hub = None
    assert [state for state, _ in found()] == ["warning"]
    stand.context.models_hub = good


@pytest.mark.long("a board and its evaluations for one more state of a pull request")
def test_after_redis_was_lost_the_daily_pass_finds_what_changed(stand: ModelPagesDriver) -> None:
    """After Redis was lost, the daily pass updates open pull requests; a model without one takes one Hub call."""
    stand.ask()
    column = stand.context.board.model_pages["Navigation"].model_copy(update={"unit": "fraction"})
    stand.context.board = stand.context.board.model_copy(update={"model_pages": {"Navigation": column}})
    stand.context.redis.flushall()
    stand.tick()
    stand.settle()
    stand.time += 120
    stand.work()
    assert stand.rows() == [(MODEL, 0.75, 1)]
    stand.calls.clear()
    stand.context.mark(model_page_key("ada/loud"))
    stand.work()
    assert len(stand.calls) == 1


def test_a_process_does_not_start_with_half_a_setting(tmp_path: Path, valkey_url: str) -> None:
    """A process does not start with `model_pages` of an unknown column, nor with the effect on and no token."""
    file = tmp_path / "board.yaml"
    settings = BotSettings(board=file, redis_url=valkey_url, bot_token="hf_bot")
    file.write_text(BOARD + MODEL_PAGES.replace("Navigation", "Sailing"))
    with pytest.raises(SettingsError, match="Sailing"):
        open_board_context(settings)
    file.write_text(BOARD.replace("effects: on", "effects: {model-pr: on, others: on}") + MODEL_PAGES)
    with pytest.raises(SettingsError, match="STEWARD_MODEL_PR_TOKEN"):
        settings.models_token(settings.read_board())
    assert open_board_context(settings).models_hub is None, "a command needs no such token"
    given = settings.model_copy(update={"model_pr_token": SecretStr("x")})
    assert given.models_token(given.read_board()) == "x" and open_board_context(given).models_hub is not None
    file.write_text(BOARD + MODEL_PAGES)
    assert settings.models_token(settings.read_board()) == ""


def _file(stand: ModelPagesDriver, revision: str) -> bytes:
    path = stand.ada.hf_hub_download(MODEL, FILE, revision=revision, local_dir=stand.hub.state.data / "read")
    return Path(path).read_bytes()


def _last_comment(stand: ModelPagesDriver, number: int) -> str:
    events = stand.ada.get_discussion_details(MODEL, number).events
    return str([event.content for event in events if event.type == "comment"][-1])
