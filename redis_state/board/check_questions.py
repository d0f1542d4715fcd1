"""Checks that somebody asked for by way of the web server, which has no token: a sync answers, Redis carries both.

A question is known by what it asks: who asks the same while it is answered, or soon after, gets the same answer. Both
are forgotten by themselves; a question that nobody answered in time is asked anew.
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
"""Seconds for which a question waits, and for which its answer is good."""


class CheckQuestion(BaseModel):
    """Would this model be accepted?"""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str = Field(min_length=1, max_length=200)
    revision: str = Field(default="main", min_length=1, max_length=200)
    precision: str = Field(default=DEFAULT_PRECISION, min_length=1, max_length=32)
    weight_type: str = Field(default="Original", min_length=1, max_length=32)

    @property
    def digest(self) -> str:
        """Its name."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:24]


class CheckQuestions:
    """The questions to one board, and their answers."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def put(self, question: CheckQuestion) -> bool:
        """Have it wait for an answer; False where it does already. Mark `check:{digest}` dirty afterwards."""
        key = self._keys.question(question.digest)
        return bool(self._redis.set(key, question.model_dump_json(), nx=True, ex=QUESTION_RETENTION))

    def find(self, digest: str) -> CheckQuestion | None:
        """The question of this name; None where nobody waits for its answer any more."""
        raw = self._redis.get(self._keys.question(digest))
        try:
            return CheckQuestion.model_validate_json(raw) if raw is not None else None
        except ValidationError:
            return None  # asked by another version

    def answer(self, digest: str, body: str) -> None:
        """Keep the answer for those who ask within a minute."""
        with self._redis.pipeline() as pipe:
            pipe.set(self._keys.answer(digest), body, ex=ANSWER_RETENTION)
            pipe.delete(self._keys.question(digest))
            pipe.execute()

    def read(self, digest: str) -> bytes | None:
        """The answer, where there is one."""
        raw = self._redis.get(self._keys.answer(digest))
        return raw if isinstance(raw, bytes) else None

    def allows(self, counter: str, *, most: int, seconds: int = 60) -> int:
        """Count one more of `counter`, of which there may be `most` within `seconds`; 0, or how long to wait."""
        key = self._keys.asked(counter)
        with self._redis.pipeline() as pipe:
            pipe.incr(key)
            pipe.expire(key, seconds, nx=True)
            pipe.ttl(key)
            count, _, left = pipe.execute()
        return max(1, int(left)) if int(count) > most else 0
