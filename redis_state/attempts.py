"""The state of attempts while they live: how the bot and a worker speak about one evaluation.

    queued ──> taken ──> claimed ──> running ──> ended
                 └─────> void                      (the bot refused the claim: the attempt is no longer wanted)
    any of them ──> handed-back                    (the worker stopped; the same attempt may be queued again)

The bot writes `queued`, `claimed` and `void`; the worker writes the rest. A worker beats every BEAT seconds; an
attempt whose last beat is older than LOST is lost, whatever RQ's registries say. All of this may vanish with Redis: the
request file says which attempt is the current one, and the details repo what it found.

Race closed: one job lies in the queue twice, for a scheduler or a dispatch went on from what it had read before the
network was cut. Whoever takes an attempt for which another worker beats is refused, in one script.
Race closed: a dispatch looks whether somebody has an attempt, a worker takes it, and the dispatch says `queued`. The
worker's claim would never be seen; so what a worker beats for cannot be queued, in one script too.
Race closed: a worker is cut off for longer than LOST, its attempt is given to another, and it comes back. Its beats
tell it to stop; it can neither hear the other's answer, nor end, nor hand back what is not its own any more.
Race closed: a claim is granted while its worker hands the attempt back. What nobody asks for any more is not granted.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import ValidationError

from leaderboard.attempts import Outcome
from redis_state import attempt_scripts as scripts
from redis_state.errors import BadMessage
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

BEAT = float(os.environ.get("STEWARD_BEAT_SECONDS", "10"))
"""Seconds between two signs of life. All processes of a board must agree on it; only tests want another value."""
LOST = 3.5 * BEAT
"""Seconds of silence after which an attempt, or a worker, is lost."""
RETENTION, RETENTION_WAITING = 86_400, 30 * 86_400
"""Seconds for which Redis remembers an attempt of which nothing more is heard, and one that nobody has."""
MAX_OUTCOME, MAX_LOG = 128 * 1024, 256 * 1024
"""Bytes of an outcome that are read at all, and of a log that are kept."""
MOST = 10**12
"""Requests of the harness that an attempt can have."""

FIELDS = ("path", "state", "worker", "beat", "phase", "done", "total", "started")
State = Literal["queued", "taken", "claimed", "void", "running", "ended", "handed-back"]


@dataclass(frozen=True)
class AttemptProgress:
    """How far a running attempt is: `done` of `total` requests of the harness; total 0 means not known yet."""

    phase: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class AttemptState:
    """What Redis knows of one attempt."""

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

    # --- the bot's side

    def queued(self, attempt: str, path: str, *, now: float) -> bool:
        """The bot puts the attempt into RQ; False, and nothing said, where a worker has it and beats for it."""
        return bool(self._queued(keys=[self.keys.attempt(attempt)], args=[path, now, LOST, RETENTION_WAITING]))

    def answer_claim(self, attempt: str, *, granted: bool) -> bool:
        """Tell the worker that took `attempt` whether the request file now says RUNNING with its id.

        False, and nothing told, where it is to be granted and nobody asks any more: it was handed back, for one.
        What was refused is nobody's: whoever comes next may take it.
        """
        names = [self.keys.attempt(attempt), self.keys.claim(attempt)]
        return bool(self._answer(keys=names, args=["claimed" if granted else "void", RETENTION]))

    def cancel(self, attempt: str) -> None:
        """Ask whoever runs `attempt` to stop; its next beat tells it so."""
        self._write(attempt, {"cancel": 1})

    # --- the worker's side

    def take(self, attempt: str, path: str, worker: str, *, now: float) -> bool:
        """A worker took the job and asks for the claim: mark the request dirty afterwards.

        False, and nothing done, where another worker beats for this attempt. What is known of its life before it was
        handed back is forgotten.
        """
        names = [self.keys.attempt(attempt), self.keys.claim(attempt), self.keys.claims, self.keys.attempts]
        return bool(self._take(keys=names, args=[worker, path, now, LOST, RETENTION, attempt]))

    def wait_for_claim(self, attempt: str, *, seconds: float, worker: str) -> bool | None:
        """Whether the claim was granted to `worker`; None where no answer to it came in `seconds`."""
        if self.redis.blpop([self.keys.claim(attempt)], timeout=seconds) is None:
            return None
        found = self.read(attempt)
        if found is None or found.worker not in ("", worker):
            return None
        return {"claimed": True, "running": True, "void": False}.get(found.state)

    def beat(self, attempt: str, progress: AttemptProgress, *, now: float, worker: str, path: str) -> bool:
        """Say that `attempt` at `path` lives and how far it is; the answer is whether it should go on.

        It should not where it was cancelled, or is another's than `worker`'s. In the phase `claim` it has to be seen as
        `taken` still; after that it runs. One round trip. Call it every BEAT seconds, and when the progress changed (at
        most once a second).
        """
        names = [self.keys.attempt(attempt), self.keys.attempts, self.keys.claims]
        how_far = (progress.phase, progress.done, progress.total)
        return bool(self._beat(keys=names, args=(worker, path, repr(now), RETENTION, *how_far, attempt)))

    def hand_back(self, attempt: str, *, worker: str) -> bool:
        """`worker` stops before the attempt ended. Mark the request dirty afterwards. False: it is another's."""
        names = [self.keys.attempt(attempt), self.keys.attempts]
        return bool(self._hand_back(keys=names, args=[worker, RETENTION_WAITING, attempt]))

    def end(self, outcome: Outcome, log: str, *, worker: str) -> bool:
        """Store how the attempt of `worker` ended, with the last MAX_LOG bytes of its log.

        Mark the request dirty afterwards. False, and nothing stored, where it is another's.
        """
        bounded = log.encode("utf-8", "replace")[-MAX_LOG:]
        names = [self.keys.attempt(outcome.attempt), self.keys.attempts]
        args = (worker, RETENTION, outcome.attempt, outcome.model_dump_json(), bounded)
        return bool(self._end(keys=names, args=args))

    # --- either

    def asking(self, path: str) -> str | None:
        """The attempt whose worker asked last for the claim of the request at `path`, if it still waits for an answer.

        It need not be the current one: a worker may have slept through an amnesia in which its attempt was given up.
        """
        raw = self.redis.hget(self.keys.claims, path)
        state = self.read(text(raw)) if raw is not None else None
        return text(raw) if raw is not None and state is not None and state.state == "taken" else None

    def is_over(self, attempt: str) -> bool:
        """Whether `attempt` has ended, or was asked to stop and will."""
        state, cancelled = self.redis.hmget(self.keys.attempt(attempt), ["state", "cancel"])
        return cancelled is not None or (state is not None and text(state) == "ended")

    def read(self, attempt: str) -> AttemptState | None:
        """The state of `attempt`; None where Redis knows nothing of it."""
        return _state(attempt, self.redis.hmget(self.keys.attempt(attempt), list(FIELDS)))

    def read_all(self, attempts: Iterable[str]) -> dict[str, AttemptState]:
        """The state of each of `attempts` of which Redis knows something. One round trip."""
        wanted = list(dict.fromkeys(attempts))
        if not wanted:
            return {}
        with self.redis.pipeline(transaction=False) as pipe:
            for attempt in wanted:
                pipe.hmget(self.keys.attempt(attempt), list(FIELDS))
            found = zip(wanted, pipe.execute(), strict=True)
        states = ((attempt, _state(attempt, values)) for attempt, values in found)
        return {attempt: state for attempt, state in states if state is not None}

    def outcome(self, attempt: str) -> tuple[Outcome, str] | None:
        """How `attempt` ended, and its log; None while it has not. Raises BadMessage where the outcome is malformed."""
        key = self.keys.attempt(attempt)
        with self.redis.pipeline() as pipe:
            pipe.hstrlen(key, "outcome")
            pipe.hstrlen(key, "log")
            size, log_size = pipe.execute()
        if not size:
            return None
        if size > MAX_OUTCOME or log_size > MAX_LOG:
            raise BadMessage(f"the outcome of {attempt} or its log is larger than any")
        raw, log = self.redis.hmget(key, ["outcome", "log"])
        if raw is None:
            return None
        try:
            return Outcome.model_validate_json(raw), text(log or b"")
        except ValidationError as error:
            raise BadMessage(f"the outcome of {attempt} is malformed: {error.errors(include_url=False)}") from error

    def alive(self, *, now: float) -> set[str]:
        """Attempts that beat within the last LOST seconds."""
        return {text(member) for member in self.redis.zrangebyscore(self.keys.attempts, now - LOST, "+inf")}

    def lost(self, *, now: float) -> set[str]:
        """Attempts that did beat once, never ended, and have been silent for more than LOST seconds."""
        return {text(member) for member in self.redis.zrangebyscore(self.keys.attempts, "-inf", f"({now - LOST}")}

    def drop(self, attempt: str) -> None:
        """Stop watching `attempt`: its end is recorded on the Hub."""
        self.redis.zrem(self.keys.attempts, attempt)

    def _write(self, attempt: str, fields: Fields) -> None:
        with self.redis.pipeline() as pipe:
            pipe.hset(self.keys.attempt(attempt), mapping=fields)
            pipe.expire(self.keys.attempt(attempt), RETENTION)
            pipe.execute()


def _state(attempt: str, values: Sequence[bytes | str | None]) -> AttemptState | None:
    """What the values of FIELDS say of `attempt`; None where that is nothing, or nothing that one of ours wrote."""
    found = {name: text(value) for name, value in zip(FIELDS, values, strict=True) if value is not None}
    state = found.get("state")
    if state not in get_args(State):
        return None
    try:
        beat, started = float(found.get("beat", 0)), float(found.get("started", 0))
        done, total = int(found.get("done", 0)), int(found.get("total", 0))
    except ValueError:
        return None
    if not (math.isfinite(beat) and math.isfinite(started) and 0 <= done <= MOST and 0 <= total <= MOST):
        return None
    return AttemptState(
        attempt=attempt,
        path=found.get("path", "")[:1_000],
        state=state,  # type: ignore[arg-type]  # it is one of them
        worker=found.get("worker", "")[:200],
        beat=beat,
        progress=AttemptProgress(found.get("phase", "")[:32], done, total),
        started=started,
    )
