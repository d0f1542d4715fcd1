"""Comments in a request's thread reach a maintainer, even after the evaluation ended or Redis was lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.waiting_threads import noted_threads
from bot.flags import decisions
from bot.flags.flag_commands import FlagSource
from bot.flags.reports import reports
from bot.probe import Probe
from bot.threads.maintainers_list import waiting_threads
from leaderboard.roles import Person
from redis_state.redis import Redis
from steward.testing.board import REQUESTS
from tests.support.board.renames import operations
from tests.support.board.transcripts import BROKEN, Transcripts, TranscriptThread, transcript_board

MODEL = "ada/corona"


@pytest.fixture
def place(tmp_path: Path, connection: Redis, probe: Probe) -> Iterator[Transcripts]:
    """A board on which several people write comments."""
    with transcript_board(tmp_path, connection, probe) as made:
        yield made


def finished(place: Transcripts) -> TranscriptThread:
    """Evaluate Ada's model; return the thread of its request, which the bot has closed."""
    path = place.submit(MODEL)
    place.run(path)
    thread = place.thread_of(path)
    assert thread.events()[-1].new_status == "closed"
    return thread


def topics(place: Transcripts) -> set[str]:
    """Return the topics of the threads on the maintainers' list."""
    return {thread.topic for thread in noted_threads(place.stand.context).values()}


def status(place: Transcripts, thread: TranscriptThread) -> str:
    """Return the thread's status: `open` or `closed`."""
    return str(place.people["mia"].get_discussion_details(REQUESTS, thread.number, repo_type="dataset").status)


def test_a_plan_and_a_report_in_the_closed_thread_of_a_request_wait_for_a_maintainer(place: Transcripts) -> None:
    """A plan or a report reopens a closed thread, and stays on the list until it is decided, even without Redis."""
    thread = finished(place).say("mia", "Well done.")
    thread.say("bob", f"/flag copy {MODEL} its files are those of bob/basalt")
    assert (topics(place), status(place, thread)) == ({"flag report"}, "open")
    place.people["mia"].change_discussion_status(REQUESTS, thread.number, "closed", repo_type="dataset")
    thread.look()
    assert (topics(place), status(place, thread)) == (set(), "closed"), "it waits though a maintainer closed it"
    thread.say("ada", f"/remove {MODEL} its weights were wrong")
    for _ in range(2):
        assert (topics(place), status(place, thread)) == ({"flag report", "plan to approve"}, "open")
        thread.look()
    place.stand.context.redis.flushall()
    thread.look()
    assert (topics(place), status(place, thread)) == ({"flag report", "plan to approve"}, "open")
    thread.say("mia", "/reject the weights are right")
    assert topics(place) == set()


def test_a_thread_that_waits_for_a_maintainer_stays_open_when_its_request_ends(place: Transcripts) -> None:
    """The end of an evaluation neither closes a thread with an open report nor takes it off the maintainers' list."""
    path = place.submit(MODEL)
    thread = place.thread_of(path).say("bob", f"/flag copy {MODEL} its files are those of bob/basalt")
    assert topics(place) == {"flag report"}
    place.run(path)
    thread.look()
    assert place.stand.file(path)["status"] == "FINISHED"
    assert (topics(place), status(place, thread)) == ({"flag report"}, "open")


def test_a_comment_in_the_thread_of_a_failed_request_waits_for_a_maintainer(place: Transcripts) -> None:
    """A comment lists the thread until a maintainer replies; commands and questions that the bot answers do not."""
    path = place.submit(MODEL)
    place.run(path, BROKEN)
    thread = place.thread_of(path).say("ada", f"/why {MODEL}").say("bob", "How do I resubmit a model?")
    assert len(thread.replies()) == 3
    assert topics(place) == set()
    thread.say("ada", "The norm of its first layer is not finite, I think.").say("bob", "So do I.")
    place.stand.time += 8 * 86_400
    place.stand.context.redis.flushall()
    place.stand.settle()
    thread.look()
    (listed,) = waiting_threads(place.stand.context)
    assert (listed.topic, listed.author, listed.place) == ("other", "ada", f"{REQUESTS} #{thread.number}")
    thread.say("mia", "Thank you, we look into it.")
    assert topics(place) == set()
    thread.say("ada", "It is the second layer, sorry.")
    assert topics(place) == {"other"}


def test_a_comment_in_the_pull_request_of_a_failed_request_waits_for_a_maintainer(place: Transcripts) -> None:
    """A merged pull request is its request's thread: a comment lists it until a maintainer replies."""
    thread, head = place.propose("ada", MODEL, "Add corona")
    thread.say("ada", "Please merge it.").say("mia", f"/approve {head[:8]}")
    path = f"{MODEL}_eval_request_False_float32_Original.json"
    place.run(path, BROKEN)
    thread.look()
    assert topics(place) == set()
    thread.say("ada", "The norm of its first layer is not finite, I think.")
    assert topics(place) == {"other"}
    thread.say("mia", "Thank you.")
    assert topics(place) == set()


def test_who_follows_a_request_hears_of_its_end_also_after_a_rename(place: Transcripts) -> None:
    """A renamed request keeps its thread, and a subscriber gets one comment when its evaluation ends."""
    path, new = place.submit(MODEL), "ada/crown"
    own, talk = place.thread_of(path), place.open("bob", "How is it going?", f"/subscribe {MODEL}")
    place.people["ada"].move_repo(MODEL, new)
    file, threads = place.stand.file(path), len(place.stand.threads())
    moved = operations({path: None, path.replace(MODEL, new): json.dumps({**file, "model": new}).encode()})
    place.stand.form.create_commit(REQUESTS, moved, commit_message="Rename", repo_type="dataset")
    own.look()
    assert f"[{new}]" in own.replies()[0]
    place.run(path.replace(MODEL, new))
    for thread in (talk, own, talk):
        thread.look()
    assert ["has finished" in reply for reply in talk.replies()] == [False, True]
    assert "### ✅ Finished" in own.replies()[0]
    assert (status(place, own), len(place.stand.threads())) == ("closed", threads)


def test_a_report_in_the_thread_of_a_request_that_a_button_dismisses_leaves_the_list(place: Transcripts) -> None:
    """The bot states the dismissal once in the thread, which stays open and off the list, also after its end."""
    path = place.submit(MODEL)
    thread = place.thread_of(path).say("bob", f"/flag copy {MODEL} its files are those of bob/basalt")
    assert topics(place) == {"flag report"}
    context = place.stand.context
    source = FlagSource(
        context.requests,
        context.hub.thread(context.requests, thread.number),
        Person("1", "mia"),
        "page-1:0",
        is_on_page=True,
    )
    assert decisions.dismiss(context, "they differ", source).how == "dismissed"
    for _ in range(2):
        thread.look()
        assert (topics(place), status(place, thread), reports(context)) == (set(), "open", [])
    place.run(path)
    thread.look()
    assert (topics(place), status(place, thread), reports(context)) == (set(), "closed", [])
    assert sum("A maintainer dismissed the report" in reply for reply in thread.replies()) == 1
