"""All keys in Redis, `steward:1:{board}:…`, with one module per subject."""

from __future__ import annotations

from redis_state.keys.attempts import AttemptKeys
from redis_state.keys.edits import EditKeys
from redis_state.keys.hub import HubKeys
from redis_state.keys.requests import RequestKeys
from redis_state.keys.syncs import SyncKeys
from redis_state.keys.web import WebKeys

__all__ = ["Keys"]


class Keys(SyncKeys, RequestKeys, HubKeys, EditKeys, WebKeys, AttemptKeys):
    """The keys of one board."""
