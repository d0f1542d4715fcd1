"""Collections: created, changed, filled and read with the client, as on the Hub."""

from __future__ import annotations

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import fresh, make_repo


def status(error: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    """The status of the answer behind a client's error."""
    return error.value.response.status_code


def test_a_collection_has_a_slug_from_its_title_and_an_address(ada: HfApi, hub: LocalHub) -> None:
    """A new collection is empty and public; its slug is made of owner, title and id."""
    collection = ada.create_collection("My Cool Stuff!", description="All of it")
    assert (
        collection.slug.startswith("ada/my-cool-stuff-")
        and collection.url == f"{hub.url}/collections/{collection.slug}"
    )
    assert (collection.title, collection.description, collection.private, collection.items) == (
        "My Cool Stuff!",
        "All of it",
        False,
        [],
    )


def test_a_private_collection_is_hidden_from_others(ada: HfApi, cleo: HfApi) -> None:
    """Others get 404 for a private collection, in lists too, until it becomes public."""
    collection = ada.create_collection(fresh("secret"), private=True)
    with pytest.raises(HfHubHTTPError) as error:
        cleo.get_collection(collection.slug)
    assert status(error) == 404
    assert collection.slug not in [listed.slug for listed in cleo.list_collections(owner="ada")]
    assert collection.slug in [listed.slug for listed in ada.list_collections(owner="ada")]
    ada.update_collection_metadata(collection.slug, private=False)
    assert cleo.get_collection(collection.slug).slug == collection.slug


def test_a_new_title_changes_the_slug_and_the_earlier_one_works(ada: HfApi) -> None:
    """When a collection gets a new title, its earlier slug still leads to it."""
    collection = ada.create_collection(fresh("before"))
    changed = ada.update_collection_metadata(
        collection.slug, title="After", description="New", private=True, theme="pink", position=3
    )
    assert (changed.title, changed.description, changed.private, changed.theme) == ("After", "New", True, "pink")
    assert changed.position == 3 and changed.slug != collection.slug
    assert changed.slug.rpartition("-")[2] == collection.slug.rpartition("-")[2]
    assert ada.get_collection(collection.slug).slug == ada.get_collection(changed.slug).slug == changed.slug


def test_items_keep_their_order_their_notes_and_their_repos_names(ada: HfApi) -> None:
    """Items are added at the end, can be moved and annotated, and follow a rename of their repo."""
    model, dataset = make_repo(ada, "model"), make_repo(ada)
    nested = ada.create_collection(fresh("nested")).slug
    slug = ada.create_collection(fresh("items")).slug
    ada.add_collection_item(slug, model, "model", note="Mine")
    ada.add_collection_item(slug, dataset, "dataset")
    items = ada.add_collection_item(slug, nested, "collection").items
    assert [(item.item_id, item.item_type, item.note) for item in items] == [
        (model, "model", "Mine"), (dataset, "dataset", None), (nested, "collection", None)
    ]  # fmt: skip
    ada.update_collection_item(slug, items[0].item_object_id, note="Still mine", position=1)
    renamed = f"ada/{fresh()}"
    ada.move_repo(model, renamed)
    items = ada.get_collection(slug).items
    assert [(item.item_id, item.note, item.position) for item in items] == [
        (dataset, None, 0), (renamed, "Still mine", 1), (nested, None, 2)
    ]  # fmt: skip
    ada.delete_collection_item(slug, items[0].item_object_id)
    ada.delete_collection_item(slug, items[0].item_object_id, missing_ok=True)
    assert [(item.item_id, item.position) for item in ada.get_collection(slug).items] == [(renamed, 0), (nested, 1)]


def test_an_item_must_exist_and_can_be_in_a_collection_once(ada: HfApi, cleo: HfApi) -> None:
    """Adding an item twice is 409; adding a missing, hidden or unsupported item is 404."""
    model, slug = make_repo(ada, "model"), ada.create_collection(fresh("strict")).slug
    ada.add_collection_item(slug, model, "model")
    with pytest.raises(HfHubHTTPError) as error:
        ada.add_collection_item(slug, model, "model")
    assert status(error) == 409
    assert len(ada.add_collection_item(slug, model, "model", exists_ok=True).items) == 1
    hidden = make_repo(cleo, owner="cleo", private=True)
    for item, kind in ((model, "dataset"), (hidden, "dataset"), ("2307.09288", "paper"), ("nameless", "model")):
        with pytest.raises(HfHubHTTPError) as error:
            ada.add_collection_item(slug, item, kind)
        assert status(error) == 404, item


def test_a_note_is_escaped_and_a_former_name_leads_to_its_repo(ada: HfApi, http: httpx.Client) -> None:
    """The `html` of a note is escaped, and a repo can be added by its former name."""
    former, name, slug = make_repo(ada, "model"), f"ada/{fresh()}", ada.create_collection(fresh("notes")).slug
    ada.move_repo(former, name)
    assert ada.add_collection_item(slug, former, "model", note="<b>x</b>").items[0].item_id == name
    (item,) = http.get(f"/api/collections/{slug}").json()["items"]
    assert item["note"] == {"text": "<b>x</b>", "html": "&lt;b&gt;x&lt;/b&gt;"}


def test_an_item_is_shown_only_to_those_who_may_see_it(ada: HfApi, anonymous: HfApi) -> None:
    """A collection shows a private repo only to those who may read it, and no deleted repo."""
    private, deleted, slug = make_repo(ada, private=True), make_repo(ada), ada.create_collection(fresh("mixed")).slug
    ada.add_collection_item(slug, private, "dataset")
    ada.add_collection_item(slug, deleted, "dataset")
    assert [item.item_id for item in anonymous.get_collection(slug).items] == [deleted]
    ada.delete_repo(deleted, repo_type="dataset")
    assert [item.item_id for item in ada.get_collection(slug).items] == [private]
    assert anonymous.get_collection(slug).items == []


def test_only_the_owner_and_members_may_change_a_collection(ada: HfApi, bob: HfApi, cleo: HfApi) -> None:
    """Other users get 403; members of an organisation can change its collections."""
    own, of_org = ada.create_collection(fresh("own")).slug, ada.create_collection(fresh("ours"), namespace="board").slug
    for attempt in (
        lambda: cleo.update_collection_metadata(own, title="Stolen"),
        lambda: cleo.delete_collection(of_org),
        lambda: cleo.create_collection("Theirs", namespace="board"),
    ):
        with pytest.raises(HfHubHTTPError) as error:
            attempt()
        assert status(error) == 403
    assert bob.update_collection_metadata(of_org, title="Ours now").title == "Ours now"


def test_a_deleted_collection_is_gone_also_from_others(ada: HfApi) -> None:
    """A deleted collection disappears from other collections that listed it; a second deletion is 404."""
    inner, outer = ada.create_collection(fresh("inner")).slug, ada.create_collection(fresh("outer")).slug
    ada.add_collection_item(outer, inner, "collection")
    ada.delete_collection(inner)
    with pytest.raises(HfHubHTTPError) as error:
        ada.delete_collection(inner)
    assert status(error) == 404
    ada.delete_collection(inner, missing_ok=True)
    assert ada.get_collection(outer).items == []


def test_the_list_filters_by_owner_and_item_and_shows_four_items(ada: HfApi, http: httpx.Client) -> None:
    """The list of collections is paged, filters by owner or item, and shows at most four items of each."""
    models = [make_repo(ada, "model") for _ in range(5)]
    slug = ada.create_collection(fresh("many")).slug
    for model in models:
        ada.add_collection_item(slug, model, "model")
    (listed,) = ada.list_collections(item=f"models/{models[4]}")
    assert listed.slug == slug and [item.item_id for item in listed.items] == models[:4]
    ada.create_collection(fresh("one more"))
    assert 'rel="next"' in http.get("/api/collections", params={"owner": "ada", "limit": 1}).headers["Link"]
    assert len(list(ada.list_collections(owner="ada", limit=2))) == 2


def test_bad_fields_of_a_collection_are_refused(http: httpx.Client) -> None:
    """An overlong title or unknown theme is 400, no token 401, an unknown namespace 403, an unknown item 404."""
    assert http.post("/api/collections", json={"title": "x" * 61}).status_code == 400
    assert http.post("/api/collections", json={"title": "t", "namespace": "nowhere"}).status_code == 403
    slug = http.post("/api/collections", json={"title": "t"}).json()["slug"]
    assert http.patch(f"/api/collections/{slug}", json={"theme": "plaid"}).status_code == 400
    assert http.patch(f"/api/collections/{slug}/items/{'0' * 24}", json={"note": "n"}).status_code == 404
    assert httpx.post(f"{http.base_url}/api/collections", json={"title": "t"}).status_code == 401
