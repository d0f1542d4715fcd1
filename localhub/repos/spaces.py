"""The settings of Spaces: secrets, variables, hardware, sleep time, storage and volumes. No Space runs on this Hub.

The stage is what the Hub would report once a Space is built and started [?].
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from localhub.clock import Clock, iso
from localhub.database import Database
from localhub.errors import BadRequest, HubError
from localhub.json_values import JsonObject
from localhub.repos.records import Repo

SCHEMA = """
CREATE TABLE IF NOT EXISTS spaces (
  repo TEXT PRIMARY KEY, hardware TEXT NOT NULL, sleep INTEGER, storage TEXT, volumes TEXT NOT NULL,
  paused INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS space_entries (
  repo TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, description TEXT, at REAL NOT NULL,
  PRIMARY KEY (repo, kind, key));
"""

EntryKind = Literal["secret", "variable"]
StorageTier = Literal["small", "medium", "large"]
STORAGE_TIERS: tuple[StorageTier, ...] = get_args(StorageTier)
FREE_HARDWARE = "cpu-basic"
FREE_SLEEP_SECONDS = 48 * 3600
"""After this time without a visitor free hardware sleeps, whatever its Space asks for."""


@dataclass(frozen=True)
class Hardware:
    """One kind of machine; `price` in micro-dollars a minute."""

    name: str
    title: str
    cpu: str
    ram: str
    price: int
    accelerator: str = ""

    def as_json(self) -> JsonObject:
        """The machine as `GET /api/spaces/hardware` lists it."""
        model, _, memory = self.accelerator.partition(" ")
        gpu = {"type": "gpu", "model": model, "quantity": "1", "vram": memory, "manufacturer": "Nvidia"}
        return {
            "name": self.name,
            "prettyName": self.title,
            "cpu": self.cpu,
            "ram": self.ram,
            "accelerator": gpu if self.accelerator else None,
            "unitCostMicroUSD": self.price,
            "unitCostUSD": self.price / 1_000_000,
            "unitLabel": "minute",
        }


HARDWARE = {
    machine.name: machine
    for machine in (
        Hardware(FREE_HARDWARE, "CPU Basic", "2 vCPU", "16 GB", 0),
        Hardware("cpu-upgrade", "CPU Upgrade", "8 vCPU", "32 GB", 500),
        Hardware("t4-small", "Nvidia T4 - small", "4 vCPU", "15 GB", 6_667, "T4 16 GB"),
        Hardware("t4-medium", "Nvidia T4 - medium", "8 vCPU", "30 GB", 10_000, "T4 16 GB"),
        Hardware("l4x1", "1x Nvidia L4", "8 vCPU", "30 GB", 13_333, "L4 24 GB"),
        Hardware("a10g-small", "Nvidia A10G - small", "4 vCPU", "14 GB", 16_667, "A10G 24 GB"),
        Hardware("a100-large", "Nvidia A100 - large", "12 vCPU", "142 GB", 41_667, "A100 80 GB"),
    )
}
"""A few kinds of the Hub's machines; the prices are examples."""


@dataclass(frozen=True)
class SpaceSettings:
    """The settings of one Space."""

    hardware: str = FREE_HARDWARE
    sleep: int | None = None
    storage: str | None = None
    volumes: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    paused: bool = False


class Spaces:
    """The settings of every Space."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        database.ensure(SCHEMA)
        self.hosts: dict[str, str] = {}
        """Full name of a Space in lower case → the address of its pages, if it is not the one that the Hub derives."""

    def settings(self, repo: Repo) -> SpaceSettings:
        """The settings of a Space; the defaults if none was ever changed."""
        row = self._database.row("SELECT * FROM spaces WHERE repo = ?", (repo.oid,))
        if row is None:
            return SpaceSettings()
        volumes = tuple(json.loads(row["volumes"]))
        sleep, paused = row["sleep"], bool(row["paused"])
        return SpaceSettings(row["hardware"], sleep, row["storage"], volumes, paused)

    def change(self, repo: Repo, **changes: Any) -> SpaceSettings:
        """Change fields of the settings, and return all of them."""
        with self._database.write() as db:
            new = replace(self.settings(repo), **changes)
            volumes = json.dumps(list(new.volumes))
            row = (repo.oid, new.hardware, new.sleep, new.storage, volumes, int(new.paused))
            db.execute("INSERT OR REPLACE INTO spaces VALUES (?,?,?,?,?,?)", row)
        return new

    def enlarge(self, repo: Repo, tier: StorageTier) -> SpaceSettings:
        """Give the Space storage; it can grow, and only be deleted to become smaller."""
        present = self.settings(repo).storage
        tiers: list[str] = [*STORAGE_TIERS]
        if present is not None and tiers.index(tier) < tiers.index(present):
            raise BadRequest("Storage cannot be downgraded: delete it first.")
        return self.change(repo, storage=tier)

    def set(self, repo: Repo, kind: EntryKind, key: str, value: str, description: str | None = None) -> None:
        """Set a secret or a variable."""
        with self._database.write() as db:
            row = (repo.oid, kind, key, value, description, self._clock.seconds())
            db.execute("INSERT OR REPLACE INTO space_entries VALUES (?,?,?,?,?,?)", row)

    def unset(self, repo: Repo, kind: EntryKind, key: str) -> None:
        """Delete a secret or a variable. 404 if there is none of that key [?]."""
        with self._database.write() as db:
            where = (repo.oid, kind, key)
            gone = db.execute("DELETE FROM space_entries WHERE repo = ? AND kind = ? AND key = ?", where).rowcount
        if not gone:
            raise HubError(404, f"There is no {kind} {key}")

    def entries(self, repo: Repo, kind: EntryKind) -> JsonObject:
        """Key → description and time of each secret or variable; the value of variables only."""
        rows = self._database.rows(
            "SELECT * FROM space_entries WHERE repo = ? AND kind = ? ORDER BY key", (repo.oid, kind)
        )
        return {
            row["key"]: {
                **({"value": row["value"]} if kind == "variable" else {}),
                **({"description": row["description"]} if row["description"] else {}),
                "updatedAt": iso(datetime.fromtimestamp(row["at"], UTC)),
            }
            for row in rows
        }

    def environment(self, repo: Repo) -> dict[str, str]:
        """The environment that a Space's process gets, with the values of secrets; no call of the API returns it."""
        rows = self._database.rows("SELECT key, value FROM space_entries WHERE repo = ? ORDER BY kind", (repo.oid,))
        host = self.host(repo).partition("://")[2]
        known = {"SPACE_ID": repo.full_name, "SPACE_AUTHOR_NAME": repo.namespace, "SPACE_HOST": host}
        return {**known, **{row["key"]: row["value"] for row in rows}}

    def host(self, repo: Repo) -> str:
        """The address at which the Hub would serve the Space's pages."""
        return self.hosts.get(repo.full_name.lower()) or f"https://{repo.subdomain}.hf.space"

    def runtime(self, repo: Repo) -> JsonObject:
        """The state of a Space, as `huggingface_hub` reads it."""
        settings = self.settings(repo)
        free = settings.hardware == FREE_HARDWARE
        stage = self._stage(repo, settings)
        return {
            "stage": stage,
            "hardware": {"current": settings.hardware if stage == "RUNNING" else None, "requested": settings.hardware},
            "storage": settings.storage,
            "gcTimeout": FREE_SLEEP_SECONDS if free and repo.sdk != "static" else settings.sleep,
            "volumes": list(settings.volumes) or None,
            "devMode": False,
        }

    def forget(self, repo: Repo) -> None:
        """Delete all settings of a Space."""
        with self._database.write() as db:
            db.execute("DELETE FROM spaces WHERE repo = ?", (repo.oid,))
            db.execute("DELETE FROM space_entries WHERE repo = ?", (repo.oid,))

    def _stage(self, repo: Repo, settings: SpaceSettings) -> str:
        if settings.paused:
            return "PAUSED"
        clash = self._database.row(
            "SELECT key FROM space_entries WHERE repo = ? GROUP BY key HAVING count(*) > 1", (repo.oid,)
        )
        return "CONFIG_ERROR" if clash else "RUNNING"
