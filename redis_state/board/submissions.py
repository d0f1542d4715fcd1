"""Submissions by programs: the web server stores them in Redis, a sync executes them and stores the answer.

    asked     the person, as the Hub reports them, and the arguments of `/submit`; stored for a day
    answer    the result, stored beside it once

A submission is identified by its person and their key, or else by its content: a program that sends it again within a
day reads the same answer, and nothing is done twice. Without a key, an answer that nothing was submitted expires within
a minute, so that a corrected model can be submitted with the same content.

Accepted: Redis is lost after a submission was stored, and before its file is on the Hub. The submission is lost; its
sender finds no request at the path in the response, and sends it again.
"""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.roles import Person
from redis_state.keys import Keys
from redis_state.redis import Redis, text

SUBMISSION = "submission"
"""The kind of the dirty keys: `submission:{digest}`."""
RETENTION, PENDING_RETENTION = 86_400, 60
"""Seconds for which a submission and its answer are stored; and an answer that nothing was submitted, without a key."""


class ApiSubmission(BaseModel):
    """One submission by a program. `arguments` are the checked ones of `/submit`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    person_id: str = Field(max_length=100)
    person_name: str = Field(max_length=100)
    arguments: dict[str, str] = Field(max_length=20)
    key: str = Field(default="", max_length=200, description="the sender's idempotency key; '' for none")
    at: float = Field(default=0.0, description="when it was stored; 0: by another version")

    @property
    def person(self) -> Person:
        """The person who submitted it."""
        return Person(self.person_id, self.person_name)

    @property
    def digest(self) -> str:
        """The submission's id, from the person's id, which no rename changes, and their key, or else its content."""
        identity = [self.person_id, self.key or sorted(self.arguments.items())]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]

    @property
    def cause(self) -> str:
        """The cause under which its effect is recorded, so that it happens once."""
        return f"api:{self.digest}"


class ApiSubmissions:
    """The submissions by programs to one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def put(self, submission: ApiSubmission) -> None:
        """Store it, unless it already waits for an answer. Mark `submission:{digest}` dirty afterwards."""
        key = self._keys.submission(submission.digest)
        with self._redis.pipeline() as pipe:
            pipe.hsetnx(key, "asked", submission.model_dump_json())
            pipe.expire(key, RETENTION, nx=True)
            pipe.execute()

    def find(self, digest: str) -> ApiSubmission | None:
        """The submission with this id; None if it expired."""
        raw = self._redis.hget(self._keys.submission(digest), "asked")
        try:
            return ApiSubmission.model_validate_json(text(raw)) if raw is not None else None
        except ValidationError:
            return None  # written by another version

    def answer(self, digest: str, body: str, *, seconds: int) -> None:
        """Store the answer for `seconds`."""
        key = self._keys.submission(digest)
        with self._redis.pipeline() as pipe:
            pipe.hset(key, "answer", body)
            pipe.expire(key, seconds)
            pipe.execute()

    def read(self, digest: str) -> bytes | None:
        """The answer, if there is one."""
        raw = self._redis.hget(self._keys.submission(digest), "answer")
        return text(raw).encode() if raw is not None else None
