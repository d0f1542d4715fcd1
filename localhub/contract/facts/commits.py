"""Commits: compare-and-swap by the parent commit, and their entries in the history."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from localhub.contract.checks import check, check_equal, part
from localhub.contract.client import HubAnswer
from localhub.contract.registry import FactGroup
from localhub.contract.workspace import Workspace, commit, committed, head

commits = FactGroup("commits")
_NO_COMMIT = "0123456789" * 4


@commits.fact(calls=1)
def answer(ws: Workspace) -> None:
    """A commit is answered with `commitOid` and `commitUrl`, the address of its page."""
    repo = ws.contents()
    fields = commit(ws, repo, {"a.txt": b"1"}).expect(200).json()
    oid = str(part(fields, "commitOid"))
    check("commitOid", len(oid) == 40, expected="40 hex digits", got=oid)
    check_equal("commitUrl", part(fields, "commitUrl"), f"{ws.client.endpoint}{repo.web}/commit/{oid}")


@commits.fact(calls=2)
def message(ws: Workspace) -> None:
    """The history gives the summary of a commit as `title`, and each line of its description in `message`."""
    trailer = "Steward-Change: 0123456789abcdef0123456789abcdef"
    repo = ws.contents()
    commit(ws, repo, {"a.txt": b"2"}, "A title of a commit", f"Why it is made.\n\n{trailer}").expect(200)
    newest = part(ws.client.get(f"{repo.api}/commits/main", params={"limit": "1"}).expect(200).json(), 0)
    check_equal("title", part(newest, "title"), "A title of a commit")
    check("message", trailer in part(newest, "message").splitlines(), expected=trailer, got=newest["message"])


@commits.fact(calls=2)
def on_parent(ws: Workspace) -> None:
    """A commit whose `parentCommit` is the head of the branch lands."""
    repo = ws.contents()
    commit(ws, repo, {"a.txt": b"3"}, parent=head(ws, repo)).expect(200)


@commits.fact(calls=5)
def stale_parent(ws: Workspace) -> None:
    """A commit whose `parentCommit` is not the head is 412, with a JSON `error`, and changes nothing."""
    repo = ws.contents()
    old = head(ws, repo)
    new = committed(ws, repo, {"a.txt": b"4"})
    refused = commit(ws, repo, {"a.txt": b"5"}, parent=old).expect(412)
    check("error", bool(refused.error), expected="a message", got=refused.text)
    check_equal("main", head(ws, repo), new)


@commits.fact(calls=1)
def unknown_parent(ws: Workspace) -> None:
    """A commit whose `parentCommit` does not exist is 412: by it Steward tests a token without writing."""
    commit(ws, ws.contents(), {"a.txt": b"6"}, parent=_NO_COMMIT).expect(412)


def _two_at_once(ws: Workspace, parent: str | None) -> list[HubAnswer]:
    repo = ws.contents()

    def write(number: int) -> HubAnswer:
        return commit(ws, repo, {f"at-once-{number}.txt": b"%d" % number}, parent=parent)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(write, (1, 2)))


@commits.fact(calls=5)
def one_per_parent(ws: Workspace) -> None:
    """Of two commits at once on the same `parentCommit` one lands; the other is 412 or 409."""
    repo = ws.contents()
    answers = _two_at_once(ws, head(ws, repo))
    statuses = sorted(answer.status for answer in answers)
    check("statuses", statuses in ([200, 412], [200, 409]), expected="200 and 412, or 409", got=statuses)
    landed = next(answer for answer in answers if answer.status == 200)
    check_equal("main", head(ws, repo), part(landed.json(), "commitOid"))


@commits.choice(calls=2)
def at_the_same_moment(ws: Workspace) -> None:
    """Of two commits at once without `parentCommit` both land, because they wait for each other."""
    statuses = sorted(answer.status for answer in _two_at_once(ws, None))
    check_equal("statuses", statuses, [200, 200])


@commits.fact(calls=3)
def delete_file(ws: Workspace) -> None:
    """`deletedFile` in a commit removes a file."""
    repo = ws.contents()
    commit(ws, repo, {"short-lived.txt": b"1"}).expect(200)
    commit(ws, repo, {"short-lived.txt": None}).expect(200)
    body = {"paths": ["short-lived.txt"], "expand": False}
    check_equal("entries", ws.client.post(f"{repo.api}/paths-info/main", json=body).expect(200).json(), [])


@commits.fact(calls=1)
def no_branch(ws: Workspace) -> None:
    """A commit to a branch that does not exist is 404, `RevisionNotFound`."""
    refused = commit(ws, ws.contents(), {"a.txt": b"7"}, branch="no-such-branch").expect(404)
    check_equal("X-Error-Code", refused.code, "RevisionNotFound")


@commits.fact(calls=1)
def card_check(ws: Workspace) -> None:
    """`POST /api/validate-yaml` answers with `errors` and `warnings`, as huggingface_hub reads them."""
    body = {"content": "---\nlicense: mit\n---\n# A card\n", "repoType": "dataset"}
    fields = ws.client.post("/api/validate-yaml", json=body).expect(200).json()
    check_equal("errors", part(fields, "errors"), [])
    check("warnings", isinstance(part(fields, "warnings"), list), expected="a list", got=fields["warnings"])
