"""A Hub, or a proxy before it, that returns wrong data: no submission is refused for it, and no other has to wait."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.core.commands.answers import say
from bot.read_models import serializers
from bot.read_models.lists import QueueReader
from bot.read_models.models import WAITS_FOR_HUB
from bot.requests.verb_status import status_text
from hub.retries import Retries
from redis_state.board.entry import UNANSWERED_SECONDS
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.published_details import publish
from tests.support.hub.lies import LIES

QUICK = Retries(attempts=2, wait_initial=0.01, wait_max=0.02, jitter=0.01, patience=0.0)
DEEP = '{"id": "ada/good", "sha": "%s", "cardData": ' + "[" * 100_000 + "]" * 100_000 + "}"


@pytest.fixture(autouse=True)
def quick_retries(stand: BoardDriver) -> None:
    """Let the bot repeat its calls without long waits."""
    stand.context.hub.retries = QUICK


def lie(stand: BoardDriver, route: str, name: str, **more: Any) -> None:
    """Let the Hub answer all calls of `route` with the wrong data `name` from now on."""
    stand.hub.state.faults.add(route, **{**LIES[name], "times": None, **more})


def live(stand: BoardDriver, seconds: float = 300.0, *, truth: bool = True, step: float = 60.0) -> None:
    """Let time pass and sync; with `truth`, the Hub first returns correct data again."""
    if truth:
        stand.hub.state.faults.clear()
    for _ in range(int(seconds // step)):
        stand.time += step
        stand.worker()
        stand.tick()
        stand.work()


def seems_away(stand: BoardDriver) -> bool:
    """Whether `/readyz` reports that the Hub does not answer."""
    fields = stand.context.redis.hgetall(stand.context.keys.hub_state)
    return float(fields.get(b"failed", 0)) > float(fields.get(b"answered", 0))


FILES_OF_REQUESTS, CONFIG, FILES_OF_MODEL = (
    f"GET */{REQUESTS}/resolve/*",
    "GET */ada/good/resolve/*/config.json",
    "GET */ada/good/resolve/*",
)


def was_away(stand: BoardDriver) -> bool:
    """Whether a sync has ever concluded that the Hub does not answer, which slows all syncs."""
    return bool(stand.context.redis.hexists(stand.context.keys.hub_state, "failed"))


ABOUT_FILES = [
    (FILES_OF_REQUESTS, "page"),
    (FILES_OF_REQUESTS, "short"),
    (CONFIG, "missing"),
    (CONFIG, "page"),
    (FILES_OF_MODEL, "short"),
    (FILES_OF_MODEL, "lost page"),
]


@pytest.mark.parametrize(("route", "name"), ABOUT_FILES)
def test_a_submission_is_not_judged_by_a_lie(stand: BoardDriver, route: str, name: str) -> None:
    """A request waits while the Hub returns its file or its model's files wrongly, and is queued afterwards."""
    lie(stand, route, name)
    path = stand.submit("ada/good")
    stand.settle()
    live(stand, 120, truth=False)
    stand.hub.state.faults.clear()
    assert stand.file(path)["status"] == "PENDING"
    live(stand)
    assert [job.path for job in stand.queued()] == [path]


@pytest.mark.long("waits for repetitions of calls; the kept tests of this file have the other lies")
@pytest.mark.parametrize("name", ["page", "missing"])
def test_a_finished_evaluation_is_not_lost_by_a_lie(stand: BoardDriver, name: str) -> None:
    """The bot reads results again that the Hub returned wrongly, and finishes the request."""
    job = stand.started()
    lie(stand, "GET */resolve/*/results_*", name)
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite))
    live(stand, 120, truth=False)
    live(stand)
    assert stand.file(job.path)["status"] == "FINISHED"


@pytest.mark.parametrize("code", ["RevisionNotFound", "RepoNotFound"])
def test_a_commit_that_the_hub_does_not_know_yet_is_read_again(stand: BoardDriver, code: str) -> None:
    """If the Hub does not know a fresh commit or its repo yet, the bot reads the results later instead of refusing."""
    job = stand.started()
    stand.hub.state.faults.fail(
        "GET */resolve/*/results_*", status=404, error="Not here.", headers={"X-Error-Code": code}, times=None
    )
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite))
    live(stand, 120, truth=False)
    assert stand.file(job.path)["status"] == "RUNNING"
    assert not was_away(stand)
    live(stand)
    assert stand.file(job.path)["status"] == "FINISHED"


@pytest.mark.long("fifteen minutes of a board; the test above has the wait")
def test_a_commit_that_the_hub_never_shows_is_refused(stand: BoardDriver) -> None:
    """If the Hub still does not know the commit after 15 minutes, the bot refuses the results."""
    job = stand.started()
    stand.hub.state.faults.fail(
        "GET */resolve/*/results_*",
        status=404,
        error="Not here.",
        headers={"X-Error-Code": "RevisionNotFound"},
        times=None,
    )
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite))
    live(stand, 900, truth=False)
    assert stand.file(job.path)["steward"]["failure"]["cause"] == "results-refused"


def test_a_request_file_that_seems_too_large_is_not_refused(stand: BoardDriver) -> None:
    """If the Hub returns a request file larger than it lists and than is allowed, the bot reads it again."""
    size = stand.context.board.max_request_bytes + 1
    path = stand.submit("ada/good")
    head = stand.context.hub.head(stand.context.requests)
    true = stand.context.hub.read_file(stand.context.requests, path)
    headers = {"X-Repo-Commit": head, "ETag": f'"{true.oid}"', "Content-Type": "application/json"}
    stand.hub.state.faults.fail(
        f"GET */{REQUESTS}/resolve/*", status=200, error="x" * size, headers=headers, times=None
    )
    stand.settle()
    live(stand, 60, truth=False)
    live(stand)
    assert [job.path for job in stand.queued()] == [path]


