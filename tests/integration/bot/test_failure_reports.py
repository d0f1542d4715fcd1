"""The bot answers threads about failed requests, restarts failures of the board, and reports the end once."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from bot.core.context import BoardContext
from bot.threads.maintainers_list import waiting_threads
from bot.threads.threads import sync_thread
from leaderboard.attempts import Failure
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.discussion import Discussion, open_thread
from tests.support.board.maintained_board import add_maintainer

OURS = Failure(cause="gpu-lost", fault="us", message="The GPU fell off the bus.")
THEIRS = Failure(cause="nan-weights", fault="submission", message="Weights are NaN.", advice="Save them again.")
BFLOAT16 = "ada/good_eval_request_False_bfloat16_Original.json"


@pytest.fixture
def stand_with_maintainer(stand: BoardDriver) -> BoardDriver:
    """A board with a worker, whose maintainer is the form's account."""
    add_maintainer(stand, attempts=1)
    stand.worker()
    return stand


def link(stand: BoardDriver, path: str) -> str:
    """The address of a request file, as people copy it."""
    return f"{stand.hub.url}/datasets/{REQUESTS}/blob/main/{path}"


def test_a_failure_of_ours_is_started_again_and_its_end_told(stand_with_maintainer: BoardDriver) -> None:
    """The bot answers a report of a board-side failure, restarts the evaluation, and reports its end in the thread."""
    stand = stand_with_maintainer
    path = stand.failed(OURS)
    talk = open_thread(stand, "My model failed", f"Here: {link(stand, path)}")
    (reply,) = talk.replies()
    for words in ("The GPU fell off the bus.", "a problem on our side", "it is evaluated again"):
        assert words in reply
    assert stand.file(path)["status"] == "RERUN"
    assert stand.file(path)["steward"]["causes"][-1] == f"report:dataset/{REQUESTS}:{talk.number}"
    stand.fail_next(THEIRS)
    talk.look()
    assert talk.replies()[-1].splitlines()[1].startswith("@ada: the evaluation of **ada/good**")
    assert len(talk.replies()) == 2


@pytest.mark.long("a board, a failure and its report for one more order of the events")
def test_a_report_of_several_failures_of_ours_starts_each_again(stand_with_maintainer: BoardDriver) -> None:
    """A thread that links two requests that failed by the board's fault restarts both, with the thread as cause."""
    stand = stand_with_maintainer
    paths = [stand.failed(OURS), stand.failed(OURS, path=BFLOAT16)]
    talk = open_thread(stand, "Two failed", " and ".join(link(stand, path) for path in paths))
    for _ in range(5):
        stand.time += 30  # commits are written in batches
        stand.work()
    for path in paths:
        assert stand.file(path)["status"] == "RERUN"
        assert stand.file(path)["steward"]["causes"][-1] == f"report:dataset/{REQUESTS}:{talk.number}"
    assert stand.context.redis.zcard(stand.context.keys.relaunches) == 2


def test_a_failure_of_theirs_is_told_with_what_to_change(stand_with_maintainer: BoardDriver) -> None:
    """The bot answers a report of a model's failure with advice and lines of the log, and restarts nothing."""
    stand = stand_with_maintainer
    path = stand.failed(THEIRS)
    (reply,) = open_thread(stand, "Why?", f"{link(stand, path)}?download=true").replies()
    for words in (
        "Weights are NaN.",
        "a problem with the submission",
        "**What to do:** Save them again.",
        "decisive lines",
    ):
        assert words in reply
    assert stand.file(path)["status"] == "FAILED"


def like(stand: BoardDriver, path: str, talk: Discussion) -> None:
    """Change a field of the request that says nothing of its state, and sync the thread."""
    stand.put(path, json.dumps({**stand.file(path), "likes": stand.file(path).get("likes", 0) + 1}).encode())
    stand.settle()
    talk.look()


