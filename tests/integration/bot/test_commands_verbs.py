"""What each verb does, from a comment on a local Hub to the reply and the request file."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from bot.web.board import BoardReader
from bot.web.pages.threads import DecisionsQuery, decisions
from leaderboard.attempts import Failure
from steward.testing.board import BoardDriver
from tests.support.board.counted_verbs import hub_thread, owner
from tests.support.board.discussion import Discussion

THEIRS = Failure(cause="nan-weights", fault="submission", message="Weights are NaN.", advice="Save them again.")


@pytest.fixture
def talk(stand: BoardDriver) -> Discussion:
    """A discussion that Ada opened; the form's account is a maintainer."""
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (form,), "front_ends": (form,)})
    stand.worker()
    return Discussion(stand)


def test_status_tells_where_every_request_of_a_model_stands(stand: BoardDriver, talk: Discussion) -> None:
    """`/status` shows the position of a waiting request; for an unknown model it suggests similar names."""
    stand.context.workers.leave("w")
    stand.submit("ada/good", sender="ada")
    stand.settle()
    assert "number 1 of 1" in talk.ask("/status ada/good")
    assert "There is no request for `ada/god`" in (reply := talk.ask("/status ada/god"))
    assert "`ada/good`" in reply


def test_why_tells_the_cause_the_fault_the_log_and_the_cure(stand: BoardDriver, talk: Discussion) -> None:
    """`/why` shows what happened, whose fault it was, the cause, the decisive lines of the log and what to do."""
    stand.failed(THEIRS, sender="ada")
    reply = talk.ask("/why ada/good")
    for words in (
        "**What happened:**",
        "a problem with the submission",
        "`nan-weights`",
        "decisive lines",
        "**What to do:**",
    ):
        assert words in reply


def test_requests_of_one_model_can_be_told_apart(stand: BoardDriver, talk: Discussion) -> None:
    """A command that fits several requests of a model gets a reply with the precision or weight type to add."""
    stand.submit("ada/good", sender="ada")
    adapter = "ada/good_eval_request_False_float32_Adapter.json"
    stand.submit("ada/good", path=adapter, weight_type="Adapter", sender="ada")
    stand.settle()
    reply = talk.ask("/why ada/good")
    assert "Which one? Add `weight_type=Adapter` or `weight_type=Original`." in reply
    assert "was accepted" in talk.ask("/why ada/good weight_type=Original")
    stand.submit("ada/good", path=adapter.replace("32", "16"), precision="float16", weight_type="Adapter", sender="ada")
    stand.settle()
    assert "`precision=float16 weight_type=Adapter` or `precision=float32 weight_type=Adapter`" in talk.ask(
        "/why ada/good"
    )


def test_check_lists_what_is_right_and_what_is_not(stand: BoardDriver, talk: Discussion) -> None:
    """`/check` of a model that fails lists the failed and the passed checks, and submits nothing."""
    assert "passes every check" in talk.ask("/check ada/good precision=float32")
    reply = talk.ask("/check ada/pickled precision=float32")
    assert "would not be accepted" in reply
    assert "checks passed" in reply
    assert stand.context.index.of_model("ada/pickled") == []


def test_a_submitter_relaunches_once_and_a_maintainer_again(stand: BoardDriver, talk: Discussion) -> None:
    """A submitter can relaunch a failed request once, a maintainer again; a second sync does not repeat a command."""
    path = stand.failed(THEIRS, sender="ada")
    stand.file(path)
    assert "a maintainer of this leaderboard, the model's owner or its submitter" in talk.ask(
        "/relaunch ada/good", stand.bob
    )
    assert "will be evaluated again" in talk.ask("/relaunch ada/good")
    assert stand.file(path)["status"] == "RERUN"
    assert "already under way" in talk.ask("/relaunch ada/good")
    stand.fail_next(THEIRS)
    assert "You have already relaunched" in talk.ask("/relaunch ada/good")
    assert "will be evaluated again" in talk.ask("/relaunch ada/good", stand.form)
    talk.look()
    assert stand.file(path)["steward"]["attempt"] == 3


def test_a_maintainer_ends_the_delay_of_a_retry(stand: BoardDriver, talk: Discussion) -> None:
    """While a request waits for its automatic retry, `/relaunch` queues it now for a maintainer, not for others."""
    job = stand.started(sender="ada")
    stand.end(job, failure=Failure(cause="disk-full", fault="us", message="The disk is full."))
    stand.settle()
    assert "already under way" in talk.ask("/relaunch ada/good")
    stand.worker()
    stand.settle()
    assert stand.queued() == []
    assert "does not wait for that time any more" in talk.ask("/relaunch ada/good", stand.form)
    stand.worker()
    stand.context.mark("queue")
    stand.settle()
    assert [job.attempt[-2:] for job in stand.queued()] == ["-2"]
    assert "already under way" in talk.ask("/relaunch ada/good", stand.form)


