"""Repos: creation, deletion, settings and lists, and the redirects of a renamed repo."""

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import fresh, make_repo, put


@pytest.mark.parametrize("repo_type", ["model", "dataset", "space"])
def test_a_new_repo_has_one_initial_commit_with_gitattributes(ada: HfApi, repo_type: str) -> None:
    """The initial state is one commit called 'initial commit' that holds `.gitattributes`."""
    repo_id = f"ada/{fresh()}"
    url = ada.create_repo(repo_id, repo_type=repo_type, space_sdk="static" if repo_type == "space" else None)
    assert (url.repo_id, url.repo_type, url.endpoint) == (repo_id, repo_type, ada.endpoint)
    commits = ada.list_repo_commits(repo_id, repo_type=repo_type)
    assert [c.title for c in commits] == ["initial commit"]
    assert ".gitattributes" in ada.list_repo_files(repo_id, repo_type=repo_type)


def test_the_answer_to_create_has_url_name_and_id(http: httpx.Client) -> None:
    """The answer to a new repo has its URL, name and 24-digit id; the old field `private` is accepted."""
    name = fresh()
    answer = http.post("/api/repos/create", json={"name": name, "type": "dataset", "private": True}).json()
    assert answer["url"] == f"{str(http.base_url).rstrip('/')}/datasets/ada/{name}"
    assert answer["name"] == f"ada/{name}" and len(answer["id"]) == 24
    assert http.get(f"/api/datasets/ada/{name}").json()["private"] is True


def test_create_with_initial_files(http: httpx.Client, ada: HfApi) -> None:
    """`files` in the request to create a repo become its first files."""
    name = fresh()
    files = [{"path": "a.txt", "content": "A"}, {"path": "b/c.txt", "content": "Qg==", "encoding": "base64"}]
    assert http.post("/api/repos/create", json={"name": name, "files": files}).status_code == 200
    assert {"a.txt", "b/c.txt"} <= set(ada.list_repo_files(f"ada/{name}"))
    assert http.get(f"/ada/{name}/resolve/main/b/c.txt").text == "B"


def test_creating_twice_is_409_with_the_url(ada: HfApi, http: httpx.Client) -> None:
    """Creating an existing repo is 409 with its URL, which the client reads with `exist_ok`."""
    repo_id = make_repo(ada)
    with pytest.raises(HfHubHTTPError) as caught:
        ada.create_repo(repo_id, repo_type="dataset")
    assert caught.value.response.status_code == 409
    again = ada.create_repo(repo_id, repo_type="dataset", exist_ok=True)
    assert again.repo_id == repo_id
    body = http.post("/api/repos/create", json={"name": repo_id.split("/")[1], "type": "dataset"}).json()
    assert body["url"].endswith(f"/datasets/{repo_id}") and body["error"]


def test_the_same_name_may_be_a_model_and_a_dataset(ada: HfApi) -> None:
    """A model and a dataset may have the same name."""
    repo_id = make_repo(ada, "dataset")
    ada.create_repo(repo_id, repo_type="model")
    assert ada.repo_exists(repo_id) and ada.repo_exists(repo_id, repo_type="dataset")


def test_creating_a_repo_in_another_namespace_is_403(ada: HfApi, cleo: HfApi) -> None:
    """A user cannot create repos in the namespace of another user or organisation."""
    for owner in ("ada", "board"):
        with pytest.raises(HfHubHTTPError) as caught:
            cleo.create_repo(f"{owner}/{fresh()}")
        assert caught.value.response.status_code == 403


def test_repo_names_are_case_insensitive(ada: HfApi) -> None:
    """A repo is found by its name in any case, and no second one can be created that differs only in case."""
    repo_id = make_repo(ada)
    shouted = repo_id.upper()
    assert ada.dataset_info(shouted).id == repo_id
    with pytest.raises(HfHubHTTPError) as caught:
        ada.create_repo(f"ada/{repo_id.split('/')[1].upper()}", repo_type="dataset")
    assert caught.value.response.status_code == 409


