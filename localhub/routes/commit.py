"""Writing to a repo: the checks before an upload, and the commit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Annotated
from urllib.parse import quote

from fastapi import Path, Query, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from localhub.accounts.store import Caller
from localhub.errors import HubError, RevisionNotFound, StaleParent
from localhub.git.path_patterns import ignore_rules, lfs_rules
from localhub.git.refs import RefChange
from localhub.http import bodies
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.repos import commits
from localhub.repos.cards import check_card
from localhub.repos.commits import CommitRequest
from localhub.repos.events import HubEvent
from localhub.repos.paths import clean
from localhub.repos.records import Repo
from localhub.repos.store import author_of
from localhub.routes.dependencies import CallerDep, Readable, Rev, StateDep, public_url
from localhub.routes.refs import branch_ref, check_push
from localhub.state import HubState

router = HubRouter(tags=["commit"])

CreatePr = Annotated[bool, Query(description="Commit to a new pull request")]
_IN_MEMORY_BYTES = 8 << 20
"""Bytes of a commit's body above which it is spooled to disk."""
_MAX_BODY_BYTES = bodies.COMMIT_BODY_BYTES * 4 // 3  # its files come as base64


class CardBody(BaseModel):
    """A README.md to check before it is committed."""

    content: str
    repo_type: str | None = Field(None, alias="repoType")


class UploadCandidate(BaseModel):
    """A file that the client is about to upload."""

    path: str = Field(max_length=1000)
    size: int = Field(0, ge=0)
    sample: str | None = None


class UploadCandidates(BaseModel):
    """Files about to be uploaded; the two texts replace the repo's files of those names."""

    files: list[UploadCandidate] = Field(max_length=1000)
    git_ignore: str | None = Field(None, alias="gitIgnore")
    git_attributes: str | None = Field(None, alias="gitAttributes")


@router.post("/api/validate-yaml", response_model=None)
def validate_yaml(card: CardBody, request: Request) -> dict[str, list[dict[str, str]]] | PlainTextResponse:
    """The errors and warnings of a card, as text if the caller asks for text; 400 if the Hub refuses the card."""
    report = check_card(card.content)
    if request.headers.get("accept") == "text/plain":
        kinds = {"Error": report["errors"], "Warning": report["warnings"]}
        lines = [f"- {kind}: {finding['message']}" for kind, findings in kinds.items() for finding in findings]
        return PlainTextResponse("\n".join(lines), 400 if report["errors"] else 200)
    if report["errors"]:
        raise _BadCard(report)
    return report


class _BadCard(HubError):
    """An invalid card, which no commit may contain: the client reads `errors` from the answer."""

    def __init__(self, report: dict[str, list[dict[str, str]]]) -> None:
        super().__init__(400, "\n".join(error["message"] for error in report["errors"]), extra=report)


@router.post("/api/{kind:kind}/{ns}/{name}/preupload/{rev:seg}")
def preupload(
    repo: Readable, state: StateDep, caller: CallerDep, rev: Rev, body: UploadCandidates, create_pr: CreatePr = False
) -> JsonObject:
    """How to upload each file, whether to ignore it, and the id of its present content."""
    _check(state, caller, repo, rev, create_pr=create_pr)
    commit = repo.git.head(branch_ref(rev))
    if commit is None:
        raise RevisionNotFound(rev)
    paths = [clean(candidate.path) for candidate in body.files]
    attributes, ignore = _rules(repo, commit, body)
    by_lfs, ignored = lfs_rules(attributes), ignore_rules(ignore)
    content_ids = _content_ids(repo, commit, paths)
    files = [
        {
            "path": candidate.path,
            "uploadMode": "lfs" if state.lfs_uploads and _is_large(candidate, by_lfs.decide(path)) else "regular",
            "shouldIgnore": ignored.decide(path),
            **({"oid": content_ids[path]} if path in content_ids else {}),
        }
        for candidate, path in zip(body.files, paths, strict=True)
    ]
    return {"files": files, "commitOid": commit}


@router.post(
    "/api/{kind:kind}/{ns}/{name}/commit/{rev:seg}",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}, "application/json": {"schema": {}}},
        }
    },
)
async def commit(
    request: Request, repo: Readable, state: StateDep, caller: CallerDep, rev: Rev, create_pr: CreatePr = False
) -> JsonObject:
    """Commit to a branch, to a pull request, or to a new pull request against a branch."""
    await run_in_threadpool(_check, state, caller, repo, rev, create_pr=create_pr)
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as body:
        await _receive(request, body)
        base = public_url(request)
        as_json = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
        parsed = await run_in_threadpool(_parse, body, as_json=as_json)
        run = _commit_to_new_pull if create_pr else _commit_to_branch
        return await run_in_threadpool(run, state, caller, repo, branch_ref(rev), parsed, base)


@router.get("/api/{kind:kind}/{ns}/{name}/xet-write-token/{rev:seg}")
@router.get("/api/{kind:kind}/{ns}/{name}/xet-read-token/{rev:seg}")
def xet_token(repo: Readable, rev: Rev) -> Response:
    """Redirect to an address whose path is advice about Xet: of a refusal the client shows only the address."""
    return RedirectResponse(f"{repo.api_path}/no-xet-here/set-HF_HUB_DISABLE_XET=1-in-the-client?revision={quote(rev)}")


