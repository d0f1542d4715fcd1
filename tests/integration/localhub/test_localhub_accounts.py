"""Accounts, and the rights of each role."""

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import TOKENS, fresh, make_repo, put


def test_whoami_names_the_user_its_organisations_and_the_token(ada: HfApi) -> None:
    """`whoami-v2` gives a 24-hex id, names, organisations with roles and the token's role."""
    me = ada.whoami()
    assert (me["type"], me["name"], me["fullname"]) == ("user", "ada", "Ada L")
    assert len(me["id"]) == 24 and int(me["id"], 16)
    assert me["isPro"] in (True, False) and isinstance(me["avatarUrl"], str)
    board = next(org for org in me["orgs"] if org["name"] == "board")
    assert (board["type"], board["fullname"], board["roleInOrg"]) == ("org", "The Board", "admin")
    assert len(board["id"]) == 24
    token = me["auth"]["accessToken"]
    assert me["auth"]["type"] == "access_token"
    assert token["role"] == "write" and token["displayName"] and token["createdAt"].endswith("Z")


def test_whoami_of_a_wrong_token_is_401(hub: LocalHub) -> None:
    """`whoami-v2` with an unknown token is 401, with the message that the client checks for."""
    with pytest.raises(HfHubHTTPError, match="Invalid user token") as caught:
        HfApi(endpoint=hub.url, token="hf_nobody").whoami()
    assert caught.value.response.status_code == 401


def test_a_wrong_token_is_401_everywhere_even_on_a_public_repo(hub: LocalHub, ada: HfApi) -> None:
    """A wrong token is 401 with a message by which the client does not mistake it for a missing repo."""
    repo_id = make_repo(ada)
    answer = httpx.get(f"{hub.url}/api/datasets/{repo_id}", headers={"Authorization": "Bearer hf_nobody"})
    assert answer.status_code == 401
    assert answer.json() == {"error": "Invalid credentials in Authorization header"}
    assert answer.headers["X-Error-Message"] == "Invalid credentials in Authorization header"


def test_whoami_without_a_token_is_401(hub: LocalHub) -> None:
    """`whoami-v2` without a token is 401."""
    assert httpx.get(f"{hub.url}/api/whoami-v2").status_code == 401


def test_user_overview(ada: HfApi, http: httpx.Client) -> None:
    """The overview of a user has the fields of the Hub's own description."""
    user = ada.get_user_overview("bob")
    assert (user.username, user.fullname) == ("bob", "Bob B")
    raw = http.get("/api/users/bob/overview").json()
    assert raw["type"] == "user" and len(raw["_id"]) == 24 and raw["createdAt"].endswith("Z")
    assert "board" in [org["name"] for org in raw["orgs"]]


def test_organisation_overview(ada: HfApi) -> None:
    """The overview of an organisation counts its members."""
    org = ada.get_organization_overview("board")
    assert (org.name, org.fullname, org.num_users) == ("board", "The Board", 4)


def test_overviews_of_unknown_accounts_are_404(ada: HfApi) -> None:
    """The overview of an unknown user or organisation is 404."""
    for call in (ada.get_user_overview, ada.get_organization_overview):
        with pytest.raises(HfHubHTTPError) as caught:
            call("no-such-account")
        assert caught.value.response.status_code == 404


def test_members_come_in_pages_with_roles(hub: LocalHub, ada: HfApi, http: httpx.Client) -> None:
    """The list of members has the role and id of each, and a `Link` to the next page while more members follow."""
    assert {m.username for m in ada.list_organization_members("board")} == {"ada", "bob", "walter", "rita"}
    page = http.get("/api/organizations/board/members", params={"limit": 10}).json()
    assert {m["user"]: m["role"] for m in page}["bob"] == "contributor"
    assert all(m["type"] == "user" and len(m["_id"]) == 24 for m in page)
    accounts = hub.state.accounts
    crowd, names = accounts.create("crowd", "org"), [f"member-{number:02}" for number in range(12)]
    for name in names:
        accounts.set_member(crowd, accounts.create(name), "read")
    first = http.get("/api/organizations/crowd/members", params={"limit": 10})
    last = http.get(first.links["next"]["url"])
    assert [[m["user"] for m in answer.json()] for answer in (first, last)] == [names[:10], names[10:]]
    assert "next" not in last.links
    assert [m.username for m in ada.list_organization_members("crowd")] == names


