"""The locks that let one attempt at a time use a device."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from workers.common.devices import Device
from workers.jobs.background_call import AttemptStopped
from workers.jobs.device_lock import device_lock

A, B, C = (Device(i, f"GPU-{i}", "H100", 80 << 30) for i in range(3))


def never() -> str:
    """Return no reason to stop."""
    return ""


def test_a_device_that_is_in_use_is_waited_for(tmp_path: Path) -> None:
    """A lock waits while any of its devices is in use, and stops waiting on request."""
    with (
        device_lock(tmp_path, (A, B), never),
        pytest.raises(AttemptStopped, match="cancelled"),
        device_lock(tmp_path, (B, C), lambda: "cancelled"),
    ):
        pytest.fail("two at once")
    with device_lock(tmp_path, (B, C), never):
        pass


def test_other_devices_are_free(tmp_path: Path) -> None:
    """Locks of different devices, and of the CPU, do not wait for each other."""

    def at_once() -> str:
        pytest.fail("a lock waited for another device")

    with device_lock(tmp_path, (A,), at_once), device_lock(tmp_path, (B,), at_once), device_lock(tmp_path, (), at_once):
        pass


def test_a_waiting_lock_gets_the_device_once_it_is_free(tmp_path: Path) -> None:
    """A waiting lock gets the device as soon as it is free, and reports the seconds it waited."""
    waiting, waited = threading.Event(), list[float]()

    def asked() -> str:
        waiting.set()
        return ""

    def next_one() -> None:
        with device_lock(tmp_path, (), asked) as seconds:
            waited.append(seconds)

    with device_lock(tmp_path, (), never) as seconds:
        assert seconds < 1
        other = threading.Thread(target=next_one)
        other.start()
        assert waiting.wait(20)
        assert waited == []
    other.join(20)
    assert waited[0] > 0
