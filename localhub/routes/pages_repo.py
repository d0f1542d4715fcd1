"""Pages of a repo's content: folders, files, commits."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from localhub.accounts.store import Caller
from localhub.errors import EntryNotFound, HubError
from localhub.git import history
from localhub.http.routing import HubRouter
from localhub.markdown import render, without_front_matter
from localhub.pages import breadcrumbs, query
from localhub.pages.diffview import parse
from localhub.repos.records import Repo
from localhub.routes.dependencies import Rev, StateDep
from localhub.routes.page_dependencies import PageRepo, PageRoute, Viewer, page
from localhub.state import HubState
from localhub.threads.store import ThreadFilter

router = HubRouter(tags=["pages"], route_class=PageRoute, default_response_class=HTMLResponse)

MAX_ENTRIES, MAX_COMMITS = 500, 50
MAX_TEXT_BYTES, MAX_TEXT_LINES = 400_000, 5000
_REPO = "/{prefix:prefix}{ns}/{name}"


def repo_page(request: Request, state: HubState, repo: Repo, tab: str, template: str, **content: Any) -> Response:
    """A page with a repo's header and tabs."""
    open_threads = state.threads.count(repo, ThreadFilter(over=False))
    status = content.pop("status_code", 200)
    common = {"repo": repo, "tab": tab, "open_threads": open_threads, "rev": "main"}
    return page(request, template, status, **{**common, **content})


@router.get(_REPO)
def overview(request: Request, state: StateDep, repo: PageRepo, caller: Viewer) -> Response:
    """The files of main, and its card."""
    return _folder(request, state, repo, caller, "main", "")


@router.get(_REPO + "/tree/{rev:seg}")
@router.get(_REPO + "/tree/{rev:seg}/{path:rest}")
def folder(
    request: Request,
    state: StateDep,
    repo: PageRepo,
    caller: Viewer,
    rev: Rev,
    path: str = "",
    after: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """A folder."""
    return _folder(request, state, repo, caller, rev, path.strip("/"), after)


@router.get(_REPO + "/blob/{rev:seg}/{path:rest}")
def file(request: Request, state: StateDep, repo: PageRepo, caller: Viewer, rev: Rev, path: str) -> Response:
    """A file: Markdown rendered, other text with line numbers."""
    state.access.require_content_access(caller, repo)
    commit = repo.git.resolve(rev)
    entry = repo.git.entry(commit, path)
    if entry is None:
        raise EntryNotFound(path, commit)
    if entry.type == "directory":
        return RedirectResponse(breadcrumbs(repo.web_path, rev, path)[-1][1], 303)
    facts = repo.git.facts([entry.oid])[entry.oid]
    text = None if facts.pointer else _text(repo.git.read(entry.oid))
    return repo_page(
        request,
        state,
        repo,
        "files",
        "file.html",
        rev=rev,
        path=path,
        crumbs=breadcrumbs(repo.web_path, rev, path),
        size=facts.pointer.size if facts.pointer else facts.size,
        is_lfs=facts.pointer is not None,
        download=f"{quote(repo.web_path)}/resolve/{quote(rev, safe='')}/{quote(path)}",
        rendered=render(without_front_matter(text)) if text and path.lower().endswith(".md") else None,
        lines=text.split("\n")[:MAX_TEXT_LINES] if text is not None else None,
        cut=text is not None and (facts.size > MAX_TEXT_BYTES or text.count("\n") >= MAX_TEXT_LINES),
    )


@router.get(_REPO + "/commits/{rev:seg}")
def commits(
    request: Request,
    state: StateDep,
    repo: PageRepo,
    rev: Rev,
    p: Annotated[int, Query(ge=0, le=10**6)] = 0,
) -> Response:
    """The commits up to a revision, newest first."""
    start = repo.git.resolve(rev)
    total = history.count(repo.git, start)
    page_commits = history.log(repo.git, start, skip=p * MAX_COMMITS, limit=MAX_COMMITS)
    return repo_page(
        request,
        state,
        repo,
        "commits",
        "commits.html",
        rev=rev,
        commits=page_commits,
        total=total,
        previous_page=query(p=p - 1) if p else None,
        next_page=query(p=p + 1) if (p + 1) * MAX_COMMITS < total else None,
    )


@router.get(_REPO + "/commit/{rev:seg}")
def commit(request: Request, state: StateDep, repo: PageRepo, caller: Viewer, rev: Rev) -> Response:
    """One commit with its diff."""
    state.access.require_content_access(caller, repo)
    info = history.commit_info(repo.git, repo.git.resolve(rev))
    files, cut = parse(repo.git.diff(info.parents[0] if info.parents else None, info.id))
    return repo_page(request, state, repo, "commits", "commit.html", commit=info, files=files, cut=cut)


def _folder(
    request: Request, state: HubState, repo: Repo, caller: Caller, rev: str, path: str, after: str | None = None
) -> Response:
    head = repo.git.resolve(rev)
    entries = repo.git.entries(head, path, after=after, limit=MAX_ENTRIES + 1)
    facts = repo.git.facts(entry.oid for entry in entries[:MAX_ENTRIES] if entry.type == "file")
    base = quote(repo.web_path)
    rows = []
    for entry in entries[:MAX_ENTRIES]:
        blob = facts.get(entry.oid)
        is_folder = entry.type == "directory"
        href = f"{base}/{'tree' if is_folder else 'blob'}/{quote(rev, safe='')}/{quote(entry.path)}"
        size = (blob.pointer.size if blob.pointer else blob.size) if blob else None
        name = entry.path.rpartition("/")[2]
        is_lfs = blob is not None and blob.pointer is not None
        rows.append({"name": name, "href": href, "size": size, "is_folder": is_folder, "is_lfs": is_lfs})
    return repo_page(
        request,
        state,
        repo,
        "files",
        "files.html",
        rev=rev,
        crumbs=breadcrumbs(repo.web_path, rev, path),
        entries=sorted(rows, key=lambda item: not item["is_folder"]),
        latest=history.commit_info(repo.git, head),
        next_page=query(after=entries[MAX_ENTRIES - 1].path) if len(entries) > MAX_ENTRIES else None,
        readme=_readme(state, repo, caller, head, path) if after is None else None,
    )


def _readme(state: HubState, repo: Repo, caller: Caller, head: str, path: str) -> object:
    try:
        state.access.require_content_access(caller, repo)
    except HubError:
        return None
    content = repo.git.file(head, f"{path}/README.md" if path else "README.md")
    text = _text(content) if content is not None else None
    return render(without_front_matter(text)) if text else None


def _text(content: bytes) -> str | None:
    """The beginning of a file as text; None for a binary file."""
    start = content[:MAX_TEXT_BYTES]
    if b"\0" in start:
        return None
    text = start.decode("utf-8", "replace")
    return None if text.count("\ufffd") > len(text) // 20 + 2 else text
