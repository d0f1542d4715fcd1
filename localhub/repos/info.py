"""The info of a repo: the fields of each repo type, and their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from localhub.clock import iso
from localhub.errors import BadRequest
from localhub.git.history import commit_info
from localhub.json_values import JsonObject
from localhub.repos.facts import RepoFacts
from localhub.repos.lfs_store import LfsStore
from localhub.repos.records import Repo, RepoType
from localhub.repos.spaces import Spaces
from localhub.repos.store import RepoStore

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
"""The fields that `expand` may name."""

_NOT_BY_DEFAULT = frozenset(
    {
        *("baseModels", "childrenModelCount", "downloadsAllTime", "evalResults", "gguf", "inferenceProviderMapping"),
        *("mainSize", "resourceGroup", "securityRepoStatus", "trendingScore", "xetEnabled", "region"),
    }
)


def info(
    repos: RepoStore,
    lfs: LfsStore,
    spaces: Spaces,
    repo: Repo,
    commit: str | None,
    *,
    expand: Sequence[str] = (),
    blobs: bool = False,
    security: bool = False,
    eval_results: Callable[[], list[JsonObject]] = list,
) -> JsonObject:
    """The fields that `expand` names, else the default ones; a field without a value is left out.

    `eval_results` reads the scores of the model, from its files and its open pull requests.
    """
    names = list(expand) or _defaults(repo.type, security=security)
    query = _InfoQuery(repos, lfs, spaces, repo, commit, blobs=blobs, eval_results=eval_results)
    fields: dict[str, Any] = {"_id": repo.oid, "id": repo.full_name}
    if repo.type == "model" and not expand:
        fields["modelId"] = repo.full_name
    for name in names:
        value = _FIELDS[name](query)
        if value is not None or name == "sha":
            fields[name] = value
    if repo.type == "space" and not expand:
        fields["host"] = spaces.host(repo)
    return fields


def check_expand(repo_type: RepoType, expand: Iterable[str]) -> None:
    """Raise `BadRequest` that lists every valid field, if `expand` names an unknown one."""
    options = EXPANDABLE[repo_type]
    lines = []
    for index, name in enumerate(expand):
        if name not in options:
            listed = "|".join(f'"{option}"' for option in sorted(options, key=str.lower))
            lines.append(f"✖ Invalid option: expected one of {listed}\n  → at expand[{index}]")
    if lines:
        raise BadRequest("\n".join(lines))


class _InfoQuery:
    """A commit of a repo, and the options of the query about it."""

    def __init__(
        self,
        repos: RepoStore,
        lfs: LfsStore,
        spaces: Spaces,
        repo: Repo,
        commit: str | None,
        *,
        blobs: bool,
        eval_results: Callable[[], list[JsonObject]],
    ) -> None:
        self.repos = repos
        self.lfs = lfs
        self.spaces = spaces
        self.repo = repo
        self.commit = commit
        self.blobs = blobs
        self.eval_results = eval_results
        self.facts = RepoFacts(repo, commit, lfs)


def _defaults(repo_type: RepoType, *, security: bool) -> list[str]:
    hidden = _NOT_BY_DEFAULT - ({"securityRepoStatus"} if security else set())
    return [name for name in EXPANDABLE[repo_type] if name not in hidden]


def _siblings(query: _InfoQuery) -> list[JsonObject]:
    files = query.facts.files
    if not query.blobs:
        return [{"rfilename": entry.path} for entry in files]
    facts = query.repo.git.facts(entry.oid for entry in files)
    siblings = []
    for entry in files:
        sibling: dict[str, Any] = {"rfilename": entry.path, "size": facts[entry.oid].size, "blobId": entry.oid}
        if pointer := facts[entry.oid].pointer:
            sizes = {"size": pointer.size, "pointerSize": pointer.pointer_size}
            sibling["lfs"] = {"sha256": pointer.sha256, **sizes}
        siblings.append(sibling)
    return siblings


def _last_modified(query: _InfoQuery) -> str:
    # git keeps whole seconds: the first commit would seem older than the repo.
    created = query.repo.created_at
    return iso(max(created, commit_info(query.repo.git, query.commit).date) if query.commit else created)


def _base_models(query: _InfoQuery) -> JsonObject | None:
    value = query.facts.card.get("base_model")
    names = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    repos = [(str(name), query.repos.get("model", str(name))) for name in names]
    models = [{"_id": repo.oid if repo and not repo.private else None, "id": name} for name, repo in repos]
    relation = query.facts.card.get("base_model_relation", "finetune")
    return {"relation": relation, "models": models} if models else None


def _used_storage(query: _InfoQuery) -> int:
    return sum(size for _, _, size, _ in query.lfs.objects(query.repo.oid))


def _main_size(query: _InfoQuery) -> int:
    facts = query.repo.git.facts(entry.oid for entry in query.facts.files)
    return sum(facts[entry.oid].size for entry in query.facts.files)


_FIELDS: dict[str, Callable[[_InfoQuery], Any]] = {
    "author": lambda query: query.repo.namespace,
    "baseModels": _base_models,
    "cardData": lambda query: query.facts.card or None,
    "childrenModelCount": lambda _: 0,
    "citation": lambda _: None,
    "config": lambda query: query.facts.config,
    "createdAt": lambda query: iso(query.repo.created_at),
    "datasets": lambda query: query.facts.card.get("datasets") or [],
    "description": lambda query: query.facts.readme.decode("utf-8", "replace").rpartition("---\n")[2].strip()[:200],
    "disabled": lambda query: query.repo.disabled,
    "downloads": lambda query: query.repo.downloads,
    "downloadsAllTime": lambda query: query.repo.downloads,
    "evalResults": lambda query: query.eval_results(),
    "gated": lambda query: query.repo.gated,
    "gguf": lambda _: None,
    "inference": lambda _: None,
    "inferenceProviderMapping": lambda _: None,
    "lastModified": _last_modified,
    "library_name": lambda query: query.facts.library_name,
    "likes": lambda query: query.repo.likes,
    "mainSize": _main_size,
    "mask_token": lambda query: ((query.facts.config or {}).get("tokenizer_config") or {}).get("mask_token"),
    "model-index": lambda query: query.facts.card.get("model-index"),
    "models": lambda query: query.facts.card.get("models") or [],
    "paperswithcode_id": lambda query: query.facts.card.get("paperswithcode_id"),
    "pipeline_tag": lambda query: query.facts.pipeline_tag,
    "private": lambda query: query.repo.private,
    "region": lambda _: "us",
    "resourceGroup": lambda _: None,
    "runtime": lambda query: query.spaces.runtime(query.repo),
    "safetensors": lambda query: query.facts.safetensors,
    "sdk": lambda query: query.repo.sdk,
    "securityRepoStatus": lambda _: {"scansDone": False, "filesWithIssues": []},
    "sha": lambda query: query.commit,
    "siblings": _siblings,
    "spaces": lambda _: [],
    "subdomain": lambda query: query.repo.subdomain,
    "tags": lambda query: query.facts.tags,
    "transformersInfo": lambda query: query.facts.transformers_info,
    "trendingScore": lambda _: 0,
    "usedStorage": _used_storage,
    "widgetData": lambda query: query.facts.card.get("widget"),
    "xetEnabled": lambda _: False,
}
