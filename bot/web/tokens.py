"""Identify the owner of a token that a program sends, by asking the Hub with that token.

The token is stored nowhere: not in Redis, not in a log, and in memory only as a keyed hash, whose random key lives as
long as this process. The Hub's answer is cached for CACHE_SECONDS, also if the Hub does not know the token.

These calls, and those of a sign-in, are the web server's only calls to the Hub. They have threads of their own, so
that a slow Hub delays no other request. After MAX_WRONG unknown tokens within a minute, an address is refused
without a call.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import OrderedDict

from anyio import CapacityLimiter, to_thread
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bot.core.context import BoardContext
from bot.read_models.models import ErrorResponse
from bot.web.answers import CannotAnswer
from bot.web.incoming import client_name, over_limit
from hub.client import Hub
from hub.errors import BadRequest, BadToken, Denied, HubError, RateLimited
from hub.records import Account
from hub.retries import Retries
from redis_state.redis import text

BEARER = HTTPBearer(auto_error=False, description="A token of the caller; it is used only to identify them.")
TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]{1,4000}=*")
CACHE_SECONDS, MAX_CACHED = 60.0, 1_000
MAX_CALLS, MAX_WAITING = 4, 64
"""Calls to the Hub at the same time, and calls that may wait for their turn."""
TIMEOUT_SECONDS = 5.0
MAX_WRONG = 20
"""Unknown tokens that one address may send within a minute."""
RETRIES = Retries(attempts=2, timeout=TIMEOUT_SECONDS)

Owner = tuple[Account, str]
"""An account and its kind."""


class TokenOwners:
    """Identifies the owners of tokens."""

    def __init__(self, context: BoardContext) -> None:
        self._context = context
        self._secret = secrets.token_bytes(32)
        self._cache: OrderedDict[bytes, tuple[float, Owner | None]] = OrderedDict()
        self._lock = threading.Lock()
        self._calls = CapacityLimiter(MAX_CALLS)

    async def person(self, token: str, client: str) -> Account:
        """The person who owns `token`, sent from the address `client`. Raises CannotAnswer if there is none."""
        if self._calls.statistics().tasks_waiting >= MAX_WAITING:
            raise _away("Too many tokens have to be checked at the moment.", 10)
        return await to_thread.run_sync(self._person, token, client, limiter=self._calls)

    def _person(self, token: str, client: str) -> Account:
        digest = hmac.digest(self._secret, token.encode(), hashlib.sha256)
        is_cached, owner = self._cached(digest)
        if not is_cached:
            counter = f"token {client_name(client)}"
            self._refuse_guesses(counter)
            owner = self._ask(token)
            self._store(digest, owner)
            if owner is None:
                over_limit(self._context, counter, limit=MAX_WRONG)
        if owner is None:
            raise unknown("The Hub does not accept this token.")
        return self.check_person(*owner)

    def check_person(self, account: Account, kind: str) -> Account:
        """Return `account` if it is a person's and not the bot's own. Raises CannotAnswer."""
        me = self._context.redis.hget(self._context.keys.hub_state, "me")
        if kind == "user" and (me is None or text(me) != account.id):
            return account
        message = "This token does not belong to a person." if kind != "user" else "This is the token of the bot."
        raise CannotAnswer(
            403, ErrorResponse(code="no-person", message=message, advice="Use a token of your own account.")
        )

    def _ask(self, token: str) -> Owner | None:
        """The owner by the Hub's answer; None if the Hub does not know the token."""
        with Hub(self._context.hub.endpoint, token, timeout=TIMEOUT_SECONDS, retries=RETRIES) as hub:
            try:
                return hub.whoami_and_kind()
            except (BadToken, Denied, BadRequest):
                return None
            except RateLimited as error:
                seconds = max(1, round(error.seconds))
                raise _away("The Hub is too busy to identify the owner of this token.", seconds) from None
            except HubError:
                raise _away("The Hub could not identify the owner of this token.", 60) from None

    def _refuse_guesses(self, counter: str) -> None:
        if int(self._context.redis.get(self._context.keys.asked(counter)) or 0) >= MAX_WRONG:
            problem = ErrorResponse(
                code="too-many",
                message="Your address has sent too many unknown tokens.",
                advice="Check the token, and try again in a minute.",
            )
            raise CannotAnswer(429, problem, {"retry-after": "60"})

    def _cached(self, digest: bytes) -> tuple[bool, Owner | None]:
        with self._lock:
            until, owner = self._cache.get(digest, (0.0, None))
            return until > time.monotonic(), owner

    def _store(self, digest: bytes, owner: Owner | None) -> None:
        with self._lock:
            self._cache.pop(digest, None)
            self._cache[digest] = (time.monotonic() + CACHE_SECONDS, owner)
            while len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)


def shown_token(bearer: HTTPAuthorizationCredentials) -> str:
    """The token of the request. Raises CannotAnswer if it does not have the form of a token."""
    if TOKEN.fullmatch(bearer.credentials) is None:
        raise unknown("There is no token.")
    return bearer.credentials


def unknown(message: str) -> CannotAnswer:
    """The answer to a request without a token that the Hub knows."""
    advice = "Send `Authorization: Bearer hf_…` with a token of yours, from huggingface.co/settings/tokens."
    problem = ErrorResponse(code="bad-token", message=message, advice=advice)
    return CannotAnswer(401, problem, {"www-authenticate": "Bearer"})


def _away(message: str, seconds: int) -> CannotAnswer:
    problem = ErrorResponse(code="hub-away", message=message, advice=f"Nothing was done. Try again in {seconds} s.")
    return CannotAnswer(503, problem, {"retry-after": str(seconds)})
