"""Creating, changing, renaming and deleting repos."""

from __future__ import annotations

from localhub.contract.checks import check, check_equal, part
from localhub.contract.registry import FactGroup
from localhub.contract.scratch import ScratchRepo
from localhub.contract.workspace import Workspace, commit, create_repo

repos = FactGroup("repos")


def _new(ws: Workspace) -> ScratchRepo:
    return ws.repo("lifecycle")


def _renamed(ws: Workspace) -> ScratchRepo:
    """The repo under its new name; its former name is that of `_old`."""

    def rename() -> ScratchRepo:
        old, new = ws.repo("old"), ws.named("new")
        body = {"fromRepo": old.id, "toRepo": new.id, "type": old.kind}
        ws.client.post("/api/repos/move", json=body).expect(200)
        return new

    return ws.once("renamed", rename)


def _old(ws: Workspace) -> ScratchRepo:
    return ws.named("old")


@repos.fact(calls=1)
def create(ws: Workspace) -> None:
    """`POST /api/repos/create` answers 200 with the repo's `url`."""
    repo = ws.named("made")
    answer = create_repo(ws, repo).expect(200).json()
    check("url", str(part(answer, "url")).endswith(repo.web), expected=f"… {repo.web}", got=answer["url"])


@repos.fact(calls=1)
def create_again(ws: Workspace) -> None:
    """Creating a repo that exists is 409, with its `url`."""
    repo = _new(ws)
    answer = create_repo(ws, repo).expect(409).json()
    check("url", str(part(answer, "url")).endswith(repo.web), expected=f"… {repo.web}", got=answer["url"])


@repos.fact(calls=1)
def create_private(ws: Workspace) -> None:
    """`visibility: private` makes a private repo; `expand=private` gives `id` and `private`, and no list of files."""
    repo = _new(ws)
    answer = ws.client.get(repo.api, params={"expand": "private"}).expect(200).json()
    check_equal("private", part(answer, "private"), True)
    check_equal("id", part(answer, "id"), repo.id)
    check("siblings", "siblings" not in answer, expected="absent", got=answer)


@repos.fact(calls=1)
def create_space(ws: Workspace) -> None:
    """A static Space can be created with `sdk: static`."""
    create_repo(ws, ws.named("space")).expect(200)


@repos.fact(calls=1)
def initial_commit(ws: Workspace) -> None:
    """A new dataset has one commit, with `.gitattributes`."""
    answer = ws.client.get(_new(ws).api).expect(200).json()
    names = [part(sibling, "rfilename") for sibling in part(answer, "siblings")]
    check_equal("files", names, [".gitattributes"])
    check("sha", len(str(part(answer, "sha"))) == 40, expected="40 hex digits", got=answer["sha"])


@repos.fact(calls=1)
def spelling(ws: Workspace) -> None:
    """The Hub ignores case in the name of a repo."""
    repo = _new(ws)
    path = repo.api.replace(repo.name, repo.name.upper())
    answer = ws.client.get(path, params={"expand": "private"}, follow=True).expect(200).json()
    check_equal("id", part(answer, "id"), repo.id)


@repos.fact(calls=2)
def may_write(ws: Workspace) -> None:
    """`auth-check` and `auth-check/write` answer 200 to an account that may read, and write."""
    ws.client.get(f"{_new(ws).api}/auth-check").expect(200)
    ws.client.get(f"{_new(ws).api}/auth-check/write").expect(200)


@repos.fact(calls=4)
def publish_and_hide(ws: Workspace) -> None:
    """`PUT …/settings` with `visibility` makes a repo private, and public."""
    repo = ws.public()
    for visibility in ("private", "public"):
        ws.client.call("PUT", f"{repo.api}/settings", json={"visibility": visibility}).expect(200)
        answer = ws.client.get(repo.api, params={"expand": "private"}).expect(200).json()
        check_equal("private", part(answer, "private"), visibility == "private")


@repos.fact(calls=3)
def gate(ws: Workspace) -> None:
    """`PUT …/settings` with `gated` changes it; the info says `auto`, `manual` or false."""
    repo = ws.public()
    ws.client.call("PUT", f"{repo.api}/settings", json={"gated": "manual"}).expect(200)
    try:
        answer = ws.client.get(repo.api).expect(200).json()
        check_equal("gated", part(answer, "gated"), "manual")
    finally:
        ws.client.call("PUT", f"{repo.api}/settings", json={"gated": False}).expect(200)


@repos.fact(calls=2)
def rename(ws: Workspace) -> None:
    """After `POST /api/repos/move` the former name leads to the repo under its new name."""
    new = _renamed(ws)
    answer = ws.client.get(_old(ws).api, params={"expand": "private"}, follow=True).expect(200).json()
    check_equal("id", part(answer, "id"), new.id)


@repos.fact(calls=2)
def rename_files(ws: Workspace) -> None:
    """Files of a renamed repo can be read under its former name."""
    _renamed(ws)
    answer = ws.client.get(f"{_old(ws).web}/resolve/main/.gitattributes", follow=True).expect(200)
    check("content", b"filter=lfs" in answer.body, expected="the file", got=answer.text)


@repos.choice(calls=1)
def post_to_former_name(ws: Workspace) -> None:
    """A POST to the former name of a repo is 307, like every other call."""
    new = _renamed(ws)
    answer = commit(ws, _old(ws), {"a.txt": b"a"}).expect(307)
    target = answer.headers.get("location", "")
    check("Location", new.id in target, expected=f"an address of {new.id}", got=target)


@repos.fact(calls=1)
def rename_to_taken_name(ws: Workspace) -> None:
    """A name that another repo has is 409 to `POST /api/repos/move`."""
    new, other = _renamed(ws), _new(ws)
    body = {"fromRepo": new.id, "toRepo": other.id, "type": new.kind}
    ws.client.post("/api/repos/move", json=body).expect(409)


@repos.fact(calls=2)
def delete(ws: Workspace) -> None:
    """`DELETE /api/repos/delete` removes a repo: reading it is 404 afterwards."""
    repo = ws.repo("gone")
    body = {"name": repo.name, "organization": repo.owner, "type": repo.kind}
    ws.client.call("DELETE", "/api/repos/delete", json=body).expect(200)
    answer = ws.client.get(repo.api).expect(404)
    check_equal("X-Error-Code", answer.code, "RepoNotFound")
