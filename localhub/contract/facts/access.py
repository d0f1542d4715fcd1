"""Access without a token, and for the account of another token: what outsiders may read and write."""

from __future__ import annotations

from localhub.contract.checks import check, check_equal, part
from localhub.contract.registry import FactGroup
from localhub.contract.workspace import Workspace, act_in_thread, commit, open_pull, thread

access = FactGroup("access")


@access.fact(calls=3)
def without_token(ws: Workspace) -> None:
    """A public repo can be read without a token: info and files."""
    repo = ws.public()
    ws.client.get(repo.api, sender="anonymous").expect(200)
    answer = ws.client.get(f"{repo.web}/resolve/main/a.txt", sender="anonymous", follow=True).expect(200)
    check_equal("content", answer.text, "one\n")


@access.fact(calls=1)
def write_without_token(ws: Workspace) -> None:
    """A commit without a token is 401."""
    commit(ws, ws.public(), {"a.txt": b"two\n"}, sender="anonymous").expect(401)


@access.choice(calls=1, needs=("other token",))
def hidden_from_token(ws: Workspace) -> None:
    """A token that may not see a private repo gets 404, as if the repo did not exist."""
    answer = ws.client.get(ws.contents().api, sender="other").expect(404)
    check_equal("X-Error-Code", answer.code, "RepoNotFound")


@access.fact(calls=1, needs=("other token",))
def outsider_commit(ws: Workspace) -> None:
    """A commit to main by an account without the right to write is 403."""
    commit(ws, ws.public(), {"a.txt": b"two\n"}, sender="other").expect(403)


@access.fact(calls=1, needs=("other token",))
def outsider_commit_on_unknown_parent(ws: Workspace) -> None:
    """The right to write is checked before the parent commit: without it such a commit is 403, not 412."""
    commit(ws, ws.public(), {"a.txt": b"two\n"}, parent="0123456789" * 4, sender="other").expect(403)


@access.fact(calls=1, needs=("other token",))
def outsider_may_not_write(ws: Workspace) -> None:
    """`auth-check/write` is refused to an account without the right to write."""
    ws.client.get(f"{ws.public().api}/auth-check/write", sender="other").expect(401, 403, 404)


@access.fact(calls=3, needs=("other token",))
def outsider_pull(ws: Workspace) -> None:
    """An account without the right to write may open a pull request on a public repo, and is its author."""
    repo = ws.public()
    other = ws.client.get("/api/whoami-v2", sender="other").expect(200).json()
    number = open_pull(ws, repo, {"theirs.txt": b"1\n"}, "By an outsider", sender="other")
    check_equal("author", part(thread(ws, repo, number), "author", "name"), part(other, "name"))


@access.fact(calls=2, needs=("other token",))
def outsider_merge(ws: Workspace) -> None:
    """An account without the right to write may not merge its own pull request."""
    repo = ws.public()
    number = open_pull(ws, repo, {"unmerged.txt": b"1\n"}, "By an outsider", sender="other")
    ws.client.post(f"{repo.api}/discussions/{number}/merge", json={}, sender="other").expect(401, 403)


@access.fact(calls=2, needs=("other token",))
def edit_of_another(ws: Workspace) -> None:
    """An account without the right to write may not edit the comment of another account."""
    repo = ws.public()
    number = ws.once("public thread", lambda: open_pull(ws, repo, {"edited.txt": b"1\n"}, "A pull request"))
    message = part(act_in_thread(ws, repo, number, "comment", {"comment": "Mine"}).expect(201).json(), "newMessage")
    path = f"{repo.api}/discussions/{number}/comment/{part(message, 'id')}/edit"
    ws.client.post(path, json={"content": "Theirs"}, sender="other").expect(401, 403)


@access.fact(calls=4, needs=("other token",))
def gated(ws: Workspace) -> None:
    """Files of a gated repo are refused to an account without access: 403, `GatedRepo`; its info is not."""
    repo = ws.public()
    ws.client.call("PUT", f"{repo.api}/settings", json={"gated": "manual"}).expect(200)
    try:
        answer = ws.client.get(f"{repo.web}/resolve/main/a.txt", sender="other").expect(403)
        check_equal("X-Error-Code", answer.code, "GatedRepo")
        info = ws.client.get(repo.api, sender="other").expect(200).json()
        check("siblings", bool(part(info, "siblings")), expected="files", got=info["siblings"])
    finally:
        ws.client.call("PUT", f"{repo.api}/settings", json={"gated": False}).expect(200)
