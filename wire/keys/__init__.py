"""Every key in Redis, in one place: `steward:1:{board}:…`, a module for each theme."""

from __future__ import annotations

from wire.keys.attempts import AttemptKeys
from wire.keys.edits import EditKeys
from wire.keys.hub import HubKeys
from wire.keys.requests import RequestKeys
from wire.keys.syncs import SyncKeys
from wire.keys.web import WebKeys

__all__ = ["Keys"]


class Keys(SyncKeys, RequestKeys, HubKeys, EditKeys, WebKeys, AttemptKeys):
    """The keys of one board."""
