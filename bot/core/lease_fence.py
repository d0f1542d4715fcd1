"""The fence in front of effects: a sync writes in a thread only while it holds the lease of its dirty key.

A sync that was cut off from Redis for longer than its lease continues afterwards with outdated facts, while another
sync has handled the key. An outdated edit of a file is void, because the fields that it rests on have changed; a
comment has no such check. So the lease is renewed right before each write in a thread, and the sync ends if that fails.

Race accepted: the network is cut between the renewal and the Hub's answer, and the answer takes a whole lease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class LeaseLost(Exception):
    """Another process holds the key, or Redis lost the lease."""


_renew: ContextVar[Callable[[], bool] | None] = ContextVar("renew", default=None)


@contextmanager
def fenced(renew: Callable[[], bool]) -> Iterator[None]:
    """Let effects inside the block happen only while `renew()` says that this process still holds the lease."""
    token = _renew.set(renew)
    try:
        yield
    finally:
        _renew.reset(token)


def still_ours() -> None:
    """Raise LeaseLost if the block's lease was lost; outside of any block there is no lease to lose."""
    renew = _renew.get()
    if renew is not None and not renew():
        raise LeaseLost
