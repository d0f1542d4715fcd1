"""What a child may use: looked at from outside, without one."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, cast

import pytest

from workers.boxes import Box
from workers.logs import BoundedLog
from workers.nursery import Nursery
from workers.plans import Limits, RunPlan
from workers.supervise import Surroundings, Watch


class Killed(Exception):
    """The child was ended."""


class NoNursery:
    """Has no zygote, and so nothing to kill: it says that it was asked to."""

    def __init__(self) -> None:
        self.descriptor, self._silent = os.pipe()

    def next_number(self) -> int:
        """The one number."""
        return 1

    def order(self, order: Any) -> None:
        """Takes any order."""

    def hear(self) -> list[dict[str, Any]]:
        """Hears nothing."""
        return []

    def kill(self, number: int) -> None:
        """Raises Killed."""
        raise Killed(number)


def test_a_spool_has_its_bound_where_memory_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that writes more than it may is ended, whatever it may hold in memory."""
    monkeypatch.setattr("workers.supervise.LOOK_EVERY", 0.0)
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "answers").write_bytes(bytes(2 << 20))
    plan = RunPlan(
        attempt="0" * 12 + "-" + "a" * 8 + "-1",
        model="org/m",
        revision="a" * 40,
        model_path=tmp_path,
        tasks=("t",),
        datasets=tmp_path,
        limits=Limits(memory_bytes=None, spool_bytes=1 << 20),
        spool=spool,
        suite="s",
        suite_digest="d",
    )
    log = BoundedLog()
    around = Surroundings(tell=lambda _: None, stop=lambda: "", log=log)
    watch = Watch(cast(Nursery, NoNursery()), Box(home=tmp_path, root=tmp_path, uid=1), plan, around)
    with pytest.raises(Killed):
        watch.run(tmp_path, deadline=time.monotonic() + 20)
    assert "spool-limit" in log.text()
