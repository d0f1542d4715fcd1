"""The tasks that a board accepts for a suite: those of its results, and those that an operator accepted.

    bot        note(…)      accepts what a published result asked, and how it was scored
    worker     read()       before an evaluation; where its own tasks differ it calls `refuse`, and takes no job
    operator   waiting()    lists the workers that wait, and why; `accept` lets them go on

Workers may read the accepted tasks, and write that they wait: these are two keys, because Redis grants permissions by
key. On a board whose Redis users are older than these keys, workers may do neither, and evaluate without comparing.

Redis may lose all of this: the bot notes the board's results again when it fills in scores, and a worker whose tasks
differ refuses again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis.exceptions import NoPermissionError

from leaderboard.result_digests import ResultDigests
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

MAX_ACCEPTED = 1_000
_REFERENCE, _ACCEPTED = "reference", "accepted:"


_RUN_OF = "run of "
"""Prefix of the name of a run's record, before the attempt. No worker has such a name, because it has spaces."""


class RefusedTasks(BaseModel):
    """A worker that waits, or a backend's run that ended, because its tasks are not those of the board's results."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    worker: str = Field(max_length=200)
    fingerprint: str = Field(pattern=r"^[0-9a-f]{16}-[0-9a-f]{16}$")
    differences: tuple[str, ...] = Field(max_length=200, description="what differs, in plain words")
    at: float = Field(ge=0, allow_inf_nan=False)

    def of_run(self, attempt: str, *, now: float) -> RefusedTasks:
        """Return this record for the run of `attempt`, whose worker has ended; its name is that of the attempt."""
        return RefusedTasks(
            worker=_RUN_OF + attempt, fingerprint=self.fingerprint, differences=self.differences, at=now
        )

    @property
    def attempt(self) -> str:
        """The attempt of a backend's run; empty for a worker that waits."""
        return self.worker.removeprefix(_RUN_OF) if self.worker.startswith(_RUN_OF) else ""


@dataclass(frozen=True)
class AcceptedTasks:
    """The fingerprints that are accepted, and the digests of the last result, to name differences from it.

    `permitted`: whether this worker may read them.
    """

    fingerprints: frozenset[str]
    reference: ResultDigests | None
    permitted: bool = True


class AcceptedDigests:
    """The accepted tasks of one version of a suite; `suite` is its digest."""

    def __init__(self, redis: Redis, keys: Keys, suite: str) -> None:
        self.redis = redis
        self._accepted = keys.accepted_digests(suite)
        self._refused = keys.refused_tasks(suite)

    # --- the bot

    def note(self, digests: ResultDigests) -> None:
        """Accept the tasks of a published result; differences are named relative to it from now on. One round trip."""
        fields: Fields = {_ACCEPTED + digests.fingerprint: "result", _REFERENCE: digests.model_dump_json()}
        self.redis.hset(self._accepted, mapping=fields)

    def note_all(self, fingerprints: Iterable[str]) -> None:
        """Accept the tasks of other results. One round trip, or none."""
        fields: Fields = {_ACCEPTED + fingerprint: "result" for fingerprint in fingerprints}
        if fields:
            self.redis.hset(self._accepted, mapping=fields)

    # --- a worker

    def read(self) -> AcceptedTasks:
        """Return the accepted tasks; none before the first result. One round trip."""
        try:
            fields = {text(name): value for name, value in self.redis.hgetall(self._accepted).items()}
        except NoPermissionError:
            return AcceptedTasks(frozenset(), None, permitted=False)
        names = (name.removeprefix(_ACCEPTED) for name in fields if name.startswith(_ACCEPTED))
        return AcceptedTasks(frozenset(sorted(names)[:MAX_ACCEPTED]), _reference(fields.get(_REFERENCE)))

    def refuse(self, refused: RefusedTasks) -> None:
        """Record that a worker waits for the operator."""
        self.redis.hset(self._refused, refused.worker, refused.model_dump_json())

    def must_wait(self, worker: str) -> bool:
        """Whether `worker` still waits for the operator; it no longer does once its tasks are accepted."""
        try:
            refused = _refused(self.redis.hget(self._refused, worker))
        except NoPermissionError:
            return False  # Redis does not let it read accepted tasks either, so it compared nothing
        if refused is None:
            return False
        if self.redis.hexists(self._accepted, _ACCEPTED + refused.fingerprint):
            self.leave(worker)
            return False
        return True

    def leave(self, worker: str) -> None:
        """Remove a worker that waited from the list: it goes on, or stops."""
        self.redis.hdel(self._refused, worker)

    # --- the operator

    def waiting(self) -> list[RefusedTasks]:
        """The workers that wait, by name."""
        fields = {text(name): value for name, value in self.redis.hgetall(self._refused).items()}
        refused = (_refused(value) for _, value in sorted(fields.items()))
        return [each for each in refused if each is not None]

    def accept(self, fingerprint: str) -> None:
        """Accept the tasks with this fingerprint: workers that wait because of them go on."""
        self.redis.hset(self._accepted, _ACCEPTED + fingerprint, "operator")


def _reference(raw: bytes | str | None) -> ResultDigests | None:
    try:
        return ResultDigests.model_validate_json(raw) if raw is not None else None
    except ValidationError:
        return None  # written by another version: the next result replaces it


def _refused(raw: bytes | str | None) -> RefusedTasks | None:
    try:
        return RefusedTasks.model_validate_json(raw) if raw is not None else None
    except ValidationError:
        return None  # workers write it: a malformed one is not shown
