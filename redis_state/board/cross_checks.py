"""The progress of cross-checks of attempts: drawn questions, the workers that compute them again, and their reports.

Only the sync of the request writes. Redis may lose all of this: the bot finds reports of the operator's own workers,
which name the nonce, in the details repo again; without such a report, it begins the check anew.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.cross_check_decisions import CrossCheckVote
from leaderboard.cross_checks import NONCE, CrossCheckRecord, CrossCheckReport
from redis_state.keys import Keys
from redis_state.redis import Redis

RETENTION = 14 * 86_400


class CrossCheckTry(BaseModel):
    """One job of a cross-check: the worker that got it, the account that this worker states, and the time."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    worker: str
    account: str = Field(description="the Hub account that has to commit the report")
    queued: float


class StoredVote(BaseModel):
    """The report of a try, read once: later changes of its file do not count."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    account: str
    report: CrossCheckReport


class CrossCheckState(BaseModel):
    """The progress of the cross-check of one attempt. `worker` is the Hub account that published its answers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    worker: str
    nonce: str = Field(pattern=NONCE)
    since: float
    restricted: str = Field(default="", description="commit of the gated repo with answers to restricted benchmarks")
    tries: tuple[CrossCheckTry, ...] = ()
    votes: tuple[StoredVote, ...] = ()
    record: CrossCheckRecord | None = Field(default=None, description="what the results say, once that is settled")

    @property
    def in_order(self) -> tuple[CrossCheckVote, ...]:
        """The votes in the order of their tries."""
        ordered = sorted(self.votes, key=lambda vote: vote.number)
        return tuple(CrossCheckVote(vote.account, vote.report) for vote in ordered)

    def with_votes(self, votes: tuple[StoredVote, ...]) -> CrossCheckState:
        """The same with more votes."""
        return self.model_copy(update={"votes": (*self.votes, *votes)})

    def with_try(self, next_try: CrossCheckTry) -> CrossCheckState:
        """The same with another try."""
        return self.model_copy(update={"tries": (*self.tries, next_try)})

    def settled(self, record: CrossCheckRecord) -> CrossCheckState:
        """The same with the record that the results get."""
        return self.model_copy(update={"record": record})


class CrossChecks:
    """The cross-checks of one board; `claim` identifies the results that a worker published for an attempt."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def get(self, claim: str) -> CrossCheckState | None:
        """The progress of a cross-check; None if it has not begun."""
        raw = self._redis.get(self._keys.cross_check(claim))
        try:
            return CrossCheckState.model_validate_json(raw) if raw is not None else None
        except ValidationError:
            return None  # written by another version

    def put(self, claim: str, state: CrossCheckState) -> None:
        """Store the progress of a cross-check."""
        self._redis.set(self._keys.cross_check(claim), state.model_dump_json(), ex=RETENTION)
