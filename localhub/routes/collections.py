"""Collections: lists of repos that accounts publish."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from localhub.accounts.store import Account, Caller
from localhub.clock import iso
from localhub.errors import Forbidden, HubError, RepoMoved, RepoNotFound, Unauthorized
from localhub.http.paging import link_next
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.repos.collections import Collection, CollectionItem, CollectionNotFound, ItemType
from localhub.repos.records import RepoType
from localhub.routes.dependencies import CallerDep, Name, Namespace, StateDep, public_url
from localhub.routes.whoami import account_fields
from localhub.state import HubState

router = HubRouter(tags=["collections"])

LISTED_ITEMS = 4
"""Items of each collection in a list of collections."""

Title = Annotated[str, Field(min_length=1, max_length=60)]
Description = Annotated[str, Field(max_length=150)]
Note = Annotated[str, Field(max_length=500)]
ItemId = Annotated[str, Path(max_length=50)]


class NewCollection(BaseModel):
    """A collection to create; without `namespace` it is the caller's own."""

    title: Title
    namespace: str | None = Field(None, max_length=200)
    description: Description | None = None
    private: bool = False


class CollectionChanges(BaseModel):
    """The fields to change; the others stay."""

    title: Title | None = None
    description: Description | None = None
    private: bool | None = None
    theme: Literal["orange", "blue", "green", "purple", "pink", "indigo"] | None = None
    position: int | None = Field(None, ge=0)


class ItemTarget(BaseModel):
    """A repo by its name, or a collection by its slug. Papers and buckets do not exist here."""

    id: str = Field(min_length=1, max_length=300)
    type: Literal["model", "dataset", "space", "collection", "paper", "bucket"]


class NewItem(BaseModel):
    """An item to add."""

    item: ItemTarget
    note: Note | None = None


class ItemChanges(BaseModel):
    """The fields of an item to change."""

    note: Note | None = None
    position: int | None = Field(None, ge=0)


class CollectionFromPath:
    """Dependency: the collection of an address; with `write`, only for callers that may change it."""

    def __init__(self, *, write: bool = False) -> None:
        self.write = write

    def __call__(self, state: StateDep, caller: CallerDep, ns: Namespace, name: Name) -> Collection:
        collection = state.collections.get(f"{ns}/{name}")
        if not _may_read(state, caller, collection):
            raise CollectionNotFound
        if self.write:
            _require_write(state, caller, state.accounts.by_id(collection.owner_id))
        return collection


Readable = Annotated[Collection, Depends(CollectionFromPath())]
Writable = Annotated[Collection, Depends(CollectionFromPath(write=True))]


