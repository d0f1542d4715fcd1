"""`POST /api/attempts/{attempt}/{call}`: calls with which a worker without Redis reports on its attempt and reads it.

`workers.jobs.https_link` makes these calls. A call needs the attempt's token (`bot.core.attempt_tokens`), and reaches
nothing but this attempt: its job, its claim, its heartbeats, its outcome, and what all workers of the suite may read.
The bot takes the time from its own clock and the request's path from the token, never from the worker.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.core.attempt_tokens import AttemptGrant, AttemptTokens
from bot.core.context import BoardContext
from bot.read_models.models import ErrorResponse
from bot.web.answers import PRIVATE, CannotAnswer
from bot.web.incoming import body_of
from leaderboard.attempts import Outcome, dirty_key
from leaderboard.suites import shipped
from redis_state import jobs
from redis_state.accepted_digests import AcceptedDigests, RefusedTasks
from redis_state.attempts import MAX_LOG, MAX_OUTCOME, AttemptProgress, is_count
from redis_state.canaries import Canaries, CanaryVerdict
from redis_state.dirty import SyncPriority
from redis_state.errors import BadMessage

MAX_BYTES = 2 * (MAX_OUTCOME + MAX_LOG)
"""Bytes of the body of a call; JSON may double the bytes of a log."""
WRONG_TOKEN = ErrorResponse(
    code="wrong-token",
    message="This is no token of this attempt, or it has expired.",
    advice="The bot starts a worker with the token of its attempt; it is of no use for another one.",
)


class _AttemptCall(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    worker: str = Field(min_length=1, max_length=200)


class _Beat(_AttemptCall):
    phase: str = Field(max_length=32)
    done: int = Field(ge=0)
    total: int = Field(ge=0)
    replayed: int = Field(default=0, ge=0)


class _End(_AttemptCall):
    outcome: Outcome
    log: str = Field(max_length=2 * MAX_LOG)


class _Refused(_AttemptCall):
    refused: RefusedTasks


class _Verdict(_AttemptCall):
    verdict: CanaryVerdict


class AttemptCalls:
    """Answers the calls of workers about attempts of one board. `context` is connected to Redis as the workers'
    account, which may take jobs and write attempts; the web server's own account may not."""

    def __init__(self, context: BoardContext, tokens: AttemptTokens, board_file: Path) -> None:
        self._context = context
        self._tokens = tokens
        self._board_file = board_file
        self._calls: Mapping[str, tuple[type[_AttemptCall], Callable[[AttemptGrant, Any], Any]]] = {
            "job": (_AttemptCall, self._job),
            "take": (_AttemptCall, self._take),
            "state": (_AttemptCall, self._state),
            "beat": (_Beat, self._beat),
            "drop": (_AttemptCall, self._drop),
            "hand-back": (_AttemptCall, self._hand_back),
            "end": (_End, self._end),
            "mark": (_AttemptCall, self._mark),
            "accepted": (_AttemptCall, self._accepted),
            "refuse": (_Refused, self._refuse),
            "canary": (_AttemptCall, self._take_canary),
            "canary-release": (_AttemptCall, self._release_canary),
            "canary-report": (_Verdict, self._report_canary),
        }

    def grant(self, attempt: str, authorization: str) -> AttemptGrant:
        """Return what the caller's token permits. Raises CannotAnswer if the token is not valid for `attempt`."""
        scheme, _, token = authorization.partition(" ")
        grant = self._tokens.read(token.strip(), now=self._context.now()) if scheme.lower() == "bearer" else None
        if grant is None or grant.attempt != attempt:
            raise CannotAnswer(401, WRONG_TOKEN, {"www-authenticate": "Bearer"})
        return grant

    def answer(self, grant: AttemptGrant, call: str, body: bytes) -> Any:
        """Carry out one call and return its answer. Raises CannotAnswer, and RedisError."""
        if call not in self._calls:
            raise CannotAnswer(404, ErrorResponse(code="no-such-call", message="There is no such call."))
        model, method = self._calls[call]
        try:
            return method(grant, model.model_validate_json(body))
        except ValidationError as error:
            problem = ErrorResponse(code="bad-call", message=f"The call is not valid: {_where(error)}.")
            raise CannotAnswer(422, problem) from error

    # --- the calls

    def _job(self, grant: AttemptGrant, _: _AttemptCall) -> dict[str, Any]:
        try:
            job = jobs.take_out(self._context.redis, self._context.queues, grant.attempt)
        except BadMessage as error:
            raise CannotAnswer(410, ErrorResponse(code="job-gone", message=str(error)[:500])) from error
        if job is None:
            message = "No worker is needed for this attempt: it was recalled, has ended, or another worker has it."
            raise CannotAnswer(410, ErrorResponse(code="job-gone", message=message))
        suite = self._context.board.suite
        return {
            "job": job.model_dump(mode="json"),
            "seconds": grant.seconds,
            "board": self._board_file.read_text("utf-8"),
            "suite": "" if suite in shipped() else Path(suite).read_text("utf-8"),
        }

    def _take(self, grant: AttemptGrant, body: _AttemptCall) -> bool:
        taken = self._context.attempts.take(grant.attempt, grant.path, body.worker, now=self._context.now())
        if taken:
            self._mark(grant, body)
        return taken

    def _state(self, grant: AttemptGrant, _: _AttemptCall) -> dict[str, Any] | None:
        state = self._context.attempts.read(grant.attempt)
        if state is None:
            return None
        progress = state.progress
        return {
            "state": state.state,
            "path": state.path,
            "worker": state.worker,
            "beat": state.beat,
            "started": state.started,
            "phase": progress.phase,
            "done": progress.done,
            "total": progress.total,
            "replayed": progress.replayed,
        }

    def _beat(self, grant: AttemptGrant, body: _Beat) -> bool:
        if not all(map(is_count, (body.done, body.total, body.replayed))):
            raise CannotAnswer(422, ErrorResponse(code="bad-call", message="No attempt has so many requests."))
        progress = AttemptProgress(body.phase, body.done, body.total, body.replayed)
        return self._context.attempts.beat(
            grant.attempt, progress, now=self._context.now(), worker=body.worker, path=grant.path
        )

    def _drop(self, grant: AttemptGrant, body: _AttemptCall) -> None:
        state = self._context.attempts.read(grant.attempt)
        if state is None or state.worker in ("", body.worker):
            self._context.attempts.drop(grant.attempt)

    def _hand_back(self, grant: AttemptGrant, body: _AttemptCall) -> bool:
        handed_back = self._context.attempts.hand_back(grant.attempt, worker=body.worker)
        self._mark(grant, body)
        return handed_back

    def _end(self, grant: AttemptGrant, body: _End) -> bool:
        if (body.outcome.attempt, body.outcome.path) != (grant.attempt, grant.path):
            message = "This outcome is one of another attempt."
            raise CannotAnswer(422, ErrorResponse(code="bad-call", message=message))
        ended = self._context.attempts.end(body.outcome, body.log, worker=body.worker)
        self._mark(grant, body)
        return ended

    def _mark(self, grant: AttemptGrant, _: _AttemptCall) -> None:
        self._context.mark(dirty_key(grant.path), SyncPriority.PERSON)

    def _accepted(self, _: AttemptGrant, __: _AttemptCall) -> dict[str, Any]:
        accepted = self._digests().read()
        reference = accepted.reference
        return {
            "fingerprints": sorted(accepted.fingerprints),
            "reference": None if reference is None else reference.model_dump(mode="json"),
        }

    def _refuse(self, grant: AttemptGrant, body: _Refused) -> None:
        if body.refused.worker != body.worker:
            raise CannotAnswer(422, ErrorResponse(code="bad-call", message="This names another worker."))
        self._digests().refuse(body.refused.of_run(grant.attempt, now=self._context.now()))

    # The canary belongs to the suite: an attempt can neither release one that another worker took, nor report about it.

    def _take_canary(self, grant: AttemptGrant, _: _AttemptCall) -> str | None:
        return self._canaries().take(grant.attempt)

    def _release_canary(self, grant: AttemptGrant, _: _AttemptCall) -> None:
        self._canaries().release(grant.attempt)

    def _report_canary(self, grant: AttemptGrant, body: _Verdict) -> None:
        canaries = self._canaries()
        if canaries.report(grant.attempt, body.verdict):
            self._context.mark(canaries.key, SyncPriority.PERSON)

    def _digests(self) -> AcceptedDigests:
        return AcceptedDigests(self._context.redis, self._context.keys, self._context.suite.digest)

    def _canaries(self) -> Canaries:
        return Canaries(self._context.redis, self._context.keys, self._context.suite.name)


def attempt_routes(calls: AttemptCalls) -> APIRouter:
    """The route of all calls of workers without Redis; it is not in the public OpenAPI document."""
    routes = APIRouter(prefix="/api/attempts", include_in_schema=False)

    @routes.post("/{attempt}/{call}")
    async def call_about(request: Request, attempt: str, call: str) -> Response:
        grant = calls.grant(attempt, request.headers.get("authorization", ""))
        body = await body_of(request, limit=MAX_BYTES)
        answer = await to_thread.run_sync(calls.answer, grant, call, body)
        return JSONResponse({"answer": answer}, headers=PRIVATE)

    return routes


def _where(error: ValidationError) -> str:
    """The fields that are not valid, without their values: an outcome may hold a secret."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return json.dumps([[".".join(map(str, problem["loc"]))[:100], problem["msg"][:200]] for problem in problems[:5]])
