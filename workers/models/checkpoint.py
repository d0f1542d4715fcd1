"""Checks a checkpoint before and after it is loaded, because libraries do not, or fail without a clear message.

Before the load only headers and the config are read, within limits, because the files are untrusted. After the load:
whether all weights were there, in the shapes that the config demands, and whether they are finite.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from workers.errors import (
    AdapterUnusable,
    ConfigAbsurd,
    ConfigUnreadable,
    GenerationAbsurd,
    HeaderUnreadable,
    IndexUnusable,
    OddFile,
    ShardMissing,
    WeightsIncomplete,
    WeightsNotFinite,
    WeightsOfWrongShape,
    WeightsOfWrongType,
    WeightsTruncated,
)

MAX_HEADER_BYTES = 100_000_000
"""The largest safetensors header, in bytes; the library has the same limit."""
MAX_JSON_BYTES = 64 << 20
MAX_SIDES = 16
"""The most dimensions of a tensor."""
MAX_POINTER_BYTES = 1024
"""A smaller file that begins with readable text counts as a link's target, or as a pointer of git LFS."""
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
SIZES = {**FLOATS, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "U16": 2, "U32": 4, "U64": 8, "BOOL": 1}

BOUNDS = {
    "num_hidden_layers": 10_000,
    "n_layer": 10_000,
    "n_layers": 10_000,
    "num_layers": 10_000,
    "num_attention_heads": 100_000,
    "n_head": 100_000,
    "hidden_size": 1_000_000,
    "n_embd": 1_000_000,
    "d_model": 1_000_000,
    "intermediate_size": 10_000_000,
    "vocab_size": 100_000_000,
    "num_local_experts": 100_000,
    "num_experts": 100_000,
}
"""Largest values in config.json, far above any model's: building a larger model takes hours before weights load."""

GENERATION_CONFIG = "generation_config.json"
GENERATION_BOUNDS = {"num_beams": 100, "num_beam_groups": 100, "num_return_sequences": 100}
"""Largest values in generation_config.json, or in config.json of old models: each beam and each answer needs memory."""


class TensorHeader(NamedTuple):
    """A tensor as a header describes it; `dtype` is in the format's notation, such as `BF16`."""

    dtype: str
    shape: tuple[int, ...]


def check_adapter_files(folder: Path) -> None:
    """Check the config and the weight file's header of the adapter in `folder`.

    Raises AdapterUnusable, HeaderUnreadable, WeightsTruncated, OddFile.
    """
    try:
        config = _json(folder / ADAPTER_CONFIG)
    except (ValueError, OSError) as error:
        raise AdapterUnusable(f"{ADAPTER_CONFIG}: {error}") from error
    if not isinstance(config.get("peft_type"), str):
        raise AdapterUnusable(f"{ADAPTER_CONFIG} names no `peft_type`")
    if not (folder / ADAPTER).is_file():
        raise AdapterUnusable(f"there is no {ADAPTER}")
    read_header(folder / ADAPTER)


def check_model_files(folder: Path) -> None:
    """Check configs, index and headers of the model in `folder`.

    Raises ConfigUnreadable, ConfigAbsurd, GenerationAbsurd, IndexUnusable, ShardMissing, OddFile, HeaderUnreadable,
    WeightsTruncated, WeightsOfWrongType.
    """
    config = read_config(folder)
    _check_generation("config.json", config)
    with suppress(OSError, ValueError):  # missing, or unreadable: the library reports that
        _check_generation(GENERATION_CONFIG, _json(folder / GENERATION_CONFIG))
    quantised = bool(config.get("quantization_config"))
    for name in weight_files(folder):
        for tensor, entry in read_header(folder / name).items():
            if not quantised and _is_no_float(tensor, entry):
                raise WeightsOfWrongType(f"{tensor[:80]} is stored as {entry.dtype}, without a quantization_config")


def _check_generation(name: str, settings: dict[str, object]) -> None:
    """Check the generation settings in the file `name`. Raises GenerationAbsurd."""
    for setting, bound in GENERATION_BOUNDS.items():
        value = settings.get(setting)
        if isinstance(value, int | float) and value > bound:
            raise GenerationAbsurd(f"{setting} in {name} is {value}, and may be {bound}")


def _is_no_float(tensor: str, entry: TensorHeader) -> bool:
    """Whether the tensor is a weight matrix in an integer format, which needs a quantisation config. Buffers do not."""
    return tensor.endswith(".weight") and len(entry.shape) > 1 and entry.dtype not in FLOATS


def read_config(folder: Path) -> dict[str, object]:
    """Read config.json. Raises ConfigUnreadable, ConfigAbsurd."""
    try:
        config = _json(folder / "config.json")
    except ValueError as error:
        raise ConfigUnreadable(f"config.json: {error}") from error
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        for name, bound in BOUNDS.items():
            value = part.get(name)
            if isinstance(value, int) and value > bound:
                raise ConfigAbsurd(f"{name} is {value}")
    return config


def named_dtype(config: dict[str, object]) -> str:
    """The dtype that a config names, such as `bfloat16`; empty if it names none."""
    return str(config.get("dtype") or config.get("torch_dtype") or "").removeprefix("torch.")


