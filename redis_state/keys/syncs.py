"""What keeps syncs going: deliveries, dirty marks, rounds, what webhooks have left, effects that did not happen."""

from __future__ import annotations

from redis_state.keys.board import BoardKeys


class SyncKeys(BoardKeys):
    """Deliveries, dirty marks, rounds, and effects that were held back."""

    @property
    def meters(self) -> str:
        """Hash: `name|labels` of what is counted or measured for `/metrics` → its value."""
        return self._key("meters")

    @property
    def inbox(self) -> str:
        """Stream of deliveries that were acknowledged, oldest first."""
        return self._key("inbox")

    def delivery(self, delivery_id: str) -> str:
        """String that exists while `delivery_id` counts as received: its entry in `inbox`, and its write."""
        return self._key("delivery", delivery_id)

    @property
    def inbox_sizes(self) -> str:
        """List: the bytes of each entry of `inbox`, oldest first, so that the oldest can go without being read."""
        return self._key("inbox-sizes")

    @property
    def inbox_bytes(self) -> str:
        """String: the sum of `inbox_sizes`."""
        return self._key("inbox-bytes")

    @property
    def inbox_counts(self) -> str:
        """Hash: what became of deliveries → how many."""
        return self._key("inbox-counts")

    @property
    def dirty(self) -> str:
        """Sorted set of dirty keys, by priority and time."""
        return self._key("dirty")

    @property
    def dirty_generations(self) -> str:
        """Hash: dirty key → how often it was marked."""
        return self._key("dirty-generations")

    @property
    def dirty_leases(self) -> str:
        """Hash: dirty key → `owner generation expiry` of the sync that holds it."""
        return self._key("dirty-leases")

    @property
    def dirty_tries(self) -> str:
        """Hash: dirty key → failed syncs in a row, whatever they failed of."""
        return self._key("dirty-tries")

    @property
    def dirty_faults(self) -> str:
        """Hash: dirty key → those among its failed syncs that nobody but the key itself was to blame for."""
        return self._key("dirty-faults")

    @property
    def parked(self) -> str:
        """Hash: dirty key → JSON of why its sync is not tried any more."""
        return self._key("parked")

    @property
    def wake(self) -> str:
        """List that holds one token for each new dirty mark, for sync processes that wait."""
        return self._key("wake")

    @property
    def day(self) -> str:
        """String: the day, counted from the epoch, whose daily work was called for last."""
        return self._key("day")

    @property
    def rounds(self) -> str:
        """Hash: what is looked at on a timer → when, or where, the last look was."""
        return self._key("rounds")

    @property
    def webhook_trouble(self) -> str:
        """String: why the Hub's webhooks do not tell us everything; absent where they do."""
        return self._key("webhook-trouble")

    @property
    def hub_state(self) -> str:
        """Hash: when the Hub last answered a sync process, what it said when it did not, and `me`, the bot's id."""
        return self._key("hub-state")

    @property
    def born(self) -> str:
        """String: since when Redis and a timer listen without a break, so that a silence can be told from amnesia."""
        return self._key("born")

    @property
    def ticked(self) -> str:
        """String: when a timer last ticked."""
        return self._key("ticked")

    @property
    def webhook_quota(self) -> str:
        """Hash: `own|all domain hour repo` → deliveries that our writes caused, or that came at all, in that hour."""
        return self._key("echoes")

    @property
    def poll(self) -> str:
        """String, while webhooks may fall silent for want of quota: which do, in words. Poll instead."""
        return self._key("poll")

    @property
    def shadow(self) -> str:
        """Stream: what would have been done, oldest first."""
        return self._key("shadow")

    @property
    def shadow_ids(self) -> str:
        """Sorted set: ids of what was listed in `shadow`, by time, so that each is listed once."""
        return self._key("shadow-ids")

    @property
    def held_back(self) -> str:
        """Hash: dirty key whose sync would have done more than the board's effects let it → those effects."""
        return self._key("held-back")
