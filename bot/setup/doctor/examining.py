"""Run all checks of a board: one line for each finding, and how to fix it.

The checks change nothing. Whether a worker's token may write is tested by a commit whose parent is not the head of the
branch: if the token may write, the Hub answers that the parent is stale, and nothing lands.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import redis

from bot.core.context import BoardContext
from bot.core.mirrors.folder import MirrorDamaged, UnusableFolder
from bot.core.platforms import Platforms
from bot.core.watched_repos import thread_repos, watched
from bot.intake.webhooks import PATH
from bot.probe.process import ProbeError
from bot.setup.board_files import NOT_INDEXED
from bot.setup.consistency import disagreements
from bot.setup.doctor import answers, backends, earlier_writers, machine, rights
from bot.setup.doctor.findings import Check, Checks
from hub.client import Hub
from hub.errors import HubError
from leaderboard.effects import Effect, EffectMode

CheckRunner = Callable[[], Checks]

COMPARED = "The sync process compares them every ten minutes: look again then, and into its log if it stays so."


def examine(
    context: BoardContext,
    *,
    worker: Hub | None = None,
    switching_on: bool = False,
    platforms: Callable[[], Platforms | None] = lambda: None,
    work_dir: Path | None = None,
) -> list[Check]:
    """The results of all checks. `worker` is a client with the workers' token, if it is known; `work_dir` is the
    workers' folder, if this machine has one.

    `platforms` connects to the platforms of the board's worker backends, and is called only if the board has some.

    With `switching_on`, a finding that forbids switching edits on is an error although they are not on yet.
    """
    on = switching_on or context.effects.mode(Effect.EDIT) is EffectMode.ON
    parts: dict[str, CheckRunner] = {
        **_account_checks(context, worker, on=on),
        **_machine_checks(context, platforms, work_dir),
        "effects": lambda: _effects(context),
        **_file_checks(context, on=on),
    }
    return [check for name, part in parts.items() for check in _run(name, part)]


def _account_checks(context: BoardContext, worker: Hub | None, *, on: bool) -> dict[str, CheckRunner]:
    """Checks of tokens, of what they may do, and of webhooks."""
    return {
        "token": lambda: rights.token(context),
        "repos": lambda: rights.repos(context),
        "rights": lambda: rights.bot_rights(context, on=on),
        "worker token": lambda: rights.worker_token(context, worker),
        "worker details": lambda: rights.worker_rights(context, worker),
        "models token": lambda: rights.models_token(context),
        "logs": lambda: rights.readable_logs(context),
        "details": lambda: rights.details(context),
        "questions": lambda: answers.questions(context, worker),
        "answers": lambda: answers.private_answers(context, worker),
        "webhooks": lambda: _webhooks(context),
        "webhook address": lambda: _webhook_addresses(context),
    }


def _machine_checks(
    context: BoardContext, platforms: Callable[[], Platforms | None], work_dir: Path | None
) -> dict[str, CheckRunner]:
    """Checks of the queue server, this machine, the workers and their platforms."""
    return {
        "redis": lambda: machine.queue_settings(context),
        "redis version": lambda: machine.queue_server(context),
        "clock": lambda: machine.clocks(context),
        "disk": lambda: machine.disk(context.mirror.root, work_dir),
        "mirrors": lambda: machine.mirrors(context),
        "workers": lambda: machine.workers(context),
        "failures": lambda: machine.failures(context),
        "backends": lambda: backends.backends(context, platforms),
        "cross-checks": lambda: machine.cross_checks(context),
    }


def _file_checks(context: BoardContext, *, on: bool) -> dict[str, CheckRunner]:
    """Checks of the board's files, and of what other programs do to them."""
    return {
        "adoption": lambda: earlier_writers.adoption(context, on=on),
        "own files": lambda: earlier_writers.own_files(context, on=on),
        "other accounts": lambda: earlier_writers.other_accounts(context, on=on),
        "results": lambda: earlier_writers.results(context),
    }


def agreement(context: BoardContext) -> list[Check]:
    """Whether the board's repos agree with each other, file by file: an error for each disagreement."""
    return list(_run("consistency", lambda: _agreement(context)))


