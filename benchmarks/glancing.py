"""Something that is looked at again and again while something else runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def glancing(look: Callable[[], object], *, every: float) -> Iterator[None]:
    """Have a thread call `look` every so many seconds, as long as the block runs."""
    over = threading.Event()

    def glance() -> None:
        while not over.wait(every):
            look()

    thread = threading.Thread(target=glance, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
