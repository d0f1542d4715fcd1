"""Keys of evaluations in progress: attempts, workers, canaries, and RQ's queues."""

from __future__ import annotations

from redis_state.keys.board import BoardKeys


class AttemptKeys(BoardKeys):
    """Keys of attempts, workers, canaries and queues."""

    def attempt(self, attempt: str) -> str:
        """Hash: the state of one attempt."""
        return self._key("attempt", attempt)

    @property
    def attempts(self) -> str:
        """Sorted set: attempts in progress by the time of their last heartbeat."""
        return self._key("attempts")

    @property
    def claims(self) -> str:
        """Hash: request path → the attempt whose worker last asked for the claim."""
        return self._key("claims")

    def claim(self, attempt: str) -> str:
        """List on which a worker waits for the bot's answer to its claim."""
        return self._key("claim", attempt)

    @property
    def workers(self) -> str:
        """Hash: worker name → JSON of its card and last beat."""
        return self._key("workers")

    def ended(self, suite: str) -> str:
        """Sorted set: the recent ends of attempts of `suite`, as JSON, by time."""
        return self._key("ended", suite)

    def canary(self, suite: str) -> str:
        """Hash: the cause for which a canary of `suite` is `asked`, its `verdict`, when causes were last settled."""
        return self._key("canary", suite)

    def canary_taken(self, suite: str) -> str:
        """String: the worker that runs the canary of `suite`; expires."""
        return self._key("canary-taken", suite)

    def queue(self, tier: str) -> str:
        """Name of the RQ queue of one tier (RQ puts its own prefix before it)."""
        return f"steward-1-{self.board}-{tier}"