def test_delete(ada: HfApi, cleo: HfApi) -> None:
    """Only the owner can delete a repo; deleting it again is 404, unless `missing_ok` is set."""
    repo_id = make_repo(ada)
    with pytest.raises(HfHubHTTPError) as caught:
        cleo.delete_repo(repo_id, repo_type="dataset")
    assert caught.value.response.status_code == 403
    ada.delete_repo(repo_id, repo_type="dataset")
    assert not ada.repo_exists(repo_id, repo_type="dataset")
    with pytest.raises(RepositoryNotFoundError):
        ada.delete_repo(repo_id, repo_type="dataset")
    ada.delete_repo(repo_id, repo_type="dataset", missing_ok=True)


def test_a_deleted_name_can_be_used_again_with_a_new_id(ada: HfApi, http: httpx.Client) -> None:
    """A new repo with the name of a deleted one has another id, and none of its files and threads."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"old.txt": "old"})
    ada.create_discussion(repo_id, title="An old thread", repo_type="dataset")
    old = http.get(f"/api/datasets/{repo_id}").json()["_id"]
    ada.delete_repo(repo_id, repo_type="dataset")
    ada.create_repo(repo_id, repo_type="dataset")
    assert http.get(f"/api/datasets/{repo_id}").json()["_id"] != old
    assert ada.list_repo_files(repo_id, repo_type="dataset") == [".gitattributes"]
    assert list(ada.get_repo_discussions(repo_id, repo_type="dataset")) == []


def test_a_moved_repo_redirects_get_head_and_post(ada: HfApi, http: httpx.Client) -> None:
    """Old API, resolve and web addresses answer 307 or 308, which keep method and body."""
    old = make_repo(ada)
    put(ada, old, {"a.txt": "A"})
    ada.create_discussion(old, title="Before the move", repo_type="dataset")
    new = f"ada/{fresh('moved')}"
    ada.move_repo(old, new, repo_type="dataset")
    assert ada.dataset_info(old).id == new
    assert ada.get_hf_file_metadata(url=f"{ada.endpoint}/datasets/{old}/resolve/main/a.txt").size == 1
    for method, path in [
        ("GET", f"/api/datasets/{old}"),
        ("GET", f"/api/datasets/{old}/tree/main?recursive=true"),
        ("HEAD", f"/datasets/{old}/resolve/main/a.txt"),
        ("POST", f"/api/datasets/{old}/discussions/1/comment"),
        ("GET", f"/datasets/{old}/discussions/1"),
    ]:
        answer = http.request(method, path)
        assert answer.status_code in (307, 308), (method, path, answer.status_code)
        assert new in answer.headers["Location"]
    assert http.get(f"/api/datasets/{old}/tree/main?recursive=true").headers["Location"].endswith("recursive=true")
    comment = ada.comment_discussion(old, 1, "After the move", repo_type="dataset")
    assert comment.content == "After the move"
    assert put(ada, old, {"b.txt": "B"}).repo_url.repo_id in (old, new)
    assert "b.txt" in ada.list_repo_files(new, repo_type="dataset")


def test_two_moves_in_a_row_still_redirect(ada: HfApi) -> None:
    """After two renames the first name redirects to the last one."""
    first = make_repo(ada)
    second, third = f"ada/{fresh()}", f"board/{fresh()}"
    ada.move_repo(first, second, repo_type="dataset")
    ada.move_repo(second, third, repo_type="dataset")
    assert ada.dataset_info(first).id == third
    assert ada.dataset_info(third).author == "board"


def test_moving_onto_an_existing_repo_is_refused(ada: HfApi) -> None:
    """Renaming a repo to an existing name is refused with the reason, and the repo keeps its name."""
    first, second = make_repo(ada, "model"), make_repo(ada, "model")
    with pytest.raises(HfHubHTTPError, match="already exists"):
        ada.move_repo(first, second)
    assert ada.model_info(first).id == first


def test_moving_without_rights_is_403(ada: HfApi, cleo: HfApi) -> None:
    """Moving a repo out of or into another user's namespace is 403."""
    repo_id = make_repo(ada)
    with pytest.raises(HfHubHTTPError) as caught:
        cleo.move_repo(repo_id, f"cleo/{fresh()}", repo_type="dataset")
    assert caught.value.response.status_code == 403
    own = make_repo(cleo, owner="cleo")
    with pytest.raises(HfHubHTTPError) as caught:
        cleo.move_repo(own, f"ada/{fresh()}", repo_type="dataset")
    assert caught.value.response.status_code == 403


