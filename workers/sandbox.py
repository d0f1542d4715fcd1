"""The walls around a child: what it can see, reach and use up.

    zygote ── keeper ── init ── child        (namespaces: init is process 1 of the child's own process namespace)
    zygote ── keeper ── child                (no process namespace to be had)

The keeper leaves for new namespaces, waits, and then ends exactly as the child did (same exit status, same signal).
Every link asks the kernel to be killed with its parent, so killing the keeper, the zygote or the worker ends all.

Kernels and containers differ in what they grant, so there is a list of modes, from the strongest down; the zygote tries
them with a canary and keeps the first that works (`workers.zygote`). Nothing is half built: a wall that does not go up
in its mode is an error. Named and accepted: in the modes without a process namespace, a child that starts a
daemon of its own and then has the *zygote* killed with -9 leaves that daemon behind, without network.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from pydantic import BaseModel, ConfigDict

from workers import kernel, seccomp
from workers.errors import WorkerError

_ISOLATED = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/sys")
_ETC = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/alternatives")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_GPU_DEVICES = ("nvidia*", "nvidia-caps/*", "dri/render*")


class WallMissing(WorkerError):
    """A wall of this mode does not stand; the message says which and why."""


class Mode(BaseModel):
    """One way of walling a child in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespaces: Literal["all", "network", "none"]
    user_namespace: bool = False
    own_user: bool = False

    def missing(self) -> list[str]:
        """Sentences about the walls that this mode lacks; empty in the strongest ones."""
        words = []
        if self.namespaces == "none":
            words.append("no network namespace: a system call filter alone keeps children off the network")
        if self.namespaces != "all":
            words.append("no mount and process namespace: children see this machine's files and processes")
        if not self.own_user and not self.user_namespace:
            words.append("no user of their own: children run as the same user as the worker")
        return words


class Box(BaseModel):
    """What one child may see and use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path
    root: Path
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    uid: int
    gpu: bool = False
    memory_bytes: int | None = None
    max_file_bytes: int = 16 << 30
    max_processes: int = 4096


def modes() -> Iterator[Mode]:
    """The ways of walling in that this process could try, strongest first."""
    if kernel.has_capability(kernel.CAP_SYS_ADMIN):
        yield Mode(namespaces="all", own_user=True)
    yield Mode(namespaces="all", user_namespace=True)
    if kernel.has_capability(kernel.CAP_SYS_ADMIN):
        yield Mode(namespaces="network", own_user=True)
        yield Mode(namespaces="network")
    yield Mode(namespaces="network", user_namespace=True)
    if kernel.has_capability(kernel.CAP_SETUID):
        yield Mode(namespaces="none", own_user=True)
    yield Mode(namespaces="none")


def confine(box: Box, mode: Mode, body: Callable[[], None]) -> NoReturn:
    """Run `body` behind the walls of `mode` and end as it does. Call it in a process forked for this.

    `body` gets a WallMissing raised into nothing: it is not run then, and the process ends with the traceback on
    its standard error and status 70.
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
        _exit_after(lambda: run(box, mode, lifeline, body))
    os.close(lifeline)
    _end_like(inner)


def _child_of_init(box: Box, mode: Mode, lifeline: int, body: Callable[[], None]) -> None:
    """Process 1: set up its view of the machine, start the child, bury what is orphaned, end as the child did."""
    _die_with(lifeline)
    _rebuild_root(box, box.uid if mode.own_user else os.getuid())
    child = os.fork()
    if child == 0:
        _exit_after(lambda: _innermost(box, mode, lifeline, body))
    os._exit(_encoded(_wait_for(child)))


def _innermost(box: Box, mode: Mode, lifeline: int, body: Callable[[], None]) -> None:
    _limit(box)
    _become_nobody(box, mode)
    kernel.gain_nothing_by_exec()
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
    status = 70
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


def _leave(mode: Mode) -> None:
    flags = {"all": _ISOLATED | kernel.CLONE_NEWNET, "network": kernel.CLONE_NEWNET, "none": 0}[mode.namespaces]
    if not flags:
        return
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(flags | (kernel.CLONE_NEWUSER if mode.user_namespace else 0))
    if mode.user_namespace:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _limit(box: Box) -> None:
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: box.max_file_bytes,
        resource.RLIMIT_NPROC: box.max_processes,
        resource.RLIMIT_MEMLOCK: 64 << 20,
    }
    if box.memory_bytes is not None and not box.gpu:  # a GPU's driver reserves far more addresses than it uses
        limits[resource.RLIMIT_DATA] = box.memory_bytes
    for kind, value in limits.items():
        _, hard = resource.getrlimit(kind)
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bounded, bounded))


