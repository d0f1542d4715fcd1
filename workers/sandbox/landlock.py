"""Landlock: restricts a process to the files that it names, permanently and without privileges.

Replaces the mount namespace where the kernel or a container grants none. It also forbids reading and tracing processes
outside, and from version 6 on sending them signals.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1

_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _DEVICE_CONTROL = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _DEVICE_CONTROL
_READ_ONLY = _EXECUTE | _READ | _LIST
_HANDLED = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # version → the number of access rights that it knows
_SIGNALS_AND_ABSTRACT_SOCKETS, _VERSION_WITH_SIGNALS = 0b11, 6

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """The version of Landlock in this kernel; 0 if there is none."""
    return max(0, int(_libc.syscall(ctypes.c_long(_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG))))


def stops_signals() -> bool:
    """Whether this kernel's Landlock keeps a restricted process from sending signals to processes outside."""
    return version() >= _VERSION_WITH_SIGNALS


def restrict(readable: Iterable[str | Path], writable: Iterable[str | Path]) -> None:
    """Restrict this process and its children to reading in `readable` and any access in `writable`.

    Skips paths that do not exist. Open files stay open. Needs no_new_privs. Raises OSError.
    """
    abi = version()
    all_rights = (1 << _HANDLED[min(abi, 5)]) - 1
    scoped = _SIGNALS_AND_ABSTRACT_SOCKETS if stops_signals() else 0
    attributes = struct.pack("=QQQ", all_rights, 0, scoped)[: 24 if scoped else 8]
    rules = _call(_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        for path in readable:
            _allow(rules, path, _READ_ONLY & all_rights)
        for path in writable:
            _allow(rules, path, all_rights)
        _call(_RESTRICT, ctypes.c_int(rules), ctypes.c_uint(0))
    finally:
        os.close(rules)


def _allow(rules: int, path: str | Path, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rule = struct.pack("=Qi", access if folder else access & _OF_FILES, descriptor)
        _call(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint(0))
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"landlock: {os.strerror(ctypes.get_errno())}")
    return result
