"""Keys of syncs: deliveries, dirty marks, periodic work, webhook quotas, shadowed writes."""

from __future__ import annotations

from redis_state.keys.board import BoardKeys


class SyncKeys(BoardKeys):
    """Keys of deliveries, dirty marks, periodic work and shadowed writes."""

    @property
    def meters(self) -> str:
        """Hash: `name|labels` of a counter or gauge for `/metrics` → its value."""
        return self._key("meters")

    @property
    def inbox(self) -> str:
        """Stream of acknowledged deliveries, oldest first."""
        return self._key("inbox")

    def delivery(self, delivery_id: str) -> str:
        """String that exists while `delivery_id` counts as received: its entry in `inbox`, and its write."""
        return self._key("delivery", delivery_id)

    @property
    def inbox_sizes(self) -> str:
        """List: the bytes of each entry of `inbox`, oldest first, so that the oldest can be dropped unread."""
        return self._key("inbox-sizes")

    @property
    def inbox_bytes(self) -> str:
        """String: the sum of `inbox_sizes`."""
        return self._key("inbox-bytes")

    @property
    def inbox_counts(self) -> str:
        """Hash: result of handling a delivery → number of deliveries."""
        return self._key("inbox-counts")

    @property
    def dirty(self) -> str:
        """Sorted set of dirty keys, by priority and time."""
        return self._key("dirty")

    @property
    def dirty_generations(self) -> str:
        """Hash: dirty key → the number of its marks."""
        return self._key("dirty-generations")

    @property
    def dirty_leases(self) -> str:
        """Hash: dirty key → `owner generation expiry` of the sync that holds it."""
        return self._key("dirty-leases")

    @property
    def dirty_tries(self) -> str:
        """Hash: dirty key → failed syncs in a row, for any reason."""
        return self._key("dirty-tries")

    @property
    def dirty_faults(self) -> str:
        """Hash: dirty key → those of its failed syncs for which only the key itself can be the cause."""
        return self._key("dirty-faults")

    @property
    def parked(self) -> str:
        """Hash: dirty key → JSON of why its sync is not retried."""
        return self._key("parked")

    @property
    def wake(self) -> str:
        """List that holds one token for each new dirty mark, for sync processes that wait."""
        return self._key("wake")

    @property
    def day(self) -> str:
        """String: the last day, numbered from the epoch, whose daily work was marked dirty."""
        return self._key("day")

    @property
    def rounds(self) -> str:
        """Hash: periodic check → when, or at what point, it last ran."""
        return self._key("rounds")

    @property
    def webhook_trouble(self) -> str:
        """String: why the Hub's webhooks do not report everything; absent if they do."""
        return self._key("webhook-trouble")

    @property
    def hub_state(self) -> str:
        """Hash: when the Hub last answered a sync process, its last error, and `me`, the bot's id."""
        return self._key("hub-state")

    @property
    def born(self) -> str:
        """String: since when Redis and a timer run without a gap, which tells silence from lost data."""
        return self._key("born")

    @property
    def ticked(self) -> str:
        """String: when a timer last ticked."""
        return self._key("ticked")

    @property
    def webhook_quota(self) -> str:
        """Hash: `own|all domain hour repo` → deliveries in that hour that Steward's writes caused, or all that came."""
        return self._key("echoes")

    @property
    def poll(self) -> str:
        """String: names the webhooks near their quota, which may stop; absent if there are none. If set, poll."""
        return self._key("poll")

    @property
    def shadow(self) -> str:
        """Stream: shadowed writes, oldest first."""
        return self._key("shadow")

    @property
    def shadow_ids(self) -> str:
        """Sorted set: ids of the writes listed in `shadow`, by time, so that each is listed once."""
        return self._key("shadow-ids")

    @property
    def held_back(self) -> str:
        """Hash: dirty key whose sync was held back by the board's effects → those effects."""
        return self._key("held-back")
