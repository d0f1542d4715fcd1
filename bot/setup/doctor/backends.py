"""Checks of worker backends: do their platforms answer, what may their runs cost, what keeps attempts waiting?"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import httpx2

from bot.core.context import BoardContext
from bot.core.platforms import Platform, PlatformError, Platforms
from bot.core.settings import SettingsError
from bot.setup.doctor.findings import Check, Checks
from leaderboard.backend_settings import Backend
from leaderboard.backend_troubles import BackendTrouble
from leaderboard.backends import LIVE, costs_of, exceeded_by_one_run
from leaderboard.tiers import Tier
from redis_state.errors import SecretMissing

REACH_SECONDS = 10.0
SHORT_SECONDS = 900.0
"""Evaluations that get less time than that, because of `by_attempt`, are named."""
PROVIDE = "docs/backends.md says what each kind of backend needs."
TROUBLES = {
    "failing": "Read the log of such a run on its platform.",
    "tasks": "See what differs, and accept it or mend the workers' image: `steward tasks`.",
    "away": "Run this on the machine of `steward sync`, with its settings.",
    "by_day": "Wait, or raise the limit in the board file.",
    "by_month": "Wait, or raise the limit in the board file.",
}


def reached(address: str) -> str:
    """ "" if a web server of Steward answers at `address`, else what happens instead."""
    try:
        status = httpx2.get(f"{address}/healthz", timeout=REACH_SECONDS).status_code
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return str(error) or type(error).__name__
    return "" if status == 200 else f"the answer to /healthz is {status}"


def backends(
    context: BoardContext, build: Callable[[], Platforms | None], reach: Callable[[str], str] = reached
) -> Checks:
    """Whether each backend can be used. `build` connects to the platforms, as the sync process does.

    `reach` asks the board's web server, whose address the workers get.
    """
    if not context.board.backends:
        return
    try:
        platforms = build()
    except (SettingsError, SecretMissing) as error:
        yield Check("backends", "error", str(error), PROVIDE)
        return
    if platforms is None:
        return
    yield _address(context, platforms.board_url, reach)
    url = urlsplit(platforms.board_url)
    if url.scheme != "https" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
        words = f"Workers of backends send tokens of attempts unencrypted to {platforms.board_url}."
        yield Check("backends", "warning", words, "Serve the pages with TLS, and set STEWARD_PUBLIC_URL to https://….")
    for tier, backend in context.board.backends.items():
        yield from _platform(tier, platforms.by_tier[tier])
        yield from _limits(context, tier, backend)
        yield from _costs(context, tier, backend)
    for trouble in context.backend_runs.troubles():
        if trouble.tier in context.board.backends and trouble.is_told(context.now()):
            yield _trouble(trouble)


def _address(context: BoardContext, address: str, reach: Callable[[str], str]) -> Check:
    """Whether workers can ask the board's web server without showing their tokens to the network between."""
    is_paid = any(backend.kind == "jobs" for backend in context.board.backends.values())
    if not address.startswith("https://") and is_paid and not context.hub.endpoint.startswith("http://"):
        fix = "Serve the board's pages with TLS, and set STEWARD_PUBLIC_URL to their https address."
        return Check("backends", "error", f"Jobs would send their attempts' tokens unencrypted to {address}.", fix)
    if trouble := reach(address):
        fix = "Start `steward serve`, and set STEWARD_PUBLIC_URL to the address at which workers reach it."
        return Check("backends", "warning", f"No web server of the board answers at {address}: {trouble}.", fix)
    return Check("backends", "ok", f"Workers ask the board's web server at {address}, which answers.")


def _platform(tier: Tier, platform: Platform) -> Checks:
    try:
        for problem in platform.problems():
            yield Check("backends", "error", f"No run of the tier {tier} can start. {problem}", PROVIDE)
        live = sum(run.stage in LIVE for run in platform.runs())
    except PlatformError as error:
        yield Check("backends", "error", f"The platform of the tier {tier}: {error}", PROVIDE)
        return
    yield Check("backends", "ok", f"The platform of the tier {tier} answers: {live} runs wait or run.")


def _limits(context: BoardContext, tier: Tier, backend: Backend) -> Checks:
    """Limits with which nothing starts, or nothing ends."""
    limit = float(context.board.attempt_seconds)
    exceeded, price = exceeded_by_one_run(backend, limit)
    if exceeded:
        words = f"A run of the tier {tier} may cost {price:.2f}, more than `{exceeded}`: none ever starts."
        fix = f"Raise `{exceeded}` in the board file, or lower `by_attempt` or `attempt_seconds`."
        yield Check("backends", "error", words, fix)
    seconds = backend.evaluation_seconds(limit)
    if seconds < SHORT_SECONDS and backend.seconds(limit) < limit:
        words = f"`by_attempt` pays for evaluations of {seconds / 60:.0f} minutes of the tier {tier}; others are cut."
        yield Check("backends", "warning", words, "Raise `by_attempt` in the board file, or take other hardware.")


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
