"""Branches, tags and super-squash."""

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RevisionNotFoundError

from tests.support.localhub.hub_accounts import head, make_repo, put


def test_branches_are_made_from_any_revision(ada: HfApi) -> None:
    """A new branch starts at main, or at a given commit or tag."""
    repo_id = make_repo(ada)
    first = head(ada, repo_id)
    second = put(ada, repo_id, {"a.txt": "a"}).oid
    ada.create_tag(repo_id, tag="t", revision=first, repo_type="dataset")
    ada.create_branch(repo_id, branch="at-main", repo_type="dataset")
    ada.create_branch(repo_id, branch="at/commit", revision=first, repo_type="dataset")
    ada.create_branch(repo_id, branch="at-tag", revision="t", repo_type="dataset")
    assert head(ada, repo_id, branch="at-main") == second
    assert head(ada, repo_id, branch="at/commit") == head(ada, repo_id, branch="at-tag") == first


def test_a_branch_that_exists_is_409(ada: HfApi) -> None:
    """Creating an existing branch is 409 with the message of the Hub, unless `exist_ok` is set."""
    repo_id = make_repo(ada)
    ada.create_branch(repo_id, branch="x", repo_type="dataset")
    with pytest.raises(HfHubHTTPError, match="Reference refs/heads/x already exists") as caught:
        ada.create_branch(repo_id, branch="x", repo_type="dataset")
    assert caught.value.response.status_code == 409
    ada.create_branch(repo_id, branch="x", repo_type="dataset", exist_ok=True)


def test_an_unknown_start_is_revision_not_found(ada: HfApi) -> None:
    """Creating a branch at a missing revision is `RevisionNotFound`."""
    with pytest.raises(RevisionNotFoundError):
        ada.create_branch(make_repo(ada), branch="x", revision="none", repo_type="dataset")


def test_deleting_branches(ada: HfApi) -> None:
    """A branch can be deleted, main cannot; deleting a missing branch is an 'Invalid rev id'."""
    repo_id = make_repo(ada)
    ada.create_branch(repo_id, branch="a/b", repo_type="dataset")
    ada.delete_branch(repo_id, branch="a/b", repo_type="dataset")
    assert [b.name for b in ada.list_repo_refs(repo_id, repo_type="dataset").branches] == ["main"]
    with pytest.raises(HfHubHTTPError, match="Cannot delete refs/heads/main") as caught:
        ada.delete_branch(repo_id, branch="main", repo_type="dataset")
    assert caught.value.response.status_code in (400, 403)
    with pytest.raises(HfHubHTTPError, match="Invalid rev id"):
        ada.delete_branch(repo_id, branch="a/b", repo_type="dataset")


