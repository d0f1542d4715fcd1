"""The link of a worker that reaches only the bot's web server: calls about one attempt, with the attempt's token.

`bot.web.attempt_calls` answers them. No Redis needs to face the internet for such a worker, and its token is of no use
for anything but its attempt. Redirects are not followed: they would carry the token elsewhere.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.attempts import Outcome
from leaderboard.result_digests import ResultDigests
from redis_state.accepted_digests import MAX_ACCEPTED, AcceptedTasks, RefusedTasks
from redis_state.attempts import MAX_LOG, AttemptProgress, AttemptState, state_of
from redis_state.canaries import CanaryVerdict
from redis_state.jobs import EvaluationJob
from workers.errors import BoardUnreachable, CallRefused, WorkerError

TIMEOUT_SECONDS = 10.0
MAX_ANSWER = 4 << 20
REFUSALS = (413, 422)
"""The statuses of an answer that the same call always gets: it is too large, or not valid."""


class AttemptTokenRefused(BoardUnreachable):
    """The bot does not accept the attempt's token: it has expired, or the webhook secret was replaced twice."""


class JobGone(WorkerError):
    """The bot has no job for this worker: the attempt was recalled, has ended, or another worker has it."""


class TakenJob(BaseModel):
    """The job of the attempt, its time limit, and the texts of the board file and of the suite file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    job: EvaluationJob
    seconds: float = Field(gt=0)
    board: str = Field(max_length=1_000_000)
    suite: str = Field(max_length=1_000_000, description="empty: the suite ships with Steward")


class HttpsLink:
    """The link about one attempt. Each call raises BoardUnreachable while the bot does not answer.

    A call that the bot refuses for good raises CallRefused. `url` is the address of the board's pages; `worker` the
    name of this worker.
    """

    def __init__(
        self, url: str, attempt: str, token: str, *, worker: str, refused: threading.Event | None = None
    ) -> None:
        self.worker = worker
        self._url, self._attempt, self._token = url, attempt, token
        self._refused = refused or threading.Event()
        self._calls = _AttemptCalls(url, attempt, token, worker, self._refused)

    @property
    def is_refused(self) -> bool:
        """Whether the bot no longer accepts the token: the worker cannot end its attempt any more."""
        return self._refused.is_set()

    def take_job(self) -> TakenJob:
        """Take the attempt's job out of the queue.

        Raises JobGone, AttemptTokenRefused, BoardUnreachable, CallRefused.
        """
        try:
            return TakenJob.model_validate(self._calls.send("job"))
        except ValidationError as error:
            raise BoardUnreachable(f"the bot's answer is no job: {error.errors(include_input=False)[:3]}") from error

    def with_own_connection(self) -> HttpsLink:
        """The same board over another connection."""
        return HttpsLink(self._url, self._attempt, self._token, worker=self.worker, refused=self._refused)

    def attempts(self) -> HttpsAttempts:
        """The board's attempts, of which this link reaches one."""
        return HttpsAttempts(self._calls)

    def accepted_digests(self, suite: str) -> HttpsDigests:  # noqa: ARG002  # the bot knows the board's suite
        """The tasks that the board accepts for its suite."""
        return HttpsDigests(self._calls)

    def canaries(self, suite: str) -> HttpsCanary:
        """The canary of `suite`."""
        return HttpsCanary(self._calls, suite)

    def mark(self, path: str) -> None:  # noqa: ARG002  # the token says of which request the attempt is
        """Mark the attempt's request dirty."""
        self._calls.send("mark")

    def mark_key(self, key: str) -> None:
        """Do nothing: the bot marks the outbreak itself when a canary's verdict comes in."""


class HttpsAttempts:
    """`AttemptsLink` over HTTPS. It sends neither attempt, path nor time: the bot knows them."""

    def __init__(self, calls: _AttemptCalls) -> None:
        self._calls = calls

    def take(self, attempt: str, path: str, worker: str, *, now: float) -> bool:  # noqa: ARG002
        """Record that this worker took the job and asks for the claim; False if another worker beats for it."""
        return self._calls.send("take") is True

    def wait_for_claim(self, attempt: str, *, seconds: float, worker: str) -> bool | None:
        """Whether the bot granted the claim; None if there is no answer yet, after `seconds`."""
        state = self.read(attempt)
        answer = None
        if state is not None and state.worker in ("", worker):
            answer = {"claimed": True, "running": True, "void": False}.get(state.state)
        if answer is None:
            time.sleep(seconds)
        return answer

    def beat(self, attempt: str, progress: AttemptProgress, *, now: float, worker: str, path: str) -> bool:  # noqa: ARG002
        """Record a heartbeat and the progress; return whether the worker should go on."""
        return self._calls.send("beat", **asdict(progress)) is True

    def read(self, attempt: str) -> AttemptState | None:
        """The state of the attempt; None if the bot knows none."""
        fields = self._calls.send("state")
        if not isinstance(fields, dict):
            return None
        return state_of(attempt, {str(name): str(value) for name, value in fields.items()})

    def hand_back(self, attempt: str, *, worker: str) -> bool:  # noqa: ARG002
        """Free the attempt, because this worker stops; False if another worker holds it."""
        return self._calls.send("hand-back") is True

    def end(self, outcome: Outcome, log: str, *, worker: str) -> bool:  # noqa: ARG002
        """Store the outcome and the end of the log; False if another worker holds the attempt."""
        return self._calls.send("end", outcome=outcome.model_dump(mode="json"), log=_end_of(log)) is True

    def drop(self, attempt: str) -> None:  # noqa: ARG002
        """Stop watching the attempt for heartbeats."""
        self._calls.send("drop")


