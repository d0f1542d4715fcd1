"""Evaluations while they live: attempts, workers, canaries, and the queues of RQ."""

from __future__ import annotations

from redis_state.keys.board import BoardKeys


class AttemptKeys(BoardKeys):
    """Attempts, workers, canaries, queues."""

    def attempt(self, attempt: str) -> str:
        """Hash: the state of one attempt."""
        return self._key("attempt", attempt)

    @property
    def attempts(self) -> str:
        """Sorted set: living attempts by the time of their last beat."""
        return self._key("attempts")

    @property
    def claims(self) -> str:
        """Hash: request path → the attempt whose worker asked last for the claim."""
        return self._key("claims")

    def claim(self, attempt: str) -> str:
        """List on which a worker waits for the bot's answer to its claim."""
        return self._key("claim", attempt)

    @property
    def workers(self) -> str:
        """Hash: worker name → JSON of its card and last beat."""
        return self._key("workers")

    def ended(self, suite: str) -> str:
        """Sorted set: how attempts of `suite` ended lately, as JSON, by time."""
        return self._key("ended", suite)

    def canary(self, suite: str) -> str:
        """Hash: why a canary of `suite` was `asked` for, its `verdict`, and when causes were settled last."""
        return self._key("canary", suite)

    def canary_taken(self, suite: str) -> str:
        """String, while a worker runs the canary of `suite`: which."""
        return self._key("canary-taken", suite)

    def queue(self, tier: str) -> str:
        """Name of the RQ queue of one tier (RQ puts its own prefix before it)."""
        return f"steward-1-{self.board}-{tier}"
