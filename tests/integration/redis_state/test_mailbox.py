"""Messages from the web server to a sync, and what an earlier version stored under the same keys."""

from __future__ import annotations

import pytest
import redis

from leaderboard.roles import Person
from redis_state.board.mailbox import Mailbox, Message
from redis_state.board.messages import (
    ApiSubmission,
    CheckQuestion,
    MaintainerAction,
    MaintainerActionResult,
    role_check,
)
from redis_state.keys import Keys

KEYS = Keys("demo")
RESULT = MaintainerActionResult(code="woken")
SUBMISSION = (
    "steward:1:demo:submission:e013343736ae5070d7d4b87a",
    b'{"person_id":"6a","person_name":"ada","arguments":{"model":"ada/good","revision":"main","precision":"float32",'
    b'"weight_type":"Original","chat_template":"no"},"key":"","at":1795000000.5}',
)
ACTION = (
    "steward:1:demo:errand:look-0e9deef32abfc454392d2172",
    b'{"id":"look-0e9deef32abfc454392d2172","person_id":"6a","person_name":"ada","what":"look","about":"",'
    b'"at":1795000000.5}',
)
QUESTION = (
    "steward:1:demo:question:885a54fb70a435a3f5c32270",
    b'{"model":"ada/good","revision":"main","precision":"float32","weight_type":"Original"}',
)
"""Key and content as version 0.1.0 stores them; a question is a string, the others are the field `asked` of a hash."""


@pytest.fixture
def emptied(connection: redis.Redis) -> redis.Redis:
    """A connection to an empty Redis."""
    connection.flushall()
    return connection


def actions(connection: redis.Redis) -> Mailbox[MaintainerAction, MaintainerActionResult]:
    """The maintainers' actions."""
    return Mailbox(connection, KEYS, MaintainerAction, MaintainerActionResult)


def test_a_message_is_stored_once_and_expires_with_its_answer(emptied: redis.Redis) -> None:
    """The first message with an id stays; the answer changes when both expire."""
    mailbox, first = actions(emptied), role_check(Person("6a", "ada"), at=1.0)
    mailbox.put(first)
    mailbox.put(role_check(Person("6a", "renamed"), at=2.0))
    key = KEYS.message("errand", first.message_id)
    assert mailbox.find(first.message_id) == mailbox.unanswered(first.message_id) == first
    assert MaintainerAction.RETENTION - 60 < emptied.ttl(key) <= MaintainerAction.RETENTION
    mailbox.answer(first.message_id, RESULT, seconds=20)
    assert (mailbox.read(first.message_id), mailbox.unanswered(first.message_id)) == (RESULT, None)
    assert 0 < emptied.ttl(key) <= 20


def test_an_outcome_is_settled_once(emptied: redis.Redis) -> None:
    """A second sync of the same message gets the outcome of the first; one of an expired message expires too."""
    mailbox = actions(emptied)
    assert [mailbox.settle("x", outcome) for outcome in ("woken", "not-parked")] == ["woken", "woken"]
    assert 0 < emptied.ttl(KEYS.message("errand", "x")) <= MaintainerAction.RETENTION


def test_content_of_another_version_counts_as_absent(emptied: redis.Redis) -> None:
    """A message or an answer that this version cannot read raises no error."""
    emptied.hset(KEYS.message("errand", "x"), mapping={"asked": '{"what": "dance"}', "answer": '{"code": "danced"}'})
    assert (actions(emptied).find("x"), actions(emptied).read("x")) == (None, None)


@pytest.mark.parametrize(("kind", "recorded"), [(ApiSubmission, SUBMISSION), (MaintainerAction, ACTION)])
def test_an_earlier_version_and_this_one_read_each_others_messages(
    emptied: redis.Redis, kind: type[Message], recorded: tuple[str, bytes]
) -> None:
    """Key, field and content of a message, and of its answer, are those of version 0.1.0, byte for byte."""
    key, content = recorded
    mailbox = Mailbox(emptied, KEYS, kind, MaintainerActionResult)
    emptied.hset(key, "asked", content)
    message = mailbox.find(key.rpartition(":")[2])
    assert message is not None
    emptied.delete(key)
    mailbox.put(message)
    mailbox.answer(message.message_id, RESULT, seconds=20)
    assert emptied.hgetall(key) == {b"asked": content, b"answer": b'{"code":"woken"}'}


def test_a_question_of_an_earlier_version_is_left_alone(emptied: redis.Redis) -> None:
    """The same question has the same dirty key and another key in Redis, so neither version meets a wrong type."""
    key, content = QUESTION
    emptied.set(key, content)
    mailbox = Mailbox(emptied, KEYS, CheckQuestion, MaintainerActionResult)
    question = CheckQuestion.model_validate_json(content)
    assert question.dirty_key == f"check:{key.rpartition(':')[2]}"
    assert mailbox.find(question.message_id) is None
    mailbox.put(question)
    mailbox.answer(question.message_id, RESULT, seconds=20)
    assert mailbox.read(question.message_id) == RESULT
    assert emptied.get(key) == content
    assert emptied.get(f"steward:1:demo:answer:{question.message_id}") is None
