"""Spaces: secrets, variables, hardware, restarts and volumes.

The Space has no files to build, and asks for free hardware.
"""

from __future__ import annotations

import secrets
from typing import Any

from localhub.contract.checks import check, check_date, check_equal, described, part
from localhub.contract.client import HubAnswer
from localhub.contract.registry import FactGroup
from localhub.contract.scratch import ScratchRepo
from localhub.contract.workspace import Workspace, create_repo, head

spaces = FactGroup("spaces")

_FREE = "cpu-basic"


def _space(ws: Workspace) -> ScratchRepo:
    """A private Docker Space without a Dockerfile: nothing is built, and nothing runs."""

    def make() -> ScratchRepo:
        repo = ws.named("machine")
        create_repo(ws, repo, sdk="docker").expect(200)
        return repo

    return ws.once("the Docker Space", make)


def _set(ws: Workspace, kind: str, key: str, value: str) -> HubAnswer:
    return ws.client.post(f"{_space(ws).api}/{kind}", json={"key": key, "value": value}).expect(200)


def _entries(ws: Workspace, kind: str) -> Any:
    answer = ws.client.get(f"{_space(ws).api}/{kind}").expect(200).json()
    check(kind, isinstance(answer, dict), expected="an object", got=described(answer))
    return answer


def _unset(ws: Workspace, kind: str, key: str) -> HubAnswer:
    return ws.client.call("DELETE", f"{_space(ws).api}/{kind}", json={"key": key})


def _runtime(ws: Workspace) -> Any:
    return ws.client.get(f"{_space(ws).api}/runtime").expect(200).json()


@spaces.fact(calls=5)
def secret(ws: Workspace) -> None:
    """`…/secrets` sets a secret and lists its key with `updatedAt`; no answer shows its value."""
    value = secrets.token_hex(12)
    answers = [_set(ws, "secrets", "CONTRACT_TOKEN", value).text]
    paths = ("secrets", "variables", "runtime")
    answers += [ws.client.get(f"{_space(ws).api}/{path}").expect(200).text for path in paths]
    check("secret", not any(value in text for text in answers), expected="absent", got="there")
    check_date("updatedAt", part(_entries(ws, "secrets"), "CONTRACT_TOKEN", "updatedAt"))


@spaces.fact(calls=4)
def secret_removed(ws: Workspace) -> None:
    """`DELETE …/secrets` removes a secret by its key."""
    _set(ws, "secrets", "CONTRACT_OLD", "x")
    _unset(ws, "secrets", "CONTRACT_OLD").expect(200)
    left = _entries(ws, "secrets")
    check("secrets", "CONTRACT_OLD" not in left, expected="without CONTRACT_OLD", got=described(left))


@spaces.fact(calls=3)
def variable(ws: Workspace) -> None:
    """`…/variables` sets a variable, again with another value too, and lists each key with its `value`."""
    for value in ("first", "second"):
        _set(ws, "variables", "CONTRACT_MODE", value)
    check_equal("value", part(_entries(ws, "variables"), "CONTRACT_MODE", "value"), "second")


@spaces.fact(calls=3)
def variable_removed(ws: Workspace) -> None:
    """`DELETE …/variables` removes a variable by its key."""
    _set(ws, "variables", "CONTRACT_GONE", "x")
    _unset(ws, "variables", "CONTRACT_GONE").expect(200)
    left = _entries(ws, "variables")
    check("variables", "CONTRACT_GONE" not in left, expected="without CONTRACT_GONE", got=described(left))


@spaces.choice(calls=1)
def unknown_secret(ws: Workspace) -> None:
    """Removing a secret that is not there is 404."""
    _unset(ws, "secrets", "CONTRACT_NEVER").expect(404)


@spaces.fact(calls=1)
def hardware_listed(ws: Workspace) -> None:
    """`GET /api/spaces/hardware` is a list of hardware by `name`; `cpu-basic` is among it."""
    answer = ws.client.get("/api/spaces/hardware").expect(200).json()
    names = [part(each, "name") for each in answer]
    check("names", _FREE in names, expected=f"{_FREE} among them", got=names)


@spaces.fact(calls=2)
def hardware(ws: Workspace) -> None:
    """`POST …/hardware` with a `flavor` is accepted; `…/runtime` names it as `hardware.requested`, with a `stage`."""
    ws.client.post(f"{_space(ws).api}/hardware", json={"flavor": _FREE}).expect(200)
    runtime = _runtime(ws)
    machine = part(runtime, "hardware") or {}
    check_equal("hardware", machine.get("requested") or machine.get("current"), _FREE)
    check("stage", isinstance(part(runtime, "stage"), str), expected="a text", got=runtime["stage"])


@spaces.fact(calls=1)
def unknown_hardware(ws: Workspace) -> None:
    """A `flavor` that the Hub does not have is refused."""
    ws.client.post(f"{_space(ws).api}/hardware", json={"flavor": "steward-contract"}).expect_refusal()


@spaces.fact(calls=1)
def restart(ws: Workspace) -> None:
    """`POST …/restart` is accepted, and answers with the `stage`."""
    part(ws.client.post(f"{_space(ws).api}/restart", json={}).expect(200).json(), "stage")


@spaces.fact(calls=1)
def static_has_no_machine(ws: Workspace) -> None:
    """A static Space takes no volumes: it has no machine."""
    space = ws.repo("page")
    ws.client.call("PUT", f"{space.api}/volumes", json={"volumes": [_volume(ws)]}).expect_refusal()


def _volume(ws: Workspace, revision: str | None = None) -> dict[str, str]:
    volume = {"type": "dataset", "source": ws.contents().id, "mountPath": "/mnt/contract"}
    return volume | ({"revision": revision} if revision is not None else {})


@spaces.fact(calls=3)
def volumes(ws: Workspace) -> None:
    """`PUT …/volumes` mounts a repo at a commit; `…/runtime` lists it: `type`, `source`, `mountPath`, `revision`."""
    asked = _volume(ws, head(ws, ws.contents()))
    ws.client.call("PUT", f"{_space(ws).api}/volumes", json={"volumes": [asked]}).expect(200)
    listed = part(_runtime(ws), "volumes")
    check_equal("volumes", [{name: each.get(name) for name in asked} for each in listed], [asked])


@spaces.fact(calls=3)
def volumes_removed(ws: Workspace) -> None:
    """`DELETE …/volumes` unmounts them."""
    ws.client.call("PUT", f"{_space(ws).api}/volumes", json={"volumes": [_volume(ws)]}).expect(200)
    ws.client.call("DELETE", f"{_space(ws).api}/volumes").expect(200)
    left = _runtime(ws).get("volumes")
    check("volumes", not left, expected="none", got=left)


@spaces.choice(calls=1)
def unknown_volume(ws: Workspace) -> None:
    """A volume of a repo that does not exist is refused when it is set."""
    volume = _volume(ws) | {"source": ws.named("never").id}
    ws.client.call("PUT", f"{_space(ws).api}/volumes", json={"volumes": [volume]}).expect_refusal()
