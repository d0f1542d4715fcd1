"""A checkpoint, looked at before it is loaded: what libraries would take on trust, or die of without a clear word.

Only headers and the config are read, in bounds; a model's folder is a stranger's. Then, when the library has loaded
it: were all weights there, in the shapes that the config asks for, and are they numbers?
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from workers.errors import (
    AdapterUnusable,
    ConfigAbsurd,
    ConfigUnreadable,
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

MAX_HEADER = 100_000_000
"""Bytes of a safetensors header: what the library allows as well."""
MAX_JSON = 64 << 20
SMALL = 1024
"""Bytes below which a file that begins with readable text is taken for a link's target, or a pointer of git LFS."""
INDEX = "model.safetensors.index.json"
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
"""No model comes near these. Above them, building it costs hours before the first weight is looked at."""


class TensorHeader(NamedTuple):
    """What a header says of one tensor: `dtype` in the format's own words, such as `BF16`."""

    dtype: str
    shape: tuple[int, ...]


def check_adapter_files(folder: Path) -> None:
    """The same of an adapter, which has a config of its own and one file of weights.

    Raises AdapterUnusable, HeaderUnreadable, WeightsTruncated, OddFile.
    """
    try:
        config = _json(folder / ADAPTER_CONFIG)
    except (ValueError, OSError) as error:
        raise AdapterUnusable(f"{ADAPTER_CONFIG}: {error}") from error
    if not isinstance(config.get("peft_type"), str):
        raise AdapterUnusable(f"{ADAPTER_CONFIG} does not say which `peft_type` it is")
    if not (folder / ADAPTER).is_file():
        raise AdapterUnusable(f"there is no {ADAPTER}")
    read_header(folder / ADAPTER)


def check_model_files(folder: Path) -> None:
    """Look at config, index and headers of the model in `folder`; says nothing where nothing is wrong.

    Raises ConfigUnreadable, ConfigAbsurd, IndexUnusable, ShardMissing, OddFile, HeaderUnreadable, WeightsTruncated,
    WeightsOfWrongType.
    """
    quantised = bool(read_config(folder).get("quantization_config"))
    for name in weight_files(folder):
        for tensor, entry in read_header(folder / name).items():
            if not quantised and _is_no_float(tensor, entry):
                raise WeightsOfWrongType(f"{tensor[:80]} is stored as {entry.dtype}, without a quantization_config")


def _is_no_float(tensor: str, entry: TensorHeader) -> bool:
    """Whether it is a matrix of weights in a format that means nothing by itself; buffers may be anything."""
    return tensor.endswith(".weight") and len(entry.shape) > 1 and entry.dtype not in FLOATS


def read_config(folder: Path) -> dict[str, Any]:
    """config.json. Raises ConfigUnreadable, ConfigAbsurd."""
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


def weight_files(folder: Path) -> list[str]:
    """Names of the files that hold the weights. Raises IndexUnusable, ShardMissing, OddFile."""
    names = _named_by_index(folder) if (folder / INDEX).exists() else ["model.safetensors"]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing == ["model.safetensors"]:
        found = sorted(path.name for path in folder.glob("*.safetensors"))
        raise IndexUnusable(f"there is neither model.safetensors nor {INDEX}; there is {', '.join(found[:5])}")
    if missing:
        raise ShardMissing(f"{len(missing)} of {len(names)} are missing, the first is {missing[0]}")
    return names


def _named_by_index(folder: Path) -> list[str]:
    try:
        named = _json(folder / INDEX).get("weight_map")
    except ValueError as error:
        raise IndexUnusable(f"{error}") from error
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        raise IndexUnusable("its weight_map is not a table of tensors and files")
    for name in named.values():
        if Path(name).name != name or not name.endswith(".safetensors") or not name.isprintable():
            raise IndexUnusable(f"it names {name[:80]!r}, which is no file of this repo")
    return sorted(set(named.values()))


