"""Checks of a checkpoint before it is loaded: invalid files raise the right error."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.errors import (
    BadCheckpoint,
    ConfigAbsurd,
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
from workers.evaluation.adapters import add_delta
from workers.models.checkpoint import (
    BOUNDS,
    GENERATION_BOUNDS,
    INDEX,
    SINGLE,
    check_loaded,
    check_model_files,
    check_numbers,
    read_header,
)
from workers.models.tiny_model import model, safetensors, tensors


def folder_of(path: Path, files: dict[str, bytes]) -> Path:
    """A folder with these files."""
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def test_a_model_that_works_is_left_alone(tmp_path: Path) -> None:
    """A valid model, a model with a quantisation config, and unusual buffers raise nothing."""
    check_model_files(folder_of(tmp_path, model()))
    odd = {**tensors(), "model.rotary.table": ("I32", (4, 4), bytes(64)), "model.mask.weight": ("BOOL", (4,), bytes(4))}
    check_model_files(folder_of(tmp_path, {"model.safetensors": safetensors(odd)}))
    packed = {**tensors(), "lm_head.weight": ("I8", (257, 16), bytes(257 * 16))}
    files = {**model(quantization_config={"quant_method": "bitsandbytes"}), "model.safetensors": safetensors(packed)}
    check_model_files(folder_of(tmp_path, files))


def test_integer_weights_without_a_quantisation_config_are_refused(tmp_path: Path) -> None:
    """The check refuses integer weights without a quantisation config, which a library would convert to floats."""
    packed = {**tensors(), "lm_head.weight": ("I8", (257, 16), bytes(257 * 16))}
    with pytest.raises(WeightsOfWrongType, match=r"lm_head\.weight is stored as I8"):
        check_model_files(folder_of(tmp_path, {**model(), "model.safetensors": safetensors(packed)}))


@pytest.mark.parametrize("field", BOUNDS)
@pytest.mark.parametrize("nested", [False, True], ids=["top", "nested"])
def test_a_config_with_an_absurd_size_is_refused_with_its_field(tmp_path: Path, field: str, nested: bool) -> None:
    """The error names the field that is too large, also if it is nested in a part of the config."""
    config: dict[str, Any] = {field: BOUNDS[field] + 1}
    text = json.dumps({"text_config": config} if nested else config)
    with pytest.raises(ConfigAbsurd, match=field):
        check_model_files(folder_of(tmp_path, {**model(), "config.json": text.encode()}))


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("setting", GENERATION_BOUNDS)
def test_a_million_beams_are_refused_before_the_load(tmp_path: Path, name: str, setting: str) -> None:
    """The check refuses generation settings that need too much memory, and names the setting and its file."""
    files = model()
    config = json.loads(files.get(name, b"{}"))
    files[name] = json.dumps({**config, setting: GENERATION_BOUNDS[setting]}).encode()
    (tmp_path / "good").mkdir()
    check_model_files(folder_of(tmp_path / "good", files))
    files[name] = json.dumps({**config, setting: 10**6}).encode()
    with pytest.raises(GenerationAbsurd, match=f"{setting} in {name} is 1000000"):
        check_model_files(folder_of(tmp_path, files))


def headed(table: dict[str, Any]) -> tuple[bytes, type[Exception]]:
    """A file with the invalid header `table`, and the error that it must raise."""
    text = json.dumps(table).encode()
    return len(text).to_bytes(8, "little") + text, HeaderUnreadable


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", WeightsTruncated),
        (b"\x10\0\0", WeightsTruncated),
        ((100).to_bytes(8, "little") + b"{}", WeightsTruncated),
        ((1 << 40).to_bytes(8, "little"), HeaderUnreadable),
        ((2).to_bytes(8, "little") + b"[]", HeaderUnreadable),
        ((2).to_bytes(8, "little") + b"{}more", WeightsTruncated),
        headed({"a": {"dtype": ["F32"], "shape": "x", "data_offsets": [0, 1]}}),
        headed({"a": {"dtype": "F32", "shape": [1e400], "data_offsets": [0, 1]}}),
        headed({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 1]}}),
        headed({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}),
        headed({"a": 7}),
        headed({"a": {"dtype": "F32", "shape": [10**4000] * 2_000, "data_offsets": [0, 4]}}),
        headed({"a": {"dtype": "F32", "shape": [1] * 17, "data_offsets": [0, 4]}}),
        ((20_000).to_bytes(8, "little") + b"[" * 20_000, HeaderUnreadable),
        (b"../../blobs/8f1a", OddFile),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", OddFile),
    ],
)
def test_an_invalid_header_is_refused(tmp_path: Path, data: bytes, error: type[Exception]) -> None:
    """A file that is cut off, not a safetensors file, or has a header that is invalid or too long raises an error."""
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(error):
        read_header(tmp_path / "model.safetensors")


def test_a_short_header_is_not_taken_for_text(tmp_path: Path) -> None:
    """A valid header is read although its length, as bytes, begins with slashes, like the text of a link."""
    body = b'{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}'.ljust(0x2F2F)
    (tmp_path / "a").write_bytes(len(body).to_bytes(8, "little") + body + b"\1")
    assert read_header(tmp_path / "a")["a"].dtype == "U8"


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "x.bin", "", "a\n.safetensors"])
def test_an_index_names_files_of_its_own_folder(tmp_path: Path, name: str) -> None:
    """An index may name only weight files in its own folder."""
    index = json.dumps({"weight_map": {"a": name}}).encode()
    with pytest.raises(IndexUnusable):
        check_model_files(folder_of(tmp_path, {**without_weights(), INDEX: index}))


def without_weights() -> dict[str, bytes]:
    """The files of a model without its weights."""
    return {name: data for name, data in model().items() if name != SINGLE}


STALE_INDEX = json.dumps({"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}).encode()


def test_a_single_file_counts_before_an_index(tmp_path: Path) -> None:
    """An index that names missing shards does not matter beside model.safetensors, which transformers loads."""
    check_model_files(folder_of(tmp_path, {**model(), INDEX: STALE_INDEX}))
    (tmp_path / SINGLE).unlink()
    with pytest.raises(ShardMissing):
        check_model_files(tmp_path)


def test_a_delta_of_a_single_file_adds_no_earlier_shards(tmp_path: Path) -> None:
    """If a delta has both, its single file is added to the base model, and not the shards of its index."""
    ones, shards = ({"weight": ("F32", (2,), struct.pack("<2f", value, value))} for value in (1.0, 100.0))
    files = {SINGLE: safetensors(ones), "model-00001-of-00002.safetensors": safetensors(shards)}
    base = torch.nn.LayerNorm(2, bias=False)
    add_delta(base, folder_of(tmp_path, {**files, INDEX: STALE_INDEX}))
    assert base.weight.tolist() == [2.0, 2.0]


WHOLE = safetensors({"a.weight": ("F32", (2, 2), bytes(16)), "b": ("F16", (3,), bytes(6))})


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_corrupted_file_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """A file with some bytes changed, cut or added is read, or refused with `BadCheckpoint`."""
    changed = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(0, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(changed)))
    (tmp_path / "x").write_bytes(changed[:cut] + data.draw(st.binary(max_size=8)))
    try:
        entries = read_header(tmp_path / "x")
    except BadCheckpoint:
        return
    assert all(isinstance(size, int) for entry in entries.values() for size in entry.shape)


def test_missing_or_mismatched_weights_are_refused() -> None:
    """Weights that are missing or have another shape, which the library fills with random numbers, raise an error."""
    check_loaded({"missing_keys": set(), "mismatched_keys": set(), "unexpected_keys": {"extra"}})
    with pytest.raises(WeightsIncomplete, match=r"2 tensors, among them a\.weight"):
        check_loaded({"missing_keys": {"b.weight", "a.weight"}})
    with pytest.raises(WeightsOfWrongShape, match=r"a\.weight: \(1, 2\) in the file, \(2, 2\) by config\.json"):
        check_loaded({"mismatched_keys": {("a.weight", (1, 2), (2, 2))}, "missing_keys": {"b"}})


@pytest.mark.parametrize(
    ("values", "words"),
    [([1.0, math.nan], "w has NaN in float32"), ([math.inf, 1.0], "w has infinite values in float32")],
)
def test_weights_that_are_not_finite_are_named(values: list[float], words: str) -> None:
    """The error says which tensor has NaN or infinite values, and finite weights raise nothing."""
    check_numbers([("w", torch.tensor([1.0, -2.0]))])
    with pytest.raises(WeightsNotFinite, match=words):
        check_numbers([("w", torch.tensor(values))])
