"""A call that runs in its own thread; the caller waits for its result or abandons it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from workers.errors import WorkerError

T = TypeVar("T")


class AttemptStopped(WorkerError):
    """The attempt ends now; the message is the reason: `cancelled`, `handed-back` or `time-limit`."""


class BackgroundCall(Generic[T]):
    """One call in a daemon thread: a process that exits does not wait for it."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._done = threading.Event()
        self._value: list[T] = []
        self._error: BaseException | None = None

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="background-call", daemon=True).start()

    @property
    def has_ended(self) -> bool:
        """Whether the call has ended."""
        return self._done.is_set()

    def wait(self, stop: Callable[[], str]) -> T:
        """Return or raise what the call returns or raises. Raises AttemptStopped as soon as `stop` gives a reason."""
        while not self._done.wait(0.1):
            if reason := stop():
                raise AttemptStopped(reason)
        return self.value()

    def value(self) -> T:
        """Return or raise what the call returned or raised; the call must have ended."""
        if self._error is not None:
            raise self._error
        return self._value[0]

    def _run(self) -> None:
        try:
            self._value.append(self._call())
        except BaseException as error:  # noqa: BLE001  # boundary: raised again in the thread that reads the value
            self._error = error
        finally:
            self._done.set()
