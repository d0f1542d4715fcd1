"""Buckets: `/api/buckets/{namespace}`. They can be made, read, listed and deleted; they hold no files here."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query, Request
from pydantic import BaseModel, Field

from localhub.errors import HubError
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.routes.dependencies import CallerDep, Name, Namespace, StateDep, public_url

router = HubRouter(prefix="/api/buckets", tags=["buckets"])

NewName = Annotated[str, Path(max_length=96, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""The name of a new bucket [?]."""


class NewBucket(BaseModel):
    """The settings of a new bucket; public unless they say otherwise."""

    visibility: Literal["public", "private"] | None = None
    region: Literal["us", "eu"] | None = None
    resourceGroupId: str | None = Field(None, max_length=100)  # noqa: N815 (the Hub's word)


@router.get("/{ns}")
def list_buckets(
    state: StateDep, caller: CallerDep, ns: Namespace, search: Annotated[str, Query(max_length=200)] = ""
) -> list[JsonObject]:
    """The buckets of an account; `me` is the caller's."""
    buckets = state.buckets.visible(caller, _owner(caller, ns))
    return [each.as_json() for each in buckets if search.lower() in each.full_name.lower()]


@router.post("/{ns}/{name}")
def create_bucket(
    request: Request, state: StateDep, caller: CallerDep, ns: Namespace, name: NewName, body: NewBucket
) -> JsonObject:
    """Create a bucket."""
    bucket, is_new = state.buckets.create(caller, _owner(caller, ns), name, private=body.visibility == "private")
    address = {"url": f"{public_url(request)}/buckets/{bucket.full_name}", "name": bucket.full_name}
    if not is_new:
        raise HubError(409, "You already created this bucket", extra=address)
    return {**address, "id": bucket.id}


@router.get("/{ns}/{name}")
def read_bucket(state: StateDep, caller: CallerDep, ns: Namespace, name: Name) -> JsonObject:
    """One bucket."""
    return state.buckets.get(caller, f"{ns}/{name}").as_json()


@router.delete("/{ns}/{name}")
def delete_bucket(state: StateDep, caller: CallerDep, ns: Namespace, name: Name) -> JsonObject:
    """Delete a bucket."""
    state.buckets.delete(caller, f"{ns}/{name}")
    return {}


def _owner(caller: CallerDep, namespace: str) -> str:
    return caller.require_account().name if namespace == "me" else namespace
