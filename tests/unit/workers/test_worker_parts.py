"""Parts of a worker: slots, settings, isolation modes, the system-call filter, the zygote's environment."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.boards import BadBoard
from redis_state.errors import RedisAway
from workers.evaluation.machine import DriverSilent
from workers.jobs.background_call import AttemptStopped, BackgroundCall
from workers.jobs.worker import exit_code
from workers.sandbox import seccomp
from workers.sandbox.sandbox_spec import IsolationMode
from workers.sandbox.slots import take_slot
from workers.sandbox.zygote_client import zygote_environment
from workers.settings import WorkerSettings

CLONE, CLONE3, SOCKET, UNSHARE, READ = 56, 435, 41, 272, 0
MMAP, SOCKETPAIR, SETSOCKOPT, SENDMSG = 9, 53, 54, 46
MEMFD_CREATE, SHMGET, SHMAT, SEMGET, MSGGET, MQ_OPEN, VMSPLICE, MEMFD_SECRET = 319, 29, 30, 64, 68, 240, 278, 447
X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
ALLOW, EPERM, ENOSYS, KILL, IGNORE = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000, 0x00050000


def verdict(
    program: bytes, number: int, *, argument: int = 0, others: tuple[int, ...] = (0, 0, 0), architecture: int = X86_64
) -> int:
    """The filter's result for a call: interprets the instructions that it uses, as the kernel does."""
    data = {
        0: number,
        4: architecture,
        16: argument & 0xFFFFFFFF,
        20: argument >> 32,
        **dict(zip((24, 32, 40), others, strict=True)),
    }
    steps = list(struct.iter_unpack("=HBBI", program))
    at = value = 0
    while True:
        code, if_true, if_false, operand = steps[at]
        at += 1
        if code == 0x06:
            return int(operand)
        if code == 0x20:
            value = data[operand]
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
            at += if_true if holds else if_false


def test_the_filter_denies_what_leads_out() -> None:
    """The filter denies namespaces, mounts, tracing and other architectures' calls, but not threads and reads."""
    program = seccomp.program(sockets=True, machine="x86_64")
    for number in (UNSHARE, 101, 165, 308, 321, 425):
        assert verdict(program, number) == EPERM
    assert verdict(program, CLONE, argument=0x10000000) == EPERM
    assert verdict(program, CLONE, argument=0x003D0F00) == ALLOW
    assert verdict(program, CLONE3) == ENOSYS and verdict(program, READ) == ALLOW
    assert verdict(program, READ, architecture=I386) == KILL and verdict(program, 0x40000000 + UNSHARE) == EPERM


def test_the_limits_of_other_processes_and_their_scheduling_stay() -> None:
    """A call that sets limits is allowed for process 0 alone, the caller; other processes' priorities do not change."""
    calls = {"x86_64": (X86_64, 302, (141, 142, 144, 314, 251)), "aarch64": (AARCH64, 261, (140, 118, 119, 274, 30))}
    for machine, (architecture, prlimit64, scheduling) in calls.items():
        program = seccomp.program(sockets=True, machine=machine)
        for process, answer in ((0, ALLOW), (1, EPERM), (2**32 - 1, EPERM), (1 << 32, EPERM), (7 << 32 | 7, EPERM)):
            assert verdict(program, prlimit64, argument=process, architecture=architecture) == answer
        assert {verdict(program, number, architecture=architecture) for number in scheduling} == {EPERM}


def test_permissions_of_files_stay_where_landlock_alone_restricts_files() -> None:
    """Changes to permissions are ignored where the child has the worker's user and sees its files."""
    for machine, architecture, calls in (("x86_64", X86_64, (90, 91, 268, 452)), ("aarch64", AARCH64, (52, 53, 452))):
        for file_modes, answer in ((True, ALLOW), (False, IGNORE)):
            program = seccomp.program(sockets=True, file_modes=file_modes, machine=machine)
            assert {verdict(program, number, architecture=architecture) for number in calls} == {answer}


def test_sockets_are_denied_only_where_there_is_no_network_namespace() -> None:
    """Without the namespace, only pairs of stream sockets can be made, over which no descriptor is sent."""
    with_network, without = (seccomp.program(sockets=sockets, machine="x86_64") for sockets in (True, False))
    for family in (1, 2, 10, 16, 17, 38):
        assert verdict(with_network, SOCKET, argument=family) == (EPERM if family > 16 else ALLOW)
        assert verdict(without, SOCKET, argument=family) == EPERM
        for kind in (1, 2, 3, 5, 0x80801, 0x80802):
            allowed = family == 1 and kind & 0xF == 1
            answer = verdict(without, SOCKETPAIR, argument=family, others=(kind, 0, 0))
            assert answer == (ALLOW if allowed else EPERM), (family, kind)
    assert (verdict(with_network, SENDMSG), verdict(without, SENDMSG)) == (ALLOW, EPERM)