def test_settings(ada: HfApi, cleo: HfApi, http: httpx.Client) -> None:
    """The owner can change visibility, gating and discussions of a repo; another user gets 403."""
    repo_id = make_repo(ada)
    ada.update_repo_settings(repo_id, repo_type="dataset", private=True)
    assert ada.dataset_info(repo_id).private is True
    ada.update_repo_settings(repo_id, repo_type="dataset", visibility="public", gated="auto")
    info = ada.dataset_info(repo_id)
    assert (info.private, info.gated) == (False, "auto")
    ada.update_repo_settings(repo_id, repo_type="dataset", gated=False)
    assert ada.dataset_info(repo_id).gated is False
    with pytest.raises(HfHubHTTPError) as caught:
        cleo.update_repo_settings(repo_id, repo_type="dataset", private=True)
    assert caught.value.response.status_code == 403
    answer = http.put(f"/api/datasets/{repo_id}/settings", json={"discussionsDisabled": True})
    assert answer.json()["discussionsDisabled"] is True


def test_disabled_discussions_refuse_threads(ada: HfApi, cleo: HfApi, http: httpx.Client) -> None:
    """With discussions disabled no thread can be opened; they can be switched on again."""
    repo_id = make_repo(ada)
    http.put(f"/api/datasets/{repo_id}/settings", json={"discussionsDisabled": True})
    with pytest.raises(HfHubHTTPError) as caught:
        cleo.create_discussion(repo_id, title="Hello there", repo_type="dataset")
    assert caught.value.response.status_code in (403, 404)
    http.put(f"/api/datasets/{repo_id}/settings", json={"discussionsDisabled": False})
    assert cleo.create_discussion(repo_id, title="Hello there", repo_type="dataset").num == 1


def test_names_that_the_hub_refuses(http: httpx.Client, hub: LocalHub) -> None:
    """Repo names with `..`, `--`, `.git` or control characters and overlong names are refused with a JSON error."""
    for name in ["..", "a..b", "a--b", "x.git", "bell\x07", "", "é", "n" * 97, " "]:
        answer = http.post("/api/repos/create", json={"name": name, "type": "dataset"})
        assert answer.status_code == 400, (name, answer.status_code)
        assert answer.json()["error"]
    assert http.post("/api/repos/create", json={"name": "a/b/c"}).status_code in (400, 403)


def test_a_space_needs_an_sdk(http: httpx.Client) -> None:
    """Creating a Space without `sdk` is 400."""
    answer = http.post("/api/repos/create", json={"name": fresh(), "type": "space"})
    assert answer.status_code == 400 and answer.json()["error"]


def test_repos_are_listed_and_found(ada: HfApi, cleo: HfApi) -> None:
    """Repos are listed by author and by text in the name, private ones only to those who may read them."""
    name = fresh("findable")
    ada.create_repo(f"ada/{name}", repo_type="model")
    ada.create_repo(f"ada/{name}-hidden", repo_type="model", private=True)
    assert {m.id for m in ada.list_models(author="ada", search=name)} == {f"ada/{name}", f"ada/{name}-hidden"}
    assert [m.id for m in cleo.list_models(author="ada", search=name)] == [f"ada/{name}"]
    assert list(cleo.list_models(author="bob", search=name)) == []
    assert [d.id for d in ada.list_datasets(search=name)] == []