def _end_of(log: str) -> str:
    """The end of `log` that is at most MAX_LOG bytes as JSON, so that the bot accepts the call."""
    log = log[-MAX_LOG:]
    while len(json.dumps(log)) > MAX_LOG:
        log = log[len(log) // 4 + 1 :]
    return log


class HttpsDigests:
    """`DigestsLink` over HTTPS."""

    def __init__(self, calls: _AttemptCalls) -> None:
        self._calls = calls

    def read(self) -> AcceptedTasks:
        """The tasks that the board accepts for its suite."""
        try:
            accepted = _Accepted.model_validate(self._calls.send("accepted"))
        except ValidationError as error:
            raise BoardUnreachable(f"the bot's answer is malformed: {error.errors(include_input=False)[:3]}") from error
        return AcceptedTasks(accepted.fingerprints, accepted.reference)

    def refuse(self, refused: RefusedTasks) -> None:
        """Record that this worker's tasks differ, and that an operator must decide."""
        self._calls.send("refuse", refused=refused.model_dump(mode="json"))


class HttpsCanary:
    """`CanaryLink` over HTTPS, for `suite`."""

    def __init__(self, calls: _AttemptCalls, suite: str) -> None:
        self._calls = calls
        self.key = f"outbreak:{suite}"
        """The outbreak's dirty key, which the bot marks itself."""

    def take(self, worker: str) -> str | None:  # noqa: ARG002
        """Claim the canary for this worker and return its cause; None if no canary is due."""
        cause = self._calls.send("canary")
        return cause if isinstance(cause, str) else None

    def release(self, worker: str) -> None:  # noqa: ARG002
        """Give the canary back without a verdict."""
        self._calls.send("canary-release")

    def report(self, worker: str, verdict: CanaryVerdict) -> None:  # noqa: ARG002
        """Report the verdict of this worker, and give the canary back."""
        self._calls.send("canary-report", verdict=verdict.model_dump(mode="json"))


class _Accepted(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    fingerprints: frozenset[str] = Field(max_length=MAX_ACCEPTED)
    reference: ResultDigests | None = None


class _AttemptCalls:
    """Sends calls about one attempt over one connection. Threads need one each."""

    def __init__(self, url: str, attempt: str, token: str, worker: str, refused: threading.Event) -> None:
        self._refused = refused
        self._url = f"{url.rstrip('/')}/api/attempts/{quote(attempt, safe='')}/"
        self._worker = worker
        headers = {"authorization": f"Bearer {token}"}
        self._client = httpx2.Client(timeout=TIMEOUT_SECONDS, headers=headers, follow_redirects=False)

    def send(self, call: str, **fields: Any) -> Any:
        """The answer to one call. Raises BoardUnreachable, CallRefused, JobGone."""
        try:
            with self._client.stream("POST", self._url + call, json={"worker": self._worker, **fields}) as response:
                body = self._read(response)
        except httpx2.HTTPError as error:
            raise BoardUnreachable(f"the bot at {self._url} does not answer: {error}") from error
        if response.status_code == 401:
            self._refused.set()
            raise AttemptTokenRefused("the bot does not accept the token of this attempt")
        if response.status_code == 410 and call == "job":  # the bot answers no other call so; a proxy might
            raise JobGone("The bot has no job for this worker: the attempt was recalled, or another worker has it.")
        if response.status_code in REFUSALS:
            raise CallRefused(f"the bot refuses {call} with status {response.status_code}: {body[:200]!r}")
        if response.status_code != 200:
            raise BoardUnreachable(f"the bot answers {call} with status {response.status_code}: {body[:200]!r}")
        try:
            return json.loads(body)["answer"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BoardUnreachable(f"the bot's answer to {call} is malformed; perhaps a proxy sent it") from error

    def _read(self, response: httpx2.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER:
                raise BoardUnreachable("the bot's answer is too long")
        return bytes(body)
