"""Isolates a child: namespaces, users, limits, file and system-call restrictions.

    zygote ── keeper ── init ── child        (with namespaces: init is process 1 of the child's process namespace)
    zygote ── keeper ── child                (without a process namespace)

The keeper enters new namespaces, waits, and then ends exactly as the child did (same exit status, same signal). Each
process asks the kernel to be killed with its parent, so killing the keeper, the zygote or the worker ends all.

Kernels and containers grant different means, so there is a list of modes, strongest first; the zygote checks them with
a test child and uses the first that works (`workers.sandbox.zygote`). A measure that fails in its mode is an error.
Accepted: without a process namespace, a child that starts a daemon leaves it behind, without network, if the *zygote*
is killed with -9.
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

_NAMESPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS


def confine(sandbox_spec: SandboxSpec, mode: IsolationMode, body: Callable[[], None]) -> NoReturn:
    """Run `body` isolated by `mode` and end as it does. Call it in a process forked for this.

    If a measure fails, `body` does not run: the process ends with status 70 or 71, the reason on standard error.
    """
    os.setsid()
    kernel.die_with_parent()
    _enter_namespaces(mode)
    kernel.die_with_parent()  # entering a user namespace may undo it
    lifeline, keeper_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(keeper_end)
        run = _run_init if mode.namespaces == "all" else _run_child
        _exit_after(lambda: run(sandbox_spec, mode, lifeline, body))
    os.close(lifeline)
    _end_like(child)


def _run_init(sandbox_spec: SandboxSpec, mode: IsolationMode, lifeline: int, body: Callable[[], None]) -> None:
    """Process 1: set up the file system, start the child, reap orphans, end as the child did."""
    _die_with(lifeline)
    rebuild_root(sandbox_spec, sandbox_spec.uid if mode.own_user else os.getuid())
    child = os.fork()
    if child == 0:
        _exit_after(lambda: _run_child(sandbox_spec, mode, lifeline, body))
    os._exit(_shell_status(_wait_for(child)))


def _run_child(sandbox_spec: SandboxSpec, mode: IsolationMode, lifeline: int, body: Callable[[], None]) -> None:
    """The child: drop all privileges, then run `body`."""
    _set_limits(sandbox_spec)
    _drop_privileges(sandbox_spec, mode)
    kernel.forbid_privilege_gain()
    if mode.landlock:
        restrict_files(sandbox_spec)
        os.environ["DISABLE_MULTIPROC"] = "1"  # the harness's pools need /dev/shm
    if seccomp.supported():
        program = seccomp.program(
            sockets=mode.namespaces != "none",
            shared_memory=bool(sandbox_spec.gpus),
            file_modes=mode.namespaces == "all" or mode.own_user,
        )
        kernel.set_seccomp_filter(program)
    elif mode.namespaces == "none":
        raise WallMissing("neither a network namespace nor a system call filter: the child would have the network")
    _die_with(lifeline)
    os.close(lifeline)
    body()


def _die_with(lifeline: int) -> None:
    """Die with the parent. The keeper holds the other end of `lifeline`."""
    kernel.die_with_parent()
    if select.select([lifeline], [], [], 0)[0]:  # end of file: the keeper ended before the call above
        os._exit(1)


def _exit_after(run: Callable[[], None]) -> NoReturn:
    """Run, then exit without Python's shutdown (threads, atexit, buffers), which is the zygote's."""
    status = UNWALLED
    try:
        run()
        status = 0
    except BaseException:  # noqa: BLE001  # boundary: the process ends here; the traceback goes to the child's log
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


# --- ending as the child did


def _wait_for(child: int) -> int:
    """Wait for `child`, and reap all others meanwhile; return its wait status."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return status


_SIGNAL_BASE = 128


def _shell_status(status: int) -> int:
    """The exit code, or 128 + the signal, as shells report it: process 1 cannot kill itself with a signal."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else _SIGNAL_BASE + os.WTERMSIG(status)


def _end_like(child: int) -> NoReturn:
    code = _shell_status(_wait_for(child))
    if code > _SIGNAL_BASE:
        number = code - _SIGNAL_BASE
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(code)


# --- the measures


def _enter_namespaces(mode: IsolationMode) -> None:
    flags = {"all": _NAMESPACES | kernel.CLONE_NEWNET, "network": kernel.CLONE_NEWNET, "none": 0}[mode.namespaces]
    if not flags:
        return
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(flags | (kernel.CLONE_NEWUSER if mode.user_namespace else 0))
    if mode.user_namespace:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    with contextlib.suppress(OSError):  # fails without capabilities; only copies of a child need it
        kernel.loopback_up()


def _set_limits(sandbox_spec: SandboxSpec) -> None:
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: sandbox_spec.max_file_bytes,
        resource.RLIMIT_NPROC: sandbox_spec.max_processes,
        resource.RLIMIT_MEMLOCK: 64 << 20,
        resource.RLIMIT_NOFILE: 8192,  # also bounds the pipes that are on their way through a socket
    }
    # Not with a GPU: its driver reserves far more addresses than it uses.
    if sandbox_spec.memory_bytes is not None and not sandbox_spec.gpus:
        limits[resource.RLIMIT_DATA] = sandbox_spec.memory_bytes
    for kind, value in limits.items():
        _, hard = resource.getrlimit(kind)
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bounded, bounded))


def _drop_privileges(sandbox_spec: SandboxSpec, mode: IsolationMode) -> None:
    if mode.own_user:
        os.setgroups([])
        os.setresgid(sandbox_spec.uid, sandbox_spec.uid, sandbox_spec.uid)
        os.setresuid(sandbox_spec.uid, sandbox_spec.uid, sandbox_spec.uid)
    kernel.drop_capabilities()
    kernel.hide_from_same_user(False)  # a change of user hides the process, and libraries read /proc/self
    if not os.access(os.__file__, os.R_OK) or not os.access(sandbox_spec.home, os.W_OK | os.X_OK):
        raise WallMissing("in this mode the child cannot reach Python's own library or its home")
