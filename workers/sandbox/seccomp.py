"""A system-call filter for children: denies calls that no evaluation needs, and calls that could end the isolation.

It denies ways of holding memory that `workers.sandbox.memory_use` cannot count: anonymous files, System V segments,
message queues, pages given to a pipe, large socket buffers, segment tables. A child cannot change the limits and the
scheduling of other processes, which the kernel allows among processes of one user. The filter needs no privileges, so
it also works where the kernel grants no namespaces (a plain container). Only there it also blocks the network: the
child can create no sockets except pairs of Unix sockets.
"""

from __future__ import annotations

import platform
import struct
from dataclasses import dataclass

_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _DENY, _ABSENT, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000  # EPERM, ENOSYS
_IGNORE = 0x00050000  # the call returns 0 and does nothing
_NUMBER, _ARCHITECTURE = 0, 4
_FIRST_ARGUMENT, _SECOND_ARGUMENT, _THIRD_ARGUMENT, _FOURTH_ARGUMENT = 16, 24, 32, 40
_UPPER_HALF = 4  # of an argument's 64 bits, on machines that store the lower half first
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_TYPES_BUT_STREAM = 0xE  # SOCK_STREAM is 1; every other type has one of these bits
_SOL_SOCKET, _BUFFER_SIZES = 1, (7, 8, 32, 33)  # SO_SNDBUF, SO_RCVBUF and their variants for the privileged
_MAP_SHARED, _MAP_ANONYMOUS = 0x01, 0x20
_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW… flag
_FIRST_OF_X32 = 0x40000000


@dataclass(frozen=True)
class _Calls:
    architecture: int
    denied: tuple[int, ...]
    absent: tuple[int, ...]
    sending: tuple[int, ...]
    changing_modes: tuple[int, ...]
    clone: int
    prlimit64: int
    mmap: int
    socket: int
    socketpair: int
    setsockopt: int
    computing: tuple[int, ...]


# ptrace, process_vm_readv, process_vm_writev, bpf, perf_event_open, keyctl, add_key, request_key, mount, umount2,
# pivot_root, chroot, unshare, setns, kexec_load, kexec_file_load, init_module, finit_module, delete_module,
# userfaultfd, open_by_handle_at, setpriority, sched_setparam, sched_setscheduler, sched_setattr, ioprio_set, on x86_64
# also modify_ldt; the rest have the same number everywhere: io_uring_setup, open_tree, move_mount,
# fsopen, fsconfig, fsmount, fspick, pidfd_getfd, mount_setattr
_EVERYWHERE = (425, 428, 429, 430, 431, 432, 433, 438, 442)
_X86_64 = (
    101,
    310,
    311,
    321,
    298,
    250,
    248,
    249,
    165,
    166,
    155,
    161,
    272,
    308,
    246,
    320,
    175,
    313,
    176,
    323,
    304,
    141,
    142,
    144,
    314,
    251,
    154,
)
_AARCH64 = (
    117,
    270,
    271,
    280,
    241,
    219,
    217,
    218,
    40,
    39,
    41,
    51,
    97,
    268,
    104,
    294,
    105,
    273,
    106,
    282,
    265,
    140,
    118,
    119,
    274,
    30,
)

# clone3 passes its flags in memory, which a filter cannot read; if it is absent, the C library uses clone.
# memfd_secret, memfd_create, shmget, shmat, semget, msgget, mq_open, vmsplice
_ABSENT_X86_64 = (435, 447, 319, 29, 30, 64, 68, 240, 278)
_ABSENT_AARCH64 = (435, 447, 279, 194, 196, 190, 186, 180, 75)

# read, write, readv, writev, close, fstat, lseek, mmap, munmap, mremap, mprotect, brk, madvise, futex, sched_yield,
# rt_sigaction, rt_sigprocmask, rt_sigreturn, sigaltstack, restart_syscall, exit, exit_group, getpid, gettid, getrusage,
# times, clock_gettime, clock_getres, clock_nanosleep, nanosleep, gettimeofday, getrandom; on x86_64 also time
_COMPUTING_X86_64 = (
    0, 1, 19, 20, 3, 5, 8, 9, 11, 25, 10, 12, 28, 202, 24, 13, 14, 15, 131, 219, 60, 231, 39, 186, 98, 100, 228, 229,
    230, 35, 96, 318, 201,
)  # fmt: skip
_COMPUTING_AARCH64 = (
    63, 64, 65, 66, 57, 80, 62, 222, 215, 216, 226, 214, 233, 98, 124, 134, 135, 139, 132, 128, 93, 94, 172, 178, 165,
    153, 113, 114, 115, 101, 169, 278,
)  # fmt: skip

# fchmod, fchmodat, fchmodat2, on x86_64 also chmod
_CHANGING_MODES_X86_64 = (91, 268, 452, 90)
_CHANGING_MODES_AARCH64 = (52, 53, 452)

