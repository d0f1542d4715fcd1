"""A bot that is killed while it writes scores to a model's page: there is one pull request, in the right state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from bot.core.context import model_page_key
from bot.probe import Probe
from tests.support.board.deadly_calls import dies
from tests.support.board.discussion import Discussion
from tests.support.board.model_pages import (
    MODEL,
    ModelPagesDriver,
    model_pages_board,
)

PUBLISH, UNPUBLISH = f"/publish-scores {MODEL}", f"/unpublish-scores {MODEL}"


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[ModelPagesDriver]:
    """A board that writes to models' pages, with one evaluated model."""
    with model_pages_board(tmp_path, connection, probe) as made:
        yield made


def revive(stand: ModelPagesDriver, talk: Discussion, *, amnesia: bool) -> None:
    """Let another process do the rest, after the loss of Redis if `amnesia`."""
    stand.context.redis.delete(stand.context.keys.dirty_leases)
    if amnesia:
        stand.context.redis.flushall()
    for _ in range(3):
        stand.time += 600
        stand.settle()
        talk.look()
        stand.follow()


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("amnesia", [False, pytest.param(True, marks=pytest.mark.long("the same without Redis"))])
@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long("before every call"))])
def test_killed_at_each_effect_there_is_one_pull_request(stand: ModelPagesDriver, amnesia: bool, step: int) -> None:
    """If the bot dies before any Hub call of `/publish-scores`, there is one open pull request in the end."""
    at, died = 0, True
    while died:
        talk = Discussion(stand)
        stand.ada.comment_discussion("board/requests", talk.number, comment=PUBLISH, repo_type="dataset")
        died = dies(stand, at, talk.look)
        revive(stand, talk, amnesia=amnesia)
        assert [status for _, status in stand.pulls()].count("open") == 1, at
        assert [value for _, value, _ in stand.rows()] == [75.0]
        assert "pull request #" in talk.replies()[-1]
        for number, _ in stand.pulls():  # the next round starts without one
            stand.hub.state.threads.delete(*_owned(stand, number))
        at += step


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long("before every call"))])
def test_killed_on_the_way_of_new_scores_or_a_withdrawal_the_end_is_the_same(
    stand: ModelPagesDriver, step: int
) -> None:
    """If the bot dies before any call of an update or a withdrawal, each write to the pull request is made once."""
    stand.ask()
    for words, rows, status in ((UNPUBLISH, [], "closed"), (PUBLISH, [75.0], "open")):
        at, died = 0, True
        while died:
            talk = Discussion(stand)
            stand.ada.comment_discussion("board/requests", talk.number, comment=words, repo_type="dataset")
            died = dies(stand, at, talk.look)
            revive(stand, talk, amnesia=False)
            assert stand.pulls() == [(1, status)] and [value for _, value, _ in stand.rows()] == rows
            stand.ask(PUBLISH if words == UNPUBLISH else UNPUBLISH)
            at += step
        stand.ask(words)
    column = stand.context.board.model_pages["Navigation"].model_copy(update={"unit": "fraction"})
    pages = {"model_pages": {"Navigation": column}}
    stand.context.board = stand.context.board.model_copy(update=pages)
    stand.context.mark(model_page_key(MODEL))
    at = 0
    while dies(stand, at, stand.work):
        stand.context.redis.delete(stand.context.keys.dirty_leases)
        stand.context.mark(model_page_key(MODEL))
        at += 1
    assert stand.rows() == [(MODEL, 0.75, 1)]
    titles = [commit.title for commit in stand.ada.list_repo_commits(MODEL, revision="refs/pr/1")]
    assert titles.count("Update scores of Demo") == 1


def _owned(stand: ModelPagesDriver, number: int) -> tuple[Any, Any, Any]:
    """The arguments that delete one of the model's pull requests: repo, owner and thread."""
    state = stand.hub.state
    repo = state.repos.get("model", MODEL)
    assert repo is not None
    return (repo, state.accounts.by_token("hf_ada"), state.threads.get(repo, number))
