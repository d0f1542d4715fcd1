"""Visitors who are signed in: their session cookie, and whether they are maintainers.

The cookie is HttpOnly, SameSite=Lax, bound to this host if pages are served over https, and holds no personal data.
Browsers do not send it from a frame on another site: there no visitor is signed in, and no click acts in their name.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from fastapi import Request, Response

from bot.core.context import BoardContext
from bot.read_models.models import ErrorResponse
from bot.web.answers import CannotAnswer
from bot.web.asking import SyncAsker
from bot.web.incoming import over_limit
from hub.oauth import OAuthApp
from leaderboard.roles import Person
from redis_state.board.messages import MaintainerAction, MaintainerActionResult, ownership_check, role_check
from redis_state.board.sessions import SESSION_SECONDS, SignInSessions, form_token
from redis_state.dirty import SyncPriority

MAX_LOOKS, MAX_NAME = 10, 100
"""Organisations per minute for which a sync is asked one person's role; characters of an organisation's name."""
FORM_TOKEN, FORM_HEADER = "csrf", "x-csrf-token"
NOT_OURS = ErrorResponse(
    code="no-form-token",
    message="This was not sent from a page of ours, or the page is from an earlier sign-in.",
    advice="Reload the page and try again. A program sends its own token instead of a cookie.",
)


@dataclass(frozen=True)
class Visitor:
    """A person who is signed in. `maintains` decides only which links are shown: it may be out of date."""

    session: str
    person: Person
    maintains: bool = False

    @property
    def name(self) -> str:
        """The person's name on the Hub."""
        return self.person.name

    @property
    def form_token(self) -> str:
        """The token in the forms of this visitor's pages."""
        return form_token(self.session)

    def expect(self, token: str | None) -> None:
        """Raise CannotAnswer unless `token` is this visitor's form token."""
        if not hmac.compare_digest(self.form_token.encode(), (token or "").encode("utf-8", "replace")):
            raise CannotAnswer(403, NOT_OURS)


class Visitors:
    """The visitors of one board. Without an OAuth `app`, no visitor is ever signed in."""

    def __init__(self, context: BoardContext, app: OAuthApp | None) -> None:
        self.context, self.app = context, app
        self.sessions = SignInSessions(context.redis, context.keys)
        self.actions = SyncAsker(context, MaintainerAction, MaintainerActionResult, SyncPriority.PERSON)
        self.is_secure = app is not None and app.redirect_uri.startswith("https://")
        self.cookie = self.cookie_name("session")

    def cookie_name(self, purpose: str) -> str:
        """The name of the cookie for `purpose`; over https no other host can set it."""
        return f"__Host-steward-{purpose}" if self.is_secure else f"steward-{purpose}"

    def of(self, request: Request) -> Visitor | None:
        """The signed-in visitor who sent `request`. One round trip to Redis if it has a cookie."""
        name = request.cookies.get(self.cookie, "")
        session = self.sessions.find(name) if self.app is not None and name else None
        if session is None:
            return None
        return Visitor(name, session.person, session.maintains or self.known_maintainer(session.person) is True)

    def known_maintainer(self, person: Person) -> bool | None:
        """Whether `person` is a maintainer; None if a sync has to ask the Hub."""
        if person.id in self.context.board.maintainers:
            return True
        if not self.context.board.maintainer_organisations:
            return False
        answer = self.actions.mailbox.read(role_check(person, at=0.0).message_id)
        return None if answer is None else answer.code == "maintainer"

    def owns(self, visitor: Visitor, model: str) -> bool:
        """Whether `visitor` may write to `model`, as far as is known: it decides only which buttons are shown.

        A sync asks the Hub for the role in an organisation; the next view of the page finds its answer.
        """
        namespace, has_namespace, _ = model.partition("/")
        if not has_namespace or namespace.lower() == visitor.name.lower():
            return bool(has_namespace)
        check = ownership_check(visitor.person, namespace[:MAX_NAME], at=self.context.now())
        answer = self.actions.mailbox.read(check.message_id)
        if answer is None and not over_limit(self.context, f"own {visitor.person.id}", limit=MAX_LOOKS):
            self.actions.send(check)
        return answer is not None and answer.code == "owner"

    def remember(self, response: Response, purpose: str, value: str, *, seconds: int = SESSION_SECONDS) -> None:
        """Set the cookie for `purpose`."""
        response.set_cookie(
            self.cookie_name(purpose),
            value,
            max_age=seconds,
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite="lax",
        )

    def forget(self, response: Response, purpose: str) -> None:
        """Delete the cookie for `purpose`."""
        response.delete_cookie(
            self.cookie_name(purpose), path="/", secure=self.is_secure, httponly=True, samesite="lax"
        )