_KNOWN = {
    "x86_64": _Calls(
        0xC000003E,
        _X86_64 + _EVERYWHERE,
        _ABSENT_X86_64,
        sending=(46, 307),
        changing_modes=_CHANGING_MODES_X86_64,
        clone=56,
        prlimit64=302,
        mmap=9,
        socket=41,
        socketpair=53,
        setsockopt=54,
        computing=_COMPUTING_X86_64,
    ),
    "aarch64": _Calls(
        0xC00000B7,
        _AARCH64 + _EVERYWHERE,
        _ABSENT_AARCH64,
        sending=(211, 269),
        changing_modes=_CHANGING_MODES_AARCH64,
        clone=220,
        prlimit64=261,
        mmap=222,
        socket=198,
        socketpair=199,
        setsockopt=208,
        computing=_COMPUTING_AARCH64,
    ),
}


def supported() -> bool:
    """Whether this module knows the system-call numbers of this machine."""
    return platform.machine() in _KNOWN


def program(*, sockets: bool, shared_memory: bool = True, file_modes: bool = True, machine: str | None = None) -> bytes:
    """The filter for `machine` (default: this one).

    Without `sockets` it allows only pairs of Unix stream sockets, which pass no descriptors. Without `shared_memory` it
    denies memory that is shared between processes without a file; drivers of GPUs need it. Without `file_modes` it
    ignores changes to the permissions of files, which Landlock cannot restrict to a folder.
    Raises KeyError if the machine is not `supported`.
    """
    calls = _KNOWN[machine or platform.machine()]
    code = [_step(_LOAD, _ARCHITECTURE), _step(_JUMP_EQUAL, calls.architecture, 1, 0), _step(_RETURN, _KILL)]
    code += [_step(_LOAD, _NUMBER), _step(_JUMP_GREATER, _FIRST_OF_X32, 0, 1), _step(_RETURN, _DENY)]
    for number in calls.denied + (() if sockets else (*calls.sending, calls.socket)):
        code += [_step(_JUMP_EQUAL, number, 0, 1), _step(_RETURN, _DENY)]
    for number in calls.absent:
        code += [_step(_JUMP_EQUAL, number, 0, 1), _step(_RETURN, _ABSENT)]
    for number in () if file_modes else calls.changing_modes:
        code += [_step(_JUMP_EQUAL, number, 0, 1), _step(_RETURN, _IGNORE)]
    own = (_step(_LOAD, _FIRST_ARGUMENT), _step(_JUMP_EQUAL, 0, 0, 3))  # 0 is the calling process
    code += _on(calls.prlimit64, *own, _step(_LOAD, _FIRST_ARGUMENT + _UPPER_HALF), _step(_JUMP_EQUAL, 0, 0, 1))
    code += _on(calls.clone, _step(_LOAD, _FIRST_ARGUMENT), _step(_JUMP_BITS, _NEW_NAMESPACES, 1, 0))
    if sockets:
        families = (_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK)
        jumps = [_step(_JUMP_EQUAL, family, len(families) - at - 1, 0) for at, family in enumerate(families[:-1])]
        code += _on(calls.socket, _step(_LOAD, _FIRST_ARGUMENT), *jumps, _step(_JUMP_EQUAL, families[-1], 0, 1))
    else:
        family = (_step(_LOAD, _FIRST_ARGUMENT), _step(_JUMP_EQUAL, _AF_UNIX, 0, 3))
        code += _on(
            calls.socketpair, *family, _step(_LOAD, _SECOND_ARGUMENT), _step(_JUMP_BITS, _TYPES_BUT_STREAM, 1, 0)
        )
    if not shared_memory:
        kind = (_step(_LOAD, _FOURTH_ARGUMENT), _step(_JUMP_BITS, _MAP_SHARED, 0, 1))
        code += _on(calls.mmap, *kind, _step(_JUMP_BITS, _MAP_ANONYMOUS, 1, 0))
    level = (_step(_LOAD, _SECOND_ARGUMENT), _step(_JUMP_EQUAL, _SOL_SOCKET, 0, len(_BUFFER_SIZES) + 1))
    names = [_step(_JUMP_EQUAL, name, len(_BUFFER_SIZES) - at, 0) for at, name in enumerate(_BUFFER_SIZES)]
    code += _on(calls.setsockopt, *level, _step(_LOAD, _THIRD_ARGUMENT), *names, denied=_IGNORE)
    return b"".join([*code, _step(_RETURN, _ALLOW)])


def computing_program(machine: str | None = None) -> bytes:
    """The filter for a process that only computes, for `machine` (default: this one).

    It allows reading and writing of open files, memory, clocks, and the process's own end. Every other call is denied:
    no file can be opened, no process or thread started, no signal sent. Raises KeyError if the machine is not
    `supported`.
    """
    calls = _KNOWN[machine or platform.machine()]
    code = [_step(_LOAD, _ARCHITECTURE), _step(_JUMP_EQUAL, calls.architecture, 1, 0), _step(_RETURN, _KILL)]
    code.append(_step(_LOAD, _NUMBER))
    for number in calls.computing:
        code += [_step(_JUMP_EQUAL, number, 0, 1), _step(_RETURN, _ALLOW)]
    return b"".join([*code, _step(_RETURN, _DENY)])


def _on(number: int, *steps: bytes, denied: int = _DENY) -> list[bytes]:
    """The steps for the call `number`: their end allows it, and a jump over one step more denies it."""
    body = [*steps, _step(_RETURN, _ALLOW), _step(_RETURN, denied)]
    return [_step(_JUMP_EQUAL, number, 0, len(body)), *body]


def _step(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)
