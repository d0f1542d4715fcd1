"""Is everything in place that a board needs? One line for each thing, and how to mend it.

Nothing is changed by looking. That a worker's token may not write is tried with a commit on a parent that is not the
branch's head: where the Hub would take it, it answers that the parent is stale, and nothing lands.
"""

from __future__ import annotations

from collections.abc import Callable

import redis

from bot.core.context import BoardContext
from bot.core.mirrors.folder import MirrorDamaged, UnusableFolder
from bot.setup.consistency import NOT_INDEXED, disagreements
from bot.setup.doctor import earlier_writers, hooks, machine, rights
from bot.setup.doctor.findings import Check, Checks
from hub.client import Hub
from hub.errors import HubError
from leaderboard.effects import Effect, EffectMode

COMPARED = "The sync process compares them every ten minutes: look again then, and into its log if it stays so."


def examine(context: BoardContext, *, worker: Hub | None = None, switching_on: bool = False) -> list[Check]:
    """All checks. `worker` is the Hub in the name of the workers' token, where that is known.

    With `switching_on`, what would forbid to switch edits on is an error, though they are not on yet.
    """
    on = switching_on or context.effects.mode(Effect.EDIT) is EffectMode.ON
    parts: list[tuple[str, Callable[[], Checks]]] = [
        ("token", lambda: rights.token(context)),
        ("repos", lambda: rights.repos(context)),
        ("rights", lambda: rights.bot_rights(context, on=on)),
        ("worker token", lambda: rights.worker_token(context, worker)),
        ("worker details", lambda: rights.worker_rights(context, worker)),
        ("logs", lambda: rights.hidden_logs(context)),
        ("details", lambda: rights.details(context)),
        ("webhooks", lambda: hooks.webhooks(context)),
        ("webhook address", lambda: hooks.addresses(context)),
        ("redis", lambda: machine.queue_settings(context)),
        ("redis version", lambda: machine.queue_server(context)),
        ("clock", lambda: machine.clocks(context)),
        ("disk", lambda: machine.disk(context.mirror.root)),
        ("mirrors", lambda: machine.mirrors(context)),
        ("workers", lambda: machine.workers(context)),
        ("effects", lambda: _effects(context)),
        ("adoption", lambda: earlier_writers.adoption(context, on=on)),
        ("own files", lambda: earlier_writers.own_files(context, on=on)),
        ("other accounts", lambda: earlier_writers.other_accounts(context, on=on)),
        ("results", lambda: earlier_writers.results(context)),
    ]
    return [check for name, part in parts for check in _looked_at(name, part)]


def agreement(context: BoardContext) -> list[Check]:
    """Whether the board's repos agree with each other, file by file: an error for each disagreement."""
    return list(_looked_at("consistency", lambda: _agreement(context)))


def _agreement(context: BoardContext) -> Checks:
    found = disagreements(context)
    for one in found:
        mend = COMPARED if one.what == NOT_INDEXED else "Look at that file, then mend it."
        yield Check("consistency", "error", f"{one.path}: {one.words} ({one.what})", mend)
    if not found:
        yield Check("consistency", "ok", "Requests, index, results, flags and the table agree with each other.")


def against_switching_on(context: BoardContext) -> list[Check]:
    """What forbids to switch an effect on now: another account at work on the queue, or a past without a record."""
    parts: list[tuple[str, Callable[[], Checks]]] = [
        ("mirrors", lambda: machine.mirrors(context)),
        ("adoption", lambda: earlier_writers.adoption(context, on=True)),
        ("other accounts", lambda: earlier_writers.other_accounts(context, on=True)),
    ]
    checks = [check for name, part in parts for check in _looked_at(name, part)]
    return [check for check in checks if check.state == "error"]


def _looked_at(name: str, part: Callable[[], Checks]) -> Checks:
    try:
        yield from part()
    except (HubError, MirrorDamaged, UnusableFolder, redis.ResponseError) as error:
        yield Check(name, "error", f"Could not be looked at: {error}", "Mend what is above, and look again.")


def _effects(context: BoardContext) -> Checks:
    kinds = {mode: [kind for kind in Effect if context.effects.mode(kind) is mode] for mode in reversed(EffectMode)}
    said = "; ".join(f"{mode}: {', '.join(named)}" for mode, named in kinds.items() if named)
    yield Check("effects", "ok", f"{said[0].upper()}{said[1:]}.")