@router.get("/api/{kind:kind}/{ns}/{name}/no-xet-here/{advice}")
def no_xet(repo: Readable, advice: Annotated[str, Path(max_length=100)]) -> None:
    """Refuse a client with Xet that uploads a large file; the message names the setting that it needs."""
    raise HubError(
        404,
        f"{repo.full_name} has no Xet storage here ({advice}): set HF_HUB_DISABLE_XET=1 in the client's environment, or"
        " start this Hub with `uploads: regular` in its world file.",
    )


def _check(state: HubState, caller: Caller, repo: Repo, rev: str, *, create_pr: bool) -> None:
    """Raise unless the ref `rev` exists and the caller may commit to it, or with `create_pr` open a pull request."""
    if create_pr:
        state.access.require_access(caller, repo, "discuss")
    else:
        check_push(state, caller, repo, branch_ref(rev))
    if repo.git.head(branch_ref(rev)) is None:
        raise RevisionNotFound(rev)


async def _receive(request: Request, body: IO[bytes]) -> None:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _MAX_BODY_BYTES:
            raise HubError(413, "A commit may carry 1 GB of regular files at most: upload the rest by LFS.")
        body.write(chunk)
    body.seek(0)


def _parse(body: IO[bytes], *, as_json: bool) -> CommitRequest:
    return commits.parse_json(body.read()) if as_json else commits.parse_ndjson(body)


def _commit_to_branch(
    state: HubState, caller: Caller, repo: Repo, ref: str, parsed: CommitRequest, base: str
) -> JsonObject:
    account = caller.require_account()
    with _commit_lock(state, repo):
        head = repo.git.head(ref)
        if head is None:
            raise RevisionNotFound(ref)
        parent = _parent(parsed, head)
        changes = list(commits.git_changes(state.lfs, repo, parsed))
        state.limits.count_commit(repo)
        when, author = state.clock.seconds(), author_of(account)
        sha = repo.git.commit(ref, changes, parent, author, parsed.message, when=when)
        state.repos.touch(repo)
        state.emit(HubEvent("repo.content", "update", repo, account, (RefChange(ref, head, sha),)))
    return _answer(repo, sha, base)


def _commit_to_new_pull(
    state: HubState, caller: Caller, repo: Repo, ref: str, parsed: CommitRequest, base: str
) -> JsonObject:
    """Open a pull request whose ref starts at the commit: it is visible only with its content."""
    account = caller.require_account()
    with _commit_lock(state, repo):
        start = repo.git.resolve(parsed.parent or ref)
        changes = list(commits.git_changes(state.lfs, repo, parsed))
        state.limits.count_commit(repo)
        sha = repo.git.build(start, changes, author_of(account), parsed.message, when=state.clock.seconds())
        thread = state.threads.open_pull(repo, caller, parsed.summary, parsed.description, ref, head=sha)
        state.repos.touch(repo)
    return {**_answer(repo, sha, base), "pullRequestUrl": f"{base}{repo.web_path}/discussions/{thread.num}"}


@contextmanager
def _commit_lock(state: HubState, repo: Repo) -> Iterator[None]:
    """Hold the repo's lock; other commits wait for it, or get 409 if `simultaneous` is `refuse`."""
    if not repo.git.lock.acquire(blocking=state.limits.settings.simultaneous == "wait"):
        raise HubError(409, "Another commit operation is in progress for this repository. Please try again later.")
    try:
        yield
    finally:
        repo.git.lock.release()


def _parent(parsed: CommitRequest, head: str) -> str:
    """The head; `StaleParent` if the caller built on another commit. An abbreviated id is enough."""
    if parsed.parent is None or head.startswith(parsed.parent.lower()):
        return head
    raise StaleParent


def _answer(repo: Repo, sha: str, base: str) -> JsonObject:
    url = f"{base}{repo.web_path}/commit/{sha}"
    return {"success": True, "commitOid": sha, "commitUrl": url, "hookOutput": ""}


def _rules(repo: Repo, commit: str, body: UploadCandidates) -> tuple[str, str]:
    """The texts of `.gitattributes` and `.gitignore` that hold for the upload."""
    texts = []
    for given, path in ((body.git_attributes, ".gitattributes"), (body.git_ignore, ".gitignore")):
        stored = repo.git.file(commit, path) if given is None else None
        texts.append(given if given is not None else (stored or b"").decode("utf-8", "replace"))
    return texts[0], texts[1]


def _is_large(candidate: UploadCandidate, by_rule: bool) -> bool:
    return candidate.size > 0 and (by_rule or candidate.size > commits.MAX_REGULAR_BYTES)


def _content_ids(repo: Repo, commit: str, paths: list[str]) -> dict[str, str]:
    """Path → id of the present file: of a large one its SHA-256, which the client compares."""
    entries = {path: entry for path, entry in zip(paths, repo.git.find(commit, paths), strict=True) if entry}
    files = {path: entry.oid for path, entry in entries.items() if entry.type == "file"}
    facts = repo.git.facts(files.values())
    return {path: pointer.sha256 if (pointer := facts[oid].pointer) else oid for path, oid in files.items()}
