"""Who looks at a page: nobody in particular, or a person whom the Hub named when they signed in.

The cookie is HttpOnly, SameSite=Lax, and of this host alone where pages are served over https; it says nothing of the
person. In a frame on another site browsers do not send it: there nobody is signed in, and nothing can be clicked on in
somebody's name.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from fastapi import Request, Response

from bot.core.context import BoardContext
from bot.read_models.models import ErrorResponse
from bot.web.answers import CannotAnswer
from hub.oauth import OAuthApp
from leaderboard.roles import Person
from redis_state.board.maintainer_actions import MAINTAINER_ACTION, MaintainerAction, MaintainerActions, role_check
from redis_state.board.sessions import SESSION_SECONDS, SignInSessions, form_token
from redis_state.dirty import SyncPriority

FORM_TOKEN, FORM_HEADER = "csrf", "x-csrf-token"
NOT_OURS = ErrorResponse(
    code="no-form-token",
    message="This was not sent from a page of ours, or the page is from an earlier sign-in.",
    advice="Reload the page and try again. A program sends its own token instead of a cookie.",
)


@dataclass(frozen=True)
class Visitor:
    """Somebody who is signed in. `maintains`, as far as it is known, decides what links are shown, and nothing else."""

    session: str
    person: Person
    maintains: bool = False

    @property
    def name(self) -> str:
        """Their name on the Hub."""
        return self.person.name

    @property
    def form_token(self) -> str:
        """What forms on the pages that they see hold."""
        return form_token(self.session)

    def expect(self, said: str | None) -> None:
        """Raises CannotAnswer unless `said` is what our own forms hold."""
        if not hmac.compare_digest(self.form_token.encode(), (said or "").encode("utf-8", "replace")):
            raise CannotAnswer(403, NOT_OURS)


class Visitors:
    """The visitors of one board; nobody is known where there is no `app` to sign in with."""

    def __init__(self, context: BoardContext, app: OAuthApp | None) -> None:
        self.context, self.app = context, app
        self.sessions = SignInSessions(context.redis, context.keys)
        self.maintainer_actions = MaintainerActions(context.redis, context.keys)
        self.is_secure = app is not None and app.redirect_uri.startswith("https://")
        self.cookie = self.cookie_name("session")

    def cookie_name(self, what: str) -> str:
        """The name of a cookie of ours, which over https no other host can set."""
        return f"__Host-steward-{what}" if self.is_secure else f"steward-{what}"

    def of(self, request: Request) -> Visitor | None:
        """Who sent `request`. A round trip to Redis where it has a cookie."""
        name = request.cookies.get(self.cookie, "")
        session = self.sessions.find(name) if self.app is not None and name else None
        if session is None:
            return None
        return Visitor(name, session.person, session.maintains or self.known_maintainer(session.person) is True)

    def known_maintainer(self, person: Person) -> bool | None:
        """Whether `person` is a maintainer; None where the Hub has to be asked."""
        if person.id in self.context.board.maintainers:
            return True
        if not self.context.board.maintainer_organisations:
            return False
        told = self.maintainer_actions.read(role_check(person, at=0.0).id)
        return None if told is None else told == "maintainer"

    def send(self, maintainer_action: MaintainerAction) -> None:
        """Have a sync carry out `errand`, before what nobody waits for."""
        self.maintainer_actions.put(maintainer_action)
        self.context.mark(f"{MAINTAINER_ACTION}:{maintainer_action.id}", SyncPriority.PERSON)

    def remember(self, response: Response, what: str, value: str, *, seconds: int = SESSION_SECONDS) -> None:
        """Have the browser keep `value`."""
        response.set_cookie(
            self.cookie_name(what),
            value,
            max_age=seconds,
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite="lax",
        )

    def forget(self, response: Response, what: str) -> None:
        """Have the browser keep it no more."""
        response.delete_cookie(self.cookie_name(what), path="/", secure=self.is_secure, httponly=True, samesite="lax")