def weight_files(folder: Path) -> list[str]:
    """Names of the files that hold the weights. Raises IndexUnusable, ShardMissing, OddFile.

    A single file counts before an index, as in transformers: the index beside it may be of earlier weights.
    """
    whole = (folder / SINGLE).is_file() or not (folder / INDEX).exists()
    names = [SINGLE] if whole else _files_in_index(folder)
    missing = [name for name in names if not (folder / name).is_file()]
    if whole and missing:
        others = sorted(path.name for path in folder.glob("*.safetensors"))
        raise IndexUnusable(f"there is neither {SINGLE} nor {INDEX}; there is {', '.join(others[:5])}")
    if missing:
        raise ShardMissing(f"{len(missing)} of {len(names)} are missing, the first is {missing[0]}")
    return names


def _files_in_index(folder: Path) -> list[str]:
    try:
        files = _json(folder / INDEX).get("weight_map")
    except ValueError as error:
        raise IndexUnusable(f"{error}") from error
    if not isinstance(files, dict) or not files or not all(isinstance(name, str) for name in files.values()):
        raise IndexUnusable("its weight_map is not a table of tensors and files")
    for name in files.values():
        if Path(name).name != name or not name.endswith(".safetensors") or not name.isprintable():
            raise IndexUnusable(f"it names {name[:80]!r}, which is not a weight file of this repo")
    return sorted(set(files.values()))


def read_header(file: Path, max_bytes: int = MAX_HEADER_BYTES) -> dict[str, TensorHeader]:
    """Read the header of `file`, at most `max_bytes`: name → tensor.

    Raises OddFile, HeaderUnreadable, WeightsTruncated.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        first = stream.read(8)
        if size < MAX_POINTER_BYTES and len(first) == 8 and all(32 <= byte < 127 for byte in first):
            raise OddFile(f"{file.name} has {size} bytes and begins with {first!r}: a link or a pointer, not weights")
        length = int.from_bytes(first, "little")
        if len(first) < 8:
            raise WeightsTruncated(f"{file.name} has {size} bytes")
        if length > max_bytes:
            raise HeaderUnreadable(f"{file.name} declares a header of {length} bytes, but has only {size} in all")
        if 8 + length > size:
            raise WeightsTruncated(f"{file.name} has {size} bytes, but its header alone should have {length}")
        try:
            header = json.loads(stream.read(length))
        except (ValueError, RecursionError) as error:
            raise HeaderUnreadable(f"{file.name}: its header is not JSON") from error
    return _parse_header(file.name, header, size - 8 - length)


def _parse_header(name: str, header: object, data: int) -> dict[str, TensorHeader]:
    """The tensors of the file `name`, which holds `data` bytes after its header."""
    if not isinstance(header, dict):
        raise HeaderUnreadable(f"{name}: its header is not a table")
    header.pop("__metadata__", None)
    tensors: dict[str, TensorHeader] = {}
    end = 0
    for tensor, entry in header.items():
        try:
            begin, stop = map(int, entry["data_offsets"])
            kind, shape = str(entry["dtype"]), tuple(map(int, entry["shape"]))
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise HeaderUnreadable(f"{name}: the header has no valid entry for {tensor[:80]!r}") from error
        if len(shape) > MAX_SIDES or any(abs(size) >= 2**63 for size in (begin, stop, *shape)):
            raise HeaderUnreadable(f"{name}: the sizes of {tensor[:80]!r} are absurd")  # their product would take hours
        if begin < 0 or stop < begin or (kind in SIZES and stop - begin != math.prod(shape) * SIZES[kind]):
            raise HeaderUnreadable(f"{name}: the size of {tensor[:80]!r} does not match its shape")
        tensors[tensor] = TensorHeader(kind[:40], shape)
        end = max(end, stop)
    if end != data:
        raise WeightsTruncated(f"{name} should have {end} bytes of weights, but has {data}")
    return tensors


def _json(file: Path) -> dict[str, object]:
    """The object in `file`. Raises ValueError."""
    if file.stat().st_size > MAX_JSON_BYTES:
        raise ValueError(f"it has more than {MAX_JSON_BYTES} bytes")
    try:
        value = json.loads(file.read_bytes())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  # the callers catch ValueError
    return value


# --- after the load


def check_loaded(info: dict[str, Any]) -> None:
    """Check the loading info that transformers reports. Raises WeightsIncomplete, WeightsOfWrongShape."""
    if mismatched := sorted(info.get("mismatched_keys") or ()):
        name, have, want = (str(part) for part in (*mismatched[0], "", "")[:3])
        raise WeightsOfWrongShape(
            f"{len(mismatched)} tensors, among them {name}: {have} in the file, {want} by config.json"
        )
    if missing := sorted(info.get("missing_keys") or ()):
        raise WeightsIncomplete(f"{len(missing)} tensors, among them {missing[0]}")


def check_numbers(parameters: Iterable[tuple[str, Any]]) -> None:
    """Raise WeightsNotFinite if a named tensor has NaN or infinite values; allocates no memory of the tensors' size."""
    for name, tensor in _floating(parameters):
        bounds = [float(bound) for bound in tensor.aminmax()]  # NaN if any value is NaN
        if not all(map(math.isfinite, bounds)):
            values = "NaN" if any(map(math.isnan, bounds)) else "infinite values"
            raise WeightsNotFinite(f"{name} has {values} in {str(tensor.dtype).rpartition('.')[2]}")


def _floating(parameters: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, parameter in parameters:
        tensor = parameter.detach()
        # Formats of one byte have no arithmetic, and are bounded by their quantiser. Meta tensors hold no data.
        if tensor.is_floating_point() and tensor.numel() and tensor.element_size() > 1 and not tensor.is_meta:
            yield name, tensor
