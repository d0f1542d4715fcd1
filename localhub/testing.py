"""A Hub inside a test or a demo:

with LocalHub(tmp_path, {"users": [{"name": "ada", "tokens": [{"token": "hf_ada"}]}]}) as hub:
    HfApi(endpoint=hub.url, token="hf_ada").create_repo("ada/model")
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from localhub.clock import Clock
from localhub.server import Server, ServerThread
from localhub.world import open_hub


class LocalHub:
    """A running Hub in this process: it answers at `url` once constructed; `state` holds its parts."""

    def __init__(
        self,
        data: Path,
        world: Mapping[str, Any] | None = None,
        port: int = 0,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.state = open_hub(data, world, clock)
        try:
            server = Server(self.state, host, port)
            self._thread = ServerThread(server)
        except BaseException:
            self.state.close()
            raise
        self.url = server.url

    def close(self) -> None:
        """Stop the Hub; its folder can then be opened again."""
        self._thread.stop()
        self.state.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
