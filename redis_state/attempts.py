"""The state of attempts in progress: how the bot and a worker communicate about one evaluation.

    queued ──> taken ──> claimed ──> running ──> ended
                 └─────> void                      (the bot refused the claim: the board no longer needs the attempt)
    any of them ──> handed-back                    (the worker stopped; the same attempt may be queued again)

The bot writes `queued`, `claimed` and `void`; the worker writes the other states. A worker beats every BEAT seconds; an
attempt whose last beat is older than LOST is lost, whatever RQ's registries say. Redis may lose all of this: the
request file names the current attempt, and the details repo holds its results.

Race closed: a job is in the queue twice, because a scheduler or a dispatch acted on data that it had read before the
network was cut. A worker that takes an attempt for which another worker beats is refused, in one script.
Race closed: a dispatch reads that no worker has the attempt, a worker takes it, and the dispatch writes `queued`, which
would hide the worker's claim. An attempt for which a worker beats cannot be queued, also in one script.
Race closed: a worker is cut off for longer than LOST, another worker gets its attempt, and the first one returns. The
answers to its beats stop it; it can neither read the other's claim, nor end, nor hand back the attempt.
Race closed: the bot grants a claim while its worker hands the attempt back. A claim without a waiting worker is not
granted.
Race closed: a beat is executed after the end of its attempt, because Redis or a proxy delayed it.
Race closed: a worker beats by a clock ahead of the bot's, or the bot's clock is set back, and then the worker dies. The
scheduler dates such a beat back to its own time (`alive`), so the attempt is lost LOST seconds later.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import ValidationError

from leaderboard.attempts import Outcome
from redis_state import attempt_scripts as scripts
from redis_state.errors import BadMessage
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

BEAT = float(os.environ.get("STEWARD_BEAT_SECONDS", "10"))
"""Seconds between two heartbeats. All processes of a board must agree on it; only tests change it."""
LOST = 3.5 * BEAT
"""Seconds without a heartbeat after which an attempt, or a worker, is lost."""
FIRST_BEATS = 2 * BEAT + 5
"""Seconds after an outage of Redis or of the bot within which each running worker has sent its next heartbeat."""
RETENTION, RETENTION_WAITING = 86_400, 30 * 86_400
"""Seconds for which Redis stores an attempt without heartbeats, and one that no worker has."""
MAX_OUTCOME, MAX_LOG = 128 * 1024, 256 * 1024
"""Largest outcome that is read, and largest log that is stored, in bytes."""
MAX_HARNESS_REQUESTS = 10**12
"""Requests of the harness that an attempt can have."""

FIELDS = ("path", "state", "worker", "beat", "phase", "done", "total", "replayed", "started")
State = Literal["queued", "taken", "claimed", "void", "running", "ended", "handed-back"]


@dataclass(frozen=True)
class AttemptProgress:
    """The progress of a running attempt: `done` of `total` requests of the harness; total 0 means not known yet.

    `replayed` of the requests that are done were answered by an earlier attempt.
    """

    phase: str
    done: int = 0
    total: int = 0
    replayed: int = 0


@dataclass(frozen=True)
class AttemptState:
    """The state of one attempt in Redis."""

    attempt: str
    path: str
    state: State
    worker: str
    beat: float
    progress: AttemptProgress
    started: float


class Attempts:
    """Reads and writes the attempts of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis = redis
        self.keys = keys
        self._take = redis.register_script(scripts.TAKE)
        self._queued = redis.register_script(scripts.QUEUED)
        self._answer = redis.register_script(scripts.ANSWER)
        self._beat = redis.register_script(scripts.BEAT)
        self._hand_back = redis.register_script(scripts.HAND_BACK)
        self._end = redis.register_script(scripts.END)
        self._date_back = redis.register_script(scripts.DATE_BACK)

    # --- the bot's side

    def queued(self, attempt: str, path: str, *, now: float) -> bool:
        """Set the state of an attempt that the bot puts into RQ; False, unchanged, if a worker beats for it."""
        return bool(self._queued(keys=[self.keys.attempt(attempt)], args=[path, now, LOST, RETENTION_WAITING]))

    def answer_claim(self, attempt: str, *, granted: bool) -> bool:
        """Answer the worker that took `attempt`: whether the request file now says RUNNING with its id.

        Returns False without an answer if the claim would be granted but no worker waits for it, for instance because
        the attempt was handed back. After a refusal no worker holds the attempt; the next one may take it.
        """
        names = [self.keys.attempt(attempt), self.keys.claim(attempt)]
        return bool(self._answer(keys=names, args=["claimed" if granted else "void", RETENTION]))

    def cancel(self, attempt: str) -> None:
        """Ask the worker that runs `attempt` to stop; the answer to its next heartbeat says so."""
        self._write(attempt, {"cancel": 1})

    # --- the worker's side

    def take(self, attempt: str, path: str, worker: str, *, now: float) -> bool:
        """Record that a worker took the job and asks for the claim. Mark the request dirty afterwards.

        False, unchanged, if another worker beats for this attempt. Clears what an earlier run of the attempt left.
        """
        names = [self.keys.attempt(attempt), self.keys.claim(attempt), self.keys.claims, self.keys.attempts]
        return bool(self._take(keys=names, args=[worker, path, now, LOST, RETENTION, attempt]))

    def wait_for_claim(self, attempt: str, *, seconds: float, worker: str) -> bool | None:
        """Return whether the bot granted the claim to `worker`; None if no answer came within `seconds`."""
        if self.redis.blpop([self.keys.claim(attempt)], timeout=seconds) is None:
            return None
        state = self.read(attempt)
        if state is None or state.worker not in ("", worker):
            return None
        return {"claimed": True, "running": True, "void": False}.get(state.state)

    def beat(self, attempt: str, progress: AttemptProgress, *, now: float, worker: str, path: str) -> bool:
        """Record a heartbeat and the progress of `attempt` at `path`; return whether the worker should go on.

        It should stop if the attempt was cancelled, ended or handed back, or another worker holds it. In the phase
        `claim` the state stays `taken`; any other phase sets `running`. One round trip. Call it every BEAT seconds, and
        when the progress changed (at most once a second).
        """
        names = [self.keys.attempt(attempt), self.keys.attempts, self.keys.claims]
        progress_fields = (progress.phase, progress.done, progress.total, progress.replayed)
        return bool(self._beat(keys=names, args=(worker, path, repr(now), RETENTION, attempt, *progress_fields)))

    def hand_back(self, attempt: str, *, worker: str) -> bool:
        """Free an attempt whose `worker` stops. Mark the request dirty afterwards. False: another worker holds it."""
        names = [self.keys.attempt(attempt), self.keys.attempts]
        return bool(self._hand_back(keys=names, args=[worker, RETENTION_WAITING, attempt]))

    def end(self, outcome: Outcome, log: str, *, worker: str) -> bool:
        """Store the outcome of an attempt of `worker`, with the last MAX_LOG bytes of its log.

        Mark the request dirty afterwards. False, unchanged, if another worker holds the attempt.
        """
        bounded = log.encode("utf-8", "replace")[-MAX_LOG:]
        names = [self.keys.attempt(outcome.attempt), self.keys.attempts]
        args = (worker, RETENTION, outcome.attempt, outcome.model_dump_json(), bounded)
        return bool(self._end(keys=names, args=args))

    # --- both sides

    def asking(self, path: str) -> str | None:
        """Return the attempt whose worker last asked for the claim of the request at `path`, if it still waits for it.

        It may be an earlier attempt, whose worker was suspended while Redis lost its data and the bot gave it up.
        """
        raw = self.redis.hget(self.keys.claims, path)
        state = self.read(text(raw)) if raw is not None else None
        return text(raw) if raw is not None and state is not None and state.state == "taken" else None

    def is_over(self, attempt: str) -> bool:
        """Whether `attempt` has ended or was cancelled."""
        state, cancelled = self.redis.hmget(self.keys.attempt(attempt), ["state", "cancel"])
        return cancelled is not None or (state is not None and text(state) == "ended")

    def read(self, attempt: str) -> AttemptState | None:
        """The state of `attempt`; None if Redis has none."""
        return _state(attempt, self.redis.hmget(self.keys.attempt(attempt), list(FIELDS)))

    def read_all(self, attempts: Iterable[str]) -> dict[str, AttemptState]:
        """The state of each of `attempts` that Redis has. One round trip."""
        wanted = list(dict.fromkeys(attempts))
        if not wanted:
            return {}
        with self.redis.pipeline(transaction=False) as pipe:
            for attempt in wanted:
                pipe.hmget(self.keys.attempt(attempt), list(FIELDS))
            answers = zip(wanted, pipe.execute(), strict=True)
        states = ((attempt, _state(attempt, values)) for attempt, values in answers)
        return {attempt: state for attempt, state in states if state is not None}

    def outcome(self, attempt: str) -> tuple[Outcome, str] | None:
        """The outcome of `attempt` and its log; None if it has not ended. Raises BadMessage if they are malformed."""
        key = self.keys.attempt(attempt)
        with self.redis.pipeline() as pipe:
            pipe.hstrlen(key, "outcome")
            pipe.hstrlen(key, "log")
            size, log_size = pipe.execute()
        if not size:
            return None
        if size > MAX_OUTCOME or log_size > MAX_LOG:
            raise BadMessage(f"the outcome of {attempt} or its log is too large")
        raw, log = self.redis.hmget(key, ["outcome", "log"])
        if raw is None:
            return None
        try:
            return Outcome.model_validate_json(raw), text(log or b"")
        except ValidationError as error:
            raise BadMessage(f"the outcome of {attempt} is malformed: {error.errors(include_url=False)}") from error

    def alive(self, *, now: float) -> set[str]:
        """Attempts with a heartbeat within the last LOST seconds. A beat from the future is dated back to `now`."""
        args = [repr(now), self.keys.attempt(""), repr(now - LOST)]
        return {text(member) for member in self._date_back(keys=[self.keys.attempts], args=args)}

    def lost(self, *, now: float) -> set[str]:
        """Attempts that did not end, and whose last heartbeat is older than LOST seconds."""
        return {text(member) for member in self.redis.zrangebyscore(self.keys.attempts, "-inf", f"({now - LOST}")}

    def drop(self, attempt: str) -> None:
        """Stop watching `attempt` for heartbeats: its end is recorded on the Hub."""
        self.redis.zrem(self.keys.attempts, attempt)

    def _write(self, attempt: str, fields: Fields) -> None:
        with self.redis.pipeline() as pipe:
            pipe.hset(self.keys.attempt(attempt), mapping=fields)
            pipe.expire(self.keys.attempt(attempt), RETENTION)
            pipe.execute()


