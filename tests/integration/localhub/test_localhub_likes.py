"""Likes, and the list of an account's own repos."""

from __future__ import annotations

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import TOKENS, make_repo


def like(hub: LocalHub, name: str, path: str) -> httpx.Response:
    """Like a repo as `name`: the client has no method for it any more."""
    return httpx.post(f"{hub.url}/api/{path}/like", headers={"Authorization": f"Bearer {TOKENS[name]}"})


def test_a_like_counts_once_and_is_listed_on_both_sides(ada: HfApi, cleo: HfApi, hub: LocalHub) -> None:
    """Liking twice counts once; repo, user and profile show it; taking it back removes it."""
    model, dataset = make_repo(ada, "model"), make_repo(ada)
    for path in (f"models/{model}", f"models/{model}", f"datasets/{dataset}"):
        assert like(hub, "cleo", path).status_code == 200
    assert ada.model_info(model).likes == 1
    assert [user.username for user in ada.list_repo_likers(model)] == ["cleo"]
    likes = ada.list_liked_repos("cleo")
    assert (likes.models, likes.datasets, likes.total) == ([model], [dataset], 2)
    assert ada.get_user_overview("cleo").num_likes == 2
    cleo.unlike(model)
    cleo.unlike(model)
    assert ada.model_info(model).likes == 0 and cleo.list_liked_repos().models == []


def test_likes_of_hidden_and_deleted_repos_are_not_listed(ada: HfApi, anonymous: HfApi, hub: LocalHub) -> None:
    """The likes of a user list a private repo only to callers who may read it, and no deleted repo."""
    private, deleted = make_repo(ada, private=True), make_repo(ada)
    for repo in (private, deleted):
        like(hub, "ada", f"datasets/{repo}")
    assert private in ada.list_liked_repos("ada").datasets
    assert private not in anonymous.list_liked_repos("ada").datasets
    ada.delete_repo(deleted, repo_type="dataset")
    assert deleted not in ada.list_liked_repos("ada").datasets


def test_a_like_needs_an_account_and_a_repo(ada: HfApi, hub: LocalHub) -> None:
    """A like without a token is 401; a missing repo is `RepoNotFound`, also if its name has no owner."""
    model = make_repo(ada, "model")
    assert httpx.post(f"{hub.url}/api/models/{model}/like").status_code == 401
    for missing in ("ada/missing", "missing"):
        with pytest.raises(RepositoryNotFoundError):
            ada.unlike(missing)


def test_the_settings_list_own_repos_with_their_storage(ada: HfApi, cleo: HfApi, hub: LocalHub) -> None:
    """An account lists its repos with visibility and storage; an organisation's repos are listed to members only."""
    repo = make_repo(ada, private=True)
    ada.upload_file(path_or_fileobj=b"x" * 300, path_in_repo="data.bin", repo_id=repo, repo_type="dataset")
    (listed,) = (item for item in ada.list_user_repos() if item.id == repo)
    assert (listed.type, listed.visibility, listed.storage) == ("dataset", "private", 300)
    shared = make_repo(ada, owner="board")
    assert shared in [item.id for item in ada.list_user_repos(namespace="board")]
    refused = httpx.get(
        f"{hub.url}/api/organizations/board/settings/repositories",
        headers={"Authorization": f"Bearer {TOKENS['cleo']}"},
    )
    assert refused.status_code == 403
    assert [item.id for item in cleo.list_user_repos()] == []