def read_header(file: Path, most: int = MAX_HEADER) -> dict[str, TensorHeader]:
    """Name → tensor, as the head of `file` says, which may have `most` bytes.

    Raises OddFile, HeaderUnreadable, WeightsTruncated.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        first = stream.read(8)
        if size < SMALL and len(first) == 8 and all(32 <= byte < 127 for byte in first):
            raise OddFile(f"{file.name} has {size} bytes and begins with {first!r}: a link or a pointer, not weights")
        length = int.from_bytes(first, "little")
        if len(first) < 8:
            raise WeightsTruncated(f"{file.name} has {size} bytes")
        if length > most:
            raise HeaderUnreadable(f"{file.name} claims a header of {length} bytes, and has {size} in all")
        if 8 + length > size:
            raise WeightsTruncated(f"{file.name} has {size} bytes, its header alone should have {length}")
        try:
            found = json.loads(stream.read(length))
        except ValueError as error:
            raise HeaderUnreadable(f"{file.name}: its header is not JSON") from error
    return _checked(file.name, found, size - 8 - length)


def _checked(name: str, found: object, data: int) -> dict[str, TensorHeader]:
    if not isinstance(found, dict):
        raise HeaderUnreadable(f"{name}: its header is not a table")
    found.pop("__metadata__", None)
    tensors: dict[str, TensorHeader] = {}
    end = 0
    for tensor, entry in found.items():
        try:
            begin, stop = map(int, entry["data_offsets"])
            kind, shape = str(entry["dtype"]), tuple(map(int, entry["shape"]))
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise HeaderUnreadable(f"{name}: its header does not say where {tensor[:80]!r} lies") from error
        if begin < 0 or stop < begin or (kind in SIZES and stop - begin != math.prod(shape) * SIZES[kind]):
            raise HeaderUnreadable(f"{name}: the place of {tensor[:80]!r} in it is not as large as its shape")
        tensors[tensor] = TensorHeader(kind[:40], shape)
        end = max(end, stop)
    if end != data:
        raise WeightsTruncated(f"{name} should hold {end} bytes of weights, and holds {data}")
    return tensors


def _json(file: Path) -> dict[str, Any]:
    """The object in `file`. Raises ValueError."""
    if file.stat().st_size > MAX_JSON:
        raise ValueError(f"it has more than {MAX_JSON} bytes")
    try:
        found = json.loads(file.read_bytes())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  # of the text, as the errors above
    return found


# --- when it is loaded


def check_loaded(info: dict[str, Any]) -> None:
    """`info` is what transformers tells of the load. Raises WeightsIncomplete, WeightsOfWrongShape."""
    if mismatched := sorted(info.get("mismatched_keys") or ()):
        name, have, want = (str(part) for part in (*mismatched[0], "", "")[:3])
        raise WeightsOfWrongShape(
            f"{len(mismatched)} tensors, among them {name}: {have} in the file, {want} by config.json"
        )
    if missing := sorted(info.get("missing_keys") or ()):
        raise WeightsIncomplete(f"{len(missing)} tensors, among them {missing[0]}")


def check_numbers(parameters: Iterable[tuple[str, Any]]) -> None:
    """Raises WeightsNotFinite where one of the named tensors holds NaN or infinity; takes no memory of their size."""
    for name, tensor in _floating(parameters):
        low, high = (float(bound) for bound in tensor.aminmax())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise WeightsNotFinite(f"{name} lies between {low} and {high} in {str(tensor.dtype).rpartition('.')[2]}")


def _floating(parameters: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, parameter in parameters:
        tensor = parameter.detach()
        # Formats of one byte have no arithmetic of their own; whoever made them has bounded them.
        # Nor can what lies elsewhere than in memory be looked at from here.
        if tensor.is_floating_point() and tensor.numel() and tensor.element_size() > 1 and not tensor.is_meta:
            yield name, tensor
