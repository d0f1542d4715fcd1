"""Routes that read the content of a repo: tree, paths-info, treesize, compare and diffs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool

from localhub.clock import iso
from localhub.errors import BadRequest, HubError, RevisionNotFound
from localhub.git.history import commit_info, last_commits
from localhub.git.repository import BlobFacts, GitRepo
from localhub.git.trees import TreeEntry
from localhub.http import bodies
from localhub.http.paging import decode_cursor, encode_cursor, next_link
from localhub.http.routing import HubRouter, RepoKind
from localhub.json_values import JsonObject
from localhub.repos.paths import is_clean
from localhub.routes.dependencies import (
    CallerDep,
    Contents,
    Name,
    Namespace,
    Readable,
    Rev,
    StateDep,
    public_url,
    type_of,
)

router = HubRouter(tags=["content"])

PAGE_SIZE, EXPANDED_PAGE_SIZE = 1000, 50
MAX_FORM_FIELDS, MAX_PATHS = 1000, 2000


@router.get("/api/{kind:kind}/{ns}/{name}/tree/{rev:seg}{path:sub}")
def tree(
    request: Request,
    repo: Readable,
    rev: Rev,
    path: str,
    recursive: bool = False,
    expand: bool = False,
    limit: Annotated[int | None, Query(ge=1, le=PAGE_SIZE)] = None,
    cursor: str | None = None,
) -> Any:
    """One page of a folder's entries, in git's order; `Link` leads to the next page of the same commit."""
    after = None
    if cursor is None:
        commit = repo.git.resolve(rev)
    else:
        commit, after = decode_cursor(cursor, 2)
        commit = repo.git.resolve(commit)
    max_size = EXPANDED_PAGE_SIZE if expand else PAGE_SIZE
    size = min(limit or max_size, max_size)
    entries = repo.git.entries(commit, path.strip("/"), recursive=recursive, after=after, limit=size + 1)
    headers = {"X-Repo-Commit": commit}
    if len(entries) > size:
        entries.pop()
        link = next_link(request, public_url(request), cursor=encode_cursor(commit, entries[-1].path))
        headers["Link"] = link
    # A response object: FastAPI would validate a page of a thousand entries again.
    return JSONResponse(items(repo.git, commit, entries, expand=expand), headers=headers)


@router.post(
    "/api/{kind:kind}/{ns}/{name}/paths-info/{rev:seg}",
    openapi_extra={
        "requestBody": {
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["paths"],
                        "properties": {
                            "paths": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
                            "expand": {"type": "boolean"},
                        },
                    }
                }
            }
        }
    },
)
async def paths_info(request: Request, repo: Readable, rev: Rev) -> Any:
    """The entries at the given paths, without the missing ones; the body is a form or JSON."""
    body = await bodies.read(request)
    paths, expand = _requested_paths(request.headers.get("content-type", ""), body)
    return await run_in_threadpool(_paths_info, repo.git, rev, paths, expand)


@router.get("/api/{kind:kind}/{ns}/{name}/treesize/{rev:seg}{path:sub}")
def treesize(repo: Readable, rev: Rev, path: str) -> JsonObject:
    """The sum of the sizes of all files below a folder."""
    path = path.strip("/")
    entries = repo.git.entries(repo.git.resolve(rev), path, recursive=True)
    facts = repo.git.facts(entry.oid for entry in entries if entry.type == "file")
    return {"path": path, "size": sum(facts[entry.oid].size for entry in entries if entry.type == "file")}


@router.get("/api/{kind:kind}/{ns}/{name}/compare/{spec:rest}")
def compare(repo: Contents, spec: str, raw: str | None = None) -> Any:
    """The diff of `base..head` (`base...head`: since their merge base) as a JSON string; text with `raw` or `.diff`."""
    plain = spec.endswith(".diff") or raw not in (None, "", "0", "false")
    text = _compare(repo.git, spec.removesuffix(".diff"))
    return PlainTextResponse(text) if plain else JSONResponse(text)


@router.get("/{prefix:prefix}{ns}/{name}/commit/{rev:seg}.diff")
def commit_diff(state: StateDep, caller: CallerDep, prefix: RepoKind, ns: Namespace, name: Name, rev: Rev) -> Response:
    """The diff of one commit, as text."""
    repo = state.access.repo(type_of(prefix), f"{ns}/{name}", caller)
    state.access.require_content_access(caller, repo)
    commit = commit_info(repo.git, repo.git.resolve(rev))
    return PlainTextResponse(repo.git.diff(commit.parents[0] if commit.parents else None, commit.id))


def _compare(git: GitRepo, spec: str) -> str:
    dots = "..." if "..." in spec else ".."
    base, separator, head = spec.partition(dots)
    if not separator or not base or not head:
        raise BadRequest(f"Compare two revisions, as in main..refs/pr/1; not {spec!r}.")
    old, new = git.resolve(base), git.resolve(head)
    if dots == "...":
        common = git.merge_base(old, new)
        if common is None:
            raise RevisionNotFound(spec)
        old = common
    return git.diff(old, new)


def _requested_paths(content_type: str, body: bytes) -> tuple[list[str], bool]:
    if content_type.partition(";")[0].strip().lower() == "application/json":
        fields = bodies.parse_object(body)
        paths = fields.get("paths")
        paths = [paths] if isinstance(paths, str) else paths
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise BadRequest("paths must be a string or a list of strings.")
        if len(paths) > MAX_PATHS:
            raise BadRequest(f"At most {MAX_PATHS} paths in one call; these are {len(paths)}.")
        return paths, fields.get("expand") is True
    return _requested_by_form(body)


def _requested_by_form(body: bytes) -> tuple[list[str], bool]:
    if body.count(b"&") >= MAX_FORM_FIELDS:
        raise HubError(413, "too many parameters")
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    if "paths" not in fields:
        raise BadRequest("Which paths? Send them as paths=… or as JSON.")
    return fields["paths"], fields.get("expand", ["false"])[-1].lower() in ("true", "1")


def _paths_info(git: GitRepo, rev: str, paths: list[str], expand: bool) -> Response:
    commit = git.resolve(rev)
    clean_paths = [path for path in dict.fromkeys(path.rstrip("/") for path in paths) if is_clean(path)]
    entries = [entry for entry in git.find(commit, clean_paths) if entry]
    return JSONResponse(items(git, commit, entries, expand=expand, with_xet=True), headers={"X-Repo-Commit": commit})


def items(
    git: GitRepo, commit: str, entries: Sequence[TreeEntry], *, expand: bool = False, with_xet: bool = False
) -> list[JsonObject]:
    """Entries of a commit: `{type, path, oid, size, lfs?}`, with `expand` also `lastCommit` and `securityFileStatus`.

    `with_xet` adds `xetHash` to large files. This Hub has no Xet, but the client needs such a hash from `paths-info`
    to copy a large file between repos. In `tree` the hash would make clients with Xet download by it, so only
    `paths-info` has it; its value is the SHA-256, which the client then sends in its request to copy.
    """
    facts = git.facts(entry.oid for entry in entries if entry.type == "file")
    api_items = [_item(entry, facts.get(entry.oid), with_xet=with_xet) for entry in entries]
    if expand:
        _expand(git, commit, api_items)
    return api_items


def _item(entry: TreeEntry, facts: BlobFacts | None, *, with_xet: bool) -> JsonObject:
    item: dict[str, Any] = {"type": entry.type, "oid": entry.oid, "size": 0, "path": entry.path}
    if facts is None:
        return item
    item["size"] = facts.size
    if facts.pointer:
        pointer = facts.pointer
        item["lfs"] = {"oid": pointer.sha256, "size": pointer.size, "pointerSize": pointer.pointer_size}
        if with_xet:
            item["xetHash"] = pointer.sha256
    return item


def _expand(git: GitRepo, commit: str, api_items: list[dict[str, Any]]) -> None:
    last = last_commits(git, commit, [item["path"] for item in api_items])
    for item in api_items:
        info = last.get(item["path"])
        if info:
            item["lastCommit"] = {"id": info.id, "title": info.title, "date": iso(info.date)}
        if item["type"] == "file":
            item["securityFileStatus"] = _unscanned()


def _unscanned() -> JsonObject:
    """The status of a file that is not scanned: this Hub has no scanner."""
    scans = ("avScan", "pickleImportScan", "jFrogScan", "protectAiScan", "virusTotalScan")
    return {"status": "unscanned", **{scan: {"status": "unscanned"} for scan in scans}}
