"""Comments that mention the bot without a command: which the bot answers, and how often."""

from __future__ import annotations

import pytest

from bot.threads.maintainers_list import waiting_threads
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.discussion import Discussion


@pytest.fixture
def board(stand: BoardDriver) -> BoardDriver:
    """A board whose form's account is its maintainer."""
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (form,), "front_ends": (form,)})
    return stand


def opened(stand: BoardDriver, title: str, post: str = "Hello.") -> Discussion:
    """Open a discussion as Ada, and sync it twice."""
    talk = Discussion(stand, title, post)
    for _ in range(2):
        stand.context.mark(f"thread:dataset/{REQUESTS}:{talk.number}")
        stand.work()
    return talk


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("How do I submit a model?", "`/submit org/model`"),
        ("Where is the form?", "`/submit org/model`"),
        ("Please evaluate https://huggingface.co/ada/good", "`/submit ada/good`"),
        ("How long does it take?", "No request waits at the moment"),
    ],
)
def test_the_commonest_questions_are_answered_with_the_command(board: BoardDriver, title: str, words: str) -> None:
    """A frequent question in a title gets one answer, and is not put on the maintainers' list."""
    (reply,) = opened(board, title).replies()
    assert words in reply
    assert waiting_threads(board.context) == []


def test_how_long_it_takes_is_told_with_the_estimate(board: BoardDriver) -> None:
    """The answer to “how long” has the queue, the estimated start and the usual duration, or a model's own position."""
    context = board.context
    board.worker()
    for _ in range(4):
        context.measures.learn("starter", 1, 1_800.0)
    board.submit("ada/good", sender="ada")
    board.settle()
    (reply,) = opened(board, "How long does it take?").replies()
    assert "1 request waits at the moment; the last one should start in" in reply
    assert "An evaluation takes about 30 minutes." in reply
    (reply,) = opened(board, "How long does it take to evaluate ada/good?").replies()
    assert "waiting, number 1 of 1, should start" in reply


def test_a_model_that_is_there_already_is_told_its_state(board: BoardDriver) -> None:
    """A person who asks for the evaluation of a waiting model gets its state, not the command that submits it."""
    board.submit("ada/good", sender="ada")
    board.settle()
    (reply,) = opened(board, "Please evaluate https://huggingface.co/ada/good").replies()
    assert "number 1 of 1" in reply
    assert "/submit" not in reply


def test_a_mention_is_answered_once(board: BoardDriver) -> None:
    """Each mention gets one answer, with help or the right command; an unclear thread still waits for a maintainer."""
    talk = opened(board, "Something odd", "@steward-bot can you help?")
    (reply,) = talk.replies()
    assert "`/help` lists all commands" in reply
    assert [thread.topic for thread in waiting_threads(board.context)] == ["other"]
    talk.say("@steward-bot how do I submit a model?", board.bob)
    assert "`/submit org/model`" in talk.replies()[-1]
    talk.say("@steward-bot: ada/good has failed, what now?", board.bob)
    assert "`/why ada/good`" in talk.replies()[-1]
    talk.look()
    assert len(talk.replies()) == 3


@pytest.mark.parametrize(
    "text",
    [
        "How do I submit a model?",
        "`@steward-bot` is an account, is it not?",
        "> @steward-bot can you help?",
        "@steward-bot-two can you help?",
        "mail me at ada@steward-bot please",
    ],
)
def test_who_does_not_address_the_bot_is_left_alone(board: BoardDriver, text: str) -> None:
    """A later comment that does not mention the bot itself, in plain text, gets no answer."""
    talk = opened(board, "Something odd", "The table looks strange to me today.")
    talk.say(text, board.bob)
    assert talk.replies() == []


def test_a_maintainer_is_not_answered(board: BoardDriver) -> None:
    """The bot does not answer a maintainer's mention."""
    talk = opened(board, "Something odd", "The table looks strange to me today.")
    talk.say("@steward-bot can you help?", board.form)
    assert talk.replies() == []


def test_an_account_gets_a_few_answers_at_most(board: BoardDriver) -> None:
    """An account that mentions the bot in every comment gets three answers at most."""
    talk = opened(board, "Something odd", "The table looks strange to me today.")
    for _ in range(6):
        talk.say("Thank you, @steward-bot!", board.bob)
    assert len(talk.replies()) == 3


def test_in_the_thread_of_a_request_no_mention_is_needed(board: BoardDriver) -> None:
    """In a request's thread the bot answers a question about that request without a mention, but no other comment."""
    board.context.board = board.context.board.model_copy(update={"threads": "always"})
    board.submit("ada/good", sender="ada")
    board.settle()
    (thread,) = [thread for thread in board.threads() if "ada/good" in thread.title]
    talk = Discussion(board, number=thread.num)
    before = len(talk.replies())
    talk.say("How long does it take?")
    assert "number 1 of 1" in talk.replies()[-1]
    talk.say("I hope that it does not take long until it is done.")
    assert len(talk.replies()) == before + 1
