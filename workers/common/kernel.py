"""Linux system calls that Python does not offer, by ctypes. Each raises OSError if the kernel refuses."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import signal
import socket
import struct
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2

CAP_SETUID, CAP_SYS_ADMIN = 7, 21
_CAPABILITY_VERSION_3 = 0x20080522

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_CHILD_SUBREAPER = 1, 4, 38, 36
_PR_GET_DUMPABLE = 3
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_MOUNT_SETATTR = 442
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, call: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


def prctl(option: int, argument: int, call: str) -> None:
    """`prctl(option, argument)`."""
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(option, ctypes.c_ulong(argument), zero, zero, zero), call)


def die_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process when the thread that forked it ends.

    `parent` is the id of that thread's process: if it ended before the call, this process exits with status 1. Without
    `parent` the caller must check that. A change of user or capabilities undoes the call: repeat it afterwards.
    """
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, "PR_SET_PDEATHSIG")
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def hide_from_same_user(hidden: bool = True) -> None:
    """Forbid other processes of the same user to read this one's memory and environment; False allows it again.

    A hidden process's files in /proc belong to root, so an unprivileged process cannot read its own either.
    """
    prctl(_PR_SET_DUMPABLE, int(not hidden), "PR_SET_DUMPABLE")


def is_hidden_from_same_user() -> bool:
    """Whether other processes of the same user are forbidden to read this one's memory and environment."""
    zero = ctypes.c_ulong(0)
    return _checked(_libc.prctl(_PR_GET_DUMPABLE, zero, zero, zero, zero), "PR_GET_DUMPABLE") == 0


def forbid_privilege_gain() -> None:
    """Forbid this process and its children to gain privileges from setuid programs."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1, "PR_SET_CHILD_SUBREAPER")


def unshare(flags: int) -> None:
    """Move this process from the namespaces that `flags` name into new ones."""
    _checked(_libc.unshare(flags), "unshare")


def loopback_up() -> None:
    """Bring up 127.0.0.1 in this network namespace; a new namespace starts with it down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """`mount(2)`."""
    kind_bytes = kind.encode() if kind else None
    arguments = (source.encode(), os.fsencode(target), kind_bytes, ctypes.c_ulong(flags), options.encode() or None)
    _checked(_libc.mount(*arguments), f"mount {target}")


def bind(source: str, target: str, *, read_only: bool, devices: bool = False) -> None:
    """Mount `source`, with everything mounted below it, at `target`; setuid bits have no effect there."""
    mount(source, target, None, MS_BIND | MS_REC)
    harden(target, read_only=read_only, devices=devices, recursive=True)


def harden(target: str, *, read_only: bool, devices: bool = False, recursive: bool = False) -> None:
    """Disable setuid bits, device files (unless `devices`) and writes (if `read_only`) on the mount at `target`.

    Kernels before 5.12 cannot change the mounts below `target`: on these, only the mount itself is changed.
    """
    flags = MS_NOSUID | (MS_RDONLY if read_only else 0) | (0 if devices else MS_NODEV)
    attributes = struct.pack("=QQQQ", flags, 0, 0, 0)  # MOUNT_ATTR_* equal MS_* for these three
    place = (ctypes.c_int(_AT_FDCWD), os.fsencode(target), ctypes.c_uint(_AT_RECURSIVE if recursive else 0))
    result = _libc.syscall(ctypes.c_long(_MOUNT_SETATTR), *place, attributes, ctypes.c_size_t(len(attributes)))
    if result < 0 and ctypes.get_errno() in (errno.ENOSYS, errno.EOPNOTSUPP):
        mount("none", target, None, MS_REMOUNT | MS_BIND | flags)
        return
    _checked(result, f"mount_setattr {target}")


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root of this mount namespace and show the former root at `old`, a folder in it."""
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"pivot_root is not known for {platform.machine()}")
    _checked(_libc.syscall(ctypes.c_long(number), os.fsencode(new), os.fsencode(old)), "pivot_root")


def unmount(target: str) -> None:
    """Detach the mount at `target`: at once for new accesses, for open files when they are closed."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def drop_capabilities() -> None:
    """Give up every capability in this user namespace."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, bytes(24)), "capset")


def has_capability(number: int) -> bool:
    """Whether this process holds the capability `number` in its user namespace."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def set_seccomp_filter(program: bytes) -> None:
    """Install the BPF `program` (8 bytes an instruction) as this process's system call filter; it cannot be removed."""
    code = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    head = Program(len(program) // 8, ctypes.cast(code, ctypes.c_void_p))
    zero = ctypes.c_ulong(0)
    _checked(
        _libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(head), zero, zero),
        "PR_SET_SECCOMP",
    )
