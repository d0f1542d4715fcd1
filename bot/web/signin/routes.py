"""`/signin` with the Hub, its callback, `/signout`, and `/api/me`, which tells scripts who is signed in.

The callback checks in order: the browser's own cookie, the state, the person's consent; only then it calls the Hub.
These calls have threads of their own, so that a slow Hub delays no other request.
"""

from __future__ import annotations

from typing import Literal

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from bot.web.answers import PRIVATE, answer
from bot.web.api import PROBLEMS
from bot.web.frame import Frame
from bot.web.incoming import body_of, client_name, client_of, form_in, over_limit
from bot.web.signin import flow as flows
from bot.web.signin.app import CALLBACK
from bot.web.visitors import FORM_TOKEN, Visitors
from hub.errors import BadRequest, BadToken, Denied, HubError
from hub.oauth import Provider
from hub.records import Account
from leaderboard.roles import Person
from redis_state.board.messages import role_check
from redis_state.board.sessions import SignInSession

log = structlog.get_logger()

MAX_CALLS, MAX_WAITING = 4, 32
"""Sign-ins with a call to the Hub at the same time, and those that may wait for their turn."""
MAX_PER_MINUTE = 60
"""Callbacks from one address."""
SignInFailure = Literal["off", "forged", "refused", "denied", "away", "too-many"]
STATUSES: dict[SignInFailure, int] = {
    "off": 404,
    "forged": 400,
    "refused": 403,
    "denied": 403,
    "away": 503,
    "too-many": 429,
}
"""Why a sign-in failed → HTTP status; the template `signin_failed` has the sentences."""


class Me(BaseModel):
    """The visitor who is signed in, identified by the session cookie."""

    model_config = ConfigDict(frozen=True)

    can_sign_in: bool = Field(description="whether sign-in is set up here, at /signin")
    id: str | None = Field(default=None, description="user id on the Hub; null if the visitor is not signed in")
    name: str | None = None
    csrf: str | None = Field(default=None, description="send it as X-CSRF-Token with each request that changes data")


class SigningIn:
    """Executes the sign-ins of one board."""

    def __init__(self, visitors: Visitors, provider_url: str) -> None:
        self.visitors = visitors
        self.provider = Provider(provider_url, visitors.app) if visitors.app is not None else None
        self._calls = CapacityLimiter(MAX_CALLS)

    async def begin(self, next: str) -> Response | SignInFailure:
        """Redirect the browser to the Hub, or return why that fails."""
        if self.provider is None:
            return "off"
        if self._is_busy:
            return "away"
        flow = flows.begin(next)
        try:
            url = await to_thread.run_sync(
                lambda: _provider(self).authorize_url(state=flow.state, nonce=flow.nonce, challenge=flow.challenge),
                limiter=self._calls,
            )
        except HubError as error:
            return _failure(error)
        response = RedirectResponse(url, 303, PRIVATE)
        self.visitors.remember(response, "signin", flows.to_cookie(flow), seconds=flows.MAX_SECONDS)
        return response

    async def end(self, request: Request) -> Response | SignInFailure:
        """Sign in the person whom the Hub names, in a new session, and redirect to the page that they came from."""
        if self.provider is None:
            return "off"
        params = request.query_params
        flow = flows.read(request.cookies.get(self.visitors.cookie_name("signin"), ""))
        if flow is None or not flow.is_answered_by(params.get("state", "")):
            return "forged"
        code = params.get("code", "")
        if not code or len(code) > 2_000:
            return "denied" if params.get("error") == "access_denied" else "refused"
        if self._is_busy:
            return "away"
        try:
            account = await to_thread.run_sync(self._identify, flow, code, client_of(request), limiter=self._calls)
        except HubError as error:
            return _failure(error)
        if account is None:
            return "too-many"
        return await run_in_threadpool(self._signed_in, request, account, flow.next)

    @property
    def _is_busy(self) -> bool:
        """Whether so many sign-ins wait for the Hub that no more may wait."""
        return self._calls.statistics().tasks_waiting >= MAX_WAITING

    def _identify(self, flow: flows.Flow, code: str, client: str) -> Account | None:
        if over_limit(self.visitors.context, f"signin {client_name(client)}", limit=MAX_PER_MINUTE):
            return None
        return _provider(self).identify(code, verifier=flow.verifier, nonce=flow.nonce)

    def _signed_in(self, request: Request, account: Account, next: str) -> Response:
        if (old := request.cookies.get(self.visitors.cookie, "")) != "":
            self.visitors.sessions.end(old)
        name = self.visitors.sessions.begin(SignInSession(person_id=account.id, person_name=account.name))
        person, context = Person(account.id, account.name), self.visitors.context
        if self.visitors.known_maintainer(person) is None:
            # Asked now, so that the role is known when their next page decides whether to link the maintainers' pages.
            self.visitors.actions.send(role_check(person, at=context.now()))
        log.info("signed in", person=account.id, name=account.name)
        response = RedirectResponse(next, 303, PRIVATE)
        self.visitors.remember(response, "session", name)
        return response


