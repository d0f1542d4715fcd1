"""The probe, a child process with limits, loads untrusted model configs, and answers for every input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bot.probe import MAX_CONFIG, Probe, forks, process
from bot.probe.process import ProbeDied, ProbeStarved
from bot.probe.questions import LIMITS, MIB, STARVED, ProbeLimits
from leaderboard.admission.facts import AdapterFacts, Quantization
from steward.testing.waiting import wait_until

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
    """Each config is loaded, or rejected for its reason, with an error text of limited length."""
    facts = probe.load(json.dumps(config).encode())
    assert facts.state == state
    assert len(facts.error) <= 500
    if state == "loaded":
        assert facts.transformers


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000, b" " * (MAX_CONFIG + 1), b'{"a": NaN' + b"}" * 3]
)
def test_what_is_no_config_is_unreadable(probe: Probe, data: bytes) -> None:
    """A config that is not a JSON object, or is too large, is unreadable."""
    assert probe.load(data).state == "unreadable"


def test_a_busy_machine_is_no_fault_of_the_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A fork that got hardly any CPU time before its timeout is reported as starved, not as too costly."""

    def idle(_folder: Path, _question: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
        yield {"state": "loaded"}
        time.sleep(60)

    monkeypatch.setitem(forks.LIMITS, "config", ProbeLimits(256 * MIB, cpu=2, wall=0.1))
    monkeypatch.setitem(forks._BY_KIND, "config", idle)
    assert forks.ask({"kind": "config", "folder": str(tmp_path)}) == STARVED
    monkeypatch.setitem(forks.LIMITS, "config", ProbeLimits(256 * MIB, cpu=2, wall=60))
    assert forks.ask({"kind": "config", "folder": str(tmp_path), "wall": 0.1}) == STARVED
    assert [LIMITS["tokenizer"].starves(used) for used in (0.0, 2.4, 2.6, 10.0)] == [True, True, False, False]


@pytest.mark.long("starts a probe, which imports transformers")
def test_a_slow_start_goes_on_for_whoever_asks_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the imports take longer than a question's timeout, the same process answers the next question."""
    monkeypatch.setattr(process, "_IMPORT_SECONDS", 0.0)
    with Probe() as slow:
        with pytest.raises(ProbeStarved):
            slow.load(b'{"model_type": "gpt2"}')
        started = slow._process
        monkeypatch.setattr(process, "_IMPORT_SECONDS", 0.1)
        slow.patience = 3_000
        assert slow.load(b'{"model_type": "gpt2"}').state == "loaded"
        assert slow._process is started


def test_absurd_sizes_end_in_an_answer_and_the_next_question_is_answered(probe: Probe) -> None:
    """A config with a billion layers exhausts only its own fork; the next question is answered."""
    assert probe.load(json.dumps({"model_type": "qwen2", "num_hidden_layers": 10**9}).encode()).state == "too-costly"
    assert probe.load(json.dumps({"model_type": "gpt2"}).encode()).state == "loaded"


def test_a_probe_that_dies_at_a_question_blames_no_model(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the probe dies while a question is written to it, `ProbeDied` is raised; the next one is answered."""
    probe.load(b'{"model_type": "gpt2"}')
    assert probe._process is not None
    probe._process.kill()
    probe._process.wait()
    with monkeypatch.context() as patched, pytest.raises(ProbeDied):
        patched.setattr(probe._process, "poll", lambda: None)
        probe.load(b'{"model_type": "gpt2"}')
    assert probe.load(b'{"model_type": "gpt2"}').state == "loaded"


def test_no_model_is_blamed_for_a_probe_that_cannot_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A probe that exits at once raises `ProbeDied`, one that cannot fork is starved: the model is not blamed."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Probe() as broken, pytest.raises(ProbeDied):
        broken.load(b'{"model_type": "gpt2"}')

    def full() -> int:
        raise BlockingIOError("too many processes")

    monkeypatch.setattr(os, "fork", full)
    assert forks.ask({"kind": "config", "folder": str(tmp_path)}) == STARVED


@pytest.mark.long("starts a probe, which imports transformers")
def test_a_folder_that_was_tidied_away_is_made_anew(probe: Probe) -> None:
    """The probe works again after the system has removed its temporary folder."""
    with probe.folder() as folder:
        old = folder.parent
    shutil.rmtree(old)
    assert probe.load(b'{"model_type": "gpt2"}').state == "loaded"


def test_what_a_fork_prints_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Output of a library on standard output is not read as an answer."""

    def loud(_folder: Path, _question: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
        os.write(1, b'{"state": "loaded", "model_type": "gpt2"}\n')
        yield {"state": "missing"}

    monkeypatch.setitem(forks._BY_KIND, "config", loud)
    assert forks.ask({"kind": "config", "folder": str(tmp_path)}) == {"state": "missing"}
    assert capfd.readouterr().out == ""


def test_the_probe_knows_no_secrets(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe does not inherit tokens from its parent's environment."""
    monkeypatch.setenv("STEWARD_BOT_TOKEN", "hf_secret")
    with Probe() as fresh:
        fresh.load(b'{"model_type": "gpt2"}')
        assert fresh._process is not None
        assert b"hf_secret" not in Path(f"/proc/{fresh._process.pid}/environ").read_bytes()


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that is closed right after its start removes its temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Probe() as probe:
        probe.warm()
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_probe_removes_its_files_if_its_owner_is_killed(tmp_path: Path) -> None:
    """If the owner is killed, the probe still removes its own temporary files and those of models."""
    lines = [
        "import os, signal, tempfile",
        f"tempfile.tempdir = {str(tmp_path)!r}",
        "from bot.probe import Probe",
        "probe = Probe()",
        "probe.load(b'{}')",
        "probe.folder().__enter__()",
        "os.kill(os.getpid(), signal.SIGKILL)",
    ]
    killed = subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=Path(__file__).parents[3], check=False)
    assert killed.returncode == -signal.SIGKILL
    wait_until(lambda: not list(tmp_path.iterdir()))


def test_what_stands_in_a_config_is_told(probe: Probe) -> None:
    """The probe reads sizes under any of their names, the dtype, the quantisation and special tokens from a config."""
    config_fields = {"torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": [2, 3], "pad_token_id": -1}
    config_fields |= {"quantization_config": {"quant_method": "GPTQ", "bits": 4}, "architectures": ["GPT2LMHeadModel"]}
    facts = probe.load(json.dumps({"model_type": "gpt2", "n_layer": 5, "n_positions": 77, **config_fields}).encode())
    assert (facts.layers, facts.context, facts.vocabulary, facts.is_causal) == (5, 77, 50_257, True)
    assert (facts.dtype, facts.quantization) == ("bfloat16", Quantization("gptq", 4))
    assert facts.special_tokens == {"bos": (1,), "eos": (2, 3), "pad": (-1,)}
    half = {"model_type": "llama", "quantization_config": {"load_in_8bit": True}, "architectures": ["LlamaModel"]}
    facts = probe.load(json.dumps(half).encode())
    assert (facts.quantization, facts.is_causal) == (Quantization("bitsandbytes", 8), False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"architectures": {"a": 1}, "dtype": 1, "quantization_config": [1], "eos_token_id": {"a": 1}},
        {"architectures": [[1]], "dtype": None, "quantization_config": {}, "bos_token_id": "one"},
        {"text_config": "x"},
    ],
)
def test_wrong_types_in_a_config_end_in_an_answer(probe: Probe, wrong: dict[str, object]) -> None:
    """Wrong types in a config are ignored, or make it unreadable; the probe does not fail."""
    assert probe.load(json.dumps({"model_type": "llama", **wrong}).encode()).state in ("loaded", "unreadable")


def test_an_adapter_names_its_base_model(probe: Probe) -> None:
    """The probe reads the base model from an adapter's config; a malformed config has an error."""

    def adapter(content: bytes) -> AdapterFacts:
        with probe.folder() as folder:
            (folder / "adapter_config.json").write_bytes(content)
            return probe.adapter(folder)

    assert adapter(b'{"base_model_name_or_path": " a/b ", "peft_type": "LORA"}') == AdapterFacts("a/b", "LORA")
    for content in (b"{", b"[]", b"{}", b'{"base_model_name_or_path": 1}', b'{"a":' * 9_999):
        assert adapter(content).error
