"""Actions that a signed-in person requests, executed by a sync, which has the bot's token and can read roles.

    look    whether this person is a maintainer; the answer is reused for ROLE_LASTS seconds
    wake    retry a parked sync on behalf of this person, whose role is read again

The web server stores an action in Redis and marks `errand:{id}`; a sync executes it and stores the answer beside it.
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
"""Seconds for which an action and its answer are stored, and for which a role that the Hub reported is reused."""

Code = Literal["maintainer", "stranger", "woken", "not-parked", "not-allowed"]
"""Results: the first two of a look, the others of a wake."""


class MaintainerAction(BaseModel):
    """One requested action. `at` in seconds since the epoch; `about` is the key to wake."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(max_length=64)
    person_id: str = Field(max_length=64)
    person_name: str = Field(max_length=96)
    what: Literal["look", "wake"]
    about: str = Field(default="", max_length=2_000)
    at: float

    @property
    def person(self) -> Person:
        """The person who requests it."""
        return Person(self.person_id, self.person_name)


class MaintainerActionResult(BaseModel):
    """The result of an action."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: Code


def role_check(person: Person, *, at: float) -> MaintainerAction:
    """The action that checks whether `person` is a maintainer; it has the same id each time."""
    name = hashlib.sha256(person.id.encode()).hexdigest()[:24]
    return MaintainerAction(id=f"look-{name}", person_id=person.id, person_name=person.name, what="look", at=at)


def wake_sync(person: Person, key: str, *, at: float) -> MaintainerAction:
    """The action of `person` to retry the sync of `key`; it has a new id each time."""
    name = secrets.token_hex(12)
    return MaintainerAction(id=name, person_id=person.id, person_name=person.name, what="wake", about=key, at=at)


class MaintainerActions:
    """The actions requested on one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def put(self, maintainer_action: MaintainerAction) -> None:
        """Store the action, unless it already waits for an answer. Mark `errand:{id}` dirty afterwards."""
        key = self._keys.maintainer_action(maintainer_action.id)
        with self._redis.pipeline() as pipe:
            pipe.hsetnx(key, "asked", maintainer_action.model_dump_json())
            pipe.expire(key, RETENTION, nx=True)
            pipe.execute()

    def find(self, name: str) -> MaintainerAction | None:
        """The action with this id; None if it expired."""
        raw = self._redis.hget(self._keys.maintainer_action(name), "asked")
        try:
            return MaintainerAction.model_validate_json(text(raw)) if raw is not None else None
        except ValidationError:
            return None  # written by another version

    def settle(self, name: str, code: Code) -> Code:
        """Record the result before it takes effect; return it, or an earlier one of a sync that died."""
        key = self._keys.maintainer_action(name)
        with self._redis.pipeline() as pipe:
            pipe.hsetnx(key, "settled", code)
            pipe.hget(key, "settled")
            _, settled = pipe.execute()
        return MaintainerActionResult.model_validate({"code": text(settled)}).code

    def answer(self, name: str, code: Code, *, seconds: int = RETENTION) -> None:
        """Store the answer for `seconds`."""
        key = self._keys.maintainer_action(name)
        with self._redis.pipeline() as pipe:
            pipe.hset(key, "answer", MaintainerActionResult(code=code).model_dump_json())
            pipe.expire(key, seconds)
            pipe.execute()

    def read(self, name: str) -> Code | None:
        """The answer, if there is one."""
        raw = self._redis.hget(self._keys.maintainer_action(name), "answer")
        try:
            return MaintainerActionResult.model_validate_json(text(raw)).code if raw is not None else None
        except ValidationError:
            return None  # written by another version