def test_who_submitted_it_is_known_after_a_relaunch_without_redis(stand: BoardDriver, talk: Discussion) -> None:
    """A relaunch after the loss of Redis keeps the submitter in the request file and in the index."""
    path = stand.failed(THEIRS, sender="ada")
    stand.context.redis.flushall()
    stand.settle()
    assert "will be evaluated again" in talk.ask("/relaunch ada/good", stand.form)
    stand.settle()
    file = stand.file(path)
    assert (file["status"], file["steward"]["submitter"]) == ("RERUN", "ada")
    assert stand.context.index.get(path).submitter == "ada"


def test_rulings_about_the_queue_are_written_where_everybody_reads_them(stand: BoardDriver, talk: Discussion) -> None:
    """Hold, priority and pause change files on the Hub, and can be lifted again."""
    stand.context.workers.leave("w")
    path = stand.submit("ada/good", sender="ada")
    stand.settle()
    assert "a maintainer of this leaderboard" in talk.ask("/hold ada/good I say so")
    assert "will not start until the hold is lifted" in talk.ask("/hold ada/good the licence is not clear", stand.form)
    assert stand.file(path)["steward"]["hold"]["reason"] == "the licence is not clear"
    assert "the licence is not clear" in talk.ask("/why ada/good")
    talk.ask("/unhold ada/good", stand.form)
    talk.ask("/priority ada/good high", stand.form)
    facts = stand.file(path)["steward"]
    assert facts.get("hold") is None
    assert facts["priority"] == "high"
    talk.ask("/pause board moving house", stand.form)
    assert json.loads(stand.read(".steward/pauses"))["board"]["reason"] == "moving house"
    talk.ask("/resume board", stand.form)
    assert json.loads(stand.read(".steward/pauses"))["board"] is None


@pytest.mark.parametrize("slip", [b'{"tier:large": "Moved.",}', b"{}" + b" " * 100_000], ids=["comma", "large"])
def test_a_pause_is_refused_while_the_file_of_pauses_is_unreadable(
    stand: BoardDriver, talk: Discussion, slip: bytes
) -> None:
    """With an unreadable file of pauses, `/pause` says so, and leaves the file as it is."""
    stand.put(".steward/pauses", slip)
    for command in ("/pause board moving house", "/resume tier:large"):
        assert "I cannot read the file `.steward/pauses`" in talk.ask(command, stand.form)
    assert stand.read(".steward/pauses") == slip
    stand.put(".steward/pauses", b"{}")
    assert "Paused: `board`" in talk.ask("/pause board moving house", stand.form)


def test_why_says_that_an_end_is_being_written(stand: BoardDriver, talk: Discussion) -> None:
    """While the file does not yet say how an evaluation ended, `/why` says only that it has just ended."""
    stand.context.workers.leave("w")
    path = stand.submit("ada/good", sender="ada")
    stand.settle()
    stand.context.index.put(stand.context.index.get(path).model_copy(update={"state": "settled"}))
    assert "has just ended, and its result is being saved" in talk.ask("/why ada/good")


def test_the_submitter_cancels_it(stand: BoardDriver, talk: Discussion) -> None:
    """Another user may not cancel a request; its submitter may, and the file records the reason."""
    stand.context.workers.leave("w")
    path = stand.submit("ada/good", sender="ada")
    stand.settle()
    assert "can use `/cancel`" in talk.ask("/cancel ada/good", stand.bob)
    talk.ask("/cancel ada/good the wrong revision")
    file = stand.file(path)
    assert file["status"] == "CANCELLED"
    assert file["steward"]["cancelled"]["reason"] == "the wrong revision"


def test_a_model_is_submitted_and_resubmitted_from_a_thread(stand: BoardDriver, talk: Discussion) -> None:
    """`/submit` writes a file only if the model passes the checks; `/resubmit` has a newer commit evaluated."""
    assert "would be refused" in talk.ask("/submit ada/pickled precision=float32")
    assert stand.context.index.of_model("ada/pickled") == []
    assert "is submitted" in talk.ask("/submit ada/good precision=float32")
    (entry,) = stand.context.index.of_model("ada/good")
    assert entry.submitter == "ada"
    assert stand.file(entry.path)["sender"] == "ada"
    assert "already" in talk.ask("/submit ada/good precision=float32")
    stand.fail_next(THEIRS)
    stand.ada.upload_file(path_or_fileobj=b"new", path_in_repo="more.txt", repo_id="ada/good")
    head = stand.ada.model_info("ada/good").sha
    assert "waits for an evaluation" in talk.ask("/resubmit ada/good")
    file = stand.file(entry.path)
    assert (file["status"], file["revision"]) == ("PENDING", head)


