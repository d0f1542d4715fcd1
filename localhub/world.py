"""The world file: the accounts, repos, webhooks and settings that a Hub starts with.

Objects that already exist stay as they are, so that a server can be restarted on the same folder with the same file.
Names and tokens are taken as they are.

users:     [{name, fullname, email, isPro, tokens: [{token, role: read | write | fineGrained, scoped, global, name}]}]
orgs:      [{name, fullname, plan, defaultVisibility: public | private (of new repos),
             members: {user: admin | write | contributor | read}}]
repos:     [{type: model | dataset | space, id, private, gated, disabled, discussionsDisabled, sdk, likes, downloads,
             owner (its creator), files: {path: text, or {base64: …}, or {lfs: text}}, grants: [user, …],
             branches: [name, …], tags: [name, …], aliases: [former id, …],
             secrets: {key: value}, variables: {key: value}, hardware, storage (of a Space)}]
spaceHosts: {Space id: the address of its pages, also of a Space that does not exist yet}
webhooks:  [{owner, url, secret, watched: [{type, name}], domains: [repo, discussion]}]
oauthApps: [{clientId, clientSecret, name, redirects: [address, or an origin with all its paths], scopes: [name, …]}]
uploads:   lfs (large files by LFS; the client needs HF_HUB_DISABLE_XET=1) or regular (all files in git, for any client)
limits:    hub, or {api, resolvers, pages, commits_per_hour, simultaneous}
jobs:      {images: {name: [folder of its programs, …]}, flavors: {name: micro-dollars a minute}, parallel}
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import yaml

from localhub.accounts.store import Account
from localhub.clock import Clock
from localhub.controls.limits import HUB_RATE_LIMITS
from localhub.errors import HubError, WorldError
from localhub.git.repository import SetFile
from localhub.jobs.runner import JobSettings
from localhub.json_values import JsonObject
from localhub.repos.paths import clean
from localhub.repos.records import Repo, RepoType
from localhub.repos.store import author_of
from localhub.state import HubState

USERS_SINCE = datetime(2016, 1, 1, tzinfo=UTC)
"""The creation date of the users of a world: they are older than all its repos."""
_SECTIONS = ("users", "orgs", "repos", "spaceHosts", "webhooks", "oauthApps", "uploads", "limits", "jobs")
_SETTINGS = {"discussionsDisabled": "discussions_disabled"} | {
    name: name for name in ("private", "gated", "disabled", "discussions_disabled", "sdk", "likes", "downloads")
}


def read_world(path: Path) -> JsonObject:
    """The world in a YAML file; `WorldError` with the reason if the file is unreadable or no mapping."""
    try:
        world = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise WorldError(f"it cannot be read: {error}") from error
    if not isinstance(world or {}, dict):
        raise WorldError(f"it should be a mapping with {', '.join(_SECTIONS)}")
    return world or {}


def open_hub(data: Path, world: Mapping[str, Any] | None = None, clock: Clock | None = None) -> HubState:
    """Open the Hub in the folder `data` and create the objects of the world that it lacks.

    Raises `SetupError` with the reason if the Hub cannot start.
    """
    state = HubState(data, clock or Clock.from_environment())
    try:
        apply_world(state, world or {})
    except BaseException:
        state.close()
        raise
    return state


def apply_world(state: HubState, world: Mapping[str, Any]) -> None:
    """Create the objects of the world that do not exist yet; `WorldError` if the world is invalid."""
    unknown = set(world) - set(_SECTIONS)
    if unknown:
        raise WorldError(f"it has no section {', '.join(map(str, unknown))}: its sections are {', '.join(_SECTIONS)}")
    try:
        for user in world.get("users") or ():
            _user(state, user)
        for org in world.get("orgs") or ():
            _org(state, org)
        for repo in world.get("repos") or ():
            _repo(state, repo)
        state.spaces.hosts.update((str(id).lower(), str(host)) for id, host in (world.get("spaceHosts") or {}).items())
        _webhooks(state, world.get("webhooks") or ())
        for app in world.get("oauthApps") or ():
            _oauth_app(state, app)
        _limits(state, world.get("limits"))
        _jobs(state, world.get("jobs"))
        _uploads(state, world.get("uploads", "lfs"))
    except (KeyError, TypeError, AttributeError, ValueError, HubError) as error:
        if isinstance(error, WorldError):
            raise
        raise WorldError(f"it cannot be built: {type(error).__name__}: {error}") from error


def _user(state: HubState, spec: Mapping[str, Any]) -> None:
    options: dict[str, Any] = {
        "fullname": str(spec.get("fullname", "")),
        "email": spec.get("email"),
        "is_pro": bool(spec.get("isPro")),
        "created": USERS_SINCE.timestamp(),
    }
    name = str(spec["name"])
    account = state.accounts.by_name(name) or state.accounts.create(name, "user", **options)
    for token in spec.get("tokens") or ():
        state.accounts.add_token(account, str(token["token"]), token)


def _org(state: HubState, spec: Mapping[str, Any]) -> None:
    options: dict[str, Any] = {"fullname": str(spec.get("fullname", "")), "plan": spec.get("plan")}
    name = str(spec["name"])
    org = state.accounts.by_name(name) or state.accounts.create(name, "org", **options)
    if spec.get("defaultVisibility", "public") == "private":
        state.accounts.set_private_by_default(org)
    for name, role in (spec.get("members") or {}).items():
        state.accounts.set_member(org, _account(state, name), role)


def _repo(state: HubState, spec: Mapping[str, Any]) -> None:
    repo_type: RepoType = spec.get("type", "model")
    if repo_type not in get_args(RepoType):
        raise WorldError(f"{repo_type!r} is no type of a repo: one of {', '.join(get_args(RepoType))}")
    namespace, _, name = str(spec["id"]).partition("/")
    if state.repos.get(repo_type, f"{namespace}/{name}") or state.repos.moved(repo_type, f"{namespace}/{name}"):
        return
    owner = _account(state, namespace)
    creator = _account(state, spec["owner"]) if "owner" in spec else _creator(state, owner)
    settings = {_SETTINGS[key]: value for key, value in spec.items() if key in _SETTINGS}
    repo = state.repos.create(repo_type, owner, name, creator, **settings)
    _fill_repo(state, repo, creator, spec)
    for user in spec.get("grants") or ():
        state.grants.set(repo, _account(state, user), "accepted")
    _fill_space(state, repo, spec)
    state.repos.add_aliases(repo, [str(alias) for alias in spec.get("aliases") or ()])


def _fill_repo(state: HubState, repo: Repo, creator: Account, spec: Mapping[str, Any]) -> None:
    changes = [
        SetFile(clean(str(path)), _content(state, repo, value)) for path, value in (spec.get("files") or {}).items()
    ]
    head, author = repo.git.head(), author_of(creator)
    if changes:
        message, when = "Upload files", state.clock.seconds()
        head = repo.git.commit("refs/heads/main", changes, head, author, message, when=when)
    for branch in spec.get("branches") or ():
        repo.git.update_ref(f"refs/heads/{branch}", head, None)
    for tag in spec.get("tags") or ():
        repo.git.update_ref(f"refs/tags/{tag}", head, None)


def _fill_space(state: HubState, repo: Repo, spec: Mapping[str, Any]) -> None:
    settings = {name: str(spec[name]) for name in ("hardware", "storage") if name in spec}
    if settings:
        state.spaces.change(repo, **settings)
    for key, value in (spec.get("secrets") or {}).items():
        state.spaces.set(repo, "secret", str(key), str(value))
    for key, value in (spec.get("variables") or {}).items():
        state.spaces.set(repo, "variable", str(key), str(value))


def _content(state: HubState, repo: Repo, value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping) and "base64" in value:
        return base64.b64decode(value["base64"])
    if isinstance(value, Mapping) and "lfs" in value:
        return state.lfs.add(repo.oid, _content(state, repo, value["lfs"]))
    return str(value).encode()


def _webhooks(state: HubState, specs: Iterable[Mapping[str, Any]]) -> None:
    """Create the missing webhooks. An account can have several with one address: as many as the world lists."""
    wanted = Counter[tuple[str, str]]()
    for spec in specs:
        owner, url = _account(state, spec["owner"]), str(spec["url"])
        wanted[owner.id, url] += 1
        if sum(webhook.url == url for webhook in state.webhooks.all(owner)) >= wanted[owner.id, url]:
            continue
        domains: Iterable[str] = spec.get("domains") or ("repo", "discussion")
        state.webhooks.create(owner, url=url, secret=spec.get("secret"), watched=spec["watched"], domains=domains)


def _oauth_app(state: HubState, spec: Mapping[str, Any]) -> None:
    redirects = [str(redirect) for redirect in spec.get("redirects") or ()]
    scopes = [str(scope) for scope in spec.get("scopes") or ()]
    state.oauth.register(
        str(spec["clientId"]), str(spec["clientSecret"]), redirects, name=str(spec.get("name", "")), scopes=scopes
    )


def _jobs(state: HubState, spec: object) -> None:
    if isinstance(spec, dict):
        state.jobs.configure(JobSettings(**spec))
    elif spec is not None:
        raise WorldError("jobs is a mapping with images, flavors and parallel")


def _limits(state: HubState, spec: object) -> None:
    if spec == "hub":
        state.limits.set(**asdict(HUB_RATE_LIMITS))
    elif isinstance(spec, Mapping):
        state.limits.set(**spec)
    elif spec is not None:
        raise WorldError("limits is `hub` or a mapping of limits")


def _uploads(state: HubState, mode: object) -> None:
    if mode not in ("lfs", "regular"):
        raise WorldError("uploads is `lfs` or `regular`")
    state.lfs_uploads = mode == "lfs"


def _account(state: HubState, name: object) -> Account:
    account = state.accounts.by_name(str(name))
    if account is None:
        raise WorldError(f"it names {name!r}, which is neither one of its users nor one of its orgs")
    return account


def _creator(state: HubState, owner: Account) -> Account:
    """The creator of a repo without `owner` in the world: its user, else the organisation's first admin."""
    if owner.kind == "user":
        return owner
    admins = [user for user, role in state.accounts.members(owner) if role == "admin"]
    return admins[0] if admins else owner
