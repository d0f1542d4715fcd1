"""What `steward doctor` says of machines: room on the disk, the queue server, and who evaluates with what."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from bot.desk import Desk
from bot.findings import Check, Checks, State
from bot.sync.reconcile import watched
from leaderboard.tiers import TIERS

GB = 1 << 30
LITTLE, VERY_LITTLE = 5 * GB, 1 * GB
OLDEST_REDIS = (7, 0)
FULL = 0.9
HOOK_PATH = "/webhooks/hub"


def disk(folder: Path) -> Checks:
    """Room for clones of the board's repos; 100,000 request files take about half a gigabyte."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(there).free
    state: State = "ok" if free > LITTLE else "warning" if free > VERY_LITTLE else "error"
    words = f"{free / GB:,.1f} GB are free at {there}, where clones of the board's repos lie."
    yield Check("disk", state, words, "" if state == "ok" else "Make room, or name another folder in STEWARD_MIRRORS.")


def queue_server(desk: Desk) -> Checks:
    """Whether the queue server is new enough, and has room."""
    server, memory = desk.redis.info("server"), desk.redis.info("memory")
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


def workers(desk: Desk) -> Checks:
    """Who evaluates: on GPUs or not, of which version, for which tiers."""
    alive = desk.workers.alive(now=desk.now())
    if not alive:
        yield Check("workers", "warning", "No worker lives: nothing is evaluated.", "Start `steward work`.")
        return
    for card in alive:
        theirs, ours = card.versions.get("steward", ""), metadata.version("steward")
        if theirs and theirs != ours:
            mend = "Install the same version on both machines: messages may have changed."
            yield Check("workers", "warning", f"{card.name} runs Steward {theirs}, the bot {ours}.", mend)
        elif missing := [name for name, version in card.versions.items() if version == "missing"]:
            mend = "Install `steward[worker]` there."
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


def hook_addresses(desk: Desk) -> Checks:
    """Whether each of the board's webhooks leads to a web server of ours, and its secret travels unseen."""
    plain_hub = desk.hub.endpoint.startswith("http://")
    for address in sorted({hook.url or "" for hook in desk.hub.webhooks() if watched(desk, hook)}):
        url = urlsplit(address)
        if url.path != HOOK_PATH:
            mend = f"Its address has to end in {HOOK_PATH}: change it in the Hub's settings, or `steward init --url`."
            yield Check("webhook address", "error", f"A webhook of the board leads to {address}.", mend)
        elif url.scheme != "https" and not plain_hub:
            mend = "Serve it with TLS, and change the webhook's address to https."
            yield Check("webhook address", "error", f"The secret travels readable for everybody to {address}.", mend)
        else:
            yield Check("webhook address", "ok", f"The board's webhooks lead to {address}.")
