"""The info of a repo: which fields there are for each type, and what each holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from localhub.clock import iso
from localhub.errors import BadRequest
from localhub.git.history import commit_info
from localhub.repos.facts import RepoFacts
from localhub.repos.store import Repo, RepoType

if TYPE_CHECKING:
    from localhub.state import HubState

_COMMON = (
    *("author", "cardData", "createdAt", "disabled", "lastModified", "likes", "private", "resourceGroup", "sha"),
    *("siblings", "tags", "trendingScore", "usedStorage"),
)
EXPANDABLE: dict[RepoType, tuple[str, ...]] = {
    "model": (
        *_COMMON,
        *(
            "baseModels",
            "childrenModelCount",
            "config",
            "downloads",
            "downloadsAllTime",
            "evalResults",
            "gated",
            "gguf",
        ),
        *("inference", "inferenceProviderMapping", "library_name", "mask_token", "model-index", "pipeline_tag"),
        *("safetensors", "securityRepoStatus", "spaces", "transformersInfo", "widgetData", "xetEnabled"),
    ),
    "dataset": (
        *_COMMON,
        *("citation", "description", "downloads", "downloadsAllTime", "gated", "mainSize", "paperswithcode_id"),
    ),
    "space": (*_COMMON, "datasets", "models", "region", "runtime", "sdk", "subdomain"),
}
"""What may be asked for by `expand`."""

_NOT_BY_DEFAULT = frozenset(
    {
        *("baseModels", "childrenModelCount", "downloadsAllTime", "evalResults", "gguf", "inferenceProviderMapping"),
        *("mainSize", "resourceGroup", "securityRepoStatus", "trendingScore", "xetEnabled", "region"),
    }
)


def info(
    state: HubState,
    repo: Repo,
    commit: str | None,
    *,
    expand: Sequence[str] = (),
    blobs: bool = False,
    security: bool = False,
) -> dict[str, Any]:
    """The fields asked for, or those that everybody gets; one without a value is left out."""
    wanted = list(expand) or _defaults(repo.type, security=security)
    view = _InfoQuery(state, repo, commit, blobs=blobs)
    shown: dict[str, Any] = {"_id": repo.oid, "id": repo.full_name}
    if repo.type == "model" and not expand:
        shown["modelId"] = repo.full_name
    for name in wanted:
        value = _FIELDS[name](view)
        if value is not None or name == "sha":
            shown[name] = value
    if repo.type == "space" and not expand:
        shown["host"] = f"https://{repo.subdomain}.hf.space"
    return shown


def check_expand(repo_type: RepoType, expand: Iterable[str]) -> None:
    """`BadRequest` naming every option where one is asked for that there is not."""
    options = EXPANDABLE[repo_type]
    lines = []
    for index, name in enumerate(expand):
        if name not in options:
            listed = "|".join(f'"{option}"' for option in sorted(options, key=str.lower))
            lines.append(f"✖ Invalid option: expected one of {listed}\n  → at expand[{index}]")
    if lines:
        raise BadRequest("\n".join(lines))


class _InfoQuery:
    """A commit of a repo together with what was asked about it."""

    def __init__(self, state: HubState, repo: Repo, commit: str | None, *, blobs: bool) -> None:
        self.state = state
        self.repo = repo
        self.commit = commit
        self.blobs = blobs
        self.facts = RepoFacts(repo, commit, state.lfs)


def _defaults(repo_type: RepoType, *, security: bool) -> list[str]:
    hidden = _NOT_BY_DEFAULT - ({"securityRepoStatus"} if security else set())
    return [name for name in EXPANDABLE[repo_type] if name not in hidden]


def _siblings(view: _InfoQuery) -> list[dict[str, Any]]:
    files = view.facts.files
    if not view.blobs:
        return [{"rfilename": entry.path} for entry in files]
    facts = view.repo.git.facts(entry.oid for entry in files)
    shown = []
    for entry in files:
        sibling: dict[str, Any] = {"rfilename": entry.path, "size": facts[entry.oid].size, "blobId": entry.oid}
        if pointer := facts[entry.oid].pointer:
            sizes = {"size": pointer.size, "pointerSize": pointer.pointer_size}
            sibling["lfs"] = {"sha256": pointer.sha256, **sizes}
        shown.append(sibling)
    return shown


def _last_modified(view: _InfoQuery) -> str:
    # git keeps whole seconds: the first commit would seem older than the repo.
    created = view.repo.created_at
    return iso(max(created, commit_info(view.repo.git, view.commit).date) if view.commit else created)


def _base_models(view: _InfoQuery) -> dict[str, Any] | None:
    named = view.facts.card.get("base_model")
    names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    known = [(str(name), view.state.repos.get("model", str(name))) for name in names]
    models = [{"_id": repo.oid if repo and not repo.private else None, "id": name} for name, repo in known]
    relation = view.facts.card.get("base_model_relation", "finetune")
    return {"relation": relation, "models": models} if models else None


def _used_storage(view: _InfoQuery) -> int:
    return sum(size for _, _, size, _ in view.state.lfs.objects(view.repo.oid))


def _runtime(_view: _InfoQuery) -> dict[str, Any]:
    hardware = {"current": None, "requested": "cpu-basic"}
    return {"stage": "RUNNING", "hardware": hardware, "storage": None, "gcTimeout": None}


def _main_size(view: _InfoQuery) -> int:
    facts = view.repo.git.facts(entry.oid for entry in view.facts.files)
    return sum(facts[entry.oid].size for entry in view.facts.files)


_FIELDS: dict[str, Callable[[_InfoQuery], Any]] = {
    "author": lambda view: view.repo.namespace,
    "baseModels": _base_models,
    "cardData": lambda view: view.facts.card or None,
    "childrenModelCount": lambda _: 0,
    "citation": lambda _: None,
    "config": lambda view: view.facts.config,
    "createdAt": lambda view: iso(view.repo.created_at),
    "datasets": lambda view: view.facts.card.get("datasets") or [],
    "description": lambda view: view.facts.readme.decode("utf-8", "replace").rpartition("---\n")[2].strip()[:200],
    "disabled": lambda view: view.repo.disabled,
    "downloads": lambda view: view.repo.downloads,
    "downloadsAllTime": lambda view: view.repo.downloads,
    "evalResults": lambda _: None,
    "gated": lambda view: view.repo.gated,
    "gguf": lambda _: None,
    "inference": lambda _: None,
    "inferenceProviderMapping": lambda _: None,
    "lastModified": _last_modified,
    "library_name": lambda view: view.facts.library_name,
    "likes": lambda view: view.repo.likes,
    "mainSize": _main_size,
    "mask_token": lambda view: ((view.facts.config or {}).get("tokenizer_config") or {}).get("mask_token"),
    "model-index": lambda view: view.facts.card.get("model-index"),
    "models": lambda view: view.facts.card.get("models") or [],
    "paperswithcode_id": lambda view: view.facts.card.get("paperswithcode_id"),
    "pipeline_tag": lambda view: view.facts.pipeline_tag,
    "private": lambda view: view.repo.private,
    "region": lambda _: "us",
    "resourceGroup": lambda _: None,
    "runtime": _runtime,
    "safetensors": lambda view: view.facts.safetensors,
    "sdk": lambda view: view.repo.sdk,
    "securityRepoStatus": lambda _: {"scansDone": False, "filesWithIssues": []},
    "sha": lambda view: view.commit,
    "siblings": _siblings,
    "spaces": lambda _: [],
    "subdomain": lambda view: view.repo.subdomain,
    "tags": lambda view: view.facts.tags,
    "transformersInfo": lambda view: view.facts.transformers_info,
    "trendingScore": lambda _: 0,
    "usedStorage": _used_storage,
    "widgetData": lambda view: view.facts.card.get("widget"),
    "xetEnabled": lambda _: False,
}
