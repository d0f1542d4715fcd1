"""What a child sees of this machine: the system and its interpreter, model and questions, its own folders; no more.

Either a root of its own in a mount namespace (`rebuild_root`), or the same by Landlock (`give_up_files`).
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from workers.common import kernel
from workers.sandbox import landlock
from workers.sandbox.sandbox_spec import SandboxSpec

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/sys")
_ETC = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/alternatives")
_NAMES = ("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_GPU_DRIVER = ("nvidiactl", "nvidia-uvm*", "nvidia-modeset", "nvidia-caps/*")
"""What every GPU needs, beside its own device file."""
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  # where libraries expect it


@dataclass(frozen=True)
class _Mount:
    """Real paths to show, what links to them, and how."""

    path: str
    read_only: bool


def rebuild_root(sandbox_spec: SandboxSpec, uid: int) -> None:
    """A new, small root: the system and the interpreter, the model and the questions read-only, home and spool."""
    views, links = _mounts(sandbox_spec)
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
    _tmpfs("/tmp", "256m")  # noqa: S108  # its own; first, for what is shown may lie below it
    for view in views:
        _mount(view.path, read_only=view.read_only)
    _populate(sandbox_spec, uid)
    kernel.unmount("/.old")
    Path("/.old").rmdir()
    kernel.harden("/", read_only=True)
    os.chdir(sandbox_spec.home)


def restrict_files(sandbox_spec: SandboxSpec) -> None:
    """Have this process and its children see no other files from now on. Raises OSError."""
    writable = [
        *_devices(sandbox_spec, Path("/")),
        _SHARED_MEMORY,
        str(sandbox_spec.home),
        *map(str, sandbox_spec.writable),
    ]
    landlock.restrict([*_readable(sandbox_spec), *_NAMES, "/proc"], writable)


def _tmpfs(path: str, size: str) -> None:
    Path(path).mkdir()
    kernel.mount("steward", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"size={size},mode=1777")


def _mount(path: str, *, read_only: bool, devices: bool = False) -> None:
    source, target = Path("/.old" + path), Path(path)
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    kernel.bind(str(source), str(target), read_only=read_only, devices=devices)


def _populate(sandbox_spec: SandboxSpec, uid: int) -> None:
    """The device files, /proc, /tmp and the few files of /etc that libraries ask for."""
    Path("/proc").mkdir()
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV)
    for device in _devices(sandbox_spec, Path("/.old")):
        _mount(device, read_only=False, devices=True)
    _tmpfs(_SHARED_MEMORY, "50%")
    Path("/dev/fd").symlink_to("/proc/self/fd")
    Path("/etc").mkdir(exist_ok=True)
    Path("/etc/passwd").write_text(f"steward:x:{uid}:{uid}::{sandbox_spec.home}:/bin/false\n")
    Path("/etc/group").write_text(f"steward:x:{uid}:\n")
    Path("/etc/hosts").write_text("127.0.0.1 localhost\n")


def _mounts(sandbox_spec: SandboxSpec) -> tuple[list[_Mount], list[tuple[str, str]]]:
    """What to show, outermost first and each once; and the symbolic links that lead there."""
    links = [(path, os.path.realpath(path)) for path in _readable(sandbox_spec) if Path(path).exists()]
    wanted = {real: True for _, real in links} | {
        os.path.realpath(path): False for path in (*sandbox_spec.writable, sandbox_spec.home)
    }
    views: list[_Mount] = []
    for path in sorted(wanted):
        covering = [view for view in views if path == view.path or path.startswith(view.path.rstrip("/") + "/")]
        if not (covering and covering[-1].read_only == wanted[path]):
            views.append(_Mount(path, wanted[path]))
    return views, [(path, real) for path, real in links if path != real and not _below(path, views)]


def _below(path: str, views: list[_Mount]) -> bool:
    return any(os.path.realpath(Path(path).parent).startswith(view.path) for view in views)


def _readable(sandbox_spec: SandboxSpec) -> list[str]:
    shown = [
        *map(str, sandbox_spec.readable),
        *(path for folder in sandbox_spec.readable for path in _linked_from(folder)),
    ]
    return [*_SYSTEM, *_ETC, *_interpreter(), *shown]


def _devices(sandbox_spec: SandboxSpec, root: Path) -> list[str]:
    patterns = (*sandbox_spec.gpus, *_GPU_DRIVER) if sandbox_spec.gpus else ()
    gpus = [f"/{found.relative_to(root)}" for pattern in patterns for found in (root / "dev").glob(pattern)]
    return [*_DEVICES, *gpus]


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
