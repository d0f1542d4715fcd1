"""Reading a repo: refs, listings, history and differences."""

from __future__ import annotations

import hashlib
from typing import Any

from localhub.contract.checks import check, check_date, check_equal, only, part
from localhub.contract.client import HubAnswer
from localhub.contract.paging import next_page, pages
from localhub.contract.registry import FactGroup
from localhub.contract.workspace import BASE_FILES, Workspace, commit, committed, head, heads

reading = FactGroup("reading")


def _blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _tree(ws: Workspace, path: str = "", **params: str) -> HubAnswer:
    return ws.client.get(f"{ws.contents().api}/tree/main{path}", params=params).expect(200)


def _paths(items: Any) -> list[str]:
    return [part(item, "path") for item in items]


@reading.fact(calls=1)
def refs(ws: Workspace) -> None:
    """`GET …/refs` lists branches with `name`, `ref` and `targetCommit`, and no pull requests."""
    answer = ws.client.get(f"{ws.contents().api}/refs").expect(200).json()
    main = only("branches", part(answer, "branches"), lambda ref: ref.get("ref") == "refs/heads/main")
    check_equal("name", part(main, "name"), "main")
    check("targetCommit", len(str(part(main, "targetCommit"))) == 40, expected="a commit", got=main)
    check("pullRequests", not answer.get("pullRequests"), expected="none", got=answer.get("pullRequests"))


@reading.fact(calls=2)
def info(ws: Workspace) -> None:
    """Repo info gives `id`, `sha` (the head of main), `private`, `createdAt`, `tags` and `siblings`."""
    repo = ws.contents()
    answer = ws.client.get(repo.api).expect(200).json()
    check_equal("id", part(answer, "id"), repo.id)
    check_equal("private", part(answer, "private"), True)
    check_date("createdAt", part(answer, "createdAt"))
    check("tags", isinstance(part(answer, "tags"), list), expected="a list", got=answer["tags"])
    check_equal("sha", part(answer, "sha"), head(ws, repo))


@reading.fact(calls=1)
def info_of_files(ws: Workspace) -> None:
    """Repo info with `blobs=true` gives each file's `rfilename`, `size` and `blobId`, the id of its git blob."""
    answer = ws.client.get(f"{ws.contents().api}/revision/main", params={"blobs": "true"}).expect(200).json()
    files = {part(item, "rfilename"): item for item in part(answer, "siblings")}
    for path, data in BASE_FILES.items():
        check_equal(f"size of {path}", part(files, path, "size"), len(data))
        check_equal(f"blobId of {path}", part(files, path, "blobId"), _blob_id(data))


@reading.fact(calls=1)
def tree(ws: Workspace) -> None:
    """`GET …/tree/{revision}` lists one folder: `type`, `path`, `oid` (the id of the git blob) and `size`."""
    items = _tree(ws, "/notes").json()
    check_equal("paths", sorted(_paths(items)), ["notes/a.json", "notes/b.json", "notes/deep"])
    by_path = {item["path"]: item for item in items}
    data = BASE_FILES["notes/a.json"]
    expected = {"type": "file", "oid": _blob_id(data), "size": len(data)}
    check_equal("notes/a.json", {name: part(by_path, "notes/a.json", name) for name in expected}, expected)
    check_equal("type of notes/deep", part(by_path, "notes/deep", "type"), "directory")


@reading.fact(calls=1)
def tree_recursive(ws: Workspace) -> None:
    """With `recursive=true` the listing holds all files below."""
    files = [item for item in _tree(ws, recursive="true").json() if part(item, "type") == "file"]
    check_equal("paths", sorted(_paths(files)), sorted([".gitattributes", *BASE_FILES]))


@reading.fact(calls=5)
def tree_pages(ws: Workspace) -> None:
    """A listing with `limit` has pages: `Link` with rel="next" leads through all entries once."""
    first = _tree(ws, recursive="true", limit="3")
    items = list(pages(ws, first, most=5))
    check_equal("entries of the first page", len(first.json()), 3)
    everything = _paths(items)
    check_equal("repeated entries", len(everything), len(set(everything)))
    check("paths", {".gitattributes", *BASE_FILES} <= set(everything), expected="all files", got=everything)


@reading.fact(calls=2)
def quoted_revision(ws: Workspace) -> None:
    """A revision may be a whole ref, quoted: `refs%2Fheads%2Fmain`."""
    repo = ws.contents()
    ws.client.get(f"{repo.api}/tree/refs%2Fheads%2Fmain").expect(200)
    ws.client.get(f"{repo.web}/resolve/refs%2Fheads%2Fmain/notes/a.json", follow=True).expect(200)


@reading.fact(calls=1)
def quoted_folder(ws: Workspace) -> None:
    """The folder of a listing may be quoted as a whole: `notes%2Fdeep`."""
    check_equal("paths", _paths(_tree(ws, "/notes%2Fdeep").json()), ["notes/deep/c.txt"])


@reading.fact(calls=1)
def paths_info(ws: Workspace) -> None:
    """`POST …/paths-info/{revision}` with JSON gives the entries of paths, and leaves out those that are missing."""
    body = {"paths": ["notes/a.json", "notes/deep", "missing.json"], "expand": False}
    items = ws.client.post(f"{ws.contents().api}/paths-info/main", json=body).expect(200).json()
    check_equal("paths", sorted(_paths(items)), ["notes/a.json", "notes/deep"])
    types = {item["path"]: part(item, "type") for item in items}
    check_equal("types", types, {"notes/a.json": "file", "notes/deep": "directory"})