def _agreement(context: BoardContext) -> Checks:
    contradictions = disagreements(context)
    for disagreement in contradictions:
        words = f"{disagreement.path}: {disagreement.words} ({disagreement.what})"
        fix = COMPARED if disagreement.what == NOT_INDEXED else "Check that file, then fix it."
        yield Check("consistency", "error", words, fix)
    if not contradictions:
        yield Check("consistency", "ok", "Requests, index, results, flags and the table agree with each other.")


def against_switching_on(context: BoardContext) -> list[Check]:
    """Findings that forbid switching an effect on: another account works on the queue, or the board was not adopted."""
    parts: dict[str, CheckRunner] = {
        "mirrors": lambda: machine.mirrors(context),
        "adoption": lambda: earlier_writers.adoption(context, on=True),
        "other accounts": lambda: earlier_writers.other_accounts(context, on=True),
    }
    checks = [check for name, part in parts.items() for check in _run(name, part)]
    return [check for check in checks if check.state == "error"]


def _run(name: str, part: CheckRunner) -> Checks:
    try:
        yield from part()
    except (HubError, MirrorDamaged, UnusableFolder, redis.ResponseError) as error:
        yield Check(name, "error", f"Could not be checked: {error}", "Fix the errors above, and run the doctor again.")
    except redis.RedisError as error:
        words = f"Could not be checked: the queue server does not answer ({type(error).__name__})."
        yield Check(name, "error", words, "Start it, or correct REDIS_URL, and run the doctor again.")
    except ProbeError as error:  # a busy machine, or a probe that ended
        words = f"Could not be checked: {error}."
        yield Check(name, "error", words, "Run the doctor again; if it says so again, on a less busy machine.")


def _effects(context: BoardContext) -> Checks:
    possible = [kind for kind in Effect if kind is not Effect.MODEL_PR or context.board.model_pages]
    kinds = {mode: [kind for kind in possible if context.effects.mode(kind) is mode] for mode in reversed(EffectMode)}
    words = "; ".join(f"{mode}: {', '.join(effects)}" for mode, effects in kinds.items() if effects)
    yield Check("effects", "ok", f"{words[0].upper()}{words[1:]}.")


def _webhooks(context: BoardContext) -> Checks:
    """Whether webhooks report comments in each repo where people write to the bot, and commits to the requests repo."""
    hooks = context.hub.webhooks()
    for repo in thread_repos(context):
        for domain in ("repo", "discussion") if repo == context.requests else ("discussion",):
            watching = [hook for hook in hooks if domain in hook.domains and repo in watched(context, hook)]
            events = f"{'commits to' if domain == 'repo' else 'comments in'} {repo.id}"
            if not watching:
                fix = f"Create one that watches this repo, with STEWARD_WEBHOOK_SECRET, to this server's {PATH}."
                yield Check("webhooks", "warning", f"No webhook reports {events}; the bot polls.", fix)
            elif all(hook.disabled for hook in watching):
                fix = "`steward sync` enables it again while it runs; or enable it in the Hub's settings."
                yield Check("webhooks", "error", f"The webhook for {events} is {watching[0].disabled}.", fix)
            else:
                yield Check("webhooks", "ok", f"A webhook reports {events}.")


def _webhook_addresses(context: BoardContext) -> Checks:
    """Whether each of the board's webhooks leads to a web server of Steward, and its secret is encrypted on the way, or
    starts a Job."""
    plain_hub = context.hub.endpoint.startswith("http://")
    hooks = [hook for hook in context.hub.webhooks() if watched(context, hook)]
    if any(not hook.url for hook in hooks):
        yield Check("webhook address", "ok", "A webhook of the board starts a Job.")
    addresses = sorted({hook.url for hook in hooks if hook.url})
    if len(addresses) > 1:
        words = f"The board's webhooks lead to {len(addresses)} addresses: {', '.join(addresses)}."
        fix = "A board has one bot. If another installation serves this board, stop one; else delete the old webhooks."
        yield Check("webhook address", "warning", words, fix)
    for address in addresses:
        url = urlsplit(address)
        if url.path != PATH:
            fix = f"Its address has to end in {PATH}: change it in the Hub's settings, or with `steward init --url`."
            yield Check("webhook address", "error", f"A webhook of the board leads to {address}.", fix)
        elif url.scheme != "https" and not plain_hub:
            fix = "Serve it with TLS, and change the webhook's address to https."
            yield Check("webhook address", "error", f"The secret is sent unencrypted to {address}.", fix)
        else:
            yield Check("webhook address", "ok", f"The board's webhooks lead to {address}.")
