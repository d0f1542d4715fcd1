"""Webhooks are created, read, changed and deleted by their owner."""

import uuid
from functools import partial
from typing import Any

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import HOOKS, make_repo


def body(repo_id: str, url: str = "http://127.0.0.1:9/x", **changes: Any) -> dict[str, Any]:
    """A valid webhook that watches one dataset."""
    return {"watched": [{"type": "dataset", "name": repo_id}], "domains": ["repo"], "url": url, **changes}


def test_create_get_list_update_delete(ada: HfApi, http: httpx.Client) -> None:
    """The client creates, reads, lists, updates, disables, enables and deletes a webhook."""
    repo_id = make_repo(ada)
    created = ada.create_webhook(
        url="http://127.0.0.1:9/a", watched=[{"type": "dataset", "name": repo_id}], domains=["repo"], secret="abc"
    )
    assert (created.url, created.domains, created.disabled, created.job) == (
        "http://127.0.0.1:9/a",
        ["repo"],
        False,
        None,
    )
    assert [(w.type, w.name) for w in created.watched] == [("dataset", repo_id)] and len(created.id) == 24
    assert ada.get_webhook(created.id) == created
    assert created.id in [w.id for w in ada.list_webhooks()]
    changed = ada.update_webhook(
        created.id,
        url="http://127.0.0.1:9/b",
        watched=[{"type": "org", "name": "board"}],
        domains=["repo", "discussion"],
        secret="def",
    )
    assert changed.url == "http://127.0.0.1:9/b" and set(changed.domains) == {"repo", "discussion"}
    assert [(w.type, w.name) for w in changed.watched] == [("org", "board")]
    assert ada.disable_webhook(created.id).disabled is True
    assert ada.enable_webhook(created.id).disabled is False
    assert http.delete(f"{HOOKS}/{created.id}").json() == {}
    with pytest.raises(HfHubHTTPError) as caught:
        ada.get_webhook(created.id)
    assert caught.value.response.status_code == 404


def test_the_object_never_shows_the_secret(ada: HfApi, http: httpx.Client) -> None:
    """A webhook has `hasSecret` instead of its secret, and `watched` with names; the list is a bare array."""
    repo_id = make_repo(ada)
    created = http.post(HOOKS, json=body(repo_id, secret="topsecret")).json()["webhook"]
    listed = http.get(HOOKS).json()
    assert isinstance(listed, list)
    item = next(w for w in listed if w["id"] == created["id"])
    assert {"id", "url", "disabled", "watched", "hasSecret", "domains"} <= set(item)
    assert item["hasSecret"] is True and "topsecret" not in http.get(HOOKS).text
    assert http.post(HOOKS, json=body(repo_id)).json()["webhook"]["hasSecret"] is False
    assert item["watched"][0]["name"] == repo_id and item["watched"][0]["type"] == "dataset"


@pytest.mark.parametrize(
    "changes",
    [
        {"watched": []},
        {"watched": [{"type": "galaxy", "name": "x"}]},
        {"watched": "ada/x"},
        {"domains": []},
        {"domains": ["gossip"]},
        {"url": "not a url"},
        {"url": "file:///etc/passwd"},
        {"url": None},
        {"secret": "naïve"},
        {"secret": "line\nbreak"},
    ],
)
def test_invalid_webhooks_are_400(ada: HfApi, http: httpx.Client, changes: dict[str, Any]) -> None:
    """Invalid watched items, domains, URLs and secrets of a new or updated webhook are 400."""
    repo_id = make_repo(ada)
    answer = http.post(HOOKS, json=body(repo_id, **changes))
    assert answer.status_code == 400 and answer.json()["error"]
    if changes != {"url": None}:
        created = http.post(HOOKS, json=body(repo_id)).json()["webhook"]
        update = http.post(f"{HOOKS}/{created['id']}", json=body(repo_id, **changes))
        assert update.status_code == 400 and update.json()["error"]
        assert http.get(f"{HOOKS}/{created['id']}").json()["webhook"]["domains"] == ["repo"]


def test_an_update_without_watched_or_domains_is_400(ada: HfApi, http: httpx.Client) -> None:
    """`update_webhook` with nothing but a new URL is refused, and nothing changes."""
    created = http.post(HOOKS, json=body(make_repo(ada))).json()["webhook"]
    with pytest.raises(HfHubHTTPError) as caught:
        ada.update_webhook(created["id"], url="http://127.0.0.1:9/other")
    assert caught.value.response.status_code == 400
    assert ada.get_webhook(created["id"]).url == created["url"]


def test_webhooks_belong_to_their_owner(ada: HfApi, cleo: HfApi, http: httpx.Client, hub: LocalHub) -> None:
    """Another user cannot list, read, disable or delete a webhook; without a token the list is 401."""
    created = http.post(HOOKS, json=body(make_repo(ada))).json()["webhook"]
    assert created["id"] not in [w.id for w in cleo.list_webhooks()]
    for call in (cleo.get_webhook, cleo.delete_webhook, cleo.disable_webhook):
        with pytest.raises(HfHubHTTPError) as caught:
            call(created["id"])
        assert caught.value.response.status_code in (403, 404)
    assert httpx.get(hub.url + HOOKS).status_code == 401


def test_a_fine_grained_token_needs_the_permission_for_webhooks(ada: HfApi, hub: LocalHub) -> None:
    """A fine-grained token creates webhooks only with `user.webhooks.write` on its user, not on an organisation."""
    owner = hub.state.accounts.by_name("ada")
    assert owner is not None
    watched = [{"type": "dataset", "name": make_repo(ada)}]
    for entity, permission, allowed in (
        ({"type": "user", "name": "ada"}, "user.webhooks.write", True),
        ({"type": "user", "name": "ada"}, "repo.write", False),
        ({"type": "org", "name": "ada"}, "user.webhooks.write", False),
    ):
        secret = f"hf_{uuid.uuid4().hex}"
        scoped = [{"entity": entity, "permissions": [permission]}]
        hub.state.accounts.add_token(owner, secret, {"role": "fineGrained", "scoped": scoped})
        make = partial(HfApi(hub.url, token=secret).create_webhook, url="http://127.0.0.1:9/x", watched=watched)
        if allowed:
            assert make().watched[0].name == watched[0]["name"]
        else:
            with pytest.raises(HfHubHTTPError) as caught:
                make()
            assert caught.value.response.status_code == 403
