"""What this machine, or the container that we run in, has to give."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from workers.common.devices import Device
from workers.errors import WorkerError
from workers.evaluation.placement import MachineCapacity

ASK_SECONDS = 30
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_bytes() -> int:
    """Memory that processes here can have together: the machine's, or less where a container is given less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *filter(None, map(_limit, _LIMITS))])


def _limit(file: str) -> int | None:
    try:
        return int(Path(file).read_text())
    except (OSError, ValueError):  # no such cgroup, or "max"
        return None


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


class NoDevice(WorkerError):
    """The worker is to use a GPU that this machine does not have."""


def gpus() -> tuple[Device, ...]:
    """The GPUs that the driver knows, by its own tool; none where there is no driver, or it does not answer."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    asked = ["--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run([tool, *asked], capture_output=True, text=True, timeout=ASK_SECONDS, check=True)
    except (subprocess.SubprocessError, OSError):
        return ()
    return parse_gpus(done.stdout)


def parse_gpus(text: str) -> tuple[Device, ...]:
    """What the driver's tool printed, a GPU a line: `0, GPU-1234, NVIDIA H100, 81559` (MiB); other lines are passed."""
    found = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 4 and fields[0].isdigit() and fields[3].isdigit():
            found.append(Device(int(fields[0]), fields[1], fields[2], int(fields[3]) << 20))
    return tuple(found)


def select_devices(device: str, found: Sequence[Device]) -> tuple[Device, ...]:
    """The GPUs that `device` means: `cpu` none, `auto` and `cuda` all, `cuda:0,2` these. Raises NoDevice."""
    if device == "cpu" or (device == "auto" and not found):
        return ()
    if device in ("auto", "cuda"):
        wanted = [one.index for one in found]
    else:
        wanted = [int(number) for number in device.removeprefix("cuda:").split(",")]
    by_index = {one.index: one for one in found}
    missing = [str(number) for number in wanted if number not in by_index]
    if missing or not wanted:
        raise NoDevice(
            f"STEWARD_DEVICE says {device!r}, but this machine has "
            f"{', '.join(f'cuda:{one}' for one in by_index) or 'no GPU that its driver knows'}."
        )
    return tuple(by_index[number] for number in wanted)


def machine_capacity(devices: tuple[Device, ...], memory: int) -> MachineCapacity:
    """What attempts may use: `devices`, and `memory` bytes of this machine's."""
    libraries = frozenset(name for name in ("bitsandbytes", "gptqmodel") if find_spec(name))
    return MachineCapacity(memory, devices, libraries)


def device_files(devices: Sequence[Device]) -> tuple[str, ...]:
    """Names below /dev of these GPUs alone; all, by a pattern, where the driver does not say which is which."""
    minors = {}
    for file in Path("/proc/driver/nvidia/gpus").glob("*/information"):
        told = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
        minors[told.get("GPU UUID", "").strip()] = told.get("Device Minor", "").strip()
    numbers = [minors.get(device.uuid, "") for device in devices]
    return tuple(f"nvidia{number}" for number in numbers) if all(numbers) else ("nvidia[0-9]*",)


def description(devices: Sequence[Device]) -> str:
    """The machine in a few words, for people who compare results."""
    kinds = [device.name for device in devices]
    what = ", ".join(f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)) or "cpu"
    return f"{what} ({platform.machine()}, {cores()} cores, {memory_bytes() >> 30} GiB)"