@reading.fact(calls=1)
def paths_info_of_many(ws: Workspace) -> None:
    """`paths-info` with JSON accepts 1,000 paths in one call."""
    paths = ["notes/a.json", *(f"missing/{number}.json" for number in range(999))]
    answer = ws.client.post(f"{ws.contents().api}/paths-info/main", json={"paths": paths, "expand": False})
    check_equal("paths", _paths(answer.expect(200).json()), ["notes/a.json"])


@reading.fact(calls=1)
def paths_info_form(ws: Workspace) -> None:
    """`paths-info` also reads a form, as huggingface_hub sends it."""
    answer = ws.client.post(
        f"{ws.contents().api}/paths-info/main",
        content=b"paths=notes%2Fa.json&paths=missing&expand=false",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    check_equal("paths", _paths(answer.expect(200).json()), ["notes/a.json"])


@reading.fact(calls=3)
def last_commit(ws: Workspace) -> None:
    """`paths-info` with `expand` gives `lastCommit.id`, the newest commit that changed the file."""
    repo = ws.contents()
    oid = committed(ws, repo, {"dated.txt": b"1"}, "Change one file")
    committed(ws, repo, {"other.txt": b"1"}, "Change another file")
    body = {"paths": ["dated.txt"], "expand": True}
    items = ws.client.post(f"{repo.api}/paths-info/main", json=body).expect(200).json()
    check_equal("lastCommit.id", part(items, 0, "lastCommit", "id"), oid)


@reading.fact(calls=2)
def history(ws: Workspace) -> None:
    """`GET …/commits/{revision}` lists commits, newest first: `id`, `title`, `message`, `authors[].user`, `date`."""
    repo = ws.contents()
    items = ws.client.get(f"{repo.api}/commits/main", params={"limit": "1000"}).expect(200).json()
    check_equal("the first id", part(items, 0, "id"), head(ws, repo))
    dates = [check_date("date", part(item, "date")) for item in items]
    check("dates", dates == sorted(dates, reverse=True), expected="newest first", got=dates)
    for name in ("title", "message"):
        check(name, isinstance(part(items, 0, name), str), expected="text", got=items[0])
    check_equal("user", part(items, 0, "authors", 0, "user"), ws.me)


@reading.fact(calls=4)
def history_pages(ws: Workspace) -> None:
    """History with `limit` has pages, which `Link` joins."""
    repo = ws.contents()
    first = ws.client.get(f"{repo.api}/commits/main", params={"limit": "1"}).expect(200)
    check_equal("commits of the first page", len(first.json()), 1)
    check("Link", bool(next_page(first)), expected='rel="next"', got=first.headers.get("link", "none"))
    second = ws.client.get(next_page(first)).expect(200).json()
    check("ids", part(second, 0, "id") != part(first.json(), 0, "id"), expected="another commit", got=second)


@reading.fact(calls=3)
def compare(ws: Workspace) -> None:
    """`GET …/compare/{base}..{head}` gives a git diff as JSON text, with the paths of all changed files."""
    repo = ws.contents()
    base = head(ws, repo)
    new = committed(ws, repo, {"notes/a.json": b'{"a": 2}\n', "added.txt": b"new\n"}, "Change and add")
    diff = ws.client.get(f"{repo.api}/compare/{base}..{new}").expect(200).json()
    check("the diff", isinstance(diff, str), expected="text", got=diff)
    for line in ("diff --git a/notes/a.json b/notes/a.json", "new file mode 100644", '+{"a": 2}'):
        check("lines of the diff", line in diff.splitlines(), expected=line, got=diff)


@reading.fact(calls=1)
def compare_missing(ws: Workspace) -> None:
    """A comparison with a commit that does not exist is 404."""
    ws.client.get(f"{ws.contents().api}/compare/{'0' * 39}1..main").expect(404)


@reading.fact(calls=2)
def fresh_refs(ws: Workspace) -> None:
    """`refs` shows a commit as soon as the call that made it is answered."""
    repo = ws.contents()
    oid = committed(ws, repo, {"fresh.txt": b"1"}, "Look at once")
    check_equal("main", head(ws, repo), oid)


@reading.fact(calls=7)
def branches(ws: Workspace) -> None:
    """A branch can be made empty, be committed to, and be removed; making it twice is 409, removing it twice 404."""
    repo = ws.contents()
    at = f"{repo.api}/branch/answers-1"
    ws.client.post(at, json={"emptyBranch": True}).expect(200)
    ws.client.post(at, json={"emptyBranch": True}).expect(409)
    commit(ws, repo, {"0/00000.bin": b"part"}, branch="answers-1").expect(200)
    items = ws.client.get(f"{repo.api}/tree/answers-1", params={"recursive": "true"}).expect(200).json()
    files = [path for path in _paths(items) if path.endswith(".bin")]
    check_equal("files", files, ["0/00000.bin"])
    ws.client.call("DELETE", at).expect(200)
    check_equal("X-Error-Code", ws.client.call("DELETE", at).expect(404).code, "RevisionNotFound")
    check("branches", "refs/heads/answers-1" not in heads(ws, repo), expected="removed", got="there")


@reading.fact(calls=5)
def squash(ws: Workspace) -> None:
    """`super-squash` replaces a branch's history by one commit with the same files."""
    repo = ws.contents()
    at = f"{repo.api}/branch/squashed"
    ws.client.post(at, json={}).expect(200)
    answer = ws.client.post(f"{repo.api}/super-squash/squashed", json={"message": "One commit"}).expect(200).json()
    oid = part(answer, "commitId")
    check_equal("the branch", heads(ws, repo).get("refs/heads/squashed"), oid)
    items = ws.client.get(f"{repo.api}/commits/squashed").expect(200).json()
    check_equal("history", [part(item, "id") for item in items], [oid])
    ws.client.call("DELETE", at).expect(200)
