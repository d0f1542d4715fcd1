"""The walls around a child: what it can see, reach and use up.

    zygote ── keeper ── init ── child        (namespaces: init is process 1 of the child's own process namespace)
    zygote ── keeper ── child                (no process namespace to be had)

The keeper leaves for new namespaces, waits, and then ends exactly as the child did (same exit status, same signal).
Every link asks the kernel to be killed with its parent, so killing the keeper, the zygote or the worker ends all.

Kernels and containers differ in what they grant, so there is a list of modes, from the strongest down; the zygote tries
them with a canary and keeps the first that works (`workers.sandbox.zygote`). A measure that cannot be set up in its
mode is an error. Named and accepted: in the modes without a process namespace, a child that starts a
daemon of its own and then has the *zygote* killed with -9 leaves that daemon behind, without network.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from leaderboard.evidence import UNWALLED
from workers.common import kernel
from workers.sandbox import seccomp
from workers.sandbox.filesystem_view import rebuild_root, restrict_files
from workers.sandbox.sandbox_spec import IsolationMode, SandboxSpec, WallMissing

_ISOLATED = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS


def confine(sandbox_spec: SandboxSpec, mode: IsolationMode, body: Callable[[], None]) -> NoReturn:
    """Run `body` behind the walls of `mode` and end as it does. Call it in a process forked for this.

    Where a wall does not go up, `body` is not run: the process ends with status 70 or 71, the reason on standard error.
    """
    os.setsid()
    kernel.die_with_parent()
    _leave(mode)
    kernel.die_with_parent()  # entering a user namespace may have undone it
    lifeline, held = os.pipe()
    inner = os.fork()
    if inner == 0:
        os.close(held)
        run = _child_of_init if mode.namespaces == "all" else _innermost
        _exit_after(lambda: run(sandbox_spec, mode, lifeline, body))
    os.close(lifeline)
    _end_like(inner)


def _child_of_init(sandbox_spec: SandboxSpec, mode: IsolationMode, lifeline: int, body: Callable[[], None]) -> None:
    """Process 1: set up its view of the machine, start the child, bury what is orphaned, end as the child did."""
    _die_with(lifeline)
    rebuild_root(sandbox_spec, sandbox_spec.uid if mode.own_user else os.getuid())
    child = os.fork()
    if child == 0:
        _exit_after(lambda: _innermost(sandbox_spec, mode, lifeline, body))
    os._exit(_encoded(_wait_for(child)))


def _innermost(sandbox_spec: SandboxSpec, mode: IsolationMode, lifeline: int, body: Callable[[], None]) -> None:
    _limit(sandbox_spec)
    _become_nobody(sandbox_spec, mode)
    kernel.forbid_privilege_gain()
    if mode.landlock:
        restrict_files(sandbox_spec)
    if seccomp.supported():
        kernel.set_seccomp_filter(seccomp.program(sockets=mode.namespaces != "none"))
    elif mode.namespaces == "none":
        raise WallMissing("neither a network namespace nor a system call filter: the child would have the network")
    _die_with(lifeline)
    os.close(lifeline)
    body()


def _die_with(lifeline: int) -> None:
    kernel.die_with_parent()
    if select.select([lifeline], [], [], 0)[0]:  # end of file: the keeper was gone before we asked
        os._exit(1)


def _exit_after(run: Callable[[], None]) -> NoReturn:
    """Run and leave without Python's shutdown, which belongs to the zygote (threads, atexit, buffers)."""
    status = UNWALLED
    try:
        run()
        status = 0
    except BaseException:  # noqa: BLE001  # boundary: the last stop before the process ends; the words go to the child's log
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


# --- ending as another process did


def _wait_for(child: int) -> int:
    """Wait for `child`, burying every other child on the way; its wait status."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return status


_SIGNAL_BASE = 128


def _encoded(status: int) -> int:
    """An exit code that also tells a signal, as shells write it: process 1 cannot kill itself."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else _SIGNAL_BASE + os.WTERMSIG(status)


def _end_like(child: int) -> NoReturn:
    code = _encoded(_wait_for(child))
    if code > _SIGNAL_BASE:
        number = code - _SIGNAL_BASE
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(code)


# --- the walls


def _leave(mode: IsolationMode) -> None:
    flags = {"all": _ISOLATED | kernel.CLONE_NEWNET, "network": kernel.CLONE_NEWNET, "none": 0}[mode.namespaces]
    if not flags:
        return
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(flags | (kernel.CLONE_NEWUSER if mode.user_namespace else 0))
    if mode.user_namespace:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    with contextlib.suppress(OSError):  # without capabilities in it, for copies of a child alone, which then cannot run
        kernel.loopback_up()


def _limit(sandbox_spec: SandboxSpec) -> None:
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: sandbox_spec.max_file_bytes,
        resource.RLIMIT_NPROC: sandbox_spec.max_processes,
        resource.RLIMIT_MEMLOCK: 64 << 20,
    }
    if (
        sandbox_spec.memory_bytes is not None and not sandbox_spec.gpus
    ):  # a GPU's driver reserves far more addresses than it uses
        limits[resource.RLIMIT_DATA] = sandbox_spec.memory_bytes
    for kind, value in limits.items():
        _, hard = resource.getrlimit(kind)
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bounded, bounded))


def _become_nobody(sandbox_spec: SandboxSpec, mode: IsolationMode) -> None:
    if mode.own_user:
        os.setgroups([])
        os.setresgid(sandbox_spec.uid, sandbox_spec.uid, sandbox_spec.uid)
        os.setresuid(sandbox_spec.uid, sandbox_spec.uid, sandbox_spec.uid)
    kernel.drop_capabilities()
    kernel.hide_from_same_user(False)  # a change of user hides it, and libraries read their own /proc/self
    if not os.access(os.__file__, os.R_OK) or not os.access(sandbox_spec.home, os.W_OK | os.X_OK):
        raise WallMissing("behind these walls Python's own library or the child's home cannot be reached")