def use_former_digest(stand: BoardDriver, talk: Discussion, state: str) -> None:
    """Replace the state in the thread's follow marker by that of `state`, as earlier versions wrote it."""
    answer = stand.context.hub.thread(stand.context.requests, talk.number).comments[-1]
    former = hashlib.sha256(state.encode()).hexdigest()[:12]
    text, count = re.subn(r"( follow \w+\.)[0-9a-f]{12}", rf"\g<1>{former}", answer.text)
    assert (count, text != answer.text) == (1, True)
    stand.context.hub.edit_comment(stand.context.requests, talk.number, answer.id, text)


@pytest.mark.long("a board, a failure and its report for one more order of the events")
@pytest.mark.parametrize("marker", ["present", "former"])
def test_only_another_end_of_what_failed_is_told(stand_with_maintainer: BoardDriver, marker: str) -> None:
    """A changed field of the failed request is not reported; the end of its next evaluation is."""
    stand = stand_with_maintainer
    path = stand.failed(THEIRS)
    talk = open_thread(stand, "Why did it fail?", link(stand, path))
    if marker == "former":
        use_former_digest(stand, talk, "1 FAILED nan-weights")
    like(stand, path, talk)
    assert len(talk.replies()) == 1
    talk.say("/relaunch ada/good", stand.form)
    stand.fail_next(THEIRS)
    talk.look()
    assert talk.replies()[-1].splitlines()[1].startswith("@ada: the evaluation of **ada/good** (float32) has failed")


@pytest.mark.long("a board, a failure and its report for one more order of the events")
def test_a_request_that_is_refused_again_after_a_relaunch_is_reported_once(stand_with_maintainer: BoardDriver) -> None:
    """The bot reports a second refusal for the same reason once, also after Redis was lost."""
    stand = stand_with_maintainer
    path = stand.submit("ada/nothing-there", sender="ada")
    stand.settle()
    assert stand.file(path)["steward"]["failure"]["cause"] == "model-not-found"
    talk = open_thread(stand, "My model failed", link(stand, path))
    (answer,) = talk.replies()
    assert "I will post the outcome" in answer
    like(stand, path, talk)
    assert len(talk.replies()) == 1
    talk.say("/relaunch ada/nothing-there", stand.form)
    talk.look()
    assert (stand.file(path)["status"], stand.file(path)["steward"]["attempt"]) == ("FAILED", 1)
    for is_redis_lost in (False, True):
        if is_redis_lost:
            stand.context.redis.flushall()
            stand.context.mark("requests")
            stand.work()
        like(stand, path, talk)
        ends = [
            text for text in talk.replies() if "the evaluation of **ada/nothing-there** (float32) has failed" in text
        ]
        assert len(ends) == 1


