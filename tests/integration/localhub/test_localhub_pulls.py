"""Pull requests: drafts, commits, conflicts and merges."""

import subprocess
from typing import Any

import httpx
import pytest
from huggingface_hub import DiscussionCommit, HfApi
from huggingface_hub.errors import HfHubHTTPError

from localhub.repos.events import HubEvent
from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import TOKENS, accounts_world, head, make_repo, put


def details(api: HfApi, repo_id: str, num: int = 1) -> Any:
    """The client's view of a thread of a dataset."""
    return api.get_discussion_details(repo_id, num, repo_type="dataset")


def merge_status(api: HfApi, repo_id: str, num: int = 1) -> int:
    """The status with which a merge is refused."""
    with pytest.raises(HfHubHTTPError) as caught:
        api.merge_pull_request(repo_id, num, repo_type="dataset")
    return caught.value.response.status_code


def test_a_pull_request_made_by_hand_is_a_draft(ada: HfApi, http: httpx.Client) -> None:
    """A pull request opened without a commit is a draft with a ref, and cannot be merged."""
    repo_id = make_repo(ada)
    draft = ada.create_pull_request(repo_id, title="Add a file", repo_type="dataset")
    assert (draft.status, draft.is_pull_request, draft.git_reference) == ("draft", True, "refs/pr/1")
    assert draft.target_branch == "refs/heads/main" and draft.conflicting_files == []
    pulls = ada.list_repo_refs(repo_id, repo_type="dataset", include_pull_requests=True).pull_requests
    assert [(p.ref, p.target_commit) for p in pulls or []] == [("refs/pr/1", head(ada, repo_id))]
    put(ada, repo_id, {"a.txt": "a"}, revision="refs/pr/1")
    assert 400 <= merge_status(ada, repo_id) < 500
    assert details(ada, repo_id).status == "draft"


def test_draft_open_merge(ada: HfApi) -> None:
    """A draft that gets a commit, is opened and merged has the events of each step, and main has the file."""
    repo_id = make_repo(ada)
    ada.create_pull_request(repo_id, title="Add a file", repo_type="dataset")
    commit = put(ada, repo_id, {"a.txt": "a"}, revision="refs/pr/1", commit_message="Add a.txt")
    ada.change_discussion_status(repo_id, 1, "open", repo_type="dataset")
    ada.merge_pull_request(repo_id, 1, comment="Thank you", repo_type="dataset")
    pull = details(ada, repo_id)
    assert pull.status == "merged" and pull.merge_commit_oid == head(ada, repo_id)
    events = [e for e in pull.events if isinstance(e, DiscussionCommit)]
    assert [(e.summary, e.oid, e.author) for e in events] == [("Add a.txt", commit.oid, "ada")]
    kinds = [e.type for e in pull.events]
    assert kinds.count("status-change") == 2 and kinds[0] == "comment"
    assert "Thank you" in [getattr(e, "content", None) for e in pull.events]
    assert "a.txt" in ada.list_repo_files(repo_id, repo_type="dataset")


def test_a_merge_is_one_squash_commit_named_after_the_pull_request(ada: HfApi, cleo: HfApi) -> None:
    """A merge adds one commit `<title> (#N)` to the base; its body lists the commits and their author."""
    repo_id = make_repo(ada)
    before = head(ada, repo_id)
    put(cleo, repo_id, {"a.txt": "1"}, create_pr=True, commit_message="First part")
    put(cleo, repo_id, {"a.txt": "2"}, revision="refs/pr/1", commit_message="Second part")
    ada.merge_pull_request(repo_id, 1, repo_type="dataset")
    commits = ada.list_repo_commits(repo_id, repo_type="dataset")
    assert [c.title for c in commits] == ["First part (#1)", "initial commit"]
    assert commits[1].commit_id == before
    assert "Second part" in commits[0].message and "cleo" in commits[0].message


def test_the_detail_of_a_pull_request(ada: HfApi, http: httpx.Client) -> None:
    """A pull request has `changes`, `filesWithConflicts` and `diffUrl`, and with `diff=1` the diff itself."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "one\n"})
    pull = put(ada, repo_id, {"a.txt": "two\n"}, create_pr=True)
    url = f"/api/datasets/{repo_id}/discussions/1"
    plain, full = http.get(url).json(), http.get(url, params={"diff": 1}).json()
    assert plain["isPullRequest"] is True and plain["filesWithConflicts"] == []
    assert plain["changes"]["base"] == "refs/heads/main" and plain["changes"]["headCommitId"] == pull.oid
    assert plain["changes"].get("mergeCommitId") is None
    assert plain["diffUrl"].endswith(f"/datasets/{repo_id}/discussions/1/files.diff") and "diff" not in plain
    assert "-one\n+two\n" in full["diff"]


def test_later_commits_to_the_base_stay_out_of_the_diff(ada: HfApi) -> None:
    """The diff of a pull request compares it with the commit from which it branched off."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "a\n"}, create_pr=True)
    put(ada, repo_id, {"unrelated.txt": "u\n"})
    diff = details(ada, repo_id).diff
    assert "a.txt" in diff and "unrelated.txt" not in diff


