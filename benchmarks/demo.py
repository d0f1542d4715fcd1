"""Starts the demo's processes, with its first model uploaded, for `benchmarks.spine` and `benchmarks.evaluation`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE = 900.0


@contextmanager
def demo(folder: Path, start_worker: Callable[[Any], object] | None = None) -> Iterator[Any]:
    """Start the demo's stage (queue server, localhub, web server, sync process, worker) and wait until it is ready."""
    from steward.children import Children
    from steward.demo.models import UPLOADS, converted, upload
    from steward.demo.run import cache_folder
    from steward.demo.stage import build_stage
    from steward.valkey import free_port

    with Children(folder / "logs") as children:
        stage = build_stage(folder, children, free_port())
        try:
            stage.start_hub(port=0)
            stage.write_board()
            stage.start_bot()
            if start_worker is None:
                stage.start_worker()
            else:
                start_worker(stage)
            stage.wait_until_ready()
            what = UPLOADS[0]
            upload(stage.hub_url, stage.world.tokens[what.owner], what, converted(cache_folder()))
            wait_for(stage, lambda: has_worker(stage))
            yield stage
        finally:
            children.stop()
            stage.valkey.stop()


def has_worker(stage: Any) -> bool:
    """Whether a worker has announced itself."""
    from redis_state.clock import now
    from redis_state.heartbeats import WorkerRegistry
    from redis_state.keys import Keys
    from redis_state.redis import connect
    from steward.demo.world import ORG

    return bool(WorkerRegistry(connect(stage.valkey.url), Keys(ORG)).alive(now=now()))


def wait_for(stage: Any, condition: Callable[[], T], *, seconds: float = PATIENCE, every: float = 0.05) -> T:
    """Return the value of `condition()` once it is true, while the processes run. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        stage.children.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing within {seconds:.0f} s")
        time.sleep(every)
    return value
