"""Restricts a child to the system, its interpreter, model and questions, and its own folders.

It gets its own root in a mount namespace (`rebuild_root`), or the same set of files by Landlock (`restrict_files`).
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from workers.common import kernel
from workers.sandbox import landlock
from workers.sandbox.sandbox_spec import SandboxSpec

_SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/sys")
_ETC_FILES = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/alternatives")
_ACCOUNT_FILES = ("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf")
_DEVICES = ("/dev/null", "/dev/full", "/dev/random", "/dev/urandom")
_GPU_DRIVER = ("zero", "nvidiactl", "nvidia-uvm*", "nvidia-modeset", "nvidia-caps/*")
"""Device files that every GPU needs, besides its own; memory of /dev/zero can be shared, which only they may."""
SHARED_MEMORY, TEMPORARY = "/dev/shm", "/tmp"  # noqa: S108  # the paths that libraries use
_TEMPORARY_SIZE = "256m"
_MAX_FILES = 65_536
"""Files in each temporary file system: the kernel holds memory for an empty one, too."""


@dataclass(frozen=True)
class _Mount:
    """A real path to mount, and whether read-only."""

    path: str
    read_only: bool


def rebuild_root(sandbox_spec: SandboxSpec, uid: int) -> None:
    """Replace the root by a small one: system, interpreter, model and questions read-only; home and spool writable."""
    mounts, links = _mounts(sandbox_spec)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("steward", str(sandbox_spec.root), "tmpfs", kernel.MS_NOSUID, "size=4m,mode=755")
    old = sandbox_spec.root / ".old"
    old.mkdir()
    os.chdir(sandbox_spec.root)
    kernel.pivot_root(".", ".old")
    os.chdir("/")
    for link, target in links:
        Path(link).parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(link):
            Path(link).symlink_to(target)
    _tmpfs(TEMPORARY, _TEMPORARY_SIZE)  # mounted first, because other mounts may be below it
    for mount in mounts:
        _mount(mount.path, read_only=mount.read_only)
    _populate(sandbox_spec, uid)
    kernel.unmount("/.old")
    Path("/.old").rmdir()
    kernel.harden("/", read_only=True)
    os.chdir(sandbox_spec.home)


def restrict_files(sandbox_spec: SandboxSpec) -> None:
    """Restrict this process and its children to the sandbox's files, for good. Raises OSError.

    They can write to the machine's /dev/shm, which their limits do not bound, only with a GPU: its driver may need it.
    """
    writable = [
        *_devices(sandbox_spec, Path("/")),
        *([SHARED_MEMORY] if sandbox_spec.gpus else []),
        str(sandbox_spec.home),
        *map(str, sandbox_spec.writable),
    ]
    landlock.restrict([*_readable(sandbox_spec), *_ACCOUNT_FILES, "/proc"], writable)


def _tmpfs(path: str, size: str) -> None:
    Path(path).mkdir()
    kernel.mount(
        "steward", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"size={size},nr_inodes={_MAX_FILES},mode=1777"
    )


def _mount(path: str, *, read_only: bool, devices: bool = False) -> None:
    source, target = Path("/.old" + path), Path(path)
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    kernel.bind(str(source), str(target), read_only=read_only, devices=devices)


def _populate(sandbox_spec: SandboxSpec, uid: int) -> None:
    """Add the device files, /proc, /dev/shm, and the few files of /etc that libraries read."""
    Path("/proc").mkdir()
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV)
    for device in _devices(sandbox_spec, Path("/.old")):
        _mount(device, read_only=False, devices=True)
    _tmpfs(SHARED_MEMORY, "50%" if sandbox_spec.memory_bytes is None else str(sandbox_spec.memory_bytes))
    Path("/dev/fd").symlink_to("/proc/self/fd")
    Path("/etc").mkdir(exist_ok=True)
    Path("/etc/passwd").write_text(f"steward:x:{uid}:{uid}::{sandbox_spec.home}:/bin/false\n")
    Path("/etc/group").write_text(f"steward:x:{uid}:\n")
    Path("/etc/hosts").write_text("127.0.0.1 localhost\n")


def _mounts(sandbox_spec: SandboxSpec) -> tuple[list[_Mount], list[tuple[str, str]]]:
    """The paths to mount, outermost first and each once; and the symbolic links that lead to them."""
    links = [(path, os.path.realpath(path)) for path in _readable(sandbox_spec) if Path(path).exists()]
    read_only = {real: True for _, real in links} | {
        os.path.realpath(path): False for path in (*sandbox_spec.writable, sandbox_spec.home)
    }
    mounts: list[_Mount] = []
    for path in sorted(read_only):
        covering = [mount for mount in mounts if path == mount.path or path.startswith(mount.path.rstrip("/") + "/")]
        if not (covering and covering[-1].read_only == read_only[path]):
            mounts.append(_Mount(path, read_only[path]))
    return mounts, [(path, real) for path, real in links if path != real and not _is_below(path, mounts)]


def _is_below(path: str, mounts: list[_Mount]) -> bool:
    return any(os.path.realpath(Path(path).parent).startswith(mount.path) for mount in mounts)


def _readable(sandbox_spec: SandboxSpec) -> list[str]:
    readable = [
        *map(str, (*sandbox_spec.readable, *sandbox_spec.programs)),
        *(path for folder in sandbox_spec.readable for path in _linked_from(folder)),
    ]
    return [*_SYSTEM_FOLDERS, *_ETC_FILES, *_interpreter(), *readable]


def _devices(sandbox_spec: SandboxSpec, root: Path) -> list[str]:
    patterns = (*sandbox_spec.gpus, *_GPU_DRIVER) if sandbox_spec.gpus else ()
    gpus = [f"/{file.relative_to(root)}" for pattern in patterns for file in (root / "dev").glob(pattern)]
    return [*_DEVICES, *gpus]


def _interpreter() -> list[str]:
    """The folders of Python, its installed packages, and the packages that are already loaded.

    Of a source tree outside the interpreter only the packages: settings and secrets may be stored beside them.
    """
    roots = [sys.prefix, sys.base_prefix]
    inside = tuple(os.path.realpath(root) + "/" for root in roots)
    for name, module in list(sys.modules.items()):
        folders = [] if "." in name else [*getattr(module, "__path__", [])]
        roots += [folder for folder in folders if not os.path.realpath(folder).startswith(inside)]
    return roots


def _linked_from(folder: Path) -> list[str]:
    """Folders outside `folder` that hold the targets of its symbolic links, as in a snapshot of the Hub's cache."""
    real = os.path.realpath(folder)
    targets = {str(path.resolve().parent) for path in Path(real).rglob("*") if path.is_symlink()}
    return sorted(target for target in targets if not (target + "/").startswith(real + "/"))