@pytest.mark.long("a board, a failure and its report for one more order of the events")
def test_a_thread_that_is_looked_at_as_soon_as_it_is_called_is_told_of_the_end(
    stand_with_maintainer: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end is reported even if the thread is synced before the request's sync has returned."""
    stand = stand_with_maintainer
    path = stand.failed(THEIRS)
    talk = open_thread(stand, "Why did it fail?", link(stand, path))
    talk.say("/relaunch ada/good", stand.form)

    def look(context: BoardContext, called: str) -> None:
        assert called == path
        sync_thread(context, context.requests, talk.number)

    monkeypatch.setattr("bot.requests.request.mark_followers", look)
    stand.fail_next(THEIRS)
    assert talk.replies()[-1].splitlines()[1].startswith("@ada: the evaluation of **ada/good** (float32) has failed")


def test_a_link_to_no_request_gets_names_that_are_like_it(stand_with_maintainer: BoardDriver) -> None:
    """The reply to a link without a request says that there is none, and suggests a similar model."""
    stand = stand_with_maintainer
    stand.failed(THEIRS)
    wrong = "ada/god_eval_request_False_float32_Original.json"
    (reply,) = open_thread(stand, "Failed", link(stand, wrong)).replies()
    assert "There is no request" in reply
    assert "`ada/good`" in reply


def test_a_name_that_is_nearly_a_models_gets_names_that_are_like_it(stand_with_maintainer: BoardDriver) -> None:
    """The bot suggests the model that a misspelt name resembles; text like no model is listed without an answer."""
    stand = stand_with_maintainer
    stand.failed(THEIRS)
    (reply,) = open_thread(stand, "My model ada/god failed", "What happened?").replies()
    assert "Did you mean `ada/good`?" in reply
    assert waiting_threads(stand.context) == []
    assert open_thread(stand, "The input/output page failed", "It is white.").replies() == []
    assert [thread.title for thread in waiting_threads(stand.context)] == ["The input/output page failed"]


def test_a_report_of_what_has_finished_is_for_people_and_names_resubmit(stand_with_maintainer: BoardDriver) -> None:
    """A thread about a finished request gets a reply with `/resubmit` and waits for a maintainer, also after Redis was
    lost; a thread about a failed request does not wait."""
    stand = stand_with_maintainer
    path = stand.failed(THEIRS)
    open_thread(stand, "Why did it fail?", link(stand, path))
    assert waiting_threads(stand.context) == []
    ours = {name: value for name, value in stand.file(path)["steward"].items() if name != "failure"}
    stand.put(path, json.dumps({**stand.file(path), "status": "FINISHED", "steward": ours}).encode())
    stand.settle()
    talk = open_thread(stand, "I upgraded ada/good", "Could you please re-run the evaluation?")
    (reply,) = talk.replies()
    for words in ("has not failed: it has finished", "`/resubmit ada/good`", "on the maintainers' list"):
        assert words in reply
    stand.context.redis.flushall()
    stand.settle()
    talk.look()
    assert [thread.title for thread in waiting_threads(stand.context)] == ["I upgraded ada/good"]
    assert len(talk.replies()) == 1
    talk.say("I will look at it.", stand.form)
    assert waiting_threads(stand.context) == []


def test_a_second_report_is_told_that_it_runs_again_and_hears_of_the_end(stand_with_maintainer: BoardDriver) -> None:
    """If two threads report one board-side failure, it is restarted once, and the bot reports the end in both."""
    stand = stand_with_maintainer
    path = stand.failed(OURS)
    talks = [Discussion(stand, "My model failed", link(stand, path)) for _ in range(2)]
    for talk in (*talks, *talks):
        talk.look()
    assert "it is evaluated again" in talks[0].replies()[0]
    assert "will be evaluated again" in talks[1].replies()[0]
    assert [cause for cause in stand.file(path)["steward"]["causes"] if cause.startswith("report:")] == [
        f"report:dataset/{REQUESTS}:{talks[0].number}"
    ]
    stand.fail_next(THEIRS)
    for talk in talks:
        talk.look()
        assert len(talk.replies()) == 2
        assert "has failed" in talk.replies()[-1]


def test_a_report_that_needs_a_person_is_on_the_list_also_after_redis_was_lost(
    stand_with_maintainer: BoardDriver,
) -> None:
    """A thread about a request that failed again after a restart waits for a maintainer, also after Redis was lost."""
    stand = stand_with_maintainer
    path = stand.failed(OURS)
    open_thread(stand, "My model failed", link(stand, path))
    stand.fail_next(OURS)
    talk = open_thread(stand, "It failed again", link(stand, path))
    assert "A maintainer will look at it" in talk.replies()[0]
    for days in (0, 8):
        stand.time += days * 86_400
        stand.context.redis.flushall()
        talk.look()
        assert [thread.title for thread in waiting_threads(stand.context)] == ["It failed again"]
    assert len(talk.replies()) == 1


@pytest.mark.long("a board, a failure and its report for one more order of the events")
def test_a_report_is_answered_also_where_a_command_came_before_the_bot_looked(
    stand_with_maintainer: BoardDriver,
) -> None:
    """If a command follows a report before the first sync, the bot answers both, once each."""
    stand = stand_with_maintainer
    path = stand.failed(THEIRS)
    talk = Discussion(stand, "Why?", link(stand, path))
    talk.say("/help status")
    assert len(talk.replies()) == 2
    talk.look()
    assert len(talk.replies()) == 2
