"""The bot gives a new thread one first answer by its kind, or leaves it to a maintainer."""

from __future__ import annotations

import pytest

from bot.threads.maintainers_list import READ_SECONDS, TITLE, waiting_threads
from leaderboard.boards import MaintainingOrganisation
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.discussion import Discussion, open_thread
from tests.support.board.maintained_board import add_maintainer


@pytest.fixture
def stand_with_maintainer(stand: BoardDriver) -> BoardDriver:
    """A board with a worker, whose maintainer is the form's account."""
    add_maintainer(stand, attempts=1)
    stand.worker()
    return stand


def test_a_thread_waits_for_a_person_also_when_it_is_too_old_for_an_answer(stand_with_maintainer: BoardDriver) -> None:
    """After eight days and the loss of Redis, threads without a maintainer's answer, and new comments, are listed."""
    stand = stand_with_maintainer
    answered = open_thread(stand, "Can I submit with trust_remote_code?", "Hello, my model needs it.")
    others = [open_thread(stand, "Rename ada/good", "To ada/better."), open_thread(stand, "Thank you", "An idea.")]
    stand.time += 8 * 86_400
    stand.context.redis.flushall()
    for talk in (answered, *others):
        talk.look()
    assert {thread.title for thread in waiting_threads(stand.context)} == {"Rename ada/good", "Thank you"}
    answered.say("That does not help me.")
    assert {thread.topic for thread in waiting_threads(stand.context)} == {"rename request", "other", "question"}
    assert [len(talk.replies()) for talk in (answered, *others)] == [1, 1, 0]
    for talk in (answered, *others):
        talk.say("I will look at it.", stand.form)
    assert waiting_threads(stand.context) == []


def test_who_writes_again_after_an_answer_is_heard_by_a_person(stand_with_maintainer: BoardDriver) -> None:
    """After an automatic answer, a further comment of the author puts the thread on the maintainers' list."""
    stand = stand_with_maintainer
    talk = open_thread(stand, "Can I submit with trust_remote_code?", "Hello, my model needs it.")
    talk.say("/help")
    assert waiting_threads(stand.context) == []
    talk.say("That does not help me.")
    assert [thread.topic for thread in waiting_threads(stand.context)] == ["question"]
    talk.say("I will help.", stand.form)
    assert waiting_threads(stand.context) == []


def test_members_of_a_maintaining_organisation_are_maintainers_here_too(stand: BoardDriver) -> None:
    """A member's reply takes a thread off the maintainers' list, and a member's own question gets no first answer."""
    organisation = MaintainingOrganisation(name="board", role="write")
    stand.context.board = stand.context.board.model_copy(update={"maintainer_organisations": (organisation,)})
    talk = open_thread(stand, "Thank you", "This is a great leaderboard.")
    assert len(waiting_threads(stand.context)) == 1
    talk.say("You are welcome.", stand.form)
    assert waiting_threads(stand.context) == []
    title, post = "Can I submit with trust_remote_code?", "Hello, my model needs it."
    opened = stand.form.create_discussion(REQUESTS, title, description=post, repo_type="dataset")
    own = Discussion(stand, number=opened.num)
    own.look()
    assert own.replies() == []
    assert waiting_threads(stand.context) == []
    assert len(open_thread(stand, title, post).replies()) == 1, "the same question of a user gets an answer"


@pytest.mark.parametrize(
    ("title", "post", "words"),
    [
        ("Can I submit with trust_remote_code?", "Hello, my model needs it.", "This answer is automatic"),
        ("[FLAG] ada/good", "It was trained on the test set.", "decide whether to flag it"),
        ("Rename ada/good", "It is ada/better now.", "I check each file"),
        ("Remove ada/good", "Please.", "The model's owner can write"),
        ("ada/good was wrongly flagged", "The data is clean.", "look at the flag again"),
        ("Duplicates", "ada/good is listed twice", "Only two rows with the same precision and commit"),
        (
            "Why does my model appear twice?",
            "ada/good is, with one sha",
            "Only two rows with the same precision and commit",
        ),
        ("ada/good: new version", "I want to re-submit, please remove it", "use `/resubmit`"),
    ],
)
def test_each_kind_of_thread_has_its_answer(
    stand_with_maintainer: BoardDriver, title: str, post: str, words: str
) -> None:
    """Each kind of thread gets one answer; unless it was automatic, the thread waits until a maintainer replies."""
    stand = stand_with_maintainer
    talk = open_thread(stand, title, post)
    (reply,) = talk.replies()
    assert words in reply
    waits = [thread.title for thread in waiting_threads(stand.context)]
    assert waits == ([] if "This answer is automatic" in reply else [title])
    talk.say("I will look at it.", stand.form)
    assert waiting_threads(stand.context) == []


def test_what_is_not_clear_is_left_to_people(stand_with_maintainer: BoardDriver) -> None:
    """An unclear question gets no answer, and appears on the maintainers' list without a notification."""
    stand = stand_with_maintainer
    talk = open_thread(stand, "Thank you", "This is a great leaderboard.")
    assert talk.replies() == []
    assert [thread.title for thread in waiting_threads(stand.context)] == ["Thank you"]
    stand.tick()
    stand.work()
    stand.time += READ_SECONDS
    stand.work()
    stand.time += 86_400
    talk.say("Seen.", stand.form)
    stand.tick()
    stand.work()
    (digest,) = [thread for thread in stand.threads() if thread.title == TITLE]
    assert len(digest.events) == 1
    assert "Nothing waits" in digest.events[0].content


def test_a_thread_that_refuses_comments_is_not_tried_again(stand_with_maintainer: BoardDriver) -> None:
    """A question in a locked thread gets no answer and no retry; once unlocked it gets one."""
    stand = stand_with_maintainer
    stand.hub.state.faults.fail("POST */comment", status=403, times=None)
    talk = open_thread(stand, "Can I submit with trust_remote_code?", "Hello, my model needs it.")
    assert (talk.replies(), stand.context.parking.all(), len(stand.context.dirty)) == ([], [], 0)
    assert not stand.context.redis.exists(stand.context.keys.dirty_tries)
    stand.hub.state.faults.clear()
    talk.look()
    assert len(talk.replies()) == 1


def test_a_question_is_not_answered_over_a_maintainer(stand_with_maintainer: BoardDriver) -> None:
    """The bot gives no automatic answer in a thread in which a maintainer has replied."""
    stand = stand_with_maintainer
    talk = Discussion(stand, "Can I submit with trust_remote_code?", "Hello, my model needs it.")
    talk.say("No.", stand.form)
    assert talk.replies() == []


def test_a_thread_with_a_command_is_answered_by_the_command_alone(stand_with_maintainer: BoardDriver) -> None:
    """A thread whose opening post has a command gets the command's reply and no first answer."""
    talk = open_thread(stand_with_maintainer, "My model ada/good failed", "/status ada/good")
    assert len(talk.replies()) == 1
    assert "`/status ada/good`" in talk.replies()[0]
