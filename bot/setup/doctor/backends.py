"""Checks of worker backends: do their platforms answer, what may their runs cost, what keeps attempts waiting?"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from bot.core.context import BoardContext
from bot.core.platforms import Platform, PlatformError, Platforms
from bot.core.settings import SettingsError
from bot.setup.doctor.findings import Check, Checks
from leaderboard.backend_troubles import BackendTrouble
from leaderboard.backends import LIVE, Backend, costs_of
from leaderboard.tiers import Tier
from redis_state.errors import SecretMissing

PROVIDE = "docs/backends.md says what each kind of backend needs."
TROUBLES = {
    "failing": "Read the log of such a run on its platform.",
    "tasks": "See what differs, and accept it or mend the workers' image: `steward tasks`.",
    "away": "Run this on the machine of `steward sync`, with its settings.",
    "by_day": "Wait, or raise the limit in the board file.",
    "by_month": "Wait, or raise the limit in the board file.",
}


def backends(context: BoardContext, build: Callable[[], Platforms | None]) -> Checks:
    """Whether each backend can be used. `build` connects to the platforms, as the sync process does."""
    if not context.board.backends:
        return
    try:
        platforms = build()
    except (SettingsError, SecretMissing) as error:
        yield Check("backends", "error", str(error), PROVIDE)
        return
    if platforms is None:
        return
    url = urlsplit(platforms.board_url)
    if url.scheme != "https" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
        words = f"Workers of backends send tokens of attempts unencrypted to {platforms.board_url}."
        yield Check("backends", "warning", words, "Serve the pages with TLS, and set STEWARD_PUBLIC_URL to https://….")
    for tier, backend in context.board.backends.items():
        yield _answers(tier, platforms.by_tier[tier])
        yield from _costs(context, tier, backend)
    for trouble in context.backend_runs.troubles():
        if trouble.tier in context.board.backends and trouble.is_told(context.now()):
            yield _trouble(trouble)


def _answers(tier: Tier, platform: Platform) -> Check:
    try:
        live = sum(run.stage in LIVE for run in platform.runs())
    except PlatformError as error:
        return Check("backends", "error", f"The platform of the tier {tier}: {error}", PROVIDE)
    return Check("backends", "ok", f"The platform of the tier {tier} answers: {live} runs wait or run.")


def _costs(context: BoardContext, tier: Tier, backend: Backend) -> Checks:
    limits, now = backend.costs, context.now()
    if backend.kind == "jobs" and not limits.hourly:
        fix = "Write `costs: {hourly: ..., by_day: ...}` into the board file."
        yield Check("backends", "warning", f"The runs of the tier {tier} have no price, so nothing limits them.", fix)
    elif limits.hourly:
        costs = costs_of(backend, context.backend_runs.read(tier), now)
        words = f"The runs of the tier {tier} cost {costs.day:.2f} in 24 hours and {costs.month:.2f} in 30 days"
        unlimited = limits.by_day is None and limits.by_month is None
        fix = "Write `by_day` or `by_month` into the `costs` of the board file." if unlimited else ""
        yield Check("backends", "warning" if unlimited else "ok", f"{words}{', without limit' * unlimited}.", fix)


def _trouble(trouble: BackendTrouble) -> Check:
    names = f": {', '.join(trouble.failing[:5])}" if trouble.kind == "failing" else ""
    error = f": {trouble.error}" if trouble.error else ""
    title = f"{trouble.title[0].upper()}{trouble.title[1:]}"
    return Check("backends", "warning", f"{title}{names or error}.", TROUBLES[trouble.kind])
