"""Measures this machine, or the container that the worker runs in: GPUs, memory, CPU cores."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from workers.common.devices import Device
from workers.errors import WorkerError
from workers.evaluation.placement import MachineCapacity

DRIVER_SECONDS = 30
"""Seconds that the driver's tool may take."""
_DRIVER_FILES = (Path("/proc/driver/nvidia"), Path("/dev/nvidia0"))
"""Files that exist only where the driver of a GPU is loaded."""
ALLOTTED = "CUDA_VISIBLE_DEVICES"
"""The variable in which a batch system names the GPUs of a job, of those that the driver's tool lists."""
NO_GPU = frozenset({"-1", "NoDevFiles"})
"""Values of ALLOTTED for a job without a GPU."""
NO_DEVICES = "No devices were found"
"""What the driver's tool prints, before it fails, if the batch system hides all GPUs from this job."""
_MEMORY_LIMIT_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_bytes() -> int:
    """Bytes of memory that all processes together can use: the machine's, or the container's limit."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *filter(None, map(_limit, _MEMORY_LIMIT_FILES))])


def _limit(file: str) -> int | None:
    try:
        return int(Path(file).read_text())
    except (OSError, ValueError):  # no such cgroup, or "max"
        return None


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


class NoDevice(WorkerError):
    """The settings, or the batch system, name a GPU that this machine does not have."""


class DriverSilent(WorkerError):
    """This machine has a GPU driver that does not answer."""


def find_devices(device: str) -> tuple[Device, ...]:
    """The GPUs of this machine that `device` selects; the driver is not asked for `cpu`.

    Raises NoDevice, DriverSilent.
    """
    return select_devices(device, () if device == "cpu" else gpus())


def gpus() -> tuple[Device, ...]:
    """The GPUs that the driver's tool lists; none without a driver, or if it finds no device. Raises DriverSilent."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = ["--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run([tool, *query], capture_output=True, text=True, timeout=DRIVER_SECONDS, check=True)
    except (subprocess.SubprocessError, OSError) as error:
        # A failing tool writes its reason to standard output.
        reason = " ".join(str(getattr(error, "stdout", None) or error).split())
        if NO_DEVICES not in reason and any(path.exists() for path in _DRIVER_FILES):
            raise DriverSilent(
                f"The driver of this machine's GPUs does not answer nvidia-smi: {reason[:200]}. "
                "Repair it, or set STEWARD_DEVICE=cpu to evaluate without a GPU."
            ) from error
        return ()
    return parse_gpus(done.stdout)


def parse_gpus(text: str) -> tuple[Device, ...]:
    """Parse the tool's output, one GPU per line: `0, GPU-1234, NVIDIA H100, 81559` (MiB). Skips other lines."""
    devices = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 4 and fields[0].isdigit() and fields[3].isdigit():
            devices.append(Device(int(fields[0]), fields[1], fields[2], int(fields[3]) << 20))
    return tuple(devices)


def select_devices(
    device: str, available: Sequence[Device], environment: Mapping[str, str] = os.environ
) -> tuple[Device, ...]:
    """The GPUs that `device` selects: `cpu` none, `auto` and `cuda` all that are allotted, `cuda:0,2` these.

    If no GPU exists, or none is allotted, `auto` selects none and `cuda` raises NoDevice.
    """
    allotted = environment.get(ALLOTTED, "").strip()
    if device == "cpu" or (device == "auto" and (not available or allotted in NO_GPU)):
        return ()
    if device in ("auto", "cuda"):
        wanted = [gpu.index for gpu in _allotted(available, allotted)]
    else:
        wanted = [int(number) for number in device.removeprefix("cuda:").split(",")]
    by_index = {gpu.index: gpu for gpu in available}
    missing = [str(number) for number in wanted if number not in by_index]
    if missing or not wanted:
        raise NoDevice(f"STEWARD_DEVICE says {device!r}, but this machine has {_names(available)}.")
    return tuple(by_index[number] for number in wanted)


def _allotted(available: Sequence[Device], allotted: str) -> Sequence[Device]:
    """The GPUs that `allotted` names by their numbers, ids or beginnings of ids; all if it is empty.

    Raises NoDevice if no GPU matches, as with parts of a GPU (MIG): the GPUs that are not named may be another job's.
    """
    names = [name for part in allotted.split(",") if (name := part.strip())]
    chosen = [
        gpu
        for name in names
        for gpu in available
        if name == str(gpu.index) or gpu.uuid.lower().startswith(name.lower())
    ]
    if names and available and not chosen:
        raise NoDevice(
            f"{ALLOTTED} says {allotted[:200]!r}, and this machine has {_names(available)}: "
            "set STEWARD_DEVICE to the GPUs that the worker may use, or to cpu."
        )
    return list(dict.fromkeys(chosen)) if names else available


def _names(available: Sequence[Device]) -> str:
    return ", ".join(f"cuda:{gpu.index}" for gpu in available) or "no GPU that its driver knows"


def machine_capacity(devices: tuple[Device, ...], memory: int) -> MachineCapacity:
    """The capacity for attempts: `devices`, `memory` bytes, and the installed libraries for quantised weights."""
    libraries = frozenset(name for name in ("bitsandbytes", "gptqmodel") if find_spec(name))
    return MachineCapacity(memory, devices, libraries)


def device_files(devices: Sequence[Device]) -> tuple[str, ...]:
    """Names below /dev of these GPUs; a pattern for all GPUs if the driver does not map ids to files."""
    minors = {}
    for file in Path("/proc/driver/nvidia/gpus").glob("*/information"):
        fields = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
        minors[fields.get("GPU UUID", "").strip()] = fields.get("Device Minor", "").strip()
    numbers = [minors.get(device.uuid, "") for device in devices]
    return tuple(f"nvidia{number}" for number in numbers) if all(numbers) else ("nvidia[0-9]*",)


MAX_DESCRIPTION = 200
"""Characters of a machine's description that records of attempts, results and workers hold."""


def description(devices: Sequence[Device]) -> str:
    """The machine in one line, for people who compare results."""
    names = [device.name for device in devices]
    processors = ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names)) or "cpu"
    rest = f" ({platform.machine()}, {cores()} cores, {memory_bytes() >> 30} GiB)"
    room = MAX_DESCRIPTION - len(rest)
    return (processors if len(processors) <= room else f"{processors[: room - 1]}…") + rest
