"""The HTTP server over one state, in the calling thread or in its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn

from localhub.app import serve_app
from localhub.state import HubState

_START_SECONDS = 10.0
_TICK_SECONDS = 0.1
"""Seconds between two ticks of uvicorn, which updates the `Date` of its answers on each."""


class _EmbeddedServer(uvicorn.Server):
    """uvicorn without signal handlers: its own would end the process before the state is closed.

    It ends at once if it serves no call: each test starts a Hub, and would spend much of its time waiting.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Let the server end; may be called from any thread."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._ended.set)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # idle connections are closed after it
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()


class Server:
    """uvicorn over one state. Its socket is bound at once, so that the address is known before it serves."""

    def __init__(self, state: HubState, host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = socket.create_server((host, port), backlog=512)
        address = f"[{host}]" if ":" in host else host
        self.url = f"http://{address}:{self._socket.getsockname()[1]}"
        self.state = state
        state.url = self.url
        config = uvicorn.Config(
            serve_app(state), log_level="error", access_log=False, lifespan="off", timeout_graceful_shutdown=2
        )
        self.uvicorn = _EmbeddedServer(config)

    def run(self) -> None:
        """Serve until `stop` is called."""
        self.state.webhooks.start()
        try:
            self.uvicorn.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Let `run` return once the calls under way are answered, after two seconds at most."""
        self.uvicorn.end()

    def wait(self) -> None:
        """Return once the server answers; `TimeoutError` if it does not start."""
        deadline = time.monotonic() + _START_SECONDS
        while not self.uvicorn.started:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the local Hub at {self.url} did not start")
            time.sleep(0.005)


class ServerThread:
    """A server in its own thread, started at once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.run, name="localhub", daemon=True)
        self._thread.start()
        server.wait()

    def stop(self) -> None:
        """Stop serving and wait for the thread."""
        self._server.stop()
        self._thread.join(timeout=_START_SECONDS)
