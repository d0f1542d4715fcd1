"""Strangers' configs are loaded in a bounded child, and each ends in an answer."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.probe import MAX_CONFIG, Probe


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    """One probe process for all."""
    with Probe() as probe:
        yield probe


CONFIGS = [
    ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "loaded"),
    ({"model_type": "gpt2"}, "loaded"),
    ({"model_type": "zorblax"}, "unknown-architecture"),
    ({"model_type": ["llama"]}, "unknown-architecture"),
    ({}, "unknown-architecture"),
    ({"model_type": "llama", "hidden_size": "wide"}, "unreadable"),
    ({"model_type": "llama", "auto_map": {"AutoConfig": "x.Y"}}, "remote-code"),
    ({"model_type": "../../etc/passwd"}, "unknown-architecture"),
]


@pytest.mark.parametrize(("config", "state"), CONFIGS)
def test_a_config_is_loaded_or_the_reason_is_told(probe: Probe, config: dict[str, object], state: str) -> None:
    """Each config leads to its state, with the architecture or the error in bounded words."""
    facts = probe.load(json.dumps(config).encode())
    assert facts.state == state
    assert len(facts.error) <= 500
    if state == "loaded":
        assert facts.transformers


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000, b" " * (MAX_CONFIG + 1), b'{"a": NaN' + b"}" * 3]
)
def test_what_is_no_config_is_unreadable(probe: Probe, data: bytes) -> None:
    """Files that are not JSON objects, or too large, are told apart without asking the child."""
    assert probe.load(data).state == "unreadable"


def test_absurd_sizes_end_in_an_answer_and_the_next_question_is_answered(probe: Probe) -> None:
    """A billion layers exhaust the child's memory or time, and nobody else's."""
    assert probe.load(json.dumps({"model_type": "qwen2", "num_hidden_layers": 10**9}).encode()).state == "too-costly"
    assert probe.load(json.dumps({"model_type": "gpt2"}).encode()).state == "loaded"


def test_a_probe_that_was_killed_is_started_again(probe: Probe) -> None:
    """After its death the probe comes back with the next question."""
    probe.load(b'{"model_type": "gpt2"}')
    assert probe._process is not None
    probe._process.kill()
    probe._process.wait()
    assert probe.load(b'{"model_type": "gpt2"}').state == "loaded"


def test_the_probe_knows_no_secrets(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe started by a process with tokens in its environment holds none of them."""
    monkeypatch.setenv("STEWARD_BOT_TOKEN", "hf_secret")
    with Probe() as fresh:
        fresh.load(b'{"model_type": "gpt2"}')
        assert fresh._process is not None
        assert b"hf_secret" not in Path(f"/proc/{fresh._process.pid}/environ").read_bytes()


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that is closed, also right after it was started, takes its folder with it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Probe() as probe:
        probe.warm()
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