def test_auth_check(ada: HfApi, cleo: HfApi, anonymous: HfApi) -> None:
    """Any user may read a public repo, but not write it; a private repo does not exist for other users."""
    public, private = make_repo(ada), make_repo(ada, private=True)
    ada.auth_check(public, repo_type="dataset", write=True)
    cleo.auth_check(public, repo_type="dataset")
    with pytest.raises(HfHubHTTPError) as caught:
        cleo.auth_check(public, repo_type="dataset", write=True)
    assert caught.value.response.status_code == 403
    for stranger in (cleo, anonymous):
        with pytest.raises(RepositoryNotFoundError):
            stranger.auth_check(private, repo_type="dataset")


def test_a_private_repo_is_hidden_from_other_users(ada: HfApi, cleo: HfApi, anonymous: HfApi) -> None:
    """Info, tree, files and threads of a private repo, and commits to it, are 404 `RepoNotFound` for other users."""
    repo_id = make_repo(ada, private=True)
    put(ada, repo_id, {"a.txt": "secret"})
    for stranger in (cleo, anonymous):
        with pytest.raises(RepositoryNotFoundError):
            stranger.dataset_info(repo_id)
        with pytest.raises(RepositoryNotFoundError):
            list(stranger.list_repo_tree(repo_id, repo_type="dataset"))
        with pytest.raises(RepositoryNotFoundError):
            stranger.get_hf_file_metadata(url=f"{ada.endpoint}/datasets/{repo_id}/resolve/main/a.txt")
        with pytest.raises(RepositoryNotFoundError):
            list(stranger.get_repo_discussions(repo_id, repo_type="dataset"))
    with pytest.raises(RepositoryNotFoundError):
        put(cleo, repo_id, {"b.txt": "b"})


def test_a_missing_repo_says_repository_not_found(http: httpx.Client) -> None:
    """A missing repo is 404, with the error text and `X-Error-Code` of the Hub."""
    answer = http.get("/api/models/ada/no-such-model")
    assert answer.status_code == 404
    assert answer.json() == {"error": "Repository not found"}
    assert answer.headers["X-Error-Code"] == "RepoNotFound"


def test_organisation_members_see_private_repos_of_the_organisation(ada: HfApi, bob: HfApi, hub: LocalHub) -> None:
    """Contributors and readers of an organisation may read its private repos."""
    repo_id = make_repo(ada, owner="board", private=True)
    rita = HfApi(endpoint=hub.url, token=TOKENS["rita"])
    assert bob.dataset_info(repo_id).private is True
    assert rita.dataset_info(repo_id).id == repo_id


def test_a_commit_without_write_access_is_403(ada: HfApi, cleo: HfApi) -> None:
    """A caller without write access cannot commit to a branch, and nothing is committed."""
    repo_id = make_repo(ada)
    before = ada.dataset_info(repo_id).sha
    with pytest.raises(HfHubHTTPError) as caught:
        put(cleo, repo_id, {"x.txt": "x"})
    assert caught.value.response.status_code == 403
    assert ada.dataset_info(repo_id).sha == before


def test_an_anonymous_push_is_401(ada: HfApi, hub: LocalHub) -> None:
    """A commit without a token is 401."""
    repo_id = make_repo(ada)
    answer = httpx.post(f"{hub.url}/api/datasets/{repo_id}/commit/main", content=b"")
    assert answer.status_code == 401


