"""Who is signed in, in which browser: a random id in a cookie, and the person whom the Hub named, in Redis.

Redis holds the digest of an id and never the id itself: whoever reads Redis cannot become anybody. A session ends
after LASTS, at the sign-out, and when Redis is lost; then people sign in again. Nothing of it is on the Hub, and no
token of a person is kept anywhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.roles import Person
from redis_state.keys import Keys
from redis_state.redis import Redis

LASTS = 8 * 3600
"""Seconds, as long as the Hub's own sign-ins for Spaces."""
_ID = re.compile(r"[\w-]{43}")


class SignInSession(BaseModel):
    """One browser in which somebody is signed in; the id and the name are those that the Hub told."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    person_id: str = Field(max_length=64)
    person_name: str = Field(max_length=96)
    maintains: bool = Field(default=False, description="they were let in as a maintainer: pages name the way there")

    @property
    def person(self) -> Person:
        """Who it is."""
        return Person(self.person_id, self.person_name)


class SignInSessions:
    """The sessions of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def begin(self, session: SignInSession) -> str:
        """The id for the cookie of a new one."""
        name = secrets.token_urlsafe(32)
        self._redis.set(self._key(name), session.model_dump_json(), ex=LASTS)
        return name

    def find(self, name: str) -> SignInSession | None:
        """The session of this id; None where there is none any more."""
        if not _ID.fullmatch(name):
            return None
        raw = self._redis.get(self._key(name))
        try:
            return SignInSession.model_validate_json(raw) if raw is not None else None
        except ValidationError:
            return None  # of another version

    def note_maintainer(self, name: str) -> None:
        """Remember that whoever this is was let in as a maintainer; the session ends when it would have."""
        session = self.find(name)
        if session is not None and not session.maintains:
            noted = session.model_copy(update={"maintains": True})
            self._redis.set(self._key(name), noted.model_dump_json(), xx=True, keepttl=True)

    def end(self, name: str) -> None:
        """Nobody is signed in by this id any more."""
        self._redis.delete(self._key(name))

    def _key(self, name: str) -> str:
        return self._keys.session(hashlib.sha256(name.encode()).hexdigest())


def form_token(name: str) -> str:
    """What forms of the session of this id have to hold: only its own pages know it, and it does not tell the id."""
    return hmac.digest(name.encode(), b"form", hashlib.sha256).hex()