def is_count(number: int) -> bool:
    """Whether an attempt can have `number` requests of the harness."""
    return 0 <= number <= MAX_HARNESS_REQUESTS


def _state(attempt: str, values: Sequence[bytes | str | None]) -> AttemptState | None:
    """The state that the values of FIELDS describe; None if there is none, or if it is malformed."""
    fields = {name: text(value) for name, value in zip(FIELDS, values, strict=True) if value is not None}
    return state_of(attempt, fields)


def state_of(attempt: str, fields: Mapping[str, str]) -> AttemptState | None:
    """The state that `fields`, named as in FIELDS, describe; None if there is none, or if it is malformed."""
    state = fields.get("state")
    if state not in get_args(State):
        return None
    try:
        beat, started = float(fields.get("beat", 0)), float(fields.get("started", 0))
        done, total, replayed = (int(fields.get(name, 0)) for name in ("done", "total", "replayed"))
    except ValueError:
        return None
    if not (math.isfinite(beat) and math.isfinite(started) and all(map(is_count, (done, total, replayed)))):
        return None
    return AttemptState(
        attempt=attempt,
        path=fields.get("path", "")[:1_000],
        state=state,  # type: ignore[arg-type]  # it is one of them
        worker=fields.get("worker", "")[:200],
        beat=beat,
        progress=AttemptProgress(fields.get("phase", "")[:32], done, total, min(replayed, done)),
        started=started,
    )
