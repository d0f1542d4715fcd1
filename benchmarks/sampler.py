"""Samples a value periodically while other code runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def sampling(sample: Callable[[], object], *, every: float) -> Iterator[None]:
    """Call `sample` in a thread every `every` seconds while the block runs."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(every):
            sample()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
