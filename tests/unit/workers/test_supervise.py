"""The supervisor's limits, tested without a child."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest

from workers.common.folders import remove_folder
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunLimits, RunPlan
from workers.sandbox.sandbox_spec import SandboxSpec
from workers.sandbox.supervision import ChildCallbacks, ChildSupervisor
from workers.sandbox.zygote_client import ZygoteBroken, ZygoteClient


class Killed(Exception):
    """The child was ended."""


class ZygotelessClient:
    """A client without a zygote, which raises when the supervisor kills the child."""

    def __init__(self) -> None:
        self.descriptor, self._silent = os.pipe()
        self.is_given_up = False

    def next_number(self) -> int:
        """Return the only number of a child."""
        return 1

    def order(self, order: Any) -> None:
        """Accept any order."""

    def read_answers(self) -> list[dict[str, Any]]:
        """Return no answers."""
        return []

    def kill(self, number: int) -> None:
        """Raise `Killed`."""
        raise Killed(number)

    def give_up(self) -> None:
        """Record that the supervisor gave the zygote up."""
        self.is_given_up = True


class StuckClient(ZygotelessClient):
    """A client whose zygote does not fork: it is silent, or reports that it cannot."""

    def __init__(self, *, speaks: bool) -> None:
        super().__init__()
        self.words = [{"ended": 1, "exit": None, "signal": None, "problem": "another child is running"}]
        if speaks:
            os.write(self._silent, b"!")

    def read_answers(self) -> list[dict[str, Any]]:
        """Return the zygote's problem."""
        return self.words


def plan_in(folder: Path) -> RunPlan:
    """The plan of a child that may write a megabyte, and hold any memory."""
    return RunPlan(
        attempt="0" * 12 + "-" + "a" * 8 + "-1",
        model="org/m",
        revision="a" * 40,
        model_path=folder,
        tasks=("t",),
        datasets=folder,
        limits=RunLimits(memory_bytes=None, spool_bytes=1 << 20),
        spool=folder / "spool",
        suite="s",
        suite_digest="d",
    )


def look(folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch, *journals: Path) -> str:
    """Supervise a child with a limit of one megabyte on its spool and home; return the log if it is killed."""
    monkeypatch.setattr("workers.sandbox.supervision.USAGE_CHECK_SECONDS", 0.0)
    log = BoundedLog()
    callbacks = ChildCallbacks(report=lambda _: None, stop=lambda: "", log=log)
    sandbox_spec = SandboxSpec(home=home, root=folder, uid=1)
    zygote_client = cast(ZygoteClient, ZygotelessClient())
    supervisor = ChildSupervisor(zygote_client, sandbox_spec, plan_in(folder), callbacks, journals)
    with pytest.raises(Killed):
        supervisor.run(folder, deadline=time.monotonic() + 20)
    return log.text()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A child's home, beside its spool."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "home").mkdir()
    yield tmp_path / "home"
    remove_folder(tmp_path / "spool")  # pytest cannot remove folders that are nested so deep


class DyingClient(ZygotelessClient):
    """A client whose zygote ends after its child has sent an invalid message."""

    def order(self, order: Any) -> None:
        """Write the child's message, and raise `ZygoteBroken`."""
        stream = os.open(order.stream, os.O_WRONLY | os.O_NONBLOCK)
        os.write(stream, b"no message\n")
        os.close(stream)
        raise ZygoteBroken("the zygote has gone")