def test_conflicts_are_computed_by_a_three_way_merge(ada: HfApi) -> None:
    """Two changes of one line conflict and cannot be merged; changes of distant lines can."""
    repo_id = make_repo(ada)
    lines = [f"line {i}\n" for i in range(40)]
    put(ada, repo_id, {"a.txt": "base\n", "long.txt": "".join(lines), "other.txt": "o\n"})
    put(ada, repo_id, {"a.txt": "theirs\n"}, create_pr=True)
    put(ada, repo_id, {"long.txt": "".join(["first!\n", *lines[1:]])}, create_pr=True)
    put(ada, repo_id, {"a.txt": "ours\n", "long.txt": "".join([*lines[:-1], "last!\n"])})
    assert details(ada, repo_id, 1).conflicting_files == ["a.txt"]
    assert details(ada, repo_id, 2).conflicting_files == []
    assert 400 <= merge_status(ada, repo_id, 1) < 500
    assert details(ada, repo_id, 1).status == "open"
    ada.merge_pull_request(repo_id, 2, repo_type="dataset")
    merged = httpx.get(f"{ada.endpoint}/datasets/{repo_id}/resolve/main/long.txt").text
    assert merged.startswith("first!\n") and merged.endswith("last!\n")


def test_a_deletion_conflicts_with_a_change(ada: HfApi) -> None:
    """A file deleted on main and changed in a pull request conflicts, until main has the same content."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "base\n"})
    put(ada, repo_id, {"a.txt": "changed\n"}, create_pr=True)
    ada.delete_file("a.txt", repo_id, repo_type="dataset")
    assert details(ada, repo_id).conflicting_files == ["a.txt"]
    put(ada, repo_id, {"a.txt": "changed\n"})
    assert details(ada, repo_id).conflicting_files == []


def test_who_may_merge(ada: HfApi, cleo: HfApi, bob: HfApi) -> None:
    """Only users with write access may merge; the author of the pull request without it may not."""
    repo_id = make_repo(ada, owner="board")
    put(cleo, repo_id, {"a.txt": "a"}, create_pr=True)
    assert merge_status(cleo, repo_id) == 403
    assert merge_status(bob, repo_id) == 403
    ada.merge_pull_request(repo_id, 1, repo_type="dataset")
    assert details(ada, repo_id).status == "merged"


def test_a_pull_request_merges_once(ada: HfApi) -> None:
    """A second merge and a merge of a closed pull request are refused; main does not change."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "a"}, create_pr=True)
    put(ada, repo_id, {"b.txt": "b"}, create_pr=True)
    ada.merge_pull_request(repo_id, 1, repo_type="dataset")
    merged = head(ada, repo_id)
    assert 400 <= merge_status(ada, repo_id, 1) < 500
    ada.change_discussion_status(repo_id, 2, "closed", repo_type="dataset")
    assert 400 <= merge_status(ada, repo_id, 2) < 500
    assert head(ada, repo_id) == merged
    with pytest.raises(HfHubHTTPError):
        ada.change_discussion_status(repo_id, 1, "closed", repo_type="dataset")
    assert details(ada, repo_id).status == "merged"


def test_an_open_pull_request_never_becomes_a_draft_again(ada: HfApi) -> None:
    """A pull request that is closed and reopened is open, not a draft."""
    repo_id = make_repo(ada)
    ada.create_pull_request(repo_id, title="A pull request", repo_type="dataset")
    for status, now in [("open", "open"), ("closed", "closed"), ("open", "open")]:
        ada.change_discussion_status(repo_id, 1, status, repo_type="dataset")  # type: ignore[arg-type]
        assert details(ada, repo_id).status == now


def test_merging_a_discussion_is_refused(ada: HfApi) -> None:
    """A discussion cannot be merged."""
    repo_id = make_repo(ada)
    ada.create_discussion(repo_id, title="A question", repo_type="dataset")
    assert 400 <= merge_status(ada, repo_id) < 500


def test_a_squashed_pull_request_cannot_be_merged(ada: HfApi) -> None:
    """A squashed pull request cannot be merged: its history has nothing in common with the base."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "a"}, create_pr=True)
    ada.super_squash_history(repo_id, branch="refs/pr/1", repo_type="dataset")
    assert 400 <= merge_status(ada, repo_id) < 500
    assert details(ada, repo_id).status == "open"


def test_merging_into_another_branch(ada: HfApi) -> None:
    """A merge into another branch adds the commit to that branch, not to main."""
    repo_id = make_repo(ada)
    ada.create_branch(repo_id, branch="dev", repo_type="dataset")
    put(ada, repo_id, {"a.txt": "a"}, create_pr=True, revision="dev")
    before = head(ada, repo_id)
    ada.merge_pull_request(repo_id, 1, repo_type="dataset")
    assert head(ada, repo_id) == before
    assert details(ada, repo_id).merge_commit_oid == head(ada, repo_id, branch="dev")


def test_large_files_in_pull_requests(ada: HfApi, cleo: HfApi) -> None:
    """An LFS file in another user's pull request is merged with its content."""
    repo_id, content = make_repo(ada), b"\3" * 5000
    put(cleo, repo_id, {"w.bin": content}, create_pr=True)
    ada.merge_pull_request(repo_id, 1, repo_type="dataset")
    url = f"{ada.endpoint}/datasets/{repo_id}/resolve/main/w.bin"
    assert httpx.get(url, follow_redirects=True).content == content