def test_the_filter_leaves_no_memory_that_is_not_counted() -> None:
    """The filter denies memory outside processes and files, and ignores changes to the size of socket buffers."""
    program = seccomp.program(sockets=True, shared_memory=False, machine="x86_64")
    for number in (MEMFD_CREATE, SHMGET, SHMAT, SEMGET, MSGGET, MQ_OPEN, VMSPLICE, MEMFD_SECRET):
        assert verdict(program, number) == ENOSYS
    for name in range(50):
        ignored = name in (7, 8, 32, 33)  # SO_SNDBUF, SO_RCVBUF, SO_SNDBUFFORCE, SO_RCVBUFFORCE
        assert verdict(program, SETSOCKOPT, others=(1, name, 0)) == (IGNORE if ignored else ALLOW)
        assert verdict(program, SETSOCKOPT, others=(6, name, 0)) == ALLOW
    for flags, answer in ((0x01, ALLOW), (0x02, ALLOW), (0x22, ALLOW), (0x21, EPERM), (0x23, EPERM), (0x8021, EPERM)):
        assert verdict(program, MMAP, others=(0, 0, flags)) == answer
        assert verdict(seccomp.program(sockets=True, machine="x86_64"), MMAP, others=(0, 0, flags)) == ALLOW


def test_a_process_that_only_computes_can_read_and_write_and_end() -> None:
    """Every other call is denied: files, processes, threads, sockets, signals, and the filter's own removal."""
    program = seccomp.computing_program("x86_64")
    allowed = {number for number in range(600) if verdict(program, number) == ALLOW}
    assert {READ, 1, MMAP, 60, 231} <= allowed
    assert len(allowed) == 33
    opening, starting, signalling = {2, 85, 257, 304, 437}, {CLONE, CLONE3, 57, 58, 59, 322}, {62, 200, 234, 129, 424}
    assert not allowed & {*opening, *starting, *signalling, SOCKET, SOCKETPAIR, 157, 317, 101, 310, 311, 16, 72}
    assert verdict(program, 0x40000000) == EPERM and verdict(program, READ, architecture=I386) == KILL
    on_arm = seccomp.computing_program("aarch64")
    assert sum(verdict(on_arm, number, architecture=0xC00000B7) == ALLOW for number in range(600)) == 32


@given(st.integers(0, 500), st.integers(0, 2**32 - 1), st.sampled_from(["x86_64", "aarch64"]), st.booleans())
def test_the_filter_always_comes_to_an_answer(number: int, argument: int, machine: str, sockets: bool) -> None:
    """The filter's program ends with a valid result for any call number and argument."""
    program = seccomp.program(sockets=sockets, shared_memory=sockets, machine=machine)
    architecture = X86_64 if machine == "x86_64" else 0xC00000B7
    answer = verdict(program, number, argument=argument, architecture=architecture)
    assert answer in (ALLOW, EPERM, ENOSYS, IGNORE)


def test_a_mode_tells_what_it_lacks() -> None:
    """The strongest modes lack nothing; the weaker ones list what they lack."""
    assert IsolationMode(namespaces="all", own_user=True).missing() == []
    assert IsolationMode(namespaces="all", user_namespace=True).missing() == []
    (words,) = IsolationMode(namespaces="network", own_user=True, landlock=True).missing()
    assert "Landlock alone" in words
    weakest = IsolationMode(namespaces="none").missing()
    assert (
        len(weakest) == 4
        and "can end processes of the worker's user" in weakest[-1]
        and "children see this machine's files" in " ".join(weakest)
    )


def test_the_zygote_is_passed_no_secret(tmp_path: Path) -> None:
    """The zygote inherits only variables without secrets, and its home is the slot's."""
    source = {
        "PATH": "/usr/bin",
        "CUDA_VISIBLE_DEVICES": "0",
        "HF_TOKEN": "hf_x",
        "STEWARD_WORKER_TOKEN": "hf_x",
        "REDIS_URL": "redis://:pw@h",
        "AWS_SECRET_ACCESS_KEY": "x",
        "HOME": "/root",
    }
    passed = zygote_environment(tmp_path, source)
    assert passed["PATH"] == "/usr/bin" and passed["CUDA_VISIBLE_DEVICES"] == "0" and passed["HOME"] == str(tmp_path)
    assert not {"HF_TOKEN", "STEWARD_WORKER_TOKEN", "REDIS_URL", "AWS_SECRET_ACCESS_KEY"} & set(passed)
    assert passed["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 3),
        (FileNotFoundError(errno.ENOENT, "No such file"), 2),
        (BadBoard("there is no board file"), 2),
        (DriverSilent("no answer"), 3),
        (RedisAway("Redis does not answer"), 4),
    ],
)
def test_only_an_error_of_the_settings_prevents_a_restart(error: Exception, code: int) -> None:
    """Only errors of settings end a worker with status 2, after which systemd and `steward up` do not restart it."""
    assert exit_code(error) == code