def test_an_empty_branch_and_overwrite(ada: HfApi, http: httpx.Client) -> None:
    """A branch created with `emptyBranch` has no files; `overwrite` moves an existing branch to main."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "a"})
    assert http.post(f"/api/datasets/{repo_id}/branch/bare", json={"emptyBranch": True}).status_code == 200
    assert "a.txt" not in ada.list_repo_files(repo_id, revision="bare", repo_type="dataset")
    assert http.post(f"/api/datasets/{repo_id}/branch/bare", json={"overwrite": True}).status_code == 200
    assert head(ada, repo_id, branch="bare") == head(ada, repo_id)


@pytest.mark.parametrize("name", ["%2E%2E", "a..b", "x.lock", "a b", "a~1", "a^", "a:b", "-x", "a/", "bell%07", "@%7B"])
def test_branch_names_that_git_refuses(ada: HfApi, http: httpx.Client, name: str) -> None:
    """A branch name that git forbids is refused with a JSON error, and no branch is created."""
    repo_id = make_repo(ada)
    answer = http.post(f"/api/datasets/{repo_id}/branch/{name.replace('/', '%2F')}", json={})
    assert answer.status_code in (400, 404) and answer.json()["error"]
    assert [b.name for b in ada.list_repo_refs(repo_id, repo_type="dataset").branches] == ["main"]


def test_tags(ada: HfApi, http: httpx.Client) -> None:
    """Tags point at commits, cannot be made twice, and can be deleted."""
    repo_id = make_repo(ada)
    first = head(ada, repo_id)
    put(ada, repo_id, {"a.txt": "a"})
    ada.create_tag(repo_id, tag="v1", tag_message="One", revision=first, repo_type="dataset")
    (tag,) = ada.list_repo_refs(repo_id, repo_type="dataset").tags
    assert (tag.name, tag.ref, tag.target_commit) == ("v1", "refs/tags/v1", first)
    assert ada.dataset_info(repo_id, revision="v1").sha == first
    with pytest.raises(HfHubHTTPError) as caught:
        ada.create_tag(repo_id, tag="v1", repo_type="dataset")
    assert caught.value.response.status_code == 409
    ada.create_tag(repo_id, tag="v1", repo_type="dataset", exist_ok=True)
    ada.delete_tag(repo_id, tag="v1", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        ada.delete_tag(repo_id, tag="v1", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        ada.create_tag(repo_id, tag="v2", revision="none", repo_type="dataset")


def test_refs_need_write_access(ada: HfApi, cleo: HfApi) -> None:
    """A user without write access gets 403 for creating refs, deleting a tag and squashing the history."""
    repo_id = make_repo(ada)
    ada.create_tag(repo_id, tag="t", repo_type="dataset")
    for call in (
        lambda: cleo.create_branch(repo_id, branch="x", repo_type="dataset"),
        lambda: cleo.create_tag(repo_id, tag="y", repo_type="dataset"),
        lambda: cleo.delete_tag(repo_id, tag="t", repo_type="dataset"),
        lambda: cleo.super_squash_history(repo_id, repo_type="dataset"),
    ):
        with pytest.raises(HfHubHTTPError) as caught:
            call()
        assert caught.value.response.status_code == 403


def test_super_squash_leaves_one_commit_with_the_same_files(ada: HfApi, http: httpx.Client) -> None:
    """A super-squash leaves one commit with the same files; afterwards a commit on the old parent is 412."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "1"})
    old = put(ada, repo_id, {"a.txt": "2", "b.bin": b"\0" * 30}).oid
    answer = http.post(f"/api/datasets/{repo_id}/super-squash/main", json={"message": "Squashed"}).json()
    (commit,) = ada.list_repo_commits(repo_id, repo_type="dataset")
    assert answer["commitId"] == commit.commit_id == head(ada, repo_id) != old
    assert commit.title == "Squashed"
    assert set(ada.list_repo_files(repo_id, repo_type="dataset")) == {".gitattributes", "a.txt", "b.bin"}
    with pytest.raises(HfHubHTTPError) as caught:
        put(ada, repo_id, {"a.txt": "3"}, parent_commit=old)
    assert caught.value.response.status_code == 412


def test_super_squash_of_pull_requests_and_tags(ada: HfApi) -> None:
    """A super-squash works for `refs/pr/N`, is 400 for a tag, and `RevisionNotFound` for a missing branch."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "a"}, create_pr=True)
    put(ada, repo_id, {"a.txt": "aa"}, revision="refs/pr/1")
    ada.super_squash_history(repo_id, branch="refs/pr/1", repo_type="dataset")
    assert len(ada.list_repo_commits(repo_id, revision="refs/pr/1", repo_type="dataset")) == 1
    ada.create_tag(repo_id, tag="v1", repo_type="dataset")
    with pytest.raises(BadRequestError):
        ada.super_squash_history(repo_id, branch="v1", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        ada.super_squash_history(repo_id, branch="none", repo_type="dataset")


def test_a_squash_message_of_more_than_500_characters_is_400(ada: HfApi) -> None:
    """A squash message of 501 characters is 400."""
    with pytest.raises(BadRequestError):
        ada.super_squash_history(make_repo(ada), commit_message="m" * 501, repo_type="dataset")
