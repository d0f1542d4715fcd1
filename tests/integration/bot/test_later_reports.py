"""A failure that a thread's author reports in a later comment is answered once, as in an opening post."""

from __future__ import annotations

import pytest

from bot.threads.maintainers_list import waiting_threads
from leaderboard.attempts import Failure
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.discussion import Discussion

OURS = Failure(cause="gpu-lost", fault="us", message="The GPU fell off the bus.")
BFLOAT16 = "ada/good_eval_request_False_bfloat16_Original.json"


@pytest.fixture
def failed(stand: BoardDriver) -> tuple[BoardDriver, str]:
    """A board that the form's account maintains, and a request that failed on the board's side."""
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (form,), "attempts": 1})
    stand.worker()
    return stand, stand.failed(OURS)


def link(stand: BoardDriver, path: str) -> str:
    """The address of a request file, as people copy it."""
    return f"{stand.hub.url}/datasets/{REQUESTS}/blob/main/{path}"


def opened(stand: BoardDriver, title: str, post: str) -> Discussion:
    """Open a thread as Ada, and sync it."""
    talk = Discussion(stand, title, post)
    talk.look()
    return talk


@pytest.mark.parametrize(
    ("title", "post", "answers"),
    [
        ("My evaluation failed", "Could you have a look?", 0),
        ("How can I report an evaluation failure?", "It failed over night, where do I report it?", 1),
        ("It failed", "The input/output page says so.", 0),
        ("Failed", "ada/god_eval_request_False_float32_Original.json", 1),
    ],
)
def test_a_link_in_a_later_comment_is_a_report(
    failed: tuple[BoardDriver, str], title: str, post: str, answers: int
) -> None:
    """A link in a later comment is answered once, and the evaluation is started again, also after Redis was lost."""
    stand, path = failed
    talk = opened(stand, title, post)
    assert len(talk.replies()) == answers
    talk.say(f"The request file is {link(stand, path)}")
    assert len(talk.replies()) == answers + 1
    assert "it is evaluated again" in talk.replies()[-1]
    assert stand.file(path)["status"] == "RERUN"
    assert waiting_threads(stand.context) == []
    stand.context.redis.flushall()
    stand.settle()
    talk.say(f"Thank you! It is {link(stand, path)}, and `ada/good`.")
    assert len(talk.replies()) == answers + 1
    assert len(waiting_threads(stand.context)) == 1, "a further comment puts the thread on the list"


def test_a_name_in_a_later_comment_of_the_author_is_a_report(failed: tuple[BoardDriver, str]) -> None:
    """The author's addition of the failed model is answered, unless other people have commented before."""
    stand, _ = failed
    talk = opened(stand, "My evaluation failed", "Could you have a look?")
    talked = opened(stand, "Failed evaluations should be a column", "Hello!")
    talked.say("What would it show?", stand.bob)
    for discussion in (talk, talked):
        discussion.say("It is ada/good.")
    assert "it is evaluated again" in talk.replies()[-1]
    assert talked.replies() == []


@pytest.mark.parametrize(
    ("title", "post"),
    [("[FLAG] ada/good", "It was trained on the test set."), ("Rename ada/good", "To ada/better."), ("Hello", "/help")],
)
def test_a_link_in_a_thread_about_something_else_is_not_a_report(
    failed: tuple[BoardDriver, str], title: str, post: str
) -> None:
    """In a thread about something else, or with a command as its post, a link gets no answer and starts nothing."""
    stand, path = failed
    talk = opened(stand, title, post)
    talk.look()
    assert len(talk.replies()) == 1
    talk.say(f"It failed: {link(stand, path)}")
    assert len(talk.replies()) == 1
    assert stand.file(path)["status"] == "FAILED"


def test_only_the_first_comments_of_the_author_without_commands_are_read(failed: tuple[BoardDriver, str]) -> None:
    """Links by others, quoted links, links beside a command and links after many comments are no reports."""
    stand, path = failed
    talk = opened(stand, "My evaluation failed", "Could you have a look?")
    talk.say(f"Is it {link(stand, path)}?", stand.bob)
    talk.say(f"Let me see. {link(stand, path)}\n\n/help")
    assert ["`/help`" in reply for reply in talk.replies()] == [True]
    talk.say(f"> Is it {link(stand, path)}?\n\nThat is the question.")
    for number in range(3):
        talk.say(f"Hm, {number}.")
    talk.say(link(stand, path))
    assert len(talk.replies()) == 1
    assert stand.file(path)["status"] == "FAILED"


def test_a_second_link_of_one_who_was_answered_is_for_people(failed: tuple[BoardDriver, str]) -> None:
    """After an answered report, the author's second link gets no answer, and the thread waits for a maintainer."""
    stand, path = failed
    other = stand.failed(OURS, path=BFLOAT16)
    talk = opened(stand, "It failed", link(stand, path))
    talk.say(f"And so did {link(stand, other)}")
    assert len(talk.replies()) == 1
    assert [thread.title for thread in waiting_threads(stand.context)] == ["It failed"]
