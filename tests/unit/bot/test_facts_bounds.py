"""What the bot reads of an untrusted model repo: it checks sizes first and never downloads weights."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from bot.model_facts.repo import ModelRepo
from bot.model_facts.tokenizer import MAX_SETTINGS, MAX_VOCABULARY, gather_tokenizer
from bot.model_facts.weights import FIRST_RANGE, MAX_HEADER, MAX_INDEX, gather_weights, sample
from bot.probe import Probe
from bot.probe.questions import INDEX_FILE
from hub.client import Hub
from hub.errors import TooLarge
from hub.records import Repo
from leaderboard.admission.facts import ModelFile

MB = 1_000_000


class Shelf:
    """A fake Hub with one repo that records the bytes it serves."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.reads: list[tuple[str, int]] = []

    def read_range(self, repo: Repo, path: str, revision: str, start: int, end: int) -> bytes:
        """Returns a range of a file, and records its length."""
        part = self.files[path][start:end]
        self.reads.append((path, len(part)))
        return part

    def save_file(self, repo: Repo, path: str, revision: str, into: BinaryIO, *, max_bytes: int) -> None:
        """Writes a whole file; raises `TooLarge` after `max_bytes`. Records the bytes that it served."""
        part = self.files[path][:max_bytes]
        self.reads.append((path, len(part)))
        into.write(part)
        if len(part) < len(self.files[path]):
            raise TooLarge("too large")


def repo(files: Mapping[str, bytes], sizes: Mapping[str, int | None] | None = None) -> tuple[ModelRepo, Shelf]:
    """A repo with these files, whose listing may state other sizes."""
    shelf = Shelf(files)
    listed_sizes: dict[str, int | None] = {name: len(data) for name, data in files.items()} | dict(sizes or {})
    listing = {name: ModelFile(name, size) for name, size in listed_sizes.items()}
    return ModelRepo(cast(Hub, shelf), Repo("model", "ada/m"), "a" * 40, listing), shelf


def weights(count: int, *, pad: int = 0, layer: int = 0) -> bytes:
    """A safetensors file of `count` tensors with one value each; `pad` makes its header longer."""
    header: dict[str, Any] = {}
    for n in range(count):
        offsets = [2 * n, 2 * n + 2]
        header[f"model.layers.{layer + n}.w"] = {"dtype": "F16", "shape": [1], "data_offsets": offsets}
    text = json.dumps({"__metadata__": {"pad": "x" * pad}, **header}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(2 * count)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"])
def test_a_huge_tokenizer_is_refused_unread(probe: Probe, tmp_path: Path, name: str) -> None:
    """A tokenizer file above the limit is refused unread or, if its size is not listed, once the limit is reached."""
    files = {"tokenizer.json": b"{}", "tokenizer_config.json": b"{}", "chat_template.jinja": b""}
    huge, shelf = repo(files, {name: 500 * MB})
    facts = gather_tokenizer(huge, probe, tmp_path, "llama")
    assert (facts.state, facts.error) == ("too-large", f"{name} has 500 MB")
    assert shelf.reads == []
    limit = MAX_VOCABULARY if name == "tokenizer.json" else MAX_SETTINGS
    unknown, shelf = repo({**files, name: bytes(limit + 1)}, {name: None})
    assert gather_tokenizer(unknown, probe, tmp_path, "llama").state == "too-large"
    assert shelf.reads[-1] == (name, limit)


def test_without_a_vocabulary_there_is_no_tokenizer(probe: Probe, tmp_path: Path) -> None:
    """A tokenizer config without a vocabulary counts as a missing tokenizer, and is not read."""
    bare, shelf = repo({"tokenizer_config.json": b"{}"})
    assert gather_tokenizer(bare, probe, tmp_path, "llama").state == "missing"
    assert shelf.reads == []


def test_of_weights_the_header_is_read_and_no_more(probe: Probe, tmp_path: Path) -> None:
    """Only the header of a weights file is read, in one or two ranges; one with an absurd stated length is broken."""
    data = weights(3) + bytes(5 * MB)
    single, shelf = repo({"model.safetensors": data}, {"model.safetensors": len(weights(3))})
    facts = gather_weights(single, probe, tmp_path, {})
    assert (facts.parameters, facts.nbytes, facts.layers, facts.dtypes) == (3, 6, (3,), {"F16": 3})
    assert shelf.reads == [("model.safetensors", FIRST_RANGE)]
    long, shelf = repo({"model.safetensors": weights(3, pad=2 * FIRST_RANGE)})
    assert gather_weights(long, probe, tmp_path, {}).parameters == 3
    assert len(shelf.reads) == 2
    absurd, shelf = repo({"model.safetensors": weights(3, pad=MAX_HEADER)})
    assert "more than any model needs" in gather_weights(absurd, probe, tmp_path, {}).broken["model.safetensors"]
    assert [size for _, size in shelf.reads] == [FIRST_RANGE]


def test_of_many_shards_two_are_read(probe: Probe, tmp_path: Path) -> None:
    """Of 50 shards only the first and last are read; the Hub counts the parameters, the listing shows missing files."""
    names = [f"model-{n:05}-of-00050.safetensors" for n in range(1, 51)]
    weight_map = {f"model.layers.{100 + n}.w": names[n // 2] for n in range(100)}
    files = {name: weights(2, layer=100 + 2 * n) for n, name in enumerate(names)}
    files[INDEX_FILE] = json.dumps({"weight_map": weight_map}).encode()
    many, shelf = repo(files)
    facts = gather_weights(many, probe, tmp_path, {"F16": 123})
    assert (facts.parameters, len(facts.names), facts.layers) == (123, 50, (100,))
    assert [name for name, _ in shelf.reads] == [INDEX_FILE, names[0], names[-1]]
    assert gather_weights(many, probe, tmp_path, {}).parameters == 100
    lacking, _ = repo({name: data for name, data in files.items() if name != names[7]})
    assert gather_weights(lacking, probe, tmp_path, {}).missing == (names[7],)


def test_an_index_may_not_be_huge(probe: Probe, tmp_path: Path) -> None:
    """An index above the limit is refused unread; a repo with a single weights file needs no index."""
    huge, shelf = repo({INDEX_FILE: b"{}"}, {INDEX_FILE: MAX_INDEX + 1})
    assert gather_weights(huge, probe, tmp_path, {}).index_error
    assert shelf.reads == []
    both, _ = repo({INDEX_FILE: b"{", "model.safetensors": weights(1)})
    assert gather_weights(both, probe, tmp_path, {}).parameters == 1
    adapter, _ = repo({"model.safetensors": weights(1), "adapter_model.safetensors": weights(2)})
    assert gather_weights(adapter, probe, tmp_path, {}, is_adapter=True).parameters == 2


def test_the_sample_holds_both_ends() -> None:
    """The sample of shards is the first and the last one."""
    assert sample(["a"]) == ["a"]
    assert sample(["a", "b"]) == ["a", "b"]
    assert sample(list("abcdefg")) == ["a", "g"]
