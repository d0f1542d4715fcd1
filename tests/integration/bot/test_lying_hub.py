"""A Hub, or a proxy before it, that says what is not so: no submission is judged by it, and no other waits for it.

`make matrices` has all lies, `make test` about half.
"""

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
from tests.support.board.board_driver import REQUESTS, BoardDriver
from tests.support.board.published_details import publish
from tests.support.hub.lies import LIES
from tests.support.sizes import every, first, left_out, one_in

pytestmark = one_in(2)
QUICK = Retries(attempts=2, wait_initial=0.01, wait_max=0.02, jitter=0.01, patience=0.0)
DEEP = '{"id": "ada/good", "sha": "%s", "cardData": ' + "[" * 2_000 + "]" * 2_000 + "}"


@pytest.fixture(autouse=True)
def quick_retries(stand: BoardDriver) -> None:
    """Calls of the bot are repeated without long waits."""
    stand.context.hub.retries = QUICK


def lie(stand: BoardDriver, route: str, name: str, **more: Any) -> None:
    """From now on, answers to calls of `route` are lies."""
    stand.hub.state.faults.add(route, **{**LIES[name], "times": None, **more})


def live(stand: BoardDriver, seconds: float = 300.0, *, truth: bool = True, step: float = 60.0) -> None:
    """Time passes, on a Hub that says the truth again."""
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
    """Whether a sync has ever concluded that the Hub does not answer, and slowed all others."""
    return bool(stand.context.redis.hexists(stand.context.keys.hub_state, "failed"))


ABOUT_FILES = [
    (FILES_OF_REQUESTS, "page"),
    (FILES_OF_REQUESTS, "short"),
    (CONFIG, "missing"),
    (CONFIG, "page"),
    (FILES_OF_MODEL, "short"),
    (FILES_OF_MODEL, "lost page"),
]


@pytest.mark.parametrize(("route", "name"), every(3, ABOUT_FILES))
def test_a_submission_is_not_judged_by_a_lie(stand: BoardDriver, route: str, name: str) -> None:
    """A request whose file, or whose model's files, come as something else waits until they come as they are."""
    lie(stand, route, name)
    path = stand.submit("ada/good")
    stand.settle()
    live(stand, 120, truth=False)
    stand.hub.state.faults.clear()
    assert stand.file(path)["status"] == "PENDING"
    live(stand)
    assert [job.path for job in stand.queued()] == [path]


@pytest.mark.parametrize("name", first(1, ["page", "missing"]))
def test_a_finished_evaluation_is_not_lost_by_a_lie(stand: BoardDriver, name: str) -> None:
    """Results that come as something else are read again."""
    job = stand.started()
    lie(stand, "GET */resolve/*/results_*", name)
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite))
    live(stand, 120, truth=False)
    live(stand)
    assert stand.file(job.path)["status"] == "FINISHED"


@pytest.mark.parametrize("code", first(1, ["RevisionNotFound", "RepoNotFound"]))
def test_a_commit_that_the_hub_does_not_know_yet_is_read_again(stand: BoardDriver, code: str) -> None:
    """Right after a publication a server of the Hub may lack the commit, or the repo: the results are not refused."""
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


@left_out("fifteen minutes of a board; the test above has the wait")
def test_a_commit_that_the_hub_never_shows_is_refused(stand: BoardDriver) -> None:
    """The wait for the Hub has an end."""
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
    """The Content-Length of an answer is compared with the listing."""
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
    """Metadata of 2,000 nested levels refuses the model with a reason, and the Hub does not count as away."""
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


@pytest.mark.parametrize("fault", first(1, [{"kind": "fail", "status": 500}, {"kind": "cut"}]))
def test_errors_of_one_models_repo_slow_no_other(stand: BoardDriver, fault: dict[str, Any]) -> None:
    """A model whose every call fails is no Hub that is away: its request waits, and all others go on."""
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


def test_the_submitter_reads_once_that_the_hub_does_not_answer_about_the_model(stand: BoardDriver) -> None:
    """After a while thread, queue, `/status` and `/why` give the same reason, also after a loss of Redis; it ends."""
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


def test_errors_of_all_repos_are_a_hub_that_is_away(stand: BoardDriver) -> None:
    """A model's call fails as all others do: the Hub is away, and is tried seldom."""
    path = stand.submit("ada/good")
    stand.hub.state.faults.add("GET *", kind="fail", status=500, times=None)
    stand.settle()
    live(stand, 60, truth=False)
    assert seems_away(stand)
    live(stand, 900)
    assert [job.path for job in stand.queued()] == [path]


@left_out("test_errors_of_one_models_repo_slow_no_other has errors in their place")
def test_garbled_facts_about_one_model_slow_no_other(stand: BoardDriver) -> None:
    """The Hub answers other calls, so it is not away; the model's own request waits, and is not refused."""
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


def test_a_proxy_that_answers_everything_with_a_page_is_a_hub_that_is_away(stand: BoardDriver) -> None:
    """Then no other call works either."""
    stand.submit("ada/good")
    lie(stand, "*", "page")
    stand.settle()
    assert seems_away(stand)
    live(stand)
    assert not seems_away(stand)
    assert len(stand.queued()) == 1
