"""Checks of machines: the queue server, clocks, disk space and permissions of the mirrors, workers."""

from __future__ import annotations

import shutil
from collections import Counter
from email.utils import parsedate_to_datetime
from pathlib import Path

import redis

from bot.core.context import BoardContext
from bot.core.mirrors.folder import trouble_with
from bot.setup.doctor.findings import Check, Checks, State
from leaderboard import __version__
from leaderboard.failures import cause
from leaderboard.outbreaks import WINDOW_SECONDS
from leaderboard.tiers import TIERS
from redis_state.canaries import Canaries
from redis_state.set_aside import names_of

GB = 1 << 30
FREE_WARNING, FREE_ERROR = 5 * GB, 1 * GB
WORK_WARNING, WORK_ERROR = 20 * GB, 3 * GB
"""A model of seven billion parameters takes 15 GB; 2 GB stay free beside each model."""
OLDEST_REDIS = (7, 0)
FULL_SHARE = 0.9
"""Share of its memory limit from which a queue server counts as full."""
DRIFT_WARNING_SECONDS, DRIFT_ERROR_SECONDS = 5.0, 60.0
"""Difference of clocks; from an error on, leases and times are wrong."""


def queue_settings(context: BoardContext) -> Checks:
    """Whether the queue server keeps acknowledged writes."""
    try:
        persistence, memory = context.redis.info("persistence"), context.redis.info("memory")
    except redis.ResponseError as error:
        yield Check("redis", "warning", f"It does not show its settings: {error}", "Check its settings yourself.")
        return
    if int(persistence.get("aof_enabled", 0)):
        yield Check("redis", "ok", "Every write is kept in an append-only file.")
    else:
        fix = "Set `appendonly yes`."
        yield Check("redis", "error", "Acknowledged writes are lost with the process: no append-only file.", fix)
    policy = str(memory.get("maxmemory_policy", "unknown"))
    if policy == "noeviction":
        yield Check("redis", "ok", "It evicts nothing.")
    else:
        fix = "Set `maxmemory-policy noeviction`."
        yield Check("redis", "error", f"It may evict data that is still needed ({policy}).", fix)


def queue_server(context: BoardContext) -> Checks:
    """Whether the queue server is new enough and has free memory."""
    server, memory = context.redis.info("server"), context.redis.info("memory")
    version = str(server.get("valkey_version") or server.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < OLDEST_REDIS:
        fix = "Use Redis 7 or newer, or Valkey."
        yield Check("redis version", "error", f"Redis {version} lacks commands that Steward needs.", fix)
    else:
        yield Check("redis version", "ok", f"The queue server is of version {version}.")
    used, limit = int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0))
    if limit and used > FULL_SHARE * limit:
        words = f"It uses {used / GB:,.2f} of {limit / GB:,.2f} GB; when it is full, deliveries are refused."
        yield Check("redis version", "error", words, "Raise `maxmemory`.")


def clocks(context: BoardContext) -> Checks:
    """Whether the local clock agrees with those of the queue server and the Hub."""
    seconds, micros = context.redis.time()
    yield _drift("Redis", context.now() - seconds - micros / 1e6)
    answer = context.hub.session.send("GET", f"{context.requests.api}/refs", route="refs")
    if date := answer.headers.get("date"):
        yield _drift("the Hub", context.now() - parsedate_to_datetime(date).timestamp())


def _drift(server: str, seconds: float) -> Check:
    drift = abs(seconds)
    state: State = "ok" if drift <= DRIFT_WARNING_SECONDS else "warning" if drift <= DRIFT_ERROR_SECONDS else "error"
    relation = "agrees with" if state == "ok" else f"is {drift:.0f} s {'ahead of' if seconds > 0 else 'behind'}"
    fix = "" if state == "ok" else "Run an NTP client."
    return Check("clock", state, f"The local clock {relation} that of {server}.", fix)


def disk(folder: Path, work_dir: Path | None) -> Checks:
    """Whether the disk has space for clones of the board's repos, of which 100,000 request files take half a gigabyte,
    and for models in the workers' folder `work_dir`, if there is one here."""
    yield _space(folder, "clones of the board's repos", "STEWARD_MIRRORS", FREE_WARNING, FREE_ERROR)
    if work_dir is not None:
        yield _space(work_dir, "models and questions", "STEWARD_WORK_DIR", WORK_WARNING, WORK_ERROR)


