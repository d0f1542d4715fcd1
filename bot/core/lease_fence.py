"""The fence in front of effects: who acts on what it read must still hold the key under which it read it.

A sync that was cut off from Redis for longer than its lease goes on, once it is back, with what it knew before; by then
another has been there, and knows better. A file's edit then finds that what it rests on has changed; a comment has
nothing to compare with. So right before each write in a thread the lease is renewed, or the sync ends.

Race accepted: the network is cut between that renewal and the Hub's answer, and the answer takes a whole lease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class LeaseLost(Exception):
    """The key belongs to somebody else by now, or Redis forgot that we hold it."""


_renew: ContextVar[Callable[[], bool] | None] = ContextVar("renew", default=None)


@contextmanager
def fenced(renew: Callable[[], bool]) -> Iterator[None]:
    """Effects inside the block happen only while `renew()` says that the lease is still ours."""
    token = _renew.set(renew)
    try:
        yield
    finally:
        _renew.reset(token)


def still_ours() -> None:
    """Raise LeaseLost where the block's lease was lost; outside any block nobody else is to be feared."""
    renew = _renew.get()
    if renew is not None and not renew():
        raise LeaseLost
