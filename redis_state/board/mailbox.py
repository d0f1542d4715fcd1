"""Mailboxes: the web server, which has no token, stores a message in Redis, and a sync stores the answer beside it.

A message is one hash, which expires:

    asked      JSON of the message; a later one with the same id does not replace it
    settled    the outcome, for messages whose outcome is recorded before it takes effect
    answer     JSON of the answer

Content that this version cannot read, because another one wrote it, counts as absent.
Accepted: Redis is lost before a message is answered. Its sender sees no effect, and sends it again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from redis_state.keys import Keys
from redis_state.redis import Redis, text


class Message(BaseModel, ABC):
    """A message to a sync. Its sender gets one answer for each `message_id`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    KIND: ClassVar[str]
    """The kind of its dirty keys, `{kind}:{message_id}`."""
    KEY: ClassVar[str]
    """The first part of its Redis key, `{KEY}:{message_id}`: `question`, `submission`, or `errand` for an action of a
    maintainer. The web server's Redis user may write the board's keys that begin with one of these words."""
    RETENTION: ClassVar[int]
    """Seconds for which it is stored."""

    @property
    @abstractmethod
    def message_id(self) -> str:
        """The id, which is part of its keys."""

    @property
    def dirty_key(self) -> str:
        """The key whose sync answers it."""
        return f"{self.KIND}:{self.message_id}"


M = TypeVar("M", bound=Message)
A = TypeVar("A", bound=BaseModel)
Content = TypeVar("Content", bound=BaseModel)


class Mailbox(Generic[M, A]):
    """The messages of one kind to one board, and their answers."""

    def __init__(self, redis: Redis, keys: Keys, message: type[M], answer: type[A]) -> None:
        self._redis, self._keys = redis, keys
        self._message, self._answer = message, answer

    def put(self, message: M) -> None:
        """Store the message unless it is stored already. Mark its dirty key afterwards."""
        key = self._key(message.message_id)
        with self._redis.pipeline() as pipe:
            pipe.hsetnx(key, "asked", message.model_dump_json())
            pipe.expire(key, message.RETENTION, nx=True)
            pipe.execute()

    def find(self, message_id: str) -> M | None:
        """The message; None if it expired."""
        return _parsed(self._message, self._redis.hget(self._key(message_id), "asked"))

    def unanswered(self, message_id: str) -> M | None:
        """The message, if it still waits for an answer."""
        return self.find(message_id) if self.read(message_id) is None else None

    def settle(self, message_id: str, outcome: str) -> str:
        """Record the outcome before it takes effect. Return it, or that which a sync recorded before it died."""
        key = self._key(message_id)
        with self._redis.pipeline() as pipe:
            pipe.hsetnx(key, "settled", outcome)
            pipe.hget(key, "settled")
            pipe.expire(key, self._message.RETENTION, nx=True)  # the message may just have expired
            _, settled, _ = pipe.execute()
        return text(settled)

    def answer(self, message_id: str, answer: A, *, seconds: int, rest: M | None = None) -> None:
        """Store the answer; it and the message expire after `seconds`.

        `rest` replaces the message: a copy without the fields that only the sync needed.
        """
        key = self._key(message_id)
        with self._redis.pipeline() as pipe:
            pipe.hset(key, "answer", answer.model_dump_json())
            if rest is not None:
                pipe.hset(key, "asked", rest.model_dump_json())
            pipe.expire(key, seconds)
            pipe.execute()

    def read(self, message_id: str) -> A | None:
        """The answer, if there is one."""
        return _parsed(self._answer, self._redis.hget(self._key(message_id), "answer"))

    def _key(self, message_id: str) -> str:
        return self._keys.message(self._message.KEY, message_id)


def _parsed(model: type[Content], raw: Any) -> Content | None:
    try:
        return model.model_validate_json(text(raw)) if raw is not None else None
    except ValidationError:
        return None
