"""Creating, moving, changing and deleting repos."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Annotated, Any, Literal

import yaml
from fastapi import Request
from pydantic import BaseModel, Field

from localhub.accounts.store import Account, Caller
from localhub.errors import BadRequest, Forbidden, HubError
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.repos.paths import clean
from localhub.repos.records import GatedMode, Repo, RepoType
from localhub.repos.spaces import FREE_HARDWARE
from localhub.repos.store import name_taken
from localhub.repos.volumes import Volume
from localhub.routes.dependencies import CallerDep, Contents, Owned, Readable, StateDep, public_url
from localhub.routes.spaces import SpaceEntry, check_hardware
from localhub.state import HubState

router = HubRouter(tags=["repos"])

Visibility = Literal["public", "private", "protected"]
Type = Literal["model", "dataset", "space"]
FullName = Annotated[str, Field(min_length=3, max_length=200, pattern=r"^[^/]+/[^/]+$")]
_NAME = re.compile(r"(?!\.)(?!.*(?:--|\.\.))[A-Za-z0-9._-]{1,96}(?<![.-])(?<!\.git)")


class InitialFile(BaseModel):
    """A file of the first commit."""

    path: str
    content: str
    encoding: Literal["utf-8", "base64"] = "utf-8"


class NewRepo(BaseModel):
    """A repo to create; the organization may also be part of `name`."""

    name: str = Field(min_length=1, max_length=200)
    organization: str | None = Field(None, max_length=200)
    type: Type | None = None
    visibility: Visibility | None = None
    private: bool | None = None
    sdk: Literal["gradio", "streamlit", "docker", "static"] | None = None
    license: str | None = Field(None, max_length=100)
    files: list[InitialFile] = Field(default_factory=list, max_length=1000)
    hardware: str | None = Field(None, max_length=100)
    sleep: int | None = Field(None, alias="sleepTimeSeconds", ge=-1)
    secrets: list[SpaceEntry] = Field(default_factory=list, max_length=1000)
    variables: list[SpaceEntry] = Field(default_factory=list, max_length=1000)
    volumes: list[Volume] = Field(default_factory=list, max_length=100)


class OldRepo(BaseModel):
    """A repo to delete."""

    name: str = Field(min_length=1, max_length=200)
    organization: str | None = Field(None, max_length=200)
    type: Type | None = None


class Move(BaseModel):
    """A change of a repo's full name."""

    from_repo: FullName = Field(alias="fromRepo")
    to_repo: FullName = Field(alias="toRepo")
    type: Type = "model"


class Settings(BaseModel):
    """The settings to change; the others stay."""

    visibility: Visibility | None = None
    private: bool | None = None
    gated: GatedMode | None = None
    discussions_disabled: bool | None = Field(None, alias="discussionsDisabled")


@router.post("/api/repos/create")
def create(request: Request, state: StateDep, caller: CallerDep, body: NewRepo) -> JsonObject:
    """Create a repo with its first commit."""
    creator = caller.require_account()
    repo_type = body.type or "model"
    owner, name = _owner(state, caller, body)
    _check_name(name)
    if repo_type == "space" and body.sdk is None:
        raise BadRequest("A Space needs an sdk: gradio, streamlit, docker or static.")
    if body.hardware:
        check_hardware(state, owner.name, body.hardware)
    existing = state.repos.get(repo_type, f"{owner.name}/{name}")
    if existing:
        raise _exists(existing, public_url(request))
    private = body.private if body.visibility is None else body.visibility != "public"
    if private is None:
        private = state.accounts.creates_private_repos(owner)
    for volume in body.volumes:
        state.volumes.check(caller, volume)
    files = {clean(file.path): _bytes(file) for file in body.files}
    if body.license:
        files.setdefault("README.md", f"---\nlicense: {body.license!r}\n---\n".encode())
    if repo_type == "space":
        files.setdefault("README.md", _space_card(name, str(body.sdk)))
    repo = state.repos.create(repo_type, owner, name, creator, files=files, private=private, sdk=body.sdk)
    if repo_type == "space":
        _set_space(state, repo, body)
    return {"url": public_url(request) + repo.web_path, "name": repo.full_name, "id": repo.oid}


@router.delete("/api/repos/delete")
def delete(state: StateDep, caller: CallerDep, body: OldRepo) -> JsonObject:
    """Delete a repo with its files, grants and LFS objects."""
    namespace, _, name = body.name.rpartition("/")
    namespace = body.organization or namespace or caller.require_account().name
    repo = _repo_to_change(state, caller, body.type or "model", f"{namespace}/{name}")
    state.repos.delete(repo, caller.account)
    state.grants.forget(repo)
    state.likes.forget(repo)
    state.spaces.forget(repo)
    for sha256, *_ in state.lfs.objects(repo.oid):
        state.lfs.unlink(repo.oid, sha256)
    return {}