def test_organisation_roles(ada: HfApi, bob: HfApi, hub: LocalHub) -> None:
    """The role write may change any repo of the organisation, contributor only its own repos, and read none."""
    walter = HfApi(endpoint=hub.url, token=TOKENS["walter"])
    rita = HfApi(endpoint=hub.url, token=TOKENS["rita"])
    repo_id = make_repo(ada, owner="board")
    put(walter, repo_id, {"w.txt": "w"})
    for reader in (rita, bob):
        with pytest.raises(HfHubHTTPError) as caught:
            put(reader, repo_id, {"r.txt": "r"})
        assert caught.value.response.status_code == 403
    own = make_repo(bob, owner="board")
    put(bob, own, {"b.txt": "b"})
    with pytest.raises(HfHubHTTPError) as caught:
        make_repo(rita, owner="board")
    assert caught.value.response.status_code == 403


def test_a_read_token_cannot_write(ada: HfApi, hub: LocalHub) -> None:
    """With a read token even the owner of a repo cannot commit or open a discussion."""
    repo_id = make_repo(ada)
    reader = HfApi(endpoint=hub.url, token="hf_ada_read")
    assert reader.dataset_info(repo_id).author == "ada"
    with pytest.raises(HfHubHTTPError) as caught:
        put(reader, repo_id, {"x.txt": "x"})
    assert caught.value.response.status_code == 403
    with pytest.raises(HfHubHTTPError) as caught:
        reader.create_discussion(repo_id, title="Hello there", repo_type="dataset")
    assert caught.value.response.status_code == 403


def test_gated_repos_show_their_info_but_not_their_files(ada: HfApi, cleo: HfApi, anonymous: HfApi) -> None:
    """A gated repo lists its files publicly; their content needs access (`GatedRepo`)."""
    repo_id = make_repo(ada, "model")
    put(ada, repo_id, {"config.json": "{}"}, "model")
    ada.update_repo_settings(repo_id, gated="manual")
    assert cleo.model_info(repo_id).gated == "manual"
    url = f"{ada.endpoint}/{repo_id}/resolve/main/config.json"
    with pytest.raises(GatedRepoError):
        cleo.get_hf_file_metadata(url=url)
    with pytest.raises(GatedRepoError):
        anonymous.get_hf_file_metadata(url=url)
    assert ada.get_hf_file_metadata(url=url).size == 2


def test_request_ids_and_json_errors(http: httpx.Client) -> None:
    """Every error is a JSON object with `error`, and every answer carries a request id."""
    answer = http.get("/api/datasets/ada/none/tree/main")
    assert set(answer.json()) == {"error"}
    assert answer.headers["X-Request-Id"]
    assert http.get(f"/api/{fresh('unknown')}").status_code == 404
    assert http.get("/api/no-such-route").json()["error"]


def test_a_fine_grained_token_writes_its_own_namespace_alone(ada: HfApi, hub: LocalHub) -> None:
    """A token scoped to one organisation writes there alone; private repos elsewhere are hidden from it."""
    details, board = make_repo(ada, owner="details"), make_repo(ada, owner="board")
    private = make_repo(ada, owner="board", private=True)
    worker = HfApi(endpoint=hub.url, token="hf_walter_details")
    put(worker, details, {"a.txt": "a"})
    own = f"details/{fresh()}"
    worker.create_repo(own, repo_type="dataset")
    for write in (
        lambda: put(worker, board, {"a.txt": "a"}),
        lambda: worker.create_repo(f"board/{fresh()}"),
        lambda: worker.delete_repo(board, repo_type="dataset"),
        lambda: worker.create_discussion(board, title="Hello there", repo_type="dataset"),
        lambda: worker.create_tag(board, tag="t", repo_type="dataset"),
    ):
        with pytest.raises(HfHubHTTPError) as caught:
            write()
        assert caught.value.response.status_code == 403
    assert worker.dataset_info(board).id == board
    with pytest.raises(HfHubHTTPError) as caught:
        worker.dataset_info(private)
    assert caught.value.response.status_code in (403, 404)


