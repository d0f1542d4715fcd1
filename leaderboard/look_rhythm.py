"""How often the bot polls the Hub for changes that no webhook reported: the longer the webhooks work, the more rarely.

A poll (a look) costs calls to the Hub, even if nothing happened. Webhooks that work make most looks needless, but they
can stop without notice. A delivery proves that they work. They become doubtful again when the bot starts, when a look
finds a change that no delivery reported, and when a webhook was disabled.
"""

from __future__ import annotations

from dataclasses import dataclass

SHORTEST_SECONDS = 60.0
"""Seconds between two looks while nothing proves that the webhooks work."""
LONGEST_SECONDS = 600.0
"""The default of the longest time between two looks, within which the bot notices that a webhook stopped."""
TRUST_SHARE = 6.0
"""The time between two looks is the time since the last doubt, divided by this number."""
SILENCE_SECONDS = 86_400.0
"""After so many seconds without a delivery, looks are at most half of the longest time apart."""


@dataclass(frozen=True)
class WebhookRecord:
    """The evidence from deliveries and looks that webhooks work. Times in seconds since the epoch; None: unknown."""

    are_complete: bool = False
    """Whether enabled webhooks cover everything that a look reads."""
    doubted: float | None = None
    """When the webhooks last became doubtful."""
    delivered: float | None = None
    """When the last delivery came."""


def look_seconds(record: WebhookRecord, *, longest: float, now: float) -> float:
    """Return the time between two looks: SHORTEST_SECONDS without a proof since the last doubt, `longest` at most."""
    doubted, delivered = record.doubted, record.delivered
    if not record.are_complete or doubted is None or delivered is None or delivered < doubted:
        return SHORTEST_SECONDS
    bound = longest if now - delivered <= SILENCE_SECONDS else longest / 2
    return max(SHORTEST_SECONDS, min(bound, (now - doubted) / TRUST_SHARE))
