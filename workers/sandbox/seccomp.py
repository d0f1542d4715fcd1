"""A system-call filter for children: denies calls that no evaluation needs, and calls that could end the isolation.

The filter needs no privileges, so it also works where the kernel grants no namespaces (a plain container). Only there
it also blocks the network: the child can create no sockets except Unix sockets.
"""

from __future__ import annotations

import platform
import struct
from dataclasses import dataclass

_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _DENY, _ABSENT, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000  # EPERM, ENOSYS
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_AF_UNIX = 1
_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW… flag
_FIRST_OF_X32 = 0x40000000


@dataclass(frozen=True)
class _Calls:
    architecture: int
    denied: tuple[int, ...]
    clone: int
    clone3: int
    socket: int


# ptrace, process_vm_readv, process_vm_writev, bpf, perf_event_open, keyctl, add_key, request_key, mount, umount2,
# pivot_root, chroot, unshare, setns, kexec_load, kexec_file_load, init_module, finit_module, delete_module,
# userfaultfd, open_by_handle_at; the rest have the same number everywhere: io_uring_setup, open_tree, move_mount,
# fsopen, fsconfig, fsmount, fspick, pidfd_getfd, mount_setattr
_EVERYWHERE = (425, 428, 429, 430, 431, 432, 433, 438, 442)
_X86_64 = (101, 310, 311, 321, 298, 250, 248, 249, 165, 166, 155, 161, 272, 308, 246, 320, 175, 313, 176, 323, 304)
_AARCH64 = (117, 270, 271, 280, 241, 219, 217, 218, 40, 39, 41, 51, 97, 268, 104, 294, 105, 273, 106, 282, 265)

_KNOWN = {
    "x86_64": _Calls(0xC000003E, _X86_64 + _EVERYWHERE, clone=56, clone3=435, socket=41),
    "aarch64": _Calls(0xC00000B7, _AARCH64 + _EVERYWHERE, clone=220, clone3=435, socket=198),
}


def supported() -> bool:
    """Whether this module knows the system-call numbers of this machine."""
    return platform.machine() in _KNOWN


def program(*, sockets: bool, machine: str | None = None) -> bytes:
    """The filter for `machine` (default: this one); without `sockets` it allows only AF_UNIX sockets.

    Raises KeyError if the machine is not `supported`.
    """
    calls = _KNOWN[machine or platform.machine()]
    code = [_step(_LOAD, _ARCHITECTURE), _step(_JUMP_EQUAL, calls.architecture, 1, 0), _step(_RETURN, _KILL)]
    code += [_step(_LOAD, _NUMBER), _step(_JUMP_GREATER, _FIRST_OF_X32, 0, 1), _step(_RETURN, _DENY)]
    for number in calls.denied:
        code += [_step(_JUMP_EQUAL, number, 0, 1), _step(_RETURN, _DENY)]
    # clone3 passes its flags in memory, which a filter cannot read; if it is denied, the C library uses clone.
    code += [_step(_JUMP_EQUAL, calls.clone3, 0, 1), _step(_RETURN, _ABSENT)]
    code += [_step(_JUMP_EQUAL, calls.clone, 0, 4), _step(_LOAD, _FIRST_ARGUMENT)]
    code += [_step(_JUMP_BITS, _NEW_NAMESPACES, 0, 1), _step(_RETURN, _DENY), _step(_RETURN, _ALLOW)]
    if not sockets:
        code += [_step(_JUMP_EQUAL, calls.socket, 0, 4), _step(_LOAD, _FIRST_ARGUMENT)]
        code += [_step(_JUMP_EQUAL, _AF_UNIX, 1, 0), _step(_RETURN, _DENY), _step(_RETURN, _ALLOW)]
    return b"".join([*code, _step(_RETURN, _ALLOW)])


def _step(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)
