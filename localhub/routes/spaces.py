"""The settings of Spaces: secrets, variables, hardware, sleep time, storage, volumes, pause and restart.

No Space runs here: the calls store the settings and answer as the Hub would. [?] marks parts of an answer that the
code of huggingface_hub does not show.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from localhub.errors import BadRequest, HubError
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.repos.events import HubEvent
from localhub.repos.records import Repo
from localhub.repos.spaces import FREE_HARDWARE, HARDWARE, EntryKind, StorageTier
from localhub.repos.volumes import Volume
from localhub.routes.dependencies import CallerDep, Name, Namespace, StateDep
from localhub.state import HubState

router = HubRouter(prefix="/api/spaces", tags=["spaces"])

Key = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""The name of a secret or a variable [?]."""


class SpaceEntry(BaseModel):
    """A secret or a variable."""

    key: Key
    value: str = Field(max_length=100_000)
    description: str | None = Field(None, max_length=2000)


class SpaceKey(BaseModel):
    """The secret or the variable to delete."""

    key: str = Field(max_length=256)


class HardwareRequest(BaseModel):
    """The hardware to run on."""

    flavor: str = Field(max_length=100)
    sleep: int | None = Field(None, alias="sleepTimeSeconds", ge=-1)


class SleepTime(BaseModel):
    """Seconds without a visitor after which the Space sleeps; -1: never."""

    seconds: int = Field(ge=-1)


class StorageRequest(BaseModel):
    """The storage to mount at /data."""

    tier: StorageTier


class SpaceVolumes(BaseModel):
    """All volumes of a Space."""

    volumes: list[Volume] = Field(max_length=100)


def _readable(state: StateDep, caller: CallerDep, ns: Namespace, name: Name) -> Repo:
    return state.access.repo("space", f"{ns}/{name}", caller)


def _owned(state: StateDep, caller: CallerDep, ns: Namespace, name: Name) -> Repo:
    return state.access.repo("space", f"{ns}/{name}", caller, "admin")


def _running(repo: Annotated[Repo, Depends(_owned)]) -> Repo:
    """A Space with a machine: a static one has none, so the Hub refuses to pause or restart it."""
    if repo.sdk == "static":
        raise BadRequest("This is a static Space: it needs no hardware and is always running.")
    return repo


ReadableSpace = Annotated[Repo, Depends(_readable)]
OwnedSpace = Annotated[Repo, Depends(_owned)]
RunningSpace = Annotated[Repo, Depends(_running)]


@router.get("/hardware")
def list_hardware() -> list[JsonObject]:
    """The kinds of machines that a Space may request."""
    return [machine.as_json() for machine in HARDWARE.values()]


@router.get("/{ns}/{name}/runtime")
def runtime(repo: ReadableSpace, state: StateDep) -> JsonObject:
    """The state of the Space."""
    return state.spaces.runtime(repo)


@router.get("/{ns}/{name}/secrets")
def secrets(repo: OwnedSpace, state: StateDep) -> JsonObject:
    """The keys of the secrets; no call shows their values."""
    return state.spaces.entries(repo, "secret")


@router.post("/{ns}/{name}/secrets")
def set_secret(repo: OwnedSpace, state: StateDep, caller: CallerDep, body: SpaceEntry) -> JsonObject:
    """Set a secret."""
    return _set(state, caller, repo, "secret", body)


@router.delete("/{ns}/{name}/secrets")
def delete_secret(repo: OwnedSpace, state: StateDep, caller: CallerDep, body: SpaceKey) -> JsonObject:
    """Delete a secret."""
    return _unset(state, caller, repo, "secret", body)


@router.get("/{ns}/{name}/variables")
def variables(repo: OwnedSpace, state: StateDep) -> JsonObject:
    """The variables with their values."""
    return state.spaces.entries(repo, "variable")


@router.post("/{ns}/{name}/variables")
def set_variable(repo: OwnedSpace, state: StateDep, caller: CallerDep, body: SpaceEntry) -> JsonObject:
    """Set a variable; the answer holds all of them."""
    return _set(state, caller, repo, "variable", body)


@router.delete("/{ns}/{name}/variables")
def delete_variable(repo: OwnedSpace, state: StateDep, caller: CallerDep, body: SpaceKey) -> JsonObject:
    """Delete a variable; the answer holds the others."""
    return _unset(state, caller, repo, "variable", body)


