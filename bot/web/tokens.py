"""Whose token it is that a program shows: asked of the Hub with that token, and of nobody else.

The token is kept nowhere: not in Redis, not in a log, and here only as a keyed hash, under a key that this process
made up and that ends with it. What the Hub said is believed for BELIEVED seconds, also that nobody has the token.

These, and those of a sign-in, are the only calls that the web server makes. They have threads of their own, so that a
Hub that is slow holds up nobody else; and an address that shows tokens that nobody has is soon not asked about.
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
from bot.web.checks import client_name
from hub.client import Hub
from hub.errors import BadRequest, Denied, HubError, RateLimited
from hub.records import Account
from hub.retries import Retries
from redis_state.board.check_questions import CheckQuestions
from redis_state.redis import text

BEARER = HTTPBearer(auto_error=False, description="A token of the person who calls; it only shows who they are.")
TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]{1,4000}=*")
BELIEVED = 60.0
REMEMBERED = 1_000
"""Tokens whose owner is remembered, at most."""
CALLS, WAITING = 4, 64
"""Calls at a time, and those that may wait for their turn."""
SECONDS = 5.0
WRONG = 20
"""Tokens that nobody has which one address may show within a minute."""
RETRIES = Retries(attempts=2, timeout=SECONDS)

Owner = tuple[Account, str]
"""An account and its kind."""


class Owners:
    """Who stands behind tokens."""

    def __init__(self, context: BoardContext) -> None:
        self._desk = context
        self._questions = CheckQuestions(context.redis, context.keys)
        self._secret = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[float, Owner | None]] = OrderedDict()
        self._lock = threading.Lock()
        self._calls = CapacityLimiter(CALLS)

    async def person(self, token: str, client: str) -> Account:
        """The person who owns `token`, shown from the address `client`. Raises CannotAnswer where there is none."""
        if self._calls.statistics().tasks_waiting >= WAITING:
            raise _away("More people show a token at the moment than the Hub can be asked about.", 10)
        return await to_thread.run_sync(self._person, token, client, limiter=self._calls)

    def _person(self, token: str, client: str) -> Account:
        digest = hmac.digest(self._secret, token.encode(), hashlib.sha256)
        known, owner = self._remembered(digest)
        if not known:
            counter = f"token {client_name(client)}"
            self._refuse_guesses(counter)
            owner = self._ask(token)
            self._remember(digest, owner)
            if owner is None:
                self._questions.allows(counter, most=WRONG)
        if owner is None:
            raise unknown("The Hub does not accept this token.")
        return self.a_person(*owner)

    def a_person(self, account: Account, kind: str) -> Account:
        """`account`, if it is a person's and not our own. Raises CannotAnswer."""
        me = self._desk.redis.hget(self._desk.keys.hub_state, "me")
        if kind == "user" and (me is None or text(me) != account.id):
            return account
        message = "This token is not that of a person." if kind != "user" else "The leaderboard's bot is no person."
        raise CannotAnswer(
            403, ErrorResponse(code="no-person", message=message, advice="Use a token of your own account.")
        )

    def _ask(self, token: str) -> Owner | None:
        """What the Hub says; None where it does not know the token."""
        with Hub(self._desk.hub.endpoint, token, timeout=SECONDS, retries=RETRIES) as hub:
            try:
                return hub.whoami_and_kind()
            except (Denied, BadRequest):
                return None
            except RateLimited as error:
                raise _away("The Hub has no time to say whose token this is.", max(1, round(error.seconds))) from None
            except HubError:
                raise _away("The Hub does not say whose token this is.", 60) from None

    def _refuse_guesses(self, counter: str) -> None:
        if int(self._desk.redis.get(self._desk.keys.asked(counter)) or 0) >= WRONG:
            problem = ErrorResponse(
                code="too-many",
                message="Too many tokens that nobody has were shown from your address.",
                advice="Look for the right one, and try again in a minute.",
            )
            raise CannotAnswer(429, problem, {"retry-after": "60"})

    def _remembered(self, digest: bytes) -> tuple[bool, Owner | None]:
        with self._lock:
            until, owner = self._known.get(digest, (0.0, None))
            return until > time.monotonic(), owner

    def _remember(self, digest: bytes, owner: Owner | None) -> None:
        with self._lock:
            self._known.pop(digest, None)
            self._known[digest] = (time.monotonic() + BELIEVED, owner)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


def shown_token(bearer: HTTPAuthorizationCredentials) -> str:
    """The token that was shown. Raises CannotAnswer where it can be none."""
    if TOKEN.fullmatch(bearer.credentials) is None:
        raise unknown("There is no token.")
    return bearer.credentials


def unknown(message: str) -> CannotAnswer:
    """The answer to whoever shows no token, or none that the Hub knows."""
    advice = "Send `Authorization: Bearer hf_…` with a token of yours, from huggingface.co/settings/tokens."
    problem = ErrorResponse(code="bad-token", message=message, advice=advice)
    return CannotAnswer(401, problem, {"www-authenticate": "Bearer"})


def _away(message: str, seconds: int) -> CannotAnswer:
    problem = ErrorResponse(code="hub-away", message=message, advice=f"Nothing was done. Try again in {seconds} s.")
    return CannotAnswer(503, problem, {"retry-after": str(seconds)})