def test_what_a_child_said_last_is_read_without_its_zygote(tmp_path: Path, home: Path) -> None:
    """If the zygote has ended, the supervisor still reads the child's last message, and ends the attempt as forged."""
    callbacks = ChildCallbacks(report=lambda _: None, stop=lambda: "", log=BoundedLog())
    supervisor = ChildSupervisor(
        cast(ZygoteClient, DyingClient()), SandboxSpec(home=home, root=tmp_path, uid=1), plan_in(tmp_path), callbacks
    )
    ending = supervisor.run(tmp_path, deadline=time.monotonic() + 20)
    assert (ending.finished, ending.stopped) == (False, "forged")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_folder_that_this_machine_cannot_read_is_not_the_childs_fault(
    number: int, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor kills a child for folders without read permission, but not for other errors of the machine."""

    def fail(_: Path) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("workers.sandbox.supervision.folder_bytes", fail)
    callbacks = ChildCallbacks(report=lambda _: None, stop=lambda: "", log=BoundedLog())
    supervisor = ChildSupervisor(
        cast(ZygoteClient, ZygotelessClient()),
        SandboxSpec(home=home, root=tmp_path, uid=1),
        plan_in(tmp_path),
        callbacks,
    )
    with pytest.raises(Killed) if number == errno.EACCES else nullcontext():
        supervisor._check_written()


@pytest.mark.parametrize("speaks", [True, False])
def test_a_zygote_that_does_not_fork_is_given_up(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, *, speaks: bool
) -> None:
    """If the zygote hangs, or reports that it cannot fork, the attempt is handed back and the zygote is given up."""
    monkeypatch.setattr("workers.sandbox.supervision.FORK_SECONDS", 20.0 if speaks else 0.0)
    zygote_client, callbacks = (
        StuckClient(speaks=speaks),
        ChildCallbacks(report=lambda _: None, stop=lambda: "", log=BoundedLog()),
    )
    supervisor = ChildSupervisor(
        cast(ZygoteClient, zygote_client), SandboxSpec(home=home, root=tmp_path, uid=1), plan_in(tmp_path), callbacks
    )
    ending = supervisor.run(tmp_path, deadline=time.monotonic() + 20)
    assert (ending.finished, ending.stopped, zygote_client.is_given_up) == (False, "handed-back", True)
    assert ("another child is running" in ending.problem) == speaks


def test_a_zygote_that_is_given_up_is_killed(tmp_path: Path) -> None:
    """The client kills a zygote that is given up; a zygote that has ended meanwhile is no error."""
    zygote_client = ZygoteClient(SandboxSpec(home=tmp_path, root=tmp_path, uid=1), harness="json")
    zygote_client.start()
    try:
        assert zygote_client._process is not None
        zygote_client.give_up()
        assert zygote_client._process.wait(timeout=60) == -signal.SIGKILL
        assert not zygote_client.alive()
        zygote_client.give_up()
    finally:
        zygote_client.stop()


def test_a_child_does_not_outlive_its_supervisor(tmp_path: Path, home: Path) -> None:
    """On an unexpected error the supervisor gives up the zygote, which ends the child too, and raises the error."""

    def stop() -> str:
        raise OSError(errno.EIO, "the disk fails")

    zygote_client = ZygotelessClient()
    callbacks = ChildCallbacks(report=lambda _: None, stop=stop, log=BoundedLog())
    sandbox_spec = SandboxSpec(home=home, root=tmp_path, uid=1)
    supervisor = ChildSupervisor(cast(ZygoteClient, zygote_client), sandbox_spec, plan_in(tmp_path), callbacks)
    with pytest.raises(OSError, match="the disk fails"):
        supervisor.run(tmp_path, deadline=time.monotonic() + 20)
    assert zygote_client.is_given_up


def test_a_spool_has_its_bound_where_memory_has_none(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that writes too much is killed, also without a memory limit."""
    (tmp_path / "spool" / "answers").write_bytes(bytes(2 << 20))
    assert "spool-limit" in look(tmp_path, home, monkeypatch)


def test_what_a_child_writes_at_home_counts_too(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in the child's home count against the limit of the spool."""
    (home / "tmp").mkdir()
    (home / "tmp" / "heap").write_bytes(bytes(2 << 20))
    assert "spool-limit" in look(tmp_path, home, monkeypatch)


def test_a_journal_has_its_own_bound(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that writes more into its journal than the plan allows is killed."""
    (tmp_path / "journal").write_bytes(b"x")
    message = look(tmp_path, home, monkeypatch, tmp_path / "journal")
    assert "its journal has 1 bytes, and may have 0" in message


@pytest.mark.parametrize(("name", "depth"), [("d", 1_500), ("d" * 200, 25)], ids=["many", "long"])
def test_a_child_cannot_hide_what_it_wrote(
    name: str, depth: int, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child is killed for files in folders that are nested too deeply to be read."""
    nest(tmp_path / "spool", name, depth)
    assert "spool-limit" in look(tmp_path, home, monkeypatch)


def nest(folder: Path, name: str, depth: int) -> None:
    """Create `depth` nested folders in `folder`, and a file of two megabytes in the last one."""
    at = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=at)
        inner = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    heap = os.open("heap", os.O_WRONLY | os.O_CREAT, dir_fd=at)
    os.ftruncate(heap, 2 << 20)
    os.close(heap)
    os.close(at)
