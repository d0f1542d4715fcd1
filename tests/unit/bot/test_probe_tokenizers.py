"""Untrusted tokenizers and chat templates, loaded in a child process with limits: each gives facts or a reason."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bot.probe import Probe
from leaderboard.admission.facts import TokenizerFacts

WORDS = 40
EOS = "<end>"
TALK = "{% for message in messages %}{{ message.content }}{% endfor %}"


def tokenizer(**wrong: Any) -> dict[str, Any]:
    """The files of a small tokenizer; `wrong` overrides settings."""
    words = {f"w{number}": number for number in range(WORDS - 1)} | {EOS: WORDS - 1}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "w0"}
    fast = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}, "model": model}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": EOS, **wrong}
    return {"tokenizer.json": fast, "tokenizer_config.json": settings}


def load(probe: Probe, files: dict[str, Any], model_type: str = "llama") -> TokenizerFacts:
    """The facts about a tokenizer with these files (JSON, or bytes)."""
    with probe.folder() as folder:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            (folder / name).write_bytes(data)
        return probe.tokenizer(folder, model_type)


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "mistral", "phi", "", "zork"])
def test_a_tokenizer_tells_its_words(probe: Probe, model_type: str) -> None:
    """The probe reports vocabulary, largest id and special tokens, for any model type."""
    facts = load(probe, tokenizer(), model_type)
    assert (facts.state, facts.vocabulary, facts.largest_id, facts.error) == ("loaded", WORDS, WORDS - 1, "")
    assert facts.special_tokens == {"eos": WORDS - 1}
    assert facts.template == "absent"


def test_a_class_that_cannot_be_imported_does_not_end_the_probe(probe: Probe) -> None:
    """A tokenizer whose own class cannot be imported is loaded anyway, and the probe goes on."""
    assert load(probe, tokenizer(), "nougat").state == "loaded"  # its own class needs an imaging library
    asked = probe._process
    assert load(probe, tokenizer()).state == "loaded"
    assert probe._process is asked


FOREVER = "{% for a in range(9999) %}" * 3 + "{% endfor %}" * 3


@pytest.mark.parametrize(
    ("template", "state"),
    [
        (TALK, "works"),
        ([{"name": "default", "template": TALK}, {"name": "tool", "template": "x"}], "works"),
        ("{{ raise_exception('only in French') }}", "raises"),
        ("{{ messages[99].content }}", "raises"),
        ("{% if", "raises"),
        ("{{ ''.__class__.__mro__ }}", "raises"),
        (FOREVER, "too-costly"),
        ("{{ 'a' * 10**10 }}", "too-costly"),
    ],
)
def test_a_chat_template_is_tried_within_bounds(probe: Probe, template: object, state: str) -> None:
    """A chat template that fails or never ends is reported, and the tokenizer's other facts are still known."""
    facts = load(probe, tokenizer(chat_template=template))
    assert (facts.state, facts.vocabulary, facts.template) == ("loaded", WORDS, state)
    assert bool(facts.error) == (state == "raises")


def test_a_template_in_a_file_of_its_own_counts(probe: Probe) -> None:
    """A chat template in a file of its own, as newer models have it, is read."""
    assert load(probe, {**tokenizer(), "chat_template.jinja": TALK.encode()}).template == "works"


DEEP = b'{"a":' * 5_000 + b"1" + b"}" * 5_000


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer.json": b"{"},
        {"tokenizer.json": b""},
        {"tokenizer.json": b"\xff\xfe"},
        {"tokenizer.json": [1]},
        {"tokenizer.json": {}},
        {"tokenizer.json": DEEP},
        {**tokenizer(), "tokenizer_config.json": DEEP},
        {**tokenizer(), "tokenizer_config.json": b"nonsense"},
        {**tokenizer(), "tokenizer_config.json": [1]},
        tokenizer(added_tokens_decoder={"x": 1}),
        tokenizer(added_tokens_decoder=[1]),
        tokenizer(eos_token={"a": [1]}),
        {"tokenizer.model": b"no such model"},
        {"vocab.json": {"a": "b"}, "merges.txt": b"x"},
    ],
)
def test_what_is_no_tokenizer_is_unreadable(probe: Probe, files: dict[str, Any]) -> None:
    """A malformed tokenizer is unreadable, with a short reason that shows no path of this machine."""
    facts = load(probe, files)
    assert facts.state == "unreadable"
    assert facts.error
    assert len(facts.error) < 500
    assert "steward-probe" not in facts.error


def test_a_tokenizer_with_code_is_not_loaded(probe: Probe) -> None:
    """A tokenizer whose `auto_map` names code is reported as remote code, and not loaded."""
    assert load(probe, tokenizer(auto_map={"AutoTokenizer": ["x.Y", None]})).state == "remote-code"


def test_what_names_other_files_opens_none(probe: Probe, tmp_path: Path) -> None:
    """Files that a config or tokenizer config names, such as a named pipe, are not opened."""
    pipe = tmp_path / "tokenizer.1.0.json"
    os.mkfifo(pipe)
    names = ("vocab_file", "tokenizer_file", "merges_file", "spm_file", "chat_template_file", "name_or_path")
    facts = load(probe, tokenizer(**dict.fromkeys(names, str(pipe)), fast_tokenizer_files=[str(pipe)]))
    assert facts.state == "loaded"
    config = {"model_type": "llama", "_name_or_path": str(pipe), "configuration_files": [str(pipe)]}
    assert probe.load(json.dumps(config).encode()).state == "loaded"


def test_files_outside_of_the_folder_are_not_opened(probe: Probe) -> None:
    """A link to a file outside the folder is not followed."""
    with probe.folder() as folder:
        (folder / "config.json").symlink_to("/etc/passwd")
        assert probe.config(folder).state in ("unreadable", "too-costly")
        assert "root" not in probe.config(folder).error
