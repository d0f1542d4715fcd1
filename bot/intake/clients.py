"""Clients of the web server: distinguished by their networks; a request can reserve its connection."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

_RESERVED = "steward.reserved"


def reserve(scope: MutableMapping[str, Any]) -> None:
    """Keep the connection of this request until it is answered, however many other clients connect meanwhile."""
    scope.setdefault("state", {})[_RESERVED] = True


def is_reserved(scope: Mapping[str, Any] | None) -> bool:
    """Whether `reserve` was called for the request of this scope."""
    return scope is not None and _RESERVED in scope.get("state", {})


@lru_cache(maxsize=4_096)
def client_network(address: str) -> str:
    """The network of one client: an IPv4 address, or the first 64 bits of an IPv6 address, which one customer has.

    Proxies also write IPv4 as IPv6 (`::ffff:192.0.2.1`), all in one such network. Empty if `address` is no IP address.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(ipaddress.ip_network((parsed, 64 if parsed.version == 6 else 32), strict=False))
