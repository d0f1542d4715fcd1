"""Chooses how to load and run a model on a machine: a pure rule from requirements and capacity to a placement.

    precision                    loaded as
    float16, bfloat16, float32   that dtype
    8bit, 4bit                   float16, quantised by bitsandbytes while it loads; needs a GPU
    GPTQ, and any checkpoint     as its `quantization_config` says (GPTQ, AWQ, …), with the checkpoint's dtype
    that is quantised already

    weights fit                  devices                 spread
    into the machine's memory    none                    one, on the CPU
    on one GPU                   one                     one
    on one GPU                   several                 copies: data parallel, each answers its share of the questions
    only on all GPUs together    several                 parts: layers are distributed over the GPUs in order
    nowhere                                              ModelTooLarge: the bot tries the next larger tier, if any

Sizes are estimates. If one was too low, the evaluation runs out of memory and runs again with `smaller_batch_size`,
down to single questions.
"""

from __future__ import annotations

from dataclasses import dataclass

from workers.common.devices import Device
from workers.common.run_plan import Spread, WeightType
from workers.errors import WorkerError

DTYPES = ("float16", "bfloat16", "float32")
BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "8bit": 1.0, "4bit": 0.5}
"""Precision → bytes of one parameter in memory."""
QUANTISED: dict[str, dict[str, str | bool]] = {
    "8bit": {"load_in_8bit": True},
    "4bit": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4", "bnb_4bit_compute_dtype": "float16"},
}
"""Precision → arguments of transformers' BitsAndBytesConfig."""

SLACK = 1.1
"""Memory in relation to the weights' size, with buffers, fragmentation and layers that are not quantised."""
USABLE_SHARE = 0.95
"""The share of a device's memory that weights and questions may use; the driver takes the rest."""
GB = 1_000_000_000


class ModelTooLarge(WorkerError):
    """The model does not fit into the memory of this machine."""


class NotQuantised(WorkerError):
    """The request names a quantised precision, but the checkpoint is not quantised."""


class NoQuantiser(WorkerError):
    """This machine cannot quantise weights."""


@dataclass(frozen=True)
class MachineCapacity:
    """The capacity for one attempt: its GPUs (none: the CPU), and the memory of the child in bytes."""

    memory_bytes: int
    devices: tuple[Device, ...] = ()
    quantisers: frozenset[str] = frozenset()
    """Libraries for quantised weights that are installed: `bitsandbytes`, `gptqmodel`."""


@dataclass(frozen=True)
class ModelRequirements:
    """The needs of a model on a machine.

    `parameters` is the number loaded in the request's precision; for adapters and deltas, those of the base model.
    `file_bytes` is the size of their files: the memory of a checkpoint that is quantised already. `change_bytes` is the
    size of an adapter, which adds to the base model; a delta is added tensor by tensor. `quantised` is the method in
    the checkpoint's config, or empty. `sequence_bytes` is the memory of one question in progress.
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
    """How and where to load a model: the fields of a run plan that depend on the machine."""

    dtype: str
    quantisation: dict[str, str | bool]
    device: str
    spread: Spread
    copies: int
    batch_size: int


def choose_placement(requirements: ModelRequirements, machine: MachineCapacity, *, batch_size: int) -> Placement:
    """Choose how to run the model on `machine`, with at most `batch_size` questions at once.

    Raises ModelTooLarge, NotQuantised, NoQuantiser: each message says in a sentence what is missing.
    """
    _check(requirements, machine)
    spread, free_bytes = _spread(requirements, machine)
    quantised = requirements.precision in QUANTISED and not requirements.quantised
    return Placement(
        dtype=_dtype(requirements),
        quantisation=QUANTISED[requirements.precision] if quantised else {},
        device=_device(machine, spread),
        spread=spread,
        copies=len(machine.devices) if spread == "copies" else 1,
        batch_size=_batch(requirements, free_bytes, batch_size),
    )


def smaller_batch_size(batch_size: int) -> int | None:
    """The batch size to try after `batch_size` ran out of memory; None if there is no smaller one."""
    return batch_size // 2 if batch_size > 1 else None


def _check(requirements: ModelRequirements, machine: MachineCapacity) -> None:
    if requirements.precision not in BYTES and not requirements.quantised:
        raise NotQuantised(
            f"the request says {requirements.precision}, and config.json has no quantization_config: submit it with "
            "the precision that its weights have"
        )
    if requirements.precision in QUANTISED and not requirements.quantised:
        if not machine.devices:
            raise NoQuantiser(f"{requirements.precision} needs a GPU with bitsandbytes, which is not installed here")
        if "bitsandbytes" not in machine.quantisers:
            raise NoQuantiser(f"{requirements.precision} needs bitsandbytes, which is not installed here")


def _spread(requirements: ModelRequirements, machine: MachineCapacity) -> tuple[Spread, float]:
    """How to distribute the model over the devices, and the free bytes for questions on each."""
    need = requirements.weight_bytes * SLACK
    if not machine.devices:
        if need > machine.memory_bytes:
            raise ModelTooLarge(_too_large_text(need, machine.memory_bytes, "this machine"))
        return "one", machine.memory_bytes - need
    usable_bytes = [device.memory_bytes * USABLE_SHARE for device in machine.devices]
    if need <= min(usable_bytes):
        return ("one" if len(usable_bytes) == 1 else "copies"), min(usable_bytes) - need
    if len(usable_bytes) > 1 and need <= sum(usable_bytes):
        return "parts", (sum(usable_bytes) - need) / len(usable_bytes)
    raise ModelTooLarge(
        _too_large_text(
            need, sum(usable_bytes), f"the {len(usable_bytes)} GPUs here" if len(usable_bytes) > 1 else "the GPU here"
        )
    )


def _too_large_text(need: float, usable_bytes: float, where: str) -> str:
    return (
        f"it would run out of memory: its weights take {need / GB:.1f} GB, {where} can hold {usable_bytes / GB:.1f} GB"
    )


def _dtype(requirements: ModelRequirements) -> str:
    if requirements.precision in DTYPES:
        return requirements.precision
    return "auto" if requirements.quantised else "float16"


def _device(machine: MachineCapacity, spread: Spread) -> str:
    """The device as torch names it in the child, which sees only its own devices."""
    if not machine.devices:
        return "cpu"
    return "cuda:0" if spread == "one" else "cuda"


def _batch(requirements: ModelRequirements, free_bytes: float, max_batch: int) -> int:
    """The largest of `max_batch`, half of it, a quarter…, that fits into `free_bytes`; at least 1."""
    batch = max_batch
    while batch > 1 and batch * requirements.sequence_bytes > free_bytes:
        batch //= 2
    return batch
