"""Code in the fork: read headers of safetensors files, and the shard index."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.probe.documents import Unreadable, count_in, parse_object, read_object
from bot.probe.questions import INDEX_FILE

BITS: Mapping[str, int] = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E5M2FNUZ", "F8_E4M3FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
"""Bits of one value, by the format's names of dtypes."""
PREFIX = 8
"""Bytes before the header; they hold its length."""
MAX_SHARDS = 1_000
_SHARD = re.compile(r"(?!\.)[\w.-]{1,200}\.safetensors", re.ASCII)
_LAYER = re.compile(r"(.*?)\.(\d{1,6})\.")
_MAX_STACKS = 8


def index_answers(folder: Path, _: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the ShardIndex of the index in `folder`."""
    try:
        shards = _weight_map(folder / INDEX_FILE)
        yield {"names": sorted(set(shards.values())), "layers": layers(shards)}
    except Unreadable as error:
        yield {"error": str(error)}


def header_answers(folder: Path, question: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the CheckedHeaders of the files in `folder`."""
    shards = _weight_map(folder / INDEX_FILE) if (folder / INDEX_FILE).exists() else {}
    promised: dict[str, set[str]] = {}
    for tensor, shard in shards.items():
        promised.setdefault(shard, set()).add(tensor)
    files: list[Mapping[str, Any]] = []
    tensors: set[str] = set()
    for head in question["heads"]:
        try:
            header = read_header((folder / head["file"]).read_bytes(), head["size"])
            _check_promised(promised.get(head["name"], set()), header)
        except Unreadable as error:
            files.append({"name": head["name"], "error": str(error)})
            continue
        tensors |= header.keys()
        files.append({"name": head["name"], **_summary(header, (folder / head["file"]).read_bytes())})
    yield {"files": files, "layers": layers(tensors)}


def read_header(head: bytes, size: int | None) -> dict[str, tuple[str, int, int]]:
    """Tensor → dtype, number of values, and bytes, of a file of `size` bytes (None: unknown) that starts with `head`.

    Raises Unreadable where the format's own reader would refuse the file.
    """
    length = int.from_bytes(head[:PREFIX], "little")
    if len(head) < PREFIX or (size is not None and size < PREFIX):
        raise Unreadable("it is too short to be a safetensors file")
    if size is not None and length > size - PREFIX:
        raise Unreadable(f"its header claims {length:,} bytes, and the whole file has {size:,}")
    if length > len(head) - PREFIX:
        raise Unreadable(f"its header claims {length:,} bytes, more than any model needs")
    header = parse_object(head[PREFIX : PREFIX + length])
    spans, tensors = [], {}
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        tensors[name], span = _tensor(name[:100], tensor)
        spans.append(span)
    _check_spans(sorted(spans), None if size is None else size - PREFIX - length)
    return tensors


def _check_promised(tensors: set[str], header: Mapping[str, Any]) -> None:
    if lacking := tensors - header.keys():
        raise Unreadable(f"it lacks '{min(lacking)[:100]}', which the index says is in it")


def _tensor(name: str, tensor: Any) -> tuple[tuple[str, int, int], tuple[int, int]]:
    if not isinstance(tensor, dict):
        raise Unreadable(f"its entry for '{name}' does not describe a tensor")
    dtype, shape, span = tensor.get("dtype"), tensor.get("shape"), tensor.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in BITS:
        raise Unreadable(f"the dtype of '{name}' does not exist: {str(dtype)[:40]!r}")
    if not isinstance(shape, list) or len(shape) > 16 or any(count_in(side) is None for side in shape):
        raise Unreadable(f"the shape of '{name}' is not valid")
    if not isinstance(span, list) or len(span) != 2 or any(count_in(end) is None for end in span) or span[0] > span[1]:
        raise Unreadable(f"the offsets of '{name}' are not valid")
    values = math.prod(shape)
    if values * BITS[dtype] != 8 * (span[1] - span[0]):
        raise Unreadable(f"the size of '{name}' does not fit its shape and dtype")
    return (dtype, values, span[1] - span[0]), (span[0], span[1])


def _check_spans(spans: list[tuple[int, int]], length: int | None) -> None:
    """Check that the tensors fill the data from start to end, without gaps and overlaps."""
    end = 0
    for start, stop in spans:
        if start != end:
            raise Unreadable("its tensors overlap" if start < end else "there are gaps between its tensors")
        end = stop
    if length is not None and end > length:
        raise Unreadable(f"it is cut off: its tensors need {end:,} bytes, and it has {length:,}")
    if length is not None and end < length:
        raise Unreadable(f"it has {length - end:,} bytes that belong to no tensor")


def _summary(header: Mapping[str, tuple[str, int, int]], head: bytes) -> dict[str, object]:
    dtypes: Counter[str] = Counter()
    for dtype, values, _ in header.values():
        dtypes[dtype] += values
    nbytes = sum(size for _, _, size in header.values())
    return {"dtypes": dict(dtypes), "nbytes": nbytes, "header": PREFIX + int.from_bytes(head[:PREFIX], "little")}


def layers(tensors: Iterable[str]) -> list[int]:
    """The number of layers in each stack, by the numbers in the names of `tensors`, largest first."""
    stacks: dict[str, set[str]] = {}
    for name in tensors:
        if match := _LAYER.match(name):
            stacks.setdefault(match[1], set()).add(match[2])
    return sorted((len(numbers) for numbers in stacks.values()), reverse=True)[:_MAX_STACKS]


def _weight_map(path: Path) -> dict[str, str]:
    shards = read_object(path).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise Unreadable("it has no weight_map")
    names = set()
    for name in shards.values():
        if not isinstance(name, str) or not _SHARD.fullmatch(name):
            raise Unreadable(f"it names {str(name)[:100]!r}, which is not a weight file beside it")
        names.add(name)
    if len(names) > MAX_SHARDS:
        raise Unreadable(f"it names {len(names):,} files; the limit is {MAX_SHARDS:,}")
    return shards
