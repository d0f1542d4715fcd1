"""The number of a model's parameters, from the headers of its safetensors files."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO

from localhub.errors import printable
from localhub.json_values import JsonObject

Opener = Callable[[str], BinaryIO | None]
"""Opens a file of the repo by its path; returns None if its bytes are not stored here."""

_INDEX = "model.safetensors.index.json"
_MAX_HEADER_BYTES = 50 << 20
_MAX_INDEX_BYTES = 50 << 20


def safetensors_info(paths: Iterable[str], open_file: Opener) -> JsonObject | None:
    """`{parameters: {dtype: count}, total}` of a model's weights; None without any, or if they cannot be read."""
    files = _weight_files(set(paths), open_file)
    if not files:
        return None
    counts: Counter[str] = Counter()
    for path in files:
        header = _header(path, open_file)
        if header is None:
            return None
        counts.update(header)
    return {"parameters": dict(counts), "total": counts.total()}


def _weight_files(paths: set[str], open_file: Opener) -> list[str]:
    """The files of one whole model: by the index, else by the usual name, else all at the top level."""
    if _INDEX in paths:
        shards = sorted(set(_shards(open_file)))
        return shards if shards and set(shards) <= paths else []
    for name in ("model.safetensors", "adapter_model.safetensors"):
        if name in paths:
            return [name]
    return sorted(path for path in paths if path.endswith(".safetensors") and "/" not in path)


def _shards(open_file: Opener) -> list[str]:
    file = open_file(_INDEX)
    if file is None:
        return []
    with file:
        index = _loads(file.read(_MAX_INDEX_BYTES))
    shards = index.get("weight_map") if isinstance(index, Mapping) else None
    return [str(name) for name in shards.values()] if isinstance(shards, Mapping) else []


def _header(path: str, open_file: Opener) -> Counter[str] | None:
    file = open_file(path)
    if file is None:
        return None
    with file:
        size = int.from_bytes(file.read(8), "little")
        if not 2 <= size <= _MAX_HEADER_BYTES:
            return None
        text = file.read(size)
    tensors = _loads(text) if len(text) == size else None
    return _counts(tensors) if isinstance(tensors, Mapping) else None


def _counts(tensors: Mapping[str, Any]) -> Counter[str] | None:
    counts: Counter[str] = Counter()
    for name, tensor in tensors.items():
        if name == "__metadata__":
            continue
        dtype, shape = (tensor.get("dtype"), tensor.get("shape")) if isinstance(tensor, Mapping) else (None, None)
        plain = isinstance(shape, list) and all(isinstance(side, int) and 0 <= side < 1 << 48 for side in shape)
        if not isinstance(dtype, str) or not isinstance(shape, list) or not plain or len(shape) > 16:
            return None
        counts[printable(dtype[:20])] += math.prod(shape)
    return counts


def _loads(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # an invalid file has no parameters to count
        return None
