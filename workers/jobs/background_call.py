"""One call in a thread of its own, which can be waited for or left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from workers.errors import WorkerError

T = TypeVar("T")


class AttemptStopped(WorkerError):
    """The attempt is to end now; the reason is `cancelled`, `handed-back` or `time-limit`."""


class BackgroundCall(Generic[T]):
    """One call in a thread of its own. A process that ends does not wait for it."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._done = threading.Event()
        self._value: list[T] = []
        self._error: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="later", daemon=True).start()

    def wait(self, stop: Callable[[], str]) -> T:
        """What the call returned, or raised; raises Stopped as soon as `stop` gives a reason."""
        while not self._done.wait(0.1):
            if reason := stop():
                raise AttemptStopped(reason)
        return self.value()

    def value(self) -> T:
        """What the call returned or raised, once it is done."""
        if self._error is not None:
            raise self._error
        return self._value[0]

    def _run(self) -> None:
        try:
            self._value.append(self._call())
        except BaseException as error:  # noqa: BLE001  # boundary: raised again where the value is asked for
            self._error = error
        finally:
            self._done.set()