def test_the_ref_of_a_closed_pull_request_can_be_deleted(ada: HfApi, http: httpx.Client) -> None:
    """The ref of a closed pull request can be deleted, which is an event; that of an open one cannot."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "a" * 1000}, create_pr=True)
    base = f"/api/datasets/{repo_id}/discussions/1"
    storage = http.get(f"{base}/storage").json()
    assert storage["refDeleted"] is False and storage["estimatedStorage"] >= 0
    assert 400 <= http.delete(f"{base}/ref").status_code < 500
    ada.change_discussion_status(repo_id, 1, "closed", repo_type="dataset")
    assert http.delete(f"{base}/ref").status_code in (200, 204)
    thread = http.get(base).json()
    assert thread["changes"]["refDeleted"] is True and thread["events"][-1]["type"] == "ref-deleted"
    assert http.get(f"{base}/storage").json()["refDeleted"] is True
    refs = ada.list_repo_refs(repo_id, repo_type="dataset", include_pull_requests=True)
    assert refs.pull_requests == []


def test_merged_pull_requests_keep_their_commits(ada: HfApi, tmp_path: Any) -> None:
    """refs/pr/N can still be fetched by git after the merge."""
    repo_id = make_repo(ada)
    pull = put(ada, repo_id, {"a.txt": "a"}, create_pr=True)
    ada.merge_pull_request(repo_id, 1, repo_type="dataset")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    url = f"{ada.endpoint}/datasets/{repo_id}"
    subprocess.run(["git", "-C", str(tmp_path), "fetch", "-q", url, "refs/pr/1"], check=True, capture_output=True)
    shown = subprocess.run(
        ["git", "-C", str(tmp_path), "rev-parse", "FETCH_HEAD"], check=True, capture_output=True, text=True
    )
    assert shown.stdout.strip() == pull.oid


def test_a_merge_of_nothing_or_with_a_long_comment_is_refused(ada: HfApi, http: httpx.Client) -> None:
    """A merge of a missing pull request is 404, a merge with an overlong comment 400."""
    repo_id = make_repo(ada)
    assert http.post(f"/api/datasets/{repo_id}/discussions/7/merge").status_code == 404
    put(ada, repo_id, {"a.txt": "a"}, create_pr=True)
    answer = http.post(f"/api/datasets/{repo_id}/discussions/1/merge", json={"comment": "c" * 65537})
    assert answer.status_code == 400 and details(ada, repo_id).status == "open"


def test_concurrent_commits_during_a_merge_are_not_lost(ada: HfApi) -> None:
    """A commit on main just before the merge is kept by the merge."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "a"}, create_pr=True)
    put(ada, repo_id, {"b.txt": "b"})
    ada.merge_pull_request(repo_id, 1, repo_type="dataset")
    assert {"a.txt", "b.txt"} <= set(ada.list_repo_files(repo_id, repo_type="dataset"))


def test_a_pull_request_has_its_head_when_its_event_is_emitted(tmp_path: Any) -> None:
    """When the event of a new pull request is emitted, its ref and its head exist."""
    with LocalHub(tmp_path, accounts_world()) as hub:
        api = HfApi(endpoint=hub.url, token=TOKENS["ada"])
        repo_id = make_repo(api)
        heads: list[tuple[str | None, str | None]] = []

        def look(event: HubEvent) -> None:
            if event.kind == "discussion" and event.action == "create":
                thread = hub.state.threads.get(event.repo, event.thread.num)
                heads.append((event.repo.git.head(thread.ref), thread.head_sha))

        hub.state.subscribe(look)
        pull = put(api, repo_id, {"a.txt": "a"}, create_pr=True)
        api.create_pull_request(repo_id, title="A draft", repo_type="dataset")
        main = head(api, repo_id)
        assert heads == [(pull.oid, pull.oid), (main, main)]


def test_a_ref_that_a_killed_server_left_is_overwritten(ada: HfApi, hub: LocalHub) -> None:
    """A new pull request starts at its own commit, even if a killed server left a ref with its number."""
    repo_id = make_repo(ada)
    repo = hub.state.repos.get("dataset", repo_id)
    assert repo is not None
    repo.git.update_ref("refs/pr/1", repo.git.head(), None)
    pull = put(ada, repo_id, {"a.txt": "a"}, create_pr=True)
    assert repo.git.head("refs/pr/1") == pull.oid
    assert details(ada, repo_id).conflicting_files == []