def signin_routes(signing: SigningIn, frame: Frame) -> APIRouter:
    """The routes of one board."""
    routes = APIRouter()
    _add_signin(routes, signing, frame)
    _add_signout(routes, signing.visitors)
    _add_me(routes, signing.visitors)
    return routes


def _add_signin(routes: APIRouter, signing: SigningIn, frame: Frame) -> None:
    """Add the start of a sign-in and the callback, to which the Hub redirects the browser."""
    visitors = signing.visitors

    def failed(request: Request, reason: SignInFailure) -> Response:
        response = frame.page(request, "signin_failed", status=STATUSES[reason], alone=True, why=reason)
        visitors.forget(response, "signin")
        return response

    @routes.get("/signin", include_in_schema=False)
    async def signin(request: Request) -> Response:
        outcome = await signing.begin(request.query_params.get("next", "/"))
        return outcome if isinstance(outcome, Response) else await run_in_threadpool(failed, request, outcome)

    @routes.get(CALLBACK, include_in_schema=False)
    async def back(request: Request) -> Response:
        outcome = await signing.end(request)
        if not isinstance(outcome, Response):
            return await run_in_threadpool(failed, request, outcome)
        visitors.forget(outcome, "signin")
        return outcome


def _add_signout(routes: APIRouter, visitors: Visitors) -> None:
    @routes.post("/signout", include_in_schema=False)
    async def signout(request: Request) -> Response:
        fields = form_in(await body_of(request))
        visitor = await run_in_threadpool(visitors.of, request)
        response = RedirectResponse("/", 303, PRIVATE)
        if visitor is not None:
            visitor.expect(fields.get(FORM_TOKEN))
            await run_in_threadpool(visitors.sessions.end, visitor.session)
        visitors.forget(response, "session")
        return response


def _add_me(routes: APIRouter, visitors: Visitors) -> None:
    @routes.get("/api/me", tags=["api"], summary="Who is signed in", response_model=Me, responses=PROBLEMS)
    def me(request: Request) -> Response:
        """The visitor who is signed in, in this browser."""
        visitor, can_sign_in = visitors.of(request), visitors.app is not None
        if visitor is None:
            return answer(request, Me(can_sign_in=can_sign_in), headers=PRIVATE)
        signed_in = Me(can_sign_in=can_sign_in, id=visitor.person.id, name=visitor.name, csrf=visitor.form_token)
        return answer(request, signed_in, headers=PRIVATE)


def _provider(signing: SigningIn) -> Provider:
    assert signing.provider is not None
    return signing.provider


def _failure(error: HubError) -> SignInFailure:
    """Log the error, whose message names no secret, and return the reason for the visitor."""
    log.warning("sign-in failed", error=f"{type(error).__name__}: {error}"[:300])
    return "refused" if isinstance(error, BadToken | Denied | BadRequest) else "away"
