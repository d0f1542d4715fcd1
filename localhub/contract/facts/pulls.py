"""Pull requests: creating them, their fields, and when they can be merged."""

from __future__ import annotations

from localhub.contract.checks import check, check_equal, only, part
from localhub.contract.client import HubAnswer
from localhub.contract.registry import FactGroup
from localhub.contract.workspace import (
    Workspace,
    act_in_thread,
    commit,
    committed,
    events,
    head,
    open_pull,
    open_thread,
    thread,
)

pulls = FactGroup("pulls")


def _simple_pull(ws: Workspace) -> int:
    """A pull request that adds `one.txt`, made by a commit."""
    return ws.once("one pull", lambda: open_pull(ws, ws.threads_repo(), {"one.txt": b"1\n"}, "Add one file"))


def _draft_pull(ws: Workspace) -> int:
    """A pull request that `POST …/discussions` made, with one commit."""

    def make() -> int:
        repo = ws.threads_repo()
        number = open_thread(ws, repo, "A draft", pull=True)
        commit(ws, repo, {"draft.txt": b"1\n"}, branch=f"refs%2Fpr%2F{number}").expect(200)
        return number

    return ws.once("draft", make)


def _conflicting_pull(ws: Workspace) -> int:
    """An open pull request that changes a file which main has changed since."""

    def make() -> int:
        repo = ws.threads_repo()
        number = open_pull(ws, repo, {"a.txt": b"theirs\n"}, "Change the same file")
        committed(ws, repo, {"a.txt": b"ours\n"}, "Change it on main")
        return number

    return ws.once("conflict", make)


def _merged_pull(ws: Workspace) -> int:
    """A merged pull request, with the title "Merge this"."""

    def make() -> int:
        repo = ws.threads_repo()
        number = open_pull(ws, repo, {"merged.txt": b"1\n"}, "Merge this")
        if part(thread(ws, repo, number), "status") == "draft":
            act_in_thread(ws, repo, number, "status", {"status": "open"}).expect(200)
        act_in_thread(ws, repo, number, "merge").expect(200)
        return number

    return ws.once("merged", make)


def _check_merge_refused(ws: Workspace, number: int, status: str) -> None:
    """Check that the Hub refuses to merge this pull request, and changes neither its status nor main."""
    before = head(ws, ws.threads_repo())
    act_in_thread(ws, ws.threads_repo(), number, "merge").expect_refusal()
    check_equal("status", part(thread(ws, ws.threads_repo(), number), "status"), status)
    check_equal("main", head(ws, ws.threads_repo()), before)


@pulls.fact(calls=2)
def by_commit(ws: Workspace) -> None:
    """A commit with `create_pr=1` opens a pull request: `pullRequestUrl` ends with /discussions/N, and `refs/pr/N` is
    the commit."""
    repo = ws.threads_repo()
    answer = commit(ws, repo, {"by-commit.txt": b"1\n"}, "By a commit", create_pr=True).expect(200).json()
    number = str(part(answer, "pullRequestUrl")).rpartition("/discussions/")[2]
    check("pullRequestUrl", number.isdigit(), expected="… /discussions/N", got=answer["pullRequestUrl"])
    check_equal(f"refs/pr/{number}", head(ws, repo, f"refs/pr/{number}"), part(answer, "commitOid"))


@pulls.choice(calls=1)
def by_commit_is_open(ws: Workspace) -> None:
    """A pull request that a commit with `create_pr=1` opens is open, not a draft."""
    check_equal("status", part(thread(ws, ws.threads_repo(), _simple_pull(ws)), "status"), "open")


@pulls.fact(calls=2)
def by_thread_is_draft(ws: Workspace) -> None:
    """A pull request that `POST …/discussions` opens is a draft, and has a ref at once."""
    repo = ws.threads_repo()
    number = open_thread(ws, repo, "Without a change", pull=True)
    check_equal("status", part(thread(ws, repo, number), "status"), "draft")


@pulls.fact(calls=2)
def numbers(ws: Workspace) -> None:
    """Discussions and pull requests of a repo share one counter."""
    repo = ws.threads_repo()
    first = open_thread(ws, repo, "Before a pull request")
    check_equal("the next number", open_pull(ws, repo, {"counted.txt": b"1\n"}, "Counted"), first + 1)


@pulls.fact(calls=2)
def details(ws: Workspace) -> None:
    """The details give `isPullRequest`, `changes.base`, `filesWithConflicts`, and an event with the commit's `oid`."""
    fields = thread(ws, ws.threads_repo(), _simple_pull(ws))
    check_equal("isPullRequest", part(fields, "isPullRequest"), True)
    check_equal("changes.base", part(fields, "changes", "base"), "refs/heads/main")
    check_equal("filesWithConflicts", part(fields, "filesWithConflicts"), [])
    pushed = events(fields, "commit")
    check("commit events", bool(pushed), expected="one", got=fields["events"])
    check_equal("oid", part(pushed[-1], "data", "oid"), head(ws, ws.threads_repo(), f"refs/pr/{_simple_pull(ws)}"))


