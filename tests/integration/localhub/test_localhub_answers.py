"""Answers to rare calls that the tests of huggingface_hub, or the API description of the Hub, require."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, RepoCard, hf_hub_download
from huggingface_hub.errors import (
    BadRequestError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import TOKENS, make_repo


@pytest.mark.parametrize(
    "path",
    [
        "/api/models/nameless",
        "/api/models/nameless/revision/main",
        "/api/models/nameless/commits/main",
        "/api/models/nameless/tree/main",
        "/nameless/resolve/main/config.json",
        "/datasets/nameless/resolve/main/a/b.json",
    ],
)
def test_a_name_without_an_owner_is_no_repo(http: httpx.Client, path: str) -> None:
    """A repo name without an owner is answered with `RepoNotFound`, by which the client recognises the error."""
    answer = http.get(path)
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "RepoNotFound")


def test_a_wrong_method_is_still_told_apart_from_a_missing_repo(http: httpx.Client, ada: HfApi) -> None:
    """A call about an existing repo with a wrong HTTP method is 405."""
    assert http.post(f"/api/models/{make_repo(ada, 'model')}/settings", json={}).status_code == 405


def test_a_former_name_without_an_owner_still_leads_to_the_repo(http: httpx.Client, hub: LocalHub, ada: HfApi) -> None:
    """Calls about a former name without an owner, like `gpt2`, are redirected to the repo."""
    repo = hub.state.repos.get("model", make_repo(ada, "model"))
    assert repo is not None
    hub.state.repos.add_aliases(repo, ["old-name"])
    for path in ("/api/models/old-name/tree/main", "/old-name/resolve/main/.gitattributes"):
        answer = http.get(path)
        assert answer.status_code == 307 and answer.headers["Location"] == path.replace("old-name", repo.full_name)


def test_a_card_must_start_at_its_first_line_and_name_a_licence_of_the_list(ada: HfApi, http: httpx.Client) -> None:
    """A card with an empty line above its metadata, or with a licence that the Hub does not know, is 400."""
    body = {"repoType": "model", "content": "\n---\nlicense: mit\n---\n"}
    assert http.post("/api/validate-yaml", json=body).status_code == 400
    card = RepoCard("---\nlicense: asdf\n---\n")
    answer = http.post("/api/validate-yaml", json={"content": str(card)})
    assert answer.status_code == 400 and answer.json()["errors"][0]["message"].startswith('"license" must be one of [')
    text = http.post("/api/validate-yaml", json={"content": str(card)}, headers={"Accept": "text/plain"})
    assert text.status_code == 400 and text.text.startswith('- Error: "license" must be one of [')
    several = {"content": "---\nlicense: [mit, apache-2.0]\n---\n"}
    assert http.post("/api/validate-yaml", json=several).json()["errors"] == []


def test_a_path_that_leaves_the_folder_on_windows_is_refused(ada: HfApi) -> None:
    r"""422 for `..\name` as a path; a backslash further inside is part of a name."""
    repo = make_repo(ada, "model")
    with pytest.raises(HfHubHTTPError) as error:
        ada.upload_file(path_or_fileobj=b"x", path_in_repo="..\\ddd", repo_id=repo)
    assert error.value.response.status_code == 422
    ada.upload_file(path_or_fileobj=b"x", path_in_repo="folder/..\\..\\file", repo_id=repo)
    assert "folder/..\\..\\file" in ada.list_repo_files(repo)


def test_deleting_a_file_that_is_a_folder_deletes_the_folder(ada: HfApi) -> None:
    """`deletedFile` with the path of a folder removes all of it."""
    repo = make_repo(ada)
    files = [CommitOperationAdd(f"folder/{name}", b"x") for name in "ab"]
    ada.create_commit(repo, files, commit_message="add", repo_type="dataset")
    deletion = CommitOperationDelete("folder", is_folder=False)
    ada.create_commit(repo, [deletion], commit_message="remove", repo_type="dataset")
    assert ada.list_repo_files(repo, repo_type="dataset") == [".gitattributes"]


def test_a_tag_of_a_missing_revision_is_not_found_whatever_its_name(ada: HfApi) -> None:
    """An invalid tag at a missing revision is `RevisionNotFound`, at an existing revision a bad request."""
    repo = make_repo(ada, "model")
    with pytest.raises(RevisionNotFoundError):
        ada.create_tag(repo, tag="invalid tag", revision="missing")
    with pytest.raises(BadRequestError):
        ada.create_tag(repo, tag="invalid tag")


def test_large_files_show_where_they_are_and_leave_history_when_deleted(ada: HfApi, http: httpx.Client) -> None:
    """LFS files are listed with their ref; deleting one removes it from the branch unless `rewriteHistory` is false."""
    repo, data = make_repo(ada, "model"), b"large"
    sha = hashlib.sha256(data).hexdigest()
    ada.create_branch(repo, branch="side")
    ada.upload_file(path_or_fileobj=data, path_in_repo="w/a.bin", repo_id=repo, revision="side")
    (listed,) = http.get(f"/api/models/{repo}/lfs-files").json()
    assert (listed["filename"], listed["ref"]) == ("w/a.bin", "refs/heads/side")
    assert http.delete(f"/api/models/{repo}/lfs-files/{sha}").status_code == 200
    assert "w/a.bin" not in ada.list_repo_files(repo, revision="side")
    ada.upload_file(path_or_fileobj=data, path_in_repo="a.bin", repo_id=repo)
    assert http.delete(f"/api/models/{repo}/lfs-files/{sha}", params={"rewriteHistory": "false"}).status_code == 200
    assert "a.bin" in ada.list_repo_files(repo)


def test_sharing_large_files_counts_them(ada: HfApi, http: httpx.Client) -> None:
    """The answer to sharing LFS files has the numbers of processed and copied files, and names the failed ones."""
    source, target, data = make_repo(ada, "model"), make_repo(ada, "model"), b"shared"
    ada.upload_file(path_or_fileobj=data, path_in_repo="a.bin", repo_id=source)
    files = [{"sha256": sha, "xetHash": sha} for sha in (hashlib.sha256(data).hexdigest(), "0" * 64)]
    body = {"target": {"type": "model", "name": target}, "files": files}
    answer = http.post(f"/api/models/{source}/lfs-files/duplicate", json=body)
    counts = answer.json()
    assert answer.status_code == 207 and (counts["processed"], counts["succeeded"]) == (2, 1)
    (failed,) = counts["failed"]
    assert failed == {"sha256": "0" * 64, "xetHash": "0" * 64, "error": f"{source} does not hold this file"}


def test_a_large_file_is_downloaded_by_an_absolute_address(ada: HfApi, http: httpx.Client, cache: Path) -> None:
    """The redirect to the storage has an absolute address, by which the client downloads the file."""
    repo = make_repo(ada, "model")
    ada.upload_file(path_or_fileobj=b"weights", path_in_repo="a.bin", repo_id=repo)
    answer = http.get(f"/{repo}/resolve/main/a.bin")
    assert answer.status_code == 302 and answer.headers["Location"].startswith(f"{http.base_url}".rstrip("/") + "/lfs-")
    path = hf_hub_download(repo, "a.bin", endpoint=ada.endpoint, token=ada.token, cache_dir=cache)
    assert Path(path).read_bytes() == b"weights"


@pytest.mark.parametrize("sdk", ["gradio", "docker", "static"])
def test_a_new_space_has_a_card(ada: HfApi, sdk: str) -> None:
    """The first commit of a Space holds a README.md that names its SDK, and passes the check of cards."""
    repo = make_repo(ada, "space", space_sdk=sdk)
    assert ada.list_repo_files(repo, repo_type="space") == [".gitattributes", "README.md"]
    card = ada.space_info(repo).card_data
    assert card is not None and card.sdk == sdk and card.title


def test_a_gated_repo_says_that_the_caller_is_not_in_its_list(ada: HfApi, cleo: HfApi, cache: Path) -> None:
    """A download from a gated repo fails with the message by which clients recognise it."""
    repo = make_repo(ada, "model")
    ada.upload_file(path_or_fileobj=b"x", path_in_repo="a.txt", repo_id=repo)
    ada.update_repo_settings(repo, gated="manual")
    with pytest.raises(GatedRepoError, match=f"Access to model {repo} is restricted and you are not in the authorized"):
        hf_hub_download(repo, "a.txt", endpoint=cleo.endpoint, token=cleo.token, cache_dir=cache)


def test_an_organisation_can_make_its_new_repos_private(tmp_path: Path) -> None:
    """With `defaultVisibility: private` new repos of an organisation are private unless the creator asks otherwise."""
    users = [{"name": "ada", "tokens": [{"token": "hf_ada", "role": "write"}]}]
    orgs = [{"name": "firm", "plan": "enterprise", "defaultVisibility": "private", "members": {"ada": "admin"}}]
    with LocalHub(tmp_path, {"users": users, "orgs": orgs}) as running:
        api = HfApi(endpoint=running.url, token="hf_ada")
        api.create_repo("firm/quiet")
        api.create_repo("firm/open", private=False)
        api.create_repo("ada/own")
        private = {name: api.model_info(name).private for name in ("firm/quiet", "firm/open", "ada/own")}
    assert private == {"firm/quiet": True, "firm/open": False, "ada/own": False}


@pytest.mark.parametrize("name", ["expand", "expand[]"])
def test_commits_are_formatted_on_request(ada: HfApi, http: httpx.Client, name: str) -> None:
    """`expand=formatted` and `expand[]=formatted` add formatted titles to a list of commits."""
    repo = make_repo(ada)
    commits = http.get(f"/api/datasets/{repo}/commits/main", params={name: "formatted"}).json()
    assert commits[0]["formatted"]["title"] == "initial commit"


def test_answers_have_the_fields_of_the_api_description(ada: HfApi, cleo: HfApi, http: httpx.Client) -> None:
    """Authors, organisations, scans and requests for access carry the described members, without nulls."""
    repo = make_repo(ada, "model")
    ada.update_repo_settings(repo, gated="manual")
    thread = ada.create_discussion(repo, title="A question", description="Why?")
    detail: dict[str, Any] = http.get(f"/api/models/{repo}/discussions/{thread.num}").json()
    assert detail["author"]["isHfAdmin"] is False
    org = next(org for org in http.get("/api/whoami-v2").json()["orgs"] if org["name"] == "board")
    assert "plan" not in org and "email" not in org
    overview = http.get("/api/users/ada/overview").json()
    assert overview["orgs"] and all(len(org["id"]) == 24 for org in overview["orgs"])
    (item,) = http.get(f"/api/models/{repo}/tree/main", params={"expand": "true"}).json()
    scans = item["securityFileStatus"]
    assert all(isinstance(scans[name], dict) for name in ("avScan", "jFrogScan", "pickleImportScan", "protectAiScan"))
    asked = httpx.post(f"{ada.endpoint}/{repo}/ask-access", headers={"Authorization": f"Bearer {TOKENS['cleo']}"})
    assert asked.status_code == 200
    (request,) = http.get(f"/api/models/{repo}/user-access-request/pending").json()
    user = request["user"]
    assert user["avatarUrl"] and (user["isPro"], user["type"], user["verifiedOrgNames"]) == (False, "user", [])
    assert "email" not in user and "fields" not in request
    assert http.get("/api/agent-harnesses").json() == {"standardEnvVars": [], "harnesses": {}}
    assert [request.username for request in ada.list_pending_access_requests(repo)] == ["cleo"]


def test_a_missing_repo_with_an_owner_is_not_found(ada: HfApi) -> None:
    """The client raises RepositoryNotFoundError for a missing repo with an owner."""
    with pytest.raises(RepositoryNotFoundError):
        ada.model_info("ada/missing")
