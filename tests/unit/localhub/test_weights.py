"""Parameter counts from the headers of safetensors files, valid and invalid."""

from __future__ import annotations

import io
import json
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localhub.repos.weights import safetensors_info


def weights(**tensors: tuple[str, list[int]]) -> bytes:
    """A file with these tensors' headers."""
    header = json.dumps({name: {"dtype": dtype, "shape": shape} for name, (dtype, shape) in tensors.items()}).encode()
    return len(header).to_bytes(8, "little") + header


def info(files: dict[str, bytes]) -> object:
    """The info of a repo with these files."""

    def opened(path: str) -> BinaryIO | None:
        return io.BytesIO(files[path]) if path in files else None

    return safetensors_info(files, opened)


def test_parameters_are_counted_by_dtype() -> None:
    """Shapes are multiplied, a scalar is one parameter, each dtype is counted separately."""
    counts = info({"model.safetensors": weights(a=("BF16", [3, 4]), b=("F32", []), c=("BF16", [2]))})
    assert counts == {"parameters": {"BF16": 14, "F32": 1}, "total": 15}


def test_shards_are_those_of_the_index() -> None:
    """With an index, only its files are counted, each once; if one of them is missing, there are no counts."""
    index = json.dumps(
        {"weight_map": {"a": "one.safetensors", "b": "one.safetensors", "c": "two.safetensors"}}
    ).encode()
    shard = weights(a=("F16", [5]))
    files = {"model.safetensors.index.json": index, "one.safetensors": shard, "two.safetensors": shard}
    assert info({**files, "model.safetensors": weights(z=("F32", [99]))}) == {"parameters": {"F16": 10}, "total": 10}
    assert info({name: data for name, data in files.items() if name != "two.safetensors"}) is None


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"1234567",
        (1 << 60).to_bytes(8, "little") + b"{}",
        (9).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        weights(a=("F32", [-1])),
        weights(a=("F32", [1 << 60])),
        weights(a=(["F32"], [1])),  # type: ignore[arg-type]
        weights(a=("F32", [True, "x"])),  # type: ignore[list-item]
    ],
)
def test_what_cannot_be_read_is_not_counted(broken: bytes) -> None:
    """A broken header gives no counts and no error."""
    assert info({"model.safetensors": broken}) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    """No bytes in a header or index make the reader raise an error."""
    info({"model.safetensors": len(data).to_bytes(8, "little") + data, "model.safetensors.index.json": data})