@router.post("/api/repos/move")
def move(state: StateDep, caller: CallerDep, body: Move) -> JsonObject:
    """Change a repo's name or owner."""
    actor = caller.require_account()
    repo = _repo_to_change(state, caller, body.type, body.from_repo)
    namespace, _, name = body.to_repo.partition("/")
    owner = _namespace(state, caller, namespace, body.type)
    _check_name(name)
    existing = state.repos.get(body.type, body.to_repo)
    if existing and existing.oid != repo.oid:
        raise name_taken(body.type, existing.namespace, existing.name)
    state.repos.move(repo, owner, name, actor)
    return {}


@router.put("/api/{kind:kind}/{ns}/{name}/settings")
def settings(repo: Owned, state: StateDep, caller: CallerDep, body: Settings) -> JsonObject:
    """Change settings; the answer holds the changed ones."""
    changes = body.model_dump(exclude_none=True, exclude={"visibility"})
    if body.visibility is not None:
        changes["private"] = body.visibility != "public"
    changed = state.repos.update(repo, caller.account, **changes)
    values = {"private": changed.private, "gated": changed.gated, "discussionsDisabled": changed.discussions_disabled}
    names = {field.alias or name for name, field in Settings.model_fields.items() if name in body.model_fields_set}
    answer: dict[str, Any] = {name: values[name] for name in values if name in names}
    return answer | ({"visibility": "private" if changed.private else "public"} if body.visibility else {})


@router.get("/api/{kind:kind}/{ns}/{name}/auth-check")
def may_read(repo: Contents) -> None:
    """200 for a caller that may read the files."""


@router.get("/api/{kind:kind}/{ns}/{name}/auth-check/write")
def may_write(repo: Readable, state: StateDep, caller: CallerDep) -> None:
    """200 for a caller that may commit."""
    state.access.require_access(caller, repo, "write")


def _set_space(state: HubState, repo: Repo, body: NewRepo) -> None:
    """Store the settings that a new Space starts with."""
    volumes = [volume.model_dump(exclude_none=True) for volume in body.volumes]
    if body.hardware or body.sleep is not None or volumes:
        state.spaces.change(repo, hardware=body.hardware or FREE_HARDWARE, sleep=body.sleep, volumes=volumes)
    for secret in body.secrets:
        state.spaces.set(repo, "secret", secret.key, secret.value, secret.description)
    for variable in body.variables:
        state.spaces.set(repo, "variable", variable.key, variable.value, variable.description)


def _repo_to_change(state: HubState, caller: Caller, repo_type: RepoType, full_name: str) -> Repo:
    """The repo by its present name: a call that changes a repo for good does not follow a former name."""
    repo = state.repos.get(repo_type, full_name)
    if repo is None:
        raise HubError(404, "Repository not found", "RepoNotFound")
    return state.access.repo(repo_type, full_name, caller, "admin")


def _owner(state: HubState, caller: Caller, body: NewRepo) -> tuple[Account, str]:
    namespace, _, name = body.name.rpartition("/")
    namespace = body.organization or namespace or caller.require_account().name
    return _namespace(state, caller, namespace, body.type or "model"), name


def _namespace(state: HubState, caller: Caller, namespace: str, repo_type: str) -> Account:
    owner = state.accounts.by_name(namespace)
    if owner is None or not state.access.may_create_in(caller, owner):
        raise Forbidden(f'You don\'t have the rights to create a {repo_type} under the namespace "{namespace}"')
    return owner


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"Invalid repo name {name!r}: 1 to 96 letters, digits, '-', '_' and '.', without '--' or '..', not starting"
            " with '.', not ending in '-', '.' or '.git'."
        )


def _space_card(name: str, sdk: str) -> bytes:
    """The card that a new Space starts with."""
    metadata: dict[str, Any] = {
        "title": name.replace("-", " ").title(),
        "emoji": "📊",
        "colorFrom": "blue",
        "colorTo": "green",
    }
    metadata |= {"sdk": sdk, **({"app_file": "app.py"} if sdk in ("gradio", "streamlit") else {}), "pinned": False}
    head = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\nA Space of a local Hub.\n".encode()


def _exists(repo: Repo, base: str) -> HubError:
    message = f"You already created this {repo.type} repo"
    return HubError(409, message, extra={"url": base + repo.web_path, "name": repo.full_name})


def _bytes(file: InitialFile) -> bytes:
    try:
        return b64decode(file.content, validate=True) if file.encoding == "base64" else file.content.encode()
    except (NotBase64, ValueError) as error:
        raise BadRequest(f"The content of {file.path} is not valid {file.encoding}.") from error