@pulls.fact(calls=1)
def diff(ws: Workspace) -> None:
    """With `diff=1` the details hold a git diff against the base."""
    answer = (
        ws.client.get(f"{ws.threads_repo().api}/discussions/{_simple_pull(ws)}", params={"diff": "1"})
        .expect(200)
        .json()
    )
    for line in ("diff --git a/one.txt b/one.txt", "+1"):
        check("diff", line in str(part(answer, "diff")).splitlines(), expected=line, got=answer["diff"])


@pulls.fact(calls=4)
def push(ws: Workspace) -> None:
    """A commit to `refs/pr/N` moves the head of the pull request, and adds an event."""
    repo, number = ws.threads_repo(), open_pull(ws, ws.threads_repo(), {"pushed.txt": b"1\n"}, "To be pushed to")
    oid = committed(ws, repo, {"pushed.txt": b"2\n"}, branch=f"refs%2Fpr%2F{number}")
    check_equal(f"refs/pr/{number}", head(ws, repo, f"refs/pr/{number}"), oid)
    check_equal("oid", part(events(thread(ws, repo, number), "commit")[-1], "data", "oid"), oid)


@pulls.fact(calls=4)
def draft_stays(ws: Workspace) -> None:
    """A draft cannot be merged: the call is refused and nothing changes."""
    _check_merge_refused(ws, _draft_pull(ws), "draft")


@pulls.choice(calls=1)
def merge_of_draft(ws: Workspace) -> None:
    """The merge of a draft is 409."""
    act_in_thread(ws, ws.threads_repo(), _draft_pull(ws), "merge").expect(409)


@pulls.fact(calls=2)
def draft_opened(ws: Workspace) -> None:
    """`POST …/status` with `open` makes a draft open."""
    repo = ws.threads_repo()
    number = open_thread(ws, repo, "A draft to open", pull=True)
    answer = act_in_thread(ws, repo, number, "status", {"status": "open"}).expect(200).json()
    check_equal("status", part(answer, "newStatus", "data", "status"), "open")


@pulls.fact(calls=2)
def merge(ws: Workspace) -> None:
    """A merge sets the status `merged` and `changes.mergeCommitId`, which is the new head of main."""
    fields = thread(ws, ws.threads_repo(), _merged_pull(ws))
    check_equal("status", part(fields, "status"), "merged")
    commits = ws.client.get(f"{ws.threads_repo().api}/commits/main", params={"limit": "20"}).expect(200).json()
    ids = [part(item, "id") for item in commits]
    check("changes.mergeCommitId", part(fields, "changes", "mergeCommitId") in ids, expected=ids, got=fields["changes"])


@pulls.fact(calls=1)
def merged_by(ws: Workspace) -> None:
    """The timeline of a merged pull request says whose account merged it."""
    changes = events(thread(ws, ws.threads_repo(), _merged_pull(ws)), "status-change")
    change = only("status-change", changes, lambda event: event["data"]["status"] == "merged")
    check_equal("_id of its author", part(change, "author", "_id"), ws.my_id)


@pulls.fact(calls=2)
def merge_title(ws: Workspace) -> None:
    """The commit of a merge has the title `<title> (#N)`: Steward finds the submitter by it."""
    number = _merged_pull(ws)
    oid = part(thread(ws, ws.threads_repo(), number), "changes", "mergeCommitId")
    commits = ws.client.get(f"{ws.threads_repo().api}/commits/{oid}", params={"limit": "1"}).expect(200).json()
    check_equal("title", part(commits, 0, "title"), f"Merge this (#{number})")


@pulls.fact(calls=4)
def merged_stays(ws: Workspace) -> None:
    """A second merge is refused and changes nothing."""
    _check_merge_refused(ws, _merged_pull(ws), "merged")


@pulls.choice(calls=1)
def merge_again(ws: Workspace) -> None:
    """A second merge is 409."""
    act_in_thread(ws, ws.threads_repo(), _merged_pull(ws), "merge").expect(409)


@pulls.fact(calls=2)
def conflict_shown(ws: Workspace) -> None:
    """`filesWithConflicts` names the files of a conflict, or is true."""
    number = _conflicting_pull(ws)

    def look() -> object:
        return part(thread(ws, ws.threads_repo(), number), "filesWithConflicts") or None

    got = ws.eventually(look, 2)
    check("filesWithConflicts", got in (["a.txt"], True), expected="['a.txt'] or true", got=got)


@pulls.fact(calls=4)
def conflict_stays(ws: Workspace) -> None:
    """A pull request with conflicts cannot be merged: the call is refused and nothing changes."""
    _check_merge_refused(ws, _conflicting_pull(ws), "open")


@pulls.choice(calls=1)
def merge_of_conflict(ws: Workspace) -> None:
    """The merge of a pull request with conflicts is 409."""
    refused: HubAnswer = act_in_thread(ws, ws.threads_repo(), _conflicting_pull(ws), "merge")
    refused.expect(409)


@pulls.fact(calls=3)
def closed(ws: Workspace) -> None:
    """A pull request can be closed, and opened again."""
    repo, number = ws.threads_repo(), open_pull(ws, ws.threads_repo(), {"closed.txt": b"1\n"}, "To be closed")
    act_in_thread(ws, repo, number, "status", {"status": "closed"}).expect(200)
    act_in_thread(ws, repo, number, "status", {"status": "open"}).expect(200)
