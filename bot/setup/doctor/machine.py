"""Machines: the queue server, clocks, room for clones and who may write there, and who evaluates with what."""

from __future__ import annotations

import shutil
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path

import redis

from bot.core.context import BoardContext
from bot.core.mirrors.folder import trouble_with
from bot.setup.doctor.findings import Check, Checks, State
from leaderboard.tiers import TIERS

GB = 1 << 30
LITTLE, VERY_LITTLE = 5 * GB, 1 * GB
OLDEST_REDIS = (7, 0)
FULL = 0.9
"""Share of its memory from which on a queue server counts as full."""
DRIFT, MUCH_DRIFT = 5.0, 60.0
"""Seconds that clocks may differ by, and from which on leases and times are wrong."""


def queue_settings(context: BoardContext) -> Checks:
    """Whether the queue server keeps what was acknowledged."""
    try:
        persistence, memory = context.redis.info("persistence"), context.redis.info("memory")
    except redis.ResponseError as error:
        yield Check("redis", "warning", f"It does not say how it is set up: {error}", "Look at its settings yourself.")
        return
    if int(persistence.get("aof_enabled", 0)):
        yield Check("redis", "ok", "Every write is kept in an append-only file.")
    else:
        mend = "Set `appendonly yes`."
        yield Check("redis", "error", "What was acknowledged is lost with the process: no append-only file.", mend)
    policy = str(memory.get("maxmemory_policy", "unknown"))
    if policy == "noeviction":
        yield Check("redis", "ok", "It evicts nothing.")
    else:
        mend = "Set `maxmemory-policy noeviction`."
        yield Check("redis", "error", f"It may throw away what is still needed ({policy}).", mend)


def queue_server(context: BoardContext) -> Checks:
    """Whether the queue server is new enough, and has room."""
    server, memory = context.redis.info("server"), context.redis.info("memory")
    version = str(server.get("valkey_version") or server.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < OLDEST_REDIS:
        mend = "Use Redis 7 or newer, or Valkey."
        yield Check("redis version", "error", f"Redis {version} lacks commands that Steward needs.", mend)
    else:
        yield Check("redis version", "ok", f"The queue server is of version {version}.")
    used, limit = int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0))
    if limit and used > FULL * limit:
        words = f"It uses {used / GB:,.2f} of {limit / GB:,.2f} GB; when it is full, deliveries are refused."
        yield Check("redis version", "error", words, "Raise `maxmemory`.")


def clocks(context: BoardContext) -> Checks:
    """Whether our clock agrees with those of the queue server and the Hub."""
    seconds, micros = context.redis.time()
    yield _drift("Redis", context.now() - seconds - micros / 1e6)
    answer = context.hub.session.send("GET", f"{context.requests.api}/refs", route="refs")
    if date := answer.headers.get("date"):
        yield _drift("the Hub", context.now() - parsedate_to_datetime(date).timestamp())


def _drift(other: str, seconds: float) -> Check:
    state: State = "ok" if abs(seconds) <= DRIFT else "warning" if abs(seconds) <= MUCH_DRIFT else "error"
    how = "agrees with" if state == "ok" else f"is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"
    return Check("clock", state, f"Our clock {how} that of {other}.", "" if state == "ok" else "Run an NTP client.")


def disk(folder: Path) -> Checks:
    """Room for clones of the board's repos; 100,000 request files take about half a gigabyte."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(there).free
    state: State = "ok" if free > LITTLE else "warning" if free > VERY_LITTLE else "error"
    words = f"{free / GB:,.1f} GB are free at {there}, where clones of the board's repos lie."
    yield Check("disk", state, words, "" if state == "ok" else "Make room, or name another folder in STEWARD_MIRRORS.")


def mirrors(context: BoardContext) -> Checks:
    """Whether clones lie where nobody else can put commits."""
    folder = context.mirror.root
    if trouble := trouble_with(folder):
        mend = f"Run `chmod 700 {folder}` as its owner, or name a folder of this account alone in STEWARD_MIRRORS."
        yield Check("mirrors", "error", trouble, mend)
    else:
        yield Check("mirrors", "ok", f"Clones lie in {folder}, which nobody else can write to.")


def workers(context: BoardContext) -> Checks:
    """Who evaluates: on GPUs or not, of which version, for which tiers."""
    alive = context.workers.alive(now=context.now())
    if not alive:
        yield Check("workers", "warning", "No worker lives: nothing is evaluated.", "Start `steward work`.")
        return
    for card in alive:
        theirs, ours = card.versions.get("steward", ""), metadata.version("steward")
        if theirs and theirs != ours:
            mend = "Install the same version on both machines: messages may have changed."
            yield Check("workers", "warning", f"{card.name} runs Steward {theirs}, the bot {ours}.", mend)
        elif missing := [name for name, version in card.versions.items() if version == "missing"]:
            mend = "Run `pip install '.[worker]'` there, in a clone of Steward."
            yield Check("workers", "error", f"{card.name} lacks {', '.join(missing)}.", mend)
        elif card.devices.startswith("cpu"):
            mend = "Where it has GPUs: do `nvidia-smi` and STEWARD_DEVICE show them?"
            yield Check("workers", "warning", f"{card.name} has no GPU and evaluates on the CPU.", mend)
        else:
            yield Check("workers", "ok", f"{card.name} evaluates on {card.devices}.")
    if unserved := [tier for tier in TIERS if not any(tier in card.takes for card in alive)]:
        mend = "Give a worker STEWARD_TIERS=all, or one that is large enough."
        words = f"No worker takes the tiers {', '.join(unserved)}; a larger one takes them, if there is one."
        yield Check("workers", "warning", words, mend)
