"""Confines a process to computing, before it runs a line of a solution or of a test.

Modules are loaded first; then a system-call filter denies everything but memory, clocks, open descriptors and the
process's own end (`workers.sandbox.seccomp.computing_program`). The process can open no file, start no process or
thread, send no signal, and raise no limit. Needs no privileges, so it works inside a worker's sandbox, too.
"""

from __future__ import annotations

import importlib
import math
import os
import random
import resource
import socket
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from workers.common import kernel
from workers.sandbox import seccomp

MODULES = (
    "__future__", "_strptime", "array", "ast", "base64", "binascii", "bisect", "calendar", "cmath", "codecs",
    "collections.abc", "contextlib", "copy", "csv", "dataclasses", "datetime", "decimal", "difflib", "encodings.ascii",
    "encodings.idna", "encodings.latin_1", "encodings.utf_16", "enum", "fractions", "functools", "graphlib", "hashlib",
    "heapq", "hmac", "html", "inspect", "io", "itertools", "json", "keyword", "math", "numbers", "operator", "os",
    "pprint", "queue", "random", "re", "secrets", "statistics", "string", "struct", "textwrap", "threading", "time",
    "timeit", "traceback", "types", "typing", "unicodedata", "urllib.parse", "uuid", "warnings", "weakref", "zlib",
)  # fmt: skip
"""Modules of the standard library that solutions and tests may import; they can load no others."""
_MAX_DESCRIPTORS = 8192


class NotConfined(Exception):
    """A measure does not work on this machine; the message says which."""


def confine(*, parent: int, keep: Collection[int], seconds: float, memory_bytes: int, modules: Sequence[str]) -> None:
    """Confine this process for good; it ends with `parent`. `keep`: descriptors besides 0, 1 and 2 that stay open.

    Raises NotConfined: then nothing untrusted may run here.
    """
    kernel.die_with_parent(parent)
    for name in (*MODULES, *modules):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise NotConfined(f"the module {name} cannot be imported here: {error}") from error
    if not seccomp.supported():
        raise NotConfined("system calls of this machine's processor are not known")
    if (threads := len(list(Path("/proc/self/task").iterdir()))) != 1:
        raise NotConfined(f"the modules started {threads - 1} threads, which a filter would not confine")
    random.seed(0)
    os.chdir("/")
    for descriptor in set(range(3, _MAX_DESCRIPTORS)) - set(keep):
        _close(descriptor)
    cpu_seconds = math.ceil(seconds) + 1  # one more for the time that this process has used so far
    for kind, value in {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
    }.items():
        resource.setrlimit(kind, (value, value))
    try:
        kernel.forbid_privilege_gain()
        kernel.set_seccomp_filter(seccomp.computing_program())
    except OSError as error:
        raise NotConfined(f"the kernel accepts no filter of system calls: {error}") from error
    _check()


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return


def _check() -> None:
    """Raise NotConfined unless files, sockets, signals and processes are denied."""
    attempts: dict[str, Callable[[], object]] = {
        "open files": lambda: os.open("/", os.O_RDONLY),
        "make sockets": socket.socket,
        "send signals": lambda: os.kill(os.getpid(), 0),
        "start programs": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),  # noqa: S606  # nosec B606  # it is denied
    }
    for what, attempt in attempts.items():
        try:
            attempt()
        except PermissionError:
            continue
        except OSError as error:
            raise NotConfined(f"the filter does not deny to {what}: {error}") from error
        raise NotConfined(f"the filter does not deny to {what}")