@router.get("/api/collections")
def collections(
    request: Request,
    response: Response,
    state: StateDep,
    caller: CallerDep,
    owner: Annotated[list[str] | None, Query(max_length=50)] = None,
    item: Annotated[list[str] | None, Query(max_length=50)] = None,
    sort: Literal["lastModified", "trending", "upvotes"] = "lastModified",  # noqa: ARG001  (nothing is upvoted here)
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
    cursor: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> list[JsonObject]:
    """One page of the collections that the caller may see, the last changed first, each with its first items."""
    owners = {name.lower() for name in owner or ()}
    visible = [
        collection
        for collection in state.collections.all()
        if _may_read(state, caller, collection) and (not owners or collection.namespace.lower() in owners)
    ]
    listed = [(collection, _items(state, caller, collection)) for collection in visible]
    if item:
        listed = [(collection, items) for collection, items in listed if _holds_any(items, item)]
    link_next(request, response, public_url(request), end=cursor + limit, total=len(listed))
    page = listed[cursor : cursor + limit]
    # The client numbers the list itself, and refuses a `position` here.
    return [
        {name: value for name, value in _fields(state, collection, items[:LISTED_ITEMS]).items() if name != "position"}
        for collection, items in page
    ]


@router.post("/api/collections")
def create(state: StateDep, caller: CallerDep, body: NewCollection) -> JsonObject:
    """Create a collection."""
    account = caller.require_account()
    owner = state.accounts.by_name(body.namespace) if body.namespace else account
    _require_write(state, caller, owner)
    assert owner is not None
    made = state.collections.create(owner, body.title, body.description, private=body.private)
    return _fields(state, made, [])


@router.get("/api/collections/{ns}/{name}")
def collection(state: StateDep, caller: CallerDep, collection: Readable) -> JsonObject:
    """A collection with all items."""
    return _fields(state, collection, _items(state, caller, collection))


@router.patch("/api/collections/{ns}/{name}")
def update(state: StateDep, caller: CallerDep, collection: Writable, body: CollectionChanges) -> JsonObject:
    """Change a collection; a new title changes its slug, and the earlier one still works."""
    changed = state.collections.update(collection, body.model_dump(exclude_none=True))
    return {"success": True, "data": _fields(state, changed, _items(state, caller, changed))}


@router.delete("/api/collections/{ns}/{name}")
def delete(state: StateDep, collection: Writable) -> JsonObject:
    """Delete a collection."""
    state.collections.delete(collection)
    return {"success": True}


@router.post("/api/collections/{ns}/{name}/items")
@router.post("/api/collections/{ns}/{name}/item")
def add_item(state: StateDep, caller: CallerDep, collection: Writable, body: NewItem) -> JsonObject:
    """Add a repo or a collection at the end; 404 if the caller cannot see it, 409 if the collection has it already."""
    item_type, target = _target(state, caller, body.item)
    state.collections.add_item(collection, item_type, target, body.note)
    changed = state.collections.get(collection.id)
    return _fields(state, changed, _items(state, caller, changed))


@router.patch("/api/collections/{ns}/{name}/items/{item_id}")
def change_item(state: StateDep, collection: Writable, item_id: ItemId, body: ItemChanges) -> JsonObject:
    """Change an item's note or its place."""
    state.collections.change_item(collection, item_id, note=body.note, position=body.position)
    return {"success": True}


@router.delete("/api/collections/{ns}/{name}/items/{item_id}")
def remove_item(state: StateDep, collection: Writable, item_id: ItemId) -> JsonObject:
    """Remove an item."""
    state.collections.remove_item(collection, item_id)
    return {"success": True}


def _may_read(state: HubState, caller: Caller, collection: Collection) -> bool:
    owner = state.accounts.by_id(collection.owner_id)
    if owner is None:
        return False
    if not collection.private:
        return True
    account, token = caller.account, caller.token
    is_member = account is not None and (
        account.id == owner.id or state.accounts.role(owner.id, account.id) is not None
    )
    is_in_scope = token is None or token.role != "fineGrained" or token.grants(owner, "collection.read")
    return is_member and is_in_scope


def _require_write(state: HubState, caller: Caller, owner: Account | None) -> None:
    """Raise unless the caller may change collections of `owner`."""
    account, token = caller.account, caller.token
    if account is None:
        raise Unauthorized
    role = state.accounts.role(owner.id, account.id) if owner is not None else None
    is_allowed = owner is not None and (account.id == owner.id or role in ("admin", "write", "contributor"))
    if token is not None and token.role != "write":
        is_allowed = is_allowed and owner is not None and token.grants(owner, "collection.write")
    if not is_allowed:
        raise Forbidden("You don't have the rights to change collections of this namespace.")


def _target(state: HubState, caller: Caller, item: ItemTarget) -> tuple[ItemType, str]:
    """The type and the id of an item that the caller names."""
    if item.type == "paper" or item.type == "bucket":
        raise HubError(404, f"There is no {item.type} {item.id}: this Hub has none.")
    if item.type == "collection":
        collection = state.collections.get(item.id)
        if not _may_read(state, caller, collection):
            raise CollectionNotFound
        return "collection", collection.id
    repo_type: RepoType = item.type
    if "/" not in item.id:
        raise RepoNotFound
    try:
        return repo_type, state.access.repo(repo_type, item.id, caller).oid
    except RepoMoved as moved:  # a redirect would lead to this call again: the name is in its body
        return repo_type, state.access.repo(repo_type, moved.new, caller).oid


def _items(state: HubState, caller: Caller, collection: Collection) -> list[JsonObject]:
    """The items that still exist and that the caller may see, numbered."""
    shown = (_item(state, caller, item) for item in state.collections.items(collection))
    return [{**fields, "position": position} for position, fields in enumerate(filter(None, shown))]


def _item(state: HubState, caller: Caller, item: CollectionItem) -> JsonObject | None:
    note = {"note": {"text": item.note, "html": escape(item.note)}} if item.note else {}
    fields = {"_id": item.id, "type": item.type, **note}
    if item.type == "collection":
        try:
            nested = state.collections.get(item.target)
        except CollectionNotFound:
            return None
        if not _may_read(state, caller, nested):
            return None
        size = len(state.collections.items(nested))
        return {**fields, "id": nested.id, "slug": nested.slug, "title": nested.title, "numberItems": size}
    repo = state.repos.by_oid(item.target)
    if repo is None or not state.access.allows(caller, repo, "read"):
        return None
    return {
        **fields,
        "id": repo.full_name,
        "repoType": repo.type,
        "author": repo.namespace,
        "likes": repo.likes,
        "downloads": repo.downloads,
        "gated": repo.gated,
        "private": repo.private,
        "lastModified": iso(repo.updated_at),
    }


def _holds_any(items: list[dict[str, Any]], wanted: list[str]) -> bool:
    """Whether one of `items` is named by `wanted`, as in `models/org/name`."""
    names = {f"{item['type']}s/{item.get('slug') or item['id']}".lower() for item in items}
    return any(name.lower() in names for name in wanted)


def _fields(state: HubState, collection: Collection, items: list[dict[str, Any]]) -> JsonObject:
    owner = state.accounts.by_id(collection.owner_id)
    assert owner is not None  # `_may_read` refuses a collection whose owner was deleted
    fields = {
        "slug": collection.slug,
        "title": collection.title,
        "owner": {**account_fields(owner), "name": owner.name},
        "items": items,
        "lastUpdated": iso(datetime.fromtimestamp(collection.updated_at, UTC)),
        "position": collection.position,
        "private": collection.private,
        "gating": False,
        "theme": collection.theme,
        "upvotes": 0,
        "isUpvotedByUser": False,
    }
    return {**fields, **({"description": collection.description} if collection.description else {})}
