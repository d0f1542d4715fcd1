"""The evaluator of embeddings: its metric, its questions, and how it loads and runs models."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from workers.models.tiny_model import VOCABULARY, model, tokenizer

CASES = {
    "the same order": ([1, 2, 3, 10], [0.1, 0.2, 0.3, 0.4], 1.0),
    "the opposite order": ([1, 2, 3], [3, 2, 1], 0.0),
    "one pair turned": ([1, 2, 3, 4], [1, 2, 4, 3], 0.8),
    "equal values share a rank": ([1, 2, 2, 3], [1, 2, 3, 4], 0.9486833),
    "no order": ([1, 1, 1], [1, 2, 3], 0.0),
}


@pytest.mark.parametrize(("one", "other", "expected"), CASES.values(), ids=CASES)
def test_spearman_is_the_correlation_of_ranks(one: list[float], other: list[float], expected: float) -> None:
    """`spearman` is the rank correlation, with 0 instead of a negative or undefined value."""
    from workers.evaluators.embeddings import spearman

    assert spearman(one, other) == pytest.approx(expected)


def test_a_question_may_hold_any_character(tmp_path: Path) -> None:
    """The evaluator splits JSON lines at line feeds only, not at other line separators within a text."""
    from workers.evaluators.embeddings import _questions

    text = "one\u2028two\x85three"
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"text": text}, ensure_ascii=False) + "\n\n", "utf-8")
    plan = {"questions": [{"folder": str(tmp_path)}], "limit": None}
    assert _questions(plan, "pairs") == [{"text": text}]


@pytest.mark.parametrize(("positions", "tokenizer_says"), [(16, {}), (18, {"model_max_length": 16})])
def test_a_long_text_is_cut_to_the_models_positions(
    tmp_path: Path, positions: int, tokenizer_says: dict[str, int]
) -> None:
    """The evaluator cuts texts to the model's number of positions, or to the tokenizer's maximum if that is lower."""
    from transformers import GPT2Config, GPT2Model

    from workers.evaluators.embeddings import Embedder

    sizes = {"n_embd": 8, "n_layer": 1, "n_head": 1, "vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 0}
    GPT2Model(GPT2Config(n_positions=positions, **sizes)).save_pretrained(tmp_path)
    for name, data in tokenizer().items():
        (tmp_path / name).write_bytes(data)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**settings, **tokenizer_says}))
    fields = {"weight_type": "Original", "quantisation": {}, "folder": str(tmp_path), "dtype": "float32"}
    embedder = Embedder({"model": fields, "devices": {"spread": "one", "device": "cpu"}, "options": {}})
    assert embedder.max_tokens == 16
    assert embedder("long " * 20).equal(embedder("long " * 30))


@pytest.mark.parametrize("number", [None, errno.EIO])
def test_a_model_without_a_tokenizer_cannot_be_loaded(number: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model without a tokenizer is the model's fault (`CannotLoad`); a disk error while loading it is not."""
    from workers.evaluators import model_loading

    def fails(_: str) -> None:
        raise OSError("Can't load the tokenizer") if number is None else OSError(number, "Input/output error")

    monkeypatch.setattr(model_loading.AutoTokenizer, "from_pretrained", fails)
    plan = {"model": {"weight_type": "Original", "quantisation": {}, "folder": "model"}, "devices": {"spread": "one"}}
    with pytest.raises(OSError if number else model_loading.CannotLoad):
        model_loading.load_model(plan, None)


@pytest.mark.parametrize(("spread", "moved"), [("one", True), ("copies", True), ("parts", False)])
def test_a_model_of_parts_is_distributed_over_the_devices(tmp_path: Path, spread: str, moved: bool) -> None:
    """A model spread in parts is loaded with `device_map="auto"` and not moved; any other is moved to its device."""
    from workers.evaluators import model_loading

    for name, data in model().items():
        (tmp_path / name).write_bytes(data)
    network = Mock()
    model_class = Mock(from_pretrained=Mock(return_value=(network, {"missing_keys": ()})))
    fields = {"weight_type": "Original", "quantisation": {}, "folder": str(tmp_path), "dtype": "float32"}
    plan = {"model": fields, "devices": {"spread": spread, "device": "cuda"}}
    _, loaded = model_loading.load_model(plan, model_class)
    assert loaded is (network.to.return_value if moved else network)
    assert model_class.from_pretrained.call_args.kwargs.get("device_map") == (None if moved else "auto")
