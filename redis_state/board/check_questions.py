"""Checks of models that clients request from the web server: a sync, which has the token, answers them through Redis.

A question is identified by its content: clients that ask the same while it is answered, or soon after, get the same
answer. Both expire; after a question expired unanswered, it can be asked again.
"""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.options import DEFAULT_PRECISION
from redis_state.keys import Keys
from redis_state.redis import Redis

CHECK = "check"
"""The kind of the dirty keys: `check:{digest}`."""
QUESTION_RETENTION, ANSWER_RETENTION = 120, 60
"""Seconds for which a question waits, and for which its answer is stored."""


class CheckQuestion(BaseModel):
    """The question whether the board would accept a model."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str = Field(min_length=1, max_length=200)
    revision: str = Field(default="main", min_length=1, max_length=200)
    precision: str = Field(default=DEFAULT_PRECISION, min_length=1, max_length=32)
    weight_type: str = Field(default="Original", min_length=1, max_length=32)

    @property
    def digest(self) -> str:
        """The question's id, derived from its content."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:24]


class CheckQuestions:
    """The questions about one board, and their answers."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def put(self, question: CheckQuestion) -> bool:
        """Store the question; False if it already waits for an answer. Mark `check:{digest}` dirty afterwards."""
        key = self._keys.question(question.digest)
        return bool(self._redis.set(key, question.model_dump_json(), nx=True, ex=QUESTION_RETENTION))

    def find(self, digest: str) -> CheckQuestion | None:
        """The question with this id; None if it was answered or expired."""
        raw = self._redis.get(self._keys.question(digest))
        try:
            return CheckQuestion.model_validate_json(raw) if raw is not None else None
        except ValidationError:
            return None  # written by another version

    def answer(self, digest: str, body: str) -> None:
        """Store the answer for ANSWER_RETENTION seconds, and remove the question."""
        with self._redis.pipeline() as pipe:
            pipe.set(self._keys.answer(digest), body, ex=ANSWER_RETENTION)
            pipe.delete(self._keys.question(digest))
            pipe.execute()

    def read(self, digest: str) -> bytes | None:
        """The answer, if there is one."""
        raw = self._redis.get(self._keys.answer(digest))
        return raw if isinstance(raw, bytes) else None

    def allows(self, counter: str, *, most: int, seconds: int = 60) -> int:
        """Add one to `counter`; return 0 if there are at most `most` within `seconds`, else the seconds to wait."""
        key = self._keys.asked(counter)
        with self._redis.pipeline() as pipe:
            pipe.incr(key)
            pipe.expire(key, seconds, nx=True)
            pipe.ttl(key)
            count, _, left = pipe.execute()
        return max(1, int(left)) if int(count) > most else 0
