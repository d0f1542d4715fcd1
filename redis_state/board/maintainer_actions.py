"""What somebody who is signed in wants of a sync process, which has the bot's token and can ask the Hub about roles.

    look    is this person a maintainer? Answered the same for LOOKED seconds
    wake    try a parked sync again, in the name of this person, whose role is read afresh

The web server notes an errand in Redis and marks `errand:{id}`; a sync carries it out and puts the answer beside it.
Accepted: Redis is lost meanwhile. The person sees that the sync is still parked, and asks again.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.roles import Person
from redis_state.keys import Keys
from redis_state.redis import Redis, text

MAINTAINER_ACTION = "errand"
"""The kind of the dirty keys: `errand:{id}`."""
RETENTION, ROLE_LASTS = 3_600, 120
"""Seconds for which an errand and its answer are kept, and for which the Hub's word about a role is believed."""

Code = Literal["maintainer", "stranger", "woken", "not-parked", "not-allowed"]
"""What may come of one: of a look the first two, of a wake the others."""


class MaintainerAction(BaseModel):
    """What one person wants. `at` in seconds since the epoch; `about` is the key to wake."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(max_length=64)
    person_id: str = Field(max_length=64)
    person_name: str = Field(max_length=96)
    what: Literal["look", "wake"]
    about: str = Field(default="", max_length=2_000)
    at: float

    @property
    def person(self) -> Person:
        """Who wants it."""
        return Person(self.person_id, self.person_name)


class MaintainerActionResult(BaseModel):
    """What came of an errand."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: Code


def role_check(person: Person, *, at: float) -> MaintainerAction:
    """The question whether `person` is a maintainer: one and the same whenever it is asked."""
    name = hashlib.sha256(person.id.encode()).hexdigest()[:24]
    return MaintainerAction(id=f"look-{name}", person_id=person.id, person_name=person.name, what="look", at=at)


def wake_sync(person: Person, key: str, *, at: float) -> MaintainerAction:
    """The order of `person` to try the sync of `key` again: another one each time."""
    name = secrets.token_hex(12)
    return MaintainerAction(id=name, person_id=person.id, person_name=person.name, what="wake", about=key, at=at)


class MaintainerActions:
    """The errands of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def put(self, maintainer_action: MaintainerAction) -> None:
        """Have it wait for an answer, unless it does already. Mark `errand:{id}` dirty afterwards."""
        key = self._keys.maintainer_action(maintainer_action.id)
        with self._redis.pipeline() as pipe:
            pipe.hsetnx(key, "asked", maintainer_action.model_dump_json())
            pipe.expire(key, RETENTION, nx=True)
            pipe.execute()

    def find(self, name: str) -> MaintainerAction | None:
        """The errand of this id; None where nobody waits for it any more."""
        raw = self._redis.hget(self._keys.maintainer_action(name), "asked")
        try:
            return MaintainerAction.model_validate_json(text(raw)) if raw is not None else None
        except ValidationError:
            return None  # noted by another version

    def settle(self, name: str, code: Code) -> Code:
        """What is to come of it: `code`, or what was settled before by a sync that died."""
        key = self._keys.maintainer_action(name)
        with self._redis.pipeline() as pipe:
            pipe.hsetnx(key, "settled", code)
            pipe.hget(key, "settled")
            _, settled = pipe.execute()
        return MaintainerActionResult.model_validate({"code": text(settled)}).code

    def answer(self, name: str, code: Code, *, seconds: int = RETENTION) -> None:
        """Keep the answer for `seconds`."""
        key = self._keys.maintainer_action(name)
        with self._redis.pipeline() as pipe:
            pipe.hset(key, "answer", MaintainerActionResult(code=code).model_dump_json())
            pipe.expire(key, seconds)
            pipe.execute()

    def read(self, name: str) -> Code | None:
        """The answer, where there is one."""
        raw = self._redis.hget(self._keys.maintainer_action(name), "answer")
        try:
            return MaintainerActionResult.model_validate_json(text(raw)).code if raw is not None else None
        except ValidationError:
            return None  # of another version
