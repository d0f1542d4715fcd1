"""The queue server of `board_processes`, with a user for each role as deploy/redis makes them, and one for the test."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path
from typing import Any

import redis

from steward.valkey import Valkey, free_port

MAKE_USERS = Path(__file__).parents[3] / "deploy" / "redis" / "make-users.sh"
ROLES = {"web": "web", "sync": "sync", "schedule": "sync", "worker": "worker"}


def queue_server(folder: Path, board: str) -> Valkey:
    """Start the server, with its users below `folder`; its `url` is that of the test, which may do everything."""
    port, password = free_port(), secrets.token_hex(16)
    subprocess.run([MAKE_USERS, board, folder / "users", f"redis://127.0.0.1:{port}/0"], check=True)
    with (folder / "users" / "users.acl").open("a") as users:
        users.write(f"user onlooker on >{password} ~* &* +@all\n")
    valkey = Valkey(folder / "valkey", port=port, users=folder / "users" / "users.acl")
    valkey.url = f"redis://onlooker:{password}@127.0.0.1:{port}/0"
    return valkey


def address(folder: Path, kind: str, through: str = "") -> str:
    """Return the address for a role at the server with its users below `folder`, or by way of the proxy `through`."""
    user, at, server = (folder / "users" / f"redis-url-{ROLES[kind]}").read_text().strip().partition("@")
    return user + at + (through.partition("://")[2] or server)


def refused(onlooker: redis.Redis) -> list[str]:
    """Return the commands that the server refused to the processes, from its ACL log."""
    entries: list[Any] = onlooker.acl_log()  # type: ignore[assignment]  # not the asynchronous one
    refusals = [" ".join(str(entry[name]) for name in ("username", "reason", "object", "context")) for entry in entries]
    return sorted({line for line in refusals if line.startswith("steward-")})