def test_a_token_that_may_only_discuss(ada: HfApi, hub: LocalHub) -> None:
    """`discussion.write` allows threads and comments, and no commits."""
    repo_id = make_repo(ada, owner="board")
    talker = HfApi(endpoint=hub.url, token="hf_walter_talk")
    assert talker.create_discussion(repo_id, title="Hello there", repo_type="dataset").num == 1
    assert talker.comment_discussion(repo_id, 1, "And again", repo_type="dataset").author == "walter"
    with pytest.raises(HfHubHTTPError) as caught:
        put(talker, repo_id, {"a.txt": "a"})
    assert caught.value.response.status_code == 403


def test_whoami_shows_what_a_fine_grained_token_may(hub: LocalHub) -> None:
    """`whoami` lists the scopes of a fine-grained token: entity with id and type, and permissions."""
    token = HfApi(endpoint=hub.url, token="hf_walter_details").whoami()["auth"]["accessToken"]
    assert token["role"] == "fineGrained"
    (scope,) = token["fineGrained"]["scoped"]
    assert (scope["entity"]["type"], scope["entity"]["name"]) == ("org", "details")
    assert len(scope["entity"]["_id"]) == 24 and set(scope["permissions"]) == {"repo.content.read", "repo.write"}
    talk = HfApi(endpoint=hub.url, token="hf_walter_talk").whoami()["auth"]["accessToken"]["fineGrained"]
    assert talk["global"] == ["discussion.write"]


def test_access_to_a_gated_repo_is_granted_by_its_owner(ada: HfApi, cleo: HfApi) -> None:
    """The owner of a gated repo can let a user read its files; other users cannot grant access."""
    repo_id = make_repo(ada, "model")
    put(ada, repo_id, {"config.json": "{}"}, "model")
    ada.update_repo_settings(repo_id, gated="manual")
    url = f"{ada.endpoint}/{repo_id}/resolve/main/config.json"
    with pytest.raises(GatedRepoError):
        cleo.get_hf_file_metadata(url=url)
    ada.grant_access(repo_id, "cleo")
    assert cleo.get_hf_file_metadata(url=url).size == 2
    with pytest.raises(HfHubHTTPError) as caught:
        cleo.grant_access(repo_id, "bob")
    assert caught.value.response.status_code == 403


def test_asking_for_access(ada: HfApi, cleo: HfApi, http: httpx.Client, hub: LocalHub) -> None:
    """A request for access is pending until the owner accepts or rejects it; each state has its own list."""
    repo_id = make_repo(ada, "model")
    put(ada, repo_id, {"config.json": "{}"}, "model")
    ada.update_repo_settings(repo_id, gated="manual")
    url = f"{ada.endpoint}/{repo_id}/resolve/main/config.json"
    asked = httpx.post(f"{hub.url}/{repo_id}/ask-access", headers={"Authorization": f"Bearer {TOKENS['cleo']}"})
    assert asked.status_code in (200, 303)
    assert [r.username for r in ada.list_pending_access_requests(repo_id)] == ["cleo"]
    ada.accept_access_request(repo_id, "cleo")
    assert cleo.get_hf_file_metadata(url=url).size == 2
    assert [r.username for r in ada.list_accepted_access_requests(repo_id)] == ["cleo"]
    ada.reject_access_request(repo_id, "cleo", rejection_reason="Not now")
    assert [(r.username, r.status) for r in ada.list_rejected_access_requests(repo_id)] == [("cleo", "rejected")]
    with pytest.raises(GatedRepoError):
        cleo.get_hf_file_metadata(url=url)


def test_a_gated_repo_may_accept_every_access_request(ada: HfApi, cleo: HfApi, hub: LocalHub) -> None:
    """With `gated: auto` a user who asks for access can read the files at once."""
    repo_id = make_repo(ada, "model")
    put(ada, repo_id, {"config.json": "{}"}, "model")
    ada.update_repo_settings(repo_id, gated="auto")
    url = f"{ada.endpoint}/{repo_id}/resolve/main/config.json"
    with pytest.raises(GatedRepoError):
        cleo.get_hf_file_metadata(url=url)
    httpx.post(f"{hub.url}/{repo_id}/ask-access", headers={"Authorization": f"Bearer {TOKENS['cleo']}"})
    assert cleo.get_hf_file_metadata(url=url).size == 2
