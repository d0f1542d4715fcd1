"""What people submit by a program: the web server notes it in Redis, a sync carries it out, and Redis has the answer.

    asked     who, by the Hub's word, and the arguments of `/submit`; there for a day
    answer    what came of it, put beside it once

Each is known by its person and by the key that they gave it, or else by what it asks for: whoever sends it again within
a day reads the same answer, and nothing is done twice. Where they gave no key, an answer that nothing was submitted is
forgotten within a minute: then a model that was mended can be submitted in the same words.

Accepted: Redis is lost after a submission was noted, and before its file is on the Hub. Nobody knows of it any more;
its sender finds no request at the path that they were told, and sends it again.
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
"""Seconds for which a submission and its answer are kept; and the answer that nothing was submitted, without a key."""


class ApiSubmission(BaseModel):
    """What one person submitted. `arguments` are those of `/submit`, as they were checked."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    person_id: str = Field(max_length=100)
    person_name: str = Field(max_length=100)
    arguments: dict[str, str] = Field(max_length=20)
    key: str = Field(default="", max_length=200, description="what its sender calls it; '' for nothing in particular")
    at: float = Field(default=0.0, description="when it was noted; 0: by another version")

    @property
    def person(self) -> Person:
        """Who submitted it."""
        return Person(self.person_id, self.person_name)

    @property
    def digest(self) -> str:
        """Its name: the person's id, which no rename changes, and their key, or else all that they ask for."""
        named = [self.person_id, self.key or sorted(self.arguments.items())]
        return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:24]

    @property
    def cause(self) -> str:
        """What it is called where it has an effect, so that it has it once."""
        return f"api:{self.digest}"


class ApiSubmissions:
    """The submissions by program to one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def put(self, submission: ApiSubmission) -> None:
        """Have it wait for an answer, unless it does already. Mark `submission:{digest}` dirty afterwards."""
        key = self._keys.submission(submission.digest)
        with self._redis.pipeline() as pipe:
            pipe.hsetnx(key, "asked", submission.model_dump_json())
            pipe.expire(key, RETENTION, nx=True)
            pipe.execute()

    def find(self, digest: str) -> ApiSubmission | None:
        """The submission of this name; None where nobody waits for its answer any more."""
        raw = self._redis.hget(self._keys.submission(digest), "asked")
        try:
            return ApiSubmission.model_validate_json(text(raw)) if raw is not None else None
        except ValidationError:
            return None  # noted by another version

    def answer(self, digest: str, body: str, *, seconds: int) -> None:
        """Keep the answer for `seconds`."""
        key = self._keys.submission(digest)
        with self._redis.pipeline() as pipe:
            pipe.hset(key, "answer", body)
            pipe.expire(key, seconds)
            pipe.execute()

    def read(self, digest: str) -> bytes | None:
        """The answer, where there is one."""
        raw = self._redis.hget(self._keys.submission(digest), "answer")
        return text(raw).encode() if raw is not None else None