def _space(folder: Path, what: str, setting: str, warning: int, error: int) -> Check:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    state: State = "ok" if free > warning else "warning" if free > error else "error"
    words = f"{free / GB:,.1f} GB are free at {existing}, for {what}."
    return Check("disk", state, words, "" if state == "ok" else f"Free space, or set {setting} to another folder.")


def mirrors(context: BoardContext) -> Checks:
    """Whether only this account can write to the folder of the clones."""
    folder = context.mirror.root
    if trouble := trouble_with(folder):
        fix = f"Run `chmod 700 {folder}` as its owner, or set STEWARD_MIRRORS to a folder of this account alone."
        yield Check("mirrors", "error", trouble, fix)
    else:
        yield Check("mirrors", "ok", f"Clones are in {folder}, which only this account can write to.")


def workers(context: BoardContext) -> Checks:
    """The workers that are alive: their devices, versions and tiers."""
    alive, backends = context.workers.alive(now=context.now()), context.board.backends
    if not alive and not context.takes.models:
        yield Check("workers", "ok", "The bot scores predictions itself: the board needs no worker.")
        return
    if not alive and not backends:
        yield Check("workers", "warning", "No worker is alive: nothing is evaluated.", "Start `steward work`.")
        return
    for card in alive:
        theirs, ours = card.versions.get("steward", ""), __version__
        if theirs and theirs != ours:
            fix = "Install the same version on both machines: messages may have changed."
            yield Check("workers", "warning", f"{card.name} runs Steward {theirs}, the bot {ours}.", fix)
        elif missing := [name for name, version in card.versions.items() if version == "missing"]:
            fix = "Run `pip install 'steward-leaderboard[worker]'` there."
            yield Check("workers", "error", f"{card.name} lacks {', '.join(missing)}.", fix)
        elif card.devices.startswith("cpu"):
            fix = "If it has GPUs, check `nvidia-smi` and STEWARD_DEVICE."
            yield Check("workers", "warning", f"{card.name} has no GPU and evaluates on the CPU.", fix)
        else:
            yield Check("workers", "ok", f"{card.name} evaluates on {card.devices}.")
    for aside in context.set_aside.all():
        if aside.worker in {name for card in alive for name in names_of(card)}:
            words = f"{aside.worker} is set aside: what it published of {aside.attempt} does not fit: {aside.reason}"
            fix = "Mend the cause on that machine, and start the worker again."
            if aside.account:
                fix = "Find out what its machine computes; docs/other-workers.md says how to trust it again."
            yield Check("workers", "error", words, fix)
    for refused in context.accepted_digests.waiting():
        if refused.worker in {card.name for card in alive}:
            words = f"{refused.worker} takes no job: its tasks differ from those of the board's results."
            yield Check("workers", "warning", words, "See what differs, and accept it or not: `steward tasks`.")
    served = {tier for card in alive for tier in card.takes} | backends.keys()
    if unserved := [tier for tier in TIERS if tier not in served]:
        fix = "Set STEWARD_TIERS=all for a worker, or start one that is large enough."
        words = f"No worker takes the tiers {', '.join(unserved)}; a larger one takes them, if there is one."
        yield Check("workers", "warning", words, fix)


def failures(context: BoardContext) -> Checks:
    """Whether attempts of the last hour failed by the service's fault, and not by that of a model."""
    ended, now = Canaries(context.redis, context.keys, context.suite.name).ended(), context.now()
    recent = [attempt.cause for attempt in ended if attempt.cause and attempt.at > now - WINDOW_SECONDS]
    ours = Counter(code for code in recent if cause(code).fault == "us")
    if not ours:
        yield Check("failures", "ok", "No attempt failed by the board's own fault in the last hour.")
    for code, count in ours.most_common():
        words = f"{count:,} {'attempt' if count == 1 else 'attempts'} failed in the last hour: {code}."
        yield Check("failures", "warning", words, "`steward logs` shows the log of each; docs/diagnosis.md, the cause.")


def cross_checks(context: BoardContext) -> Checks:
    """Whether answers of other people's workers can be computed again, where the board wants that."""
    evaluator = context.suite.evaluator
    if context.board.workers is not None and evaluator is not None:
        words = f"Answers of {evaluator.name} are not computed again: those of other people's workers are not checked."
        fix = "Let accounts that you trust alone write details repos, or remove `workers` from the board file."
        yield Check("cross-checks", "warning", words, fix)