def _become_nobody(box: Box, mode: Mode) -> None:
    if mode.own_user:
        os.setgroups([])
        os.setresgid(box.uid, box.uid, box.uid)
        os.setresuid(box.uid, box.uid, box.uid)
    if kernel.has_capability(kernel.CAP_SYS_ADMIN) or mode.user_namespace:
        kernel.drop_capabilities()
    kernel.hide_from_same_user(False)  # a change of user hides it, and libraries read their own /proc/self
    if not os.access(os.__file__, os.R_OK) or not os.access(box.home, os.W_OK | os.X_OK):
        raise WallMissing("behind these walls Python's own library or the child's home cannot be reached")


# --- a root of its own


@dataclass(frozen=True)
class _View:
    """Real paths to show, what links to them, and how."""

    path: str
    read_only: bool


def _rebuild_root(box: Box, uid: int) -> None:
    """A new, small root: the system and the interpreter, the model and the questions read-only, home and spool."""
    views, links = _views(box)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("steward", str(box.root), "tmpfs", kernel.MS_NOSUID, "size=4m,mode=755")
    old = box.root / ".old"
    old.mkdir()
    os.chdir(box.root)
    kernel.pivot_root(".", ".old")
    os.chdir("/")
    for link, target in links:
        Path(link).parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(link):
            Path(link).symlink_to(target)
    _tmpfs("/tmp", "256m")  # noqa: S108  # its own; first, for what is shown may lie below it
    for view in views:
        _show(view.path, read_only=view.read_only)
    _populate(box, uid)
    kernel.unmount("/.old")
    Path("/.old").rmdir()
    kernel.harden("/", read_only=True)
    os.chdir(box.home)


def _tmpfs(path: str, size: str) -> None:
    Path(path).mkdir()
    kernel.mount("steward", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"size={size},mode=1777")


def _show(path: str, *, read_only: bool, devices: bool = False) -> None:
    source, target = Path("/.old" + path), Path(path)
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    kernel.bind(str(source), str(target), read_only=read_only, devices=devices)


def _populate(box: Box, uid: int) -> None:
    """The device files, /proc, /tmp and the few files of /etc that libraries ask for."""
    Path("/proc").mkdir()
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV)
    gpus = [f"/{found.relative_to('/.old')}" for pattern in _GPU_DEVICES for found in Path("/.old/dev").glob(pattern)]
    for device in (*_DEVICES, *(gpus if box.gpu else ())):
        _show(device, read_only=False, devices=True)
    _tmpfs("/dev/shm", "50%")  # noqa: S108
    Path("/dev/fd").symlink_to("/proc/self/fd")
    Path("/etc").mkdir(exist_ok=True)
    Path("/etc/passwd").write_text(f"steward:x:{uid}:{uid}::{box.home}:/bin/false\n")
    Path("/etc/group").write_text(f"steward:x:{uid}:\n")
    Path("/etc/hosts").write_text("127.0.0.1 localhost\n")


def _views(box: Box) -> tuple[list[_View], list[tuple[str, str]]]:
    """What to show, outermost first and each once; and the symbolic links that lead there."""
    readable = [*_SYSTEM, *_ETC, *_interpreter(), *map(str, box.readable)]
    readable += [path for shown in box.readable for path in _linked_from(shown)]
    links = [(path, os.path.realpath(path)) for path in readable if Path(path).exists()]
    wanted = {real: True for _, real in links} | {os.path.realpath(path): False for path in (*box.writable, box.home)}
    views: list[_View] = []
    for path in sorted(wanted):
        covering = [view for view in views if path == view.path or path.startswith(view.path.rstrip("/") + "/")]
        if not (covering and covering[-1].read_only == wanted[path]):
            views.append(_View(path, wanted[path]))
    return views, [(path, real) for path, real in links if path != real and not _below(path, views)]


def _below(path: str, views: list[_View]) -> bool:
    return any(os.path.realpath(Path(path).parent).startswith(view.path) for view in views)


def _interpreter() -> list[str]:
    """Where Python, what is installed for it, and the packages that are loaded already lie.

    Of a source tree outside the interpreter only the packages themselves: beside them may lie settings and secrets.
    """
    roots = [sys.prefix, sys.base_prefix]
    inside = tuple(os.path.realpath(root) + "/" for root in roots)
    for name, module in list(sys.modules.items()):
        places = [] if "." in name else [*getattr(module, "__path__", [])]
        roots += [place for place in places if not os.path.realpath(place).startswith(inside)]
    return roots


def _linked_from(folder: Path) -> list[str]:
    """Folders outside `folder` that hold what its symbolic links point to, as in a snapshot of the Hub's cache."""
    real = os.path.realpath(folder)
    targets = {str(path.resolve().parent) for path in Path(real).rglob("*") if path.is_symlink()}
    return sorted(target for target in targets if not (target + "/").startswith(real + "/"))
