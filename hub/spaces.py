"""Settings of Spaces: secrets, variables, hardware, volumes and their buckets. Each write can be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from hub import parse
from hub.calls import HubCalls
from hub.errors import Busy, Conflict, Denied, NotFound
from hub.records import Repo


@dataclass(frozen=True)
class SpaceVolume:
    """A repo or a bucket that is mounted in a Space at `path`. `fields` is the Hub's JSON, which a write sends back."""

    kind: str
    source: str
    path: str
    fields: Mapping[str, Any] = field(compare=False, repr=False)

    @classmethod
    def bucket(cls, source: str, path: str) -> SpaceVolume:
        """Return the volume of a bucket that the Space may write to."""
        return cls("bucket", source, path, {"type": "bucket", "source": source, "mountPath": path})


@dataclass(frozen=True)
class SpaceMachine:
    """The machine of a Space: the hardware that it requested, its volumes, and seconds until it sleeps.

    `storage` is the storage that Spaces had before volumes: small, medium or large at /data; "" for none.
    """

    stage: str
    hardware: str
    storage: str
    sleep: int | None
    volumes: tuple[SpaceVolume, ...] = ()


class SpaceCalls(HubCalls):
    """The part of `Hub` for the settings of Spaces."""

    def space_sdk(self, space: Repo) -> str:
        """Return the SDK of a Space: docker, static, gradio, …"""
        answer = self._get(space.api, "info", {"expand": "sdk"}).json()
        return parse.parsed(lambda it: str(it.get("sdk") or ""), answer)

    def space_host(self, space: Repo) -> str:
        """Return the address at which the Hub serves a Space's pages; "" if the Hub names none."""
        answer = self._get(space.api, "info").json()
        return parse.parsed(lambda it: str(it.get("host") or "").rstrip("/"), answer)

    def space_machine(self, space: Repo) -> SpaceMachine:
        """Return the machine of a Space."""
        return parse.parsed(_machine, self._get(f"{space.api}/runtime", "space-runtime").json())

    def space_hardware(self) -> frozenset[str]:
        """Return the names of the hardware that a Space may request."""
        answer = self._get("/api/spaces/hardware", "space-hardware").json()
        return parse.parsed(lambda it: frozenset(str(machine["name"]) for machine in it), answer)

    def space_secrets(self, space: Repo) -> frozenset[str]:
        """Return the names of a Space's secrets; the Hub shows no values."""
        return parse.parsed(frozenset, self._get(f"{space.api}/secrets", "space-secrets").json())

    def space_variables(self, space: Repo) -> dict[str, str]:
        """Return the variables of a Space with their values."""
        answer = self._get(f"{space.api}/variables", "space-variables").json()
        return parse.parsed(lambda it: {str(key): str(entry["value"]) for key, entry in it.items()}, answer)

    def set_space_secret(self, space: Repo, key: str, value: str) -> None:
        """Set a secret; an earlier value is lost."""
        self._repeated("POST", f"{space.api}/secrets", "space-secrets", {"key": key, "value": value})

    def delete_space_secret(self, space: Repo, key: str) -> None:
        """Delete a secret, unless it is gone."""
        with suppress(NotFound):
            self._repeated("DELETE", f"{space.api}/secrets", "space-secrets", {"key": key})

    def set_space_variable(self, space: Repo, key: str, value: str) -> None:
        """Set a variable."""
        self._repeated("POST", f"{space.api}/variables", "space-variables", {"key": key, "value": value})

    def delete_space_variable(self, space: Repo, key: str) -> None:
        """Delete a variable, unless it is gone."""
        with suppress(NotFound):
            self._repeated("DELETE", f"{space.api}/variables", "space-variables", {"key": key})

    def request_space_hardware(self, space: Repo, hardware: str, sleep: int | None = None) -> None:
        """Request that a Space runs on `hardware`, and sleeps after `sleep` seconds without a visitor.

        -1: it never sleeps; None: that time stays unchanged.
        """
        body: dict[str, Any] = {"flavor": hardware} | ({} if sleep is None else {"sleepTimeSeconds": sleep})
        self._repeated("POST", f"{space.api}/hardware", "space-hardware", body)

    def set_space_volumes(self, space: Repo, volumes: Sequence[SpaceVolume]) -> None:
        """Mount these volumes in a Space, and no others."""
        if volumes:
            body = {"volumes": [dict(volume.fields) for volume in volumes]}
            self._repeated("PUT", f"{space.api}/volumes", "space-volumes", body)
        elif self.space_machine(space).volumes:  # removing none is an error
            self._repeated("DELETE", f"{space.api}/volumes", "space-volumes", None)

    def bucket_is_private(self, bucket: str) -> bool | None:
        """Whether a bucket (`owner/name`) is private; None if the token sees no bucket of that name."""
        try:
            answer = self._get(_bucket(bucket), "bucket").json()
        except NotFound:
            return None
        return parse.parsed(lambda it: bool(it["private"]), answer)

    def create_bucket(self, bucket: str) -> None:
        """Create a private bucket, unless it exists."""
        try:
            self._repeated("POST", _bucket(bucket), "bucket", {"visibility": "private"})
        except Busy:
            raise
        except Conflict:
            return  # it exists

    def delete_bucket(self, bucket: str) -> bool:
        """Delete a bucket with its content. Return False if it is gone."""
        try:
            self._repeated("DELETE", _bucket(bucket), "bucket", None)
        except NotFound:
            return False
        return True

    def may_write(self, repo: Repo) -> bool:
        """Whether the token may commit to the repo."""
        try:
            self._get(f"{repo.api}/auth-check/write", "auth-check")
        except (Denied, NotFound):
            return False
        return True


def _bucket(bucket: str) -> str:
    return f"/api/buckets/{quote(bucket, safe='/')}"


def _machine(answer: Any) -> SpaceMachine:
    hardware = answer.get("hardware") or {}
    return SpaceMachine(
        stage=str(answer["stage"]),
        hardware=str(hardware.get("requested") or hardware.get("current") or ""),
        storage=str(answer.get("storage") or ""),
        sleep=answer.get("gcTimeout"),
        volumes=tuple(
            SpaceVolume(str(each["type"]), str(each["source"]), str(each["mountPath"]), each)
            for each in answer.get("volumes") or ()
        ),
    )
