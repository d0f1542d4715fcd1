"""Headers of safetensors files and the index of shards: untrusted bytes, which give facts or a reason."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.probe.documents import Unreadable
from bot.probe.questions import INDEX_FILE
from bot.probe.weights import header_answers, index_answers, layers, read_header

GOOD = {
    "model.layers.0.w": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
    "model.layers.1.w": {"dtype": "F32", "shape": [], "data_offsets": [12, 16]},
    "__metadata__": {"format": "pt"},
}
DATA = 16


def head(header: Any, length: int | None = None) -> bytes:
    """The start of a safetensors file with this header; `length` overrides the stated length."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


def changed(**fields: Any) -> dict[str, Any]:
    """The valid header with other fields in its first tensor."""
    return {**GOOD, "model.layers.0.w": {**GOOD["model.layers.0.w"], **fields}}


def test_a_header_tells_dtypes_and_sizes() -> None:
    """A header gives, for each tensor, its dtype, number of values and number of bytes."""
    tensors = read_header(head(GOOD), len(head(GOOD)) + DATA)
    assert tensors == {"model.layers.0.w": ("BF16", 6, 12), "model.layers.1.w": ("F32", 1, 4)}
    assert read_header(head(GOOD), None) == tensors


WRONG = [
    (b"", 0, "too short"),
    (b"\x02", 1, "too short"),
    (struct.pack("<Q", 10**12) + b"{}", 10, "claims"),
    (struct.pack("<Q", 10**12) + b"{}", 10**13, "more than any model needs"),
    (struct.pack("<Q", 2**64 - 1) + b"{}", None, "more than any model needs"),
    (head(b"not json"), None, "not JSON"),
    (head(b"\xff\xfe{}"), None, "not JSON"),
    (head([1]), None, "not an object"),
    (head(b"[" * 100_000), None, "too deep"),
    (head({"w": 1}), None, "not describe"),
    (head(changed(dtype="F12")), None, "does not exist"),
    (head(changed(dtype=["F32"])), None, "does not exist"),
    (head(changed(shape="wide")), None, "shape"),
    (head(changed(shape=[-2, 3])), None, "shape"),
    (head(changed(shape=[True, 6])), None, "shape"),
    (head(changed(shape=[1] * 17)), None, "shape"),
    (head(changed(shape=[10**14, 10**14])), None, "shape and dtype"),
    (head(changed(shape=[2, 4])), None, "shape and dtype"),
    (head(changed(data_offsets=[12, 0])), None, "offsets"),
    (head(changed(data_offsets=[0])), None, "offsets"),
    (head(changed(data_offsets=[4, 16])), None, "gaps"),
    (head({**GOOD, "v": {"dtype": "U8", "shape": [8], "data_offsets": [8, 16]}}), None, "overlap"),
    (head(GOOD), len(head(GOOD)) + DATA - 1, "cut off"),
    (head(GOOD), len(head(GOOD)) + DATA + 1, "belong to no tensor"),
]


@pytest.mark.parametrize(("start", "size", "words"), WRONG)
def test_a_header_that_could_not_be_loaded_is_told(start: bytes, size: int | None, words: str) -> None:
    """Each fault of a header is reported in a short text."""
    with pytest.raises(Unreadable, match=words) as raised:
        read_header(start, size)
    assert len(str(raised.value)) < 400


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner))


@given(
    st.binary(max_size=60) | JSON.map(head) | st.dictionaries(st.text(max_size=5), JSON).map(head), st.integers(0, 99)
)
def test_random_bytes_are_read_or_unreadable(start: bytes, size: int) -> None:
    """Random bytes are read or raise `Unreadable`, and nothing else."""
    try:
        read_header(start, size)
    except Unreadable as error:
        assert str(error)


def test_layers_are_counted_by_stack() -> None:
    """Layers are counted by the first number in the names of tensors, for each stack; those of experts are not."""
    text = [f"model.layers.{n}.mlp.experts.{m}.w" for n in range(3) for m in range(8)]
    eyes = [f"vision.blocks.{n}.w" for n in range(2)]
    assert layers([*text, *eyes, "lm_head.weight"]) == [3, 2]
    assert layers([name for name in text if ".1." not in name[:15]]) == [2]
    assert layers([]) == []


def index(tmp_path: Path, content: Any) -> dict[str, Any]:
    """The answer about an index with this content."""
    (tmp_path / INDEX_FILE).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    (answer,) = index_answers(tmp_path, {})
    return dict(answer)


def test_an_index_names_its_shards(tmp_path: Path) -> None:
    """An index gives its shards, each once, and the number of layers."""
    weight_map = {f"h.{n}.w": f"model-0000{n % 2}-of-00002.safetensors" for n in range(4)}
    answer = index(tmp_path, {"metadata": {"total_size": 1}, "weight_map": weight_map})
    assert answer == {"names": sorted(set(weight_map.values())), "layers": [4]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not JSON"),
        ([1], "not an object"),
        ({}, "weight_map"),
        ({"weight_map": {}}, "weight_map"),
        ({"weight_map": {"w": 1}}, "not a weight file"),
        ({"weight_map": {"w": "../../etc/passwd"}}, "not a weight file"),
        ({"weight_map": {"w": "/etc/x.safetensors"}}, "not a weight file"),
        ({"weight_map": {"w": "a/b.safetensors"}}, "not a weight file"),
        ({"weight_map": {"w": "model.bin"}}, "not a weight file"),
        ({"weight_map": {str(n): f"m{n}.safetensors" for n in range(1_001)}}, "the limit is"),
    ],
)
def test_a_malformed_index_is_reported(tmp_path: Path, content: Any, words: str) -> None:
    """A malformed index, or one that names files elsewhere, is reported."""
    assert words in index(tmp_path, content)["error"]


def test_a_shard_without_what_its_index_promises_is_broken(tmp_path: Path) -> None:
    """A shard that lacks a tensor of the index is broken; the figures of the other shards are still reported."""
    index(tmp_path, {"weight_map": {"model.layers.0.w": "a.safetensors", "lost": "b.safetensors"}})
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(head(GOOD))
    heads = [{"name": f"{name}.safetensors", "file": name, "size": len(head(GOOD)) + DATA} for name in ("a", "b")]
    (answer,) = header_answers(tmp_path, {"heads": heads})
    good, broken = answer["files"]
    assert (good["dtypes"], good["nbytes"], good["header"]) == ({"BF16": 6, "F32": 1}, DATA, len(head(GOOD)))
    assert "lost" in broken["error"]
    assert answer["layers"] == [2]
