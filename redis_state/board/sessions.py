"""Sessions of signed-in people: a random id in a cookie, and in Redis the person that the Hub reported.

Redis holds only the digest of an id: a reader of Redis cannot take over a session. A session ends after
SESSION_SECONDS, at the sign-out, and when Redis is lost; then people sign in again. No session is on the Hub, and no
token of a person is stored.
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

SESSION_SECONDS = 8 * 3600
"""The lifetime of a session, which is that of the Hub's own sign-ins for Spaces."""
_ID = re.compile(r"[\w-]{43}")


class SignInSession(BaseModel):
    """The session of one browser; the person's id and name are those that the Hub reported."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    person_id: str = Field(max_length=64)
    person_name: str = Field(max_length=96)
    maintains: bool = Field(
        default=False, description="whether they were admitted as a maintainer: pages then link the maintainers' pages"
    )

    @property
    def person(self) -> Person:
        """The signed-in person."""
        return Person(self.person_id, self.person_name)

    def as_maintainer(self) -> SignInSession:
        """The same session of a person who was admitted as a maintainer."""
        return self.model_copy(update={"maintains": True})


class SignInSessions:
    """The sessions of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def begin(self, session: SignInSession) -> str:
        """Store a new session and return its id for the cookie."""
        name = secrets.token_urlsafe(32)
        self._redis.set(self._key(name), session.model_dump_json(), ex=SESSION_SECONDS)
        return name

    def find(self, name: str) -> SignInSession | None:
        """The session with this id; None if there is none, or it has ended."""
        if not _ID.fullmatch(name):
            return None
        raw = self._redis.get(self._key(name))
        try:
            return SignInSession.model_validate_json(raw) if raw is not None else None
        except ValidationError:
            return None  # written by another version

    def note_maintainer(self, name: str) -> None:
        """Record that the session's person was admitted as a maintainer; its end stays the same."""
        session = self.find(name)
        if session is not None and not session.maintains:
            self._redis.set(self._key(name), session.as_maintainer().model_dump_json(), xx=True, keepttl=True)

    def end(self, name: str) -> None:
        """End the session with this id."""
        self._redis.delete(self._key(name))

    def _key(self, name: str) -> str:
        return self._keys.session(hashlib.sha256(name.encode()).hexdigest())


def form_token(name: str) -> str:
    """The token in the forms of the session with this id: only its own pages have it, and it does not reveal the id."""
    return hmac.digest(name.encode(), b"form", hashlib.sha256).hex()