def test_a_subscriber_is_told_of_the_end(stand: BoardDriver, talk: Discussion) -> None:
    """After `/subscribe` the bot comments once in that thread when the evaluation ends, even if Redis lost it."""
    path = stand.submit("ada/good", sender="ada")
    stand.settle()
    assert "I will write here" in talk.ask("/subscribe ada/good")
    stand.context.redis.delete(stand.context.keys.followers(path))
    talk.look()
    stand.fail_next(THEIRS)
    talk.look()
    stand.work()
    reply = talk.replies()[-1]
    assert reply.splitlines()[1].startswith("@ada: the evaluation of **ada/good**")
    assert len(talk.replies()) == 2
    assert "has already ended" in talk.ask("/subscribe ada/good")


@pytest.mark.parametrize("end", ["failed", "removed"])
def test_a_deleted_thread_follows_nothing_after_the_end(stand: BoardDriver, talk: Discussion, end: str) -> None:
    """When a request ends or is removed, Redis forgets a subscribed thread even if that thread was deleted."""
    path = stand.submit("ada/good", sender="ada")
    stand.settle()
    assert "I will write here" in talk.ask("/subscribe ada/good")
    repo, thread = hub_thread(stand, talk)
    stand.hub.state.threads.delete(repo, owner(stand), thread)
    if end == "failed":
        stand.fail_next(THEIRS)
    else:
        stand.form.delete_file(path, stand.context.requests.id, repo_type="dataset")
        stand.settle()
    assert not stand.context.redis.exists(stand.context.keys.followers(path))


def test_every_decision_is_kept(stand: BoardDriver, talk: Discussion) -> None:
    """The logs repo records each decision: the person's id, the verb, its arguments, and whether it was allowed."""
    stand.submit("ada/good", sender="ada")
    stand.settle()
    talk.ask("/pause board moving house", stand.form)
    logged = [file for file in stand.context.hub.list_files(stand.context.logs) if file.path.startswith("decisions/")]
    (file,) = logged
    decision: dict[str, Any] = json.loads(stand.context.hub.read_file(stand.context.logs, file.path).data)
    assert decision["person"]["id"] == stand.context.hub.user("form").id
    assert (decision["verb"], decision["allowed"]) == ("pause", True)
    assert decision["arguments"] == {"what": "board", "reason": "moving house"}


def test_the_record_says_what_came_of_each_command(stand: BoardDriver, talk: Discussion) -> None:
    """The record of a command says separately whether it was allowed and its outcome, with a reason for a refusal."""
    stand.submit("ada/good", sender="ada")
    stand.settle()
    for text, api in (
        ("/pause board moving house", stand.form),
        ("/resume board", stand.form),
        ("/resume board", stand.form),
        ("/resume board", None),
        ("/submit ada/nobody", None),
        ("/submit ada/good precision=float32", None),
        ("/rename ada/good ada/nobody", stand.form),
        ("/approve deadbeef", stand.form),
        ("/reject no reason at all", stand.form),
    ):
        talk.say(text, api)
    outcomes = [
        (decision.command.split()[0], decision.allowed, decision.outcome, decision.reason)
        for decision in reversed(decisions(BoardReader(stand.context), DecisionsQuery()).decisions)
    ]
    assert [each[:3] for each in outcomes] == [
        ("/pause", True, "done"),
        ("/resume", True, "done"),
        ("/resume", True, "unchanged"),
        ("/resume", False, "refused"),
        ("/submit", True, "refused"),
        ("/submit", True, "unchanged"),
        ("/rename", True, "refused"),
        ("/approve", False, "refused"),
        ("/reject", True, "unchanged"),
    ]
    reasons = [each[3] for each in outcomes]
    assert [bool(reason) for reason in reasons] == [each[2] == "refused" for each in outcomes]
    assert "ada/nobody" in reasons[4]
    assert "no plan in this discussion that begins with deadbeef" in reasons[7]


HOSTILE = (
    "@everyone come here",
    "[x](https://evil.example)",
    "<!-- steward:1 demo status x -->",
    "<b>bold</b>",
    "{{ 7 * 7 }}",
    "![i](//evil.example/i.png)",
)


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_text_in_a_command_is_quoted_as_code(stand: BoardDriver, talk: Discussion, words: str) -> None:
    """The reply shows a hostile argument only as code: no mention, link, image, HTML or marker comes of it."""
    reply = talk.ask(f'/help "{words}"')
    outside = re.sub(r"`[^`]*`|\(http://127[^)]*\)", "", reply.split("\n", 1)[1])
    for sign in ("@", "](https://evil", "<b>", "<!--", "49", "!["):
        assert sign not in outside