@router.post("/{ns}/{name}/hardware")
def request_hardware(repo: RunningSpace, state: StateDep, body: HardwareRequest) -> JsonObject:
    """Request hardware. 402 if nothing pays for it [?]."""
    check_hardware(state, repo.namespace, body.flavor)
    sleep = {"sleep": None} if body.flavor == FREE_HARDWARE else {} if body.sleep is None else {"sleep": body.sleep}
    state.spaces.change(repo, hardware=body.flavor, **sleep)
    return state.spaces.runtime(repo)


@router.post("/{ns}/{name}/sleeptime")
def set_sleep_time(repo: RunningSpace, state: StateDep, body: SleepTime) -> JsonObject:
    """Set the time to sleep; free hardware sleeps after two days all the same."""
    state.spaces.change(repo, sleep=body.seconds)
    return state.spaces.runtime(repo)


@router.post("/{ns}/{name}/storage")
def request_storage(repo: RunningSpace, state: StateDep, body: StorageRequest) -> JsonObject:
    """Request storage at /data, as clients before 2.0 did [?]. 402 if nothing pays for it [?]."""
    require_payment(state, repo.namespace, f"the storage {body.tier}")
    state.spaces.enlarge(repo, body.tier)
    return state.spaces.runtime(repo)


@router.delete("/{ns}/{name}/storage")
def delete_storage(repo: RunningSpace, state: StateDep) -> JsonObject:
    """Delete the storage with what lies in it [?]."""
    state.spaces.change(repo, storage=None)
    return state.spaces.runtime(repo)


@router.put("/{ns}/{name}/volumes")
def set_volumes(repo: RunningSpace, state: StateDep, caller: CallerDep, body: SpaceVolumes) -> JsonObject:
    """Mount these volumes and no others."""
    for volume in body.volumes:
        state.volumes.check(caller, volume)
    volumes = [volume.model_dump(exclude_none=True) for volume in body.volumes]
    state.spaces.change(repo, volumes=volumes)
    return {"volumes": volumes}


@router.delete("/{ns}/{name}/volumes")
def delete_volumes(repo: RunningSpace, state: StateDep) -> JsonObject:
    """Unmount all volumes; 400 if there is none."""
    if not state.spaces.settings(repo).volumes:
        raise BadRequest("This Space has no volumes.")
    state.spaces.change(repo, volumes=())
    return {}


@router.post("/{ns}/{name}/pause")
def pause(repo: RunningSpace, state: StateDep) -> JsonObject:
    """Pause the Space."""
    state.spaces.change(repo, paused=True)
    return state.spaces.runtime(repo)


@router.post("/{ns}/{name}/restart")
def restart(repo: RunningSpace, state: StateDep, factory: Annotated[bool, Query()] = False) -> JsonObject:
    """Answer as if the Space restarted; with `factory`, as if it is built again."""
    state.spaces.change(repo, paused=False)
    stage = {"stage": "RUNNING_BUILDING"} if factory else {}
    return state.spaces.runtime(repo) | stage


def check_hardware(state: HubState, namespace: str, flavor: str) -> None:
    """Raise for hardware that is unknown, or that nothing pays for."""
    if flavor not in HARDWARE:
        raise BadRequest(f"Invalid option: expected one of {'|'.join(HARDWARE)}\n  → at flavor")
    if flavor != FREE_HARDWARE:
        require_payment(state, namespace, f"the hardware {flavor}")


def require_payment(state: HubState, namespace: str, what: str) -> None:
    """Raise 402 unless the owner can pay: a Pro user, or an organisation with a plan [?]."""
    owner = state.accounts.by_name(namespace)
    if owner is None or not owner.can_pay:
        raise HubError(402, f"{namespace} needs a payment method for {what}.")


def _set(state: HubState, caller: CallerDep, repo: Repo, kind: EntryKind, entry: SpaceEntry) -> JsonObject:
    state.spaces.set(repo, kind, entry.key, entry.value, entry.description)
    return _changed(state, caller, repo, kind)


def _unset(state: HubState, caller: CallerDep, repo: Repo, kind: EntryKind, body: SpaceKey) -> JsonObject:
    state.spaces.unset(repo, kind, body.key)
    return _changed(state, caller, repo, kind)


def _changed(state: HubState, caller: CallerDep, repo: Repo, kind: EntryKind) -> JsonObject:
    """Report the change to webhooks, as `repo.config`, and return all entries."""
    state.emit(HubEvent("repo.config", "update", repo, caller.account))
    return state.spaces.entries(repo, kind)
