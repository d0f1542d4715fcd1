"""The registry of workers: each stores a card with its tiers, devices and versions, and renews it while it runs."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from leaderboard.tiers import ALL, TIERS, Tier, parse_tiers
from redis_state.attempts import LOST
from redis_state.keys import Keys
from redis_state.redis import Redis

KEPT = 20 * LOST
"""Seconds without a heartbeat after which the card of a worker is removed."""
Word = Annotated[str, StringConstraints(max_length=200)]


class WorkerCard(BaseModel):
    """One evaluation worker, as it describes itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(max_length=200, description="unique: host, process id, and a few letters more")
    tiers: tuple[Word, ...] = Field(max_length=50, description="the tiers from whose queues it takes, or `all`")
    devices: str = Field(default="cpu", max_length=200)
    versions: dict[Word, Word] = Field(default_factory=dict, max_length=50)
    since: float = Field(allow_inf_nan=False)
    beat: float = Field(allow_inf_nan=False)
    doing: str = Field(default="", max_length=64, description="the attempt that it runs; empty when idle")
    account: str = Field(
        default="", max_length=100, description="the Hub account of its token; empty where the board needs none"
    )

    @property
    def takes(self) -> tuple[Tier, ...]:
        """The existing tiers among those that the worker takes."""
        return parse_tiers(word for word in self.tiers if word in (*TIERS, ALL))


class WorkerRegistry:
    """The workers of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis = redis
        self.keys = keys

    def announce(self, card: WorkerCard) -> None:
        """Record this worker's heartbeat. Call it every BEAT seconds, and whenever `doing` changes."""
        self.redis.hset(self.keys.workers, card.name, card.model_dump_json())

    def leave(self, name: str) -> None:
        """Remove a worker that stops."""
        self.redis.hdel(self.keys.workers, name)

    def alive(self, *, now: float, within: float = LOST) -> list[WorkerCard]:
        """The workers with a heartbeat in the last `within` seconds, by name. Removes cards older than KEPT seconds."""
        cards: list[WorkerCard] = []
        for name, raw in self.redis.hgetall(self.keys.workers).items():
            card = _parse(raw)
            if card is None or abs(card.beat - now) > KEPT:
                self.redis.hdel(self.keys.workers, name)
            elif card.beat >= now - within:
                cards.append(card)
        return sorted(cards, key=lambda card: card.name)


def _parse(raw: bytes | str) -> WorkerCard | None:
    try:
        return WorkerCard.model_validate_json(raw)
    except ValidationError:
        return None