def test_slots_are_taken_once_each(tmp_path: Path) -> None:
    """Two workers of one folder get two slots, with different users; a slot that is free again is taken again."""
    first, second = take_slot(tmp_path, first_uid=61_184), take_slot(tmp_path, first_uid=61_184)
    assert (first.number, second.number) == (0, 1) and (first.uid, second.uid) == (61_184, 61_185)
    first.lock.close()
    assert take_slot(tmp_path, first_uid=61_184).number == 0
    second.lock.close()


def test_no_other_user_reaches_the_files_of_a_child_with_the_workers_user(tmp_path: Path) -> None:
    """Other users cannot run a setuid program that such a child leaves in its spool: the slot is closed to them."""
    slot = take_slot(tmp_path, first_uid=61_184)
    slot.prepare(own_user=False)
    slot.spool.chmod(0o755)
    assert slot.folder.stat().st_mode & 0o077 == 0
    slot.prepare(own_user=None)
    assert slot.folder.stat().st_mode & 0o077 == 0o011
    slot.lock.close()


def test_a_slot_is_emptied_of_whatever_a_child_nested(tmp_path: Path) -> None:
    """Folders too deep for shutil.rmtree are removed."""
    slot = take_slot(tmp_path, first_uid=61_184)
    slot.prepare(own_user=False)
    inner = slot.home
    for _ in range(1_500):
        os.mkdir("d", dir_fd=(at := os.open(inner, os.O_RDONLY)))
        os.close(at)
        inner = inner / "d"
    (slot.spool / "locked" / "in").mkdir(parents=True)
    (slot.spool / "locked").chmod(0)
    slot.prepare(own_user=False)
    assert list(slot.spool.iterdir()) == [] and [path.name for path in slot.home.iterdir()] == ["tmp"]
    slot.lock.close()


def test_a_slot_is_empty_before_every_attempt(tmp_path: Path) -> None:
    """A child's files and links are removed, but no link's target."""
    slot = take_slot(tmp_path / "work", first_uid=61_184)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    slot.prepare(own_user=False)
    (slot.spool / "old").symlink_to(outside, target_is_directory=True)
    (slot.home / "deep" / "er").mkdir(parents=True)
    slot.prepare(own_user=False)
    assert list(slot.spool.iterdir()) == [] and [path.name for path in slot.home.iterdir()] == ["tmp"]
    assert (outside / "kept").exists()
    assert (slot.spool.stat().st_mode & 0o777, slot.home.stat().st_mode & 0o777) == (0o700, 0o700)
    slot.lock.close()


def test_settings_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are written with commas; a token file is preferred to the variable, and printed settings have no token."""
    (tmp_path / "token").write_text("hf_file\n")
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "STEWARD_BOARD": "board.yaml",
        "STEWARD_TIERS": "small, large",
        "STEWARD_WORKER_TOKEN": "hf_variable",
        "STEWARD_PRELOAD": "",
    }.items():
        monkeypatch.setenv(name, value)
    settings = WorkerSettings()
    assert settings.tiers == ("small", "large") and settings.preload == () and settings.token() == "hf_variable"
    monkeypatch.setenv("STEWARD_WORKER_TOKEN_FILE", str(tmp_path / "token"))
    assert WorkerSettings().token() == "hf_file"
    assert "hf_variable" not in repr(settings) and "hf_variable" not in repr(settings.access())


def test_a_call_in_another_thread_can_be_left_behind() -> None:
    """The waiting thread gets the value or the error; a reason to stop ends the wait."""
    fine, bad = BackgroundCall(lambda: 7), BackgroundCall(lambda: 1 // 0)
    for later in (fine, bad):
        later.start()
    assert fine.wait(lambda: "") == 7
    with pytest.raises(ZeroDivisionError):
        bad.wait(lambda: "")
    never: BackgroundCall[int] = BackgroundCall(lambda: 7)
    with pytest.raises(AttemptStopped, match="cancelled"):
        never.wait(lambda: "cancelled")


def test_settings_of_running_workers_may_name_modules_by_their_earlier_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """`workers.evaluate` and `workers.harness`, which earlier versions documented, still name the same modules."""
    monkeypatch.setenv("STEWARD_HARNESS", "workers.evaluate")
    monkeypatch.setenv("STEWARD_PRELOAD", "workers.harness, mine.workers.harness")
    settings = WorkerSettings()
    assert settings.harness == "workers.evaluation.evaluate"
    assert settings.preload == ("workers.evaluation.harness", "mine.workers.harness")


@pytest.mark.parametrize(("parent", "status"), [(os.getpid(), 0), (0, 1)], ids=["alive", "ended"])
def test_a_process_ends_at_once_where_its_parent_has_ended(parent: int, status: int) -> None:
    """die_with_parent exits if the parent has already ended, which the kernel would not report."""
    code = f"from workers.common import kernel; kernel.die_with_parent({parent})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == status