def test_a_model_whose_metadata_cannot_be_read_is_refused_and_disturbs_nobody(stand: BoardDriver) -> None:
    """The bot refuses a model with metadata of 100,000 nested levels, with a reason; the Hub does not count as away."""
    sha = stand.ada.model_info("ada/good").sha
    stand.hub.state.faults.fail(
        "GET /api/models/ada/good/revision/*",
        status=200,
        error=DEEP % sha,
        headers={"Content-Type": "application/json"},
        times=None,
    )
    path, other = stand.submit("ada/good"), stand.submit("ada/remote")
    stand.settle()
    live(stand, 60, truth=False)
    assert not was_away(stand)
    stand.hub.state.faults.clear()
    file = stand.file(path)
    assert file["status"] == "FAILED"
    assert "cannot be read" in json.dumps(file["steward"])
    comments = [event.content for thread in stand.threads() for event in thread.events if event.type == "comment"]
    assert any("too large, or nested too deeply" in text for text in comments)
    assert stand.file(other)["status"] == "FAILED"


@pytest.mark.parametrize("fault", [{"kind": "fail", "status": 500}, {"kind": "cut"}])
def test_errors_of_one_models_repo_slow_no_other(stand: BoardDriver, fault: dict[str, Any]) -> None:
    """If only the calls about one model fail, its request waits, others go on, and the Hub does not count as away."""
    stand.hub.state.faults.add("GET /api/models/ada/good*", **fault, times=None)
    path, other = stand.submit("ada/good"), stand.submit("ada/remote")
    stand.settle()
    live(stand, 300, truth=False)
    assert not was_away(stand)
    assert stand.file(other)["status"] == "FAILED"
    assert stand.file(path)["status"] == "PENDING"
    live(stand, 900)
    assert [job.path for job in stand.queued()] == [path]
    (post,) = status_posts(stand, "ada/good")
    assert "Waiting for its turn" in post


def status_posts(stand: BoardDriver, model: str) -> list[str]:
    """The opening posts of the threads about evaluations of `model`."""
    return [
        thread.events[0].content for thread in stand.threads() if thread.title.startswith(f"Evaluation of {model} ")
    ]


@pytest.mark.long("waits for repetitions of calls; the kept tests of this file have the other lies")
def test_the_submitter_reads_once_that_the_hub_does_not_answer_about_the_model(stand: BoardDriver) -> None:
    """While calls about a model fail, its thread, the queue, `/status` and `/why` say so, also after Redis was lost."""
    stand.hub.state.faults.fail("GET /api/models/ada/good*", status=500, times=None)
    path, other, context = stand.submit("ada/good"), stand.submit("ada/remote"), stand.context
    stand.settle()
    for is_lost in (False, True):
        if is_lost:
            context.redis.flushall()
            stand.settle()
        live(stand, 2 * UNANSWERED_SECONDS, truth=False, step=300)
        (post,) = status_posts(stand, "ada/good")
        assert "### ⏳ Waiting for the Hub" in post and WAITS_FOR_HUB.reason in post and "/cancel" in post
        entry, queue = context.index.get(path), QueueReader(context).queue()
        why = say("why", request=serializers.request(context, entry), lines=[])
        assert WAITS_FOR_HUB.reason in why and WAITS_FOR_HUB.reason in status_text(context, "ada/good", [entry])
        assert [(held.path, held.reason) for held in queue.held] == [(path, WAITS_FOR_HUB.reason)]
        assert queue.counts.held == 1 and not was_away(stand)
    assert stand.file(path)["status"] == "PENDING" and stand.file(other)["status"] == "FAILED"
    live(stand, 900, step=300)
    assert [job.path for job in stand.queued()] == [path]
    (post,) = status_posts(stand, "ada/good")
    assert "### ⏳ Waiting for its turn" in post and not QueueReader(context).queue().held


@pytest.mark.long("waits for repetitions of calls; the kept tests of this file have the other lies")
def test_errors_of_all_repos_are_a_hub_that_is_away(stand: BoardDriver) -> None:
    """If all calls fail, the Hub counts as away; the request goes on when it answers again."""
    path = stand.submit("ada/good")
    stand.hub.state.faults.add("GET *", kind="fail", status=500, times=None)
    stand.settle()
    live(stand, 60, truth=False)
    assert seems_away(stand)
    live(stand, 900)
    assert [job.path for job in stand.queued()] == [path]


@pytest.mark.long("test_errors_of_one_models_repo_slow_no_other has errors in their place")
def test_garbled_facts_about_one_model_slow_no_other(stand: BoardDriver) -> None:
    """If only the facts about one model are garbled, its request waits and the Hub does not count as away."""
    lie(stand, "GET /api/models/ada/good/revision/*", "page")
    path, other = stand.submit("ada/good"), stand.submit("ada/remote")
    stand.settle()
    live(stand, 300, truth=False)
    assert not was_away(stand)
    stand.hub.state.faults.clear()
    assert stand.file(path)["status"] == "PENDING"
    assert stand.file(other)["status"] == "FAILED"
    live(stand)
    assert [job.path for job in stand.queued()] == [path]


@pytest.mark.long("waits for repetitions of calls; the kept tests of this file have the other lies")
def test_a_proxy_that_answers_everything_with_a_page_is_a_hub_that_is_away(stand: BoardDriver) -> None:
    """While a proxy answers every call with an HTML page, the Hub counts as away; afterwards the request goes on."""
    stand.submit("ada/good")
    lie(stand, "*", "page")
    stand.settle()
    assert seems_away(stand)
    live(stand)
    assert not seems_away(stand)
    assert len(stand.queued()) == 1
