"""Which machine is enough for which request: a pure rule from what is asked for, and what is there, to a way to run it.

    precision                    loaded as
    float16, bfloat16, float32   that dtype
    8bit, 4bit                   float16, quantised by bitsandbytes while it loads: on a GPU alone
    GPTQ, and any checkpoint     as its own `quantization_config` says (GPTQ, AWQ, …), with the checkpoint's dtype
    that is quantised already

    weights fit                  devices                 spread
    into the machine's memory    none                    one, on the CPU
    on one GPU                   one                     one
    on one GPU                   several                 copies: data parallel, each answers its share of the questions
    on all together alone        several                 parts: layers are placed one GPU after the other
    nowhere                                              NoRoom: the next larger tier is tried, and then it is told

Sizes are estimates. Where one was too low, the evaluation dies for want of memory and is run again in `smaller`
batches, down to single questions.
"""

from __future__ import annotations

from dataclasses import dataclass

from workers.common.devices import Device
from workers.common.run_plan import Spread, WeightType
from workers.errors import WorkerError

DTYPES = ("float16", "bfloat16", "float32")
BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "8bit": 1.0, "4bit": 0.5}
"""Of one parameter in memory."""
QUANTISED: dict[str, dict[str, str | bool]] = {
    "8bit": {"load_in_8bit": True},
    "4bit": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4", "bnb_4bit_compute_dtype": "float16"},
}
"""Precision → arguments of transformers' BitsAndBytesConfig."""

SLACK = 1.1
"""What buffers, fragments and layers that are not quantised take beside the weights."""
USABLE = 0.95
"""Of a device's memory; the rest is the driver's."""
GB = 1_000_000_000


class ModelTooLarge(WorkerError):
    """The model does not fit into the memory of this machine."""


class NotQuantised(WorkerError):
    """The request says that the checkpoint is quantised, and it is not."""


class NoQuantiser(WorkerError):
    """This machine cannot quantise weights."""


@dataclass(frozen=True)
class MachineCapacity:
    """What one attempt may use: the GPUs of its set, none on a CPU, and the memory of the child in bytes."""

    memory_bytes: int
    devices: tuple[Device, ...] = ()
    quantisers: frozenset[str] = frozenset()
    """Libraries for quantised weights that are installed: `bitsandbytes`, `gptqmodel`."""


@dataclass(frozen=True)
class ModelRequirements:
    """What a request asks of a machine.

    `parameters` are those that are loaded in the request's precision: of the base model, where the model is a change to
    one. `file_bytes` are those of their files: what a checkpoint takes that is quantised already. `change_bytes` are
    those of an Adapter, which comes on top; a Delta is added tensor by tensor. `quantised` is the method in the
    checkpoint's own config, empty where there is none. `sequence_bytes` are those of one question under way.
    """

    precision: str
    parameters: int
    file_bytes: int
    weight_type: WeightType = "Original"
    change_bytes: int = 0
    quantised: str = ""
    sequence_bytes: int = 0

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights in memory."""
        own = self.file_bytes if self.quantised else int(self.parameters * BYTES.get(self.precision, 2.0))
        return own + self.change_bytes


@dataclass(frozen=True)
class Placement:
    """How to load and where: the fields of a run plan that depend on the machine."""

    dtype: str
    quantisation: dict[str, str | bool]
    device: str
    spread: Spread
    copies: int
    batch_size: int


def choose_placement(wanted: ModelRequirements, machine: MachineCapacity, *, batch_size: int) -> Placement:
    """The way to run `wanted` on `machine`, with `batch_size` questions at once at most.

    Raises NoRoom, NotQuantised, NoQuantiser: each says in a sentence what is missing.
    """
    _check(wanted, machine)
    spread, room = _spread(wanted, machine)
    quantised = wanted.precision in QUANTISED and not wanted.quantised
    return Placement(
        dtype=_dtype(wanted),
        quantisation=QUANTISED[wanted.precision] if quantised else {},
        device=_device(machine, spread),
        spread=spread,
        copies=len(machine.devices) if spread == "copies" else 1,
        batch_size=_batch(wanted, room, batch_size),
    )


def smaller_batch_size(batch_size: int) -> int | None:
    """The batch to try where one of `batch_size` ran out of memory; None where there is none smaller."""
    return batch_size // 2 if batch_size > 1 else None


def _check(wanted: ModelRequirements, machine: MachineCapacity) -> None:
    if wanted.precision not in BYTES and not wanted.quantised:
        raise NotQuantised(
            f"the request says {wanted.precision}, and config.json has no quantization_config: submit it with the "
            "precision that its weights have"
        )
    if wanted.precision in QUANTISED and not wanted.quantised:
        if not machine.devices:
            raise NoQuantiser(f"{wanted.precision} needs a GPU with bitsandbytes, which is not installed here")
        if "bitsandbytes" not in machine.quantisers:
            raise NoQuantiser(f"{wanted.precision} needs bitsandbytes, which is not installed here")


def _spread(wanted: ModelRequirements, machine: MachineCapacity) -> tuple[Spread, float]:
    """How to use the devices, and the bytes that are left for questions on each."""
    need = wanted.weight_bytes * SLACK
    if not machine.devices:
        if need > machine.memory_bytes:
            raise ModelTooLarge(_no_room(need, machine.memory_bytes, "this machine"))
        return "one", machine.memory_bytes - need
    rooms = [device.memory_bytes * USABLE for device in machine.devices]
    if need <= min(rooms):
        return ("one" if len(rooms) == 1 else "copies"), min(rooms) - need
    if len(rooms) > 1 and need <= sum(rooms):
        return "parts", (sum(rooms) - need) / len(rooms)
    raise ModelTooLarge(_no_room(need, sum(rooms), f"the {len(rooms)} GPUs here" if len(rooms) > 1 else "the GPU here"))


def _no_room(need: float, room: float, where: str) -> str:
    return f"it would run out of memory: its weights take {need / GB:.1f} GB, {where} can hold {room / GB:.1f} GB"


def _dtype(wanted: ModelRequirements) -> str:
    if wanted.precision in DTYPES:
        return wanted.precision
    return "auto" if wanted.quantised else "float16"


def _device(machine: MachineCapacity, spread: Spread) -> str:
    """In the words of a child, which sees the devices of its set alone."""
    if not machine.devices:
        return "cpu"
    return "cuda:0" if spread == "one" else "cuda"


def _batch(wanted: ModelRequirements, room: float, most: int) -> int:
    """The largest of `most`, half of it, a quarter…, that fits into `room`; 1 is tried whatever the estimate says."""
    batch = most
    while batch > 1 and batch * wanted.sequence_bytes > room:
        batch //= 2
    return batch
