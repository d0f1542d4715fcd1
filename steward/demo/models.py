"""The demo's four models: one that works, and three that fail in different ways."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

from steward.demo.weights import find_gguf
from workers.models import tiny_model
from workers.models.gguf import convert

GOOD = "ada/SmolLM2-135M-Instruct"
REMOTE_CODE = "bob/mamba-turbo"
CORRUPTED = "bob/tiny-llama-overtrained"
UNKNOWN = "chen/zorblax-7b"

CARD = """---
license: apache-2.0
pipeline_tag: text-generation
---
# {model}

{about}

It is part of Steward's demo, a leaderboard on a local Hub: people submit models, some of which work and some of which
do not, and each submitter learns the result.
"""


@dataclass(frozen=True)
class DemoModel:
    """A model of the demo and its files."""

    model: str
    about: str
    files: Callable[[Path], dict[str, bytes | Path]]

    @property
    def owner(self) -> str:
        """The account that owns the model."""
        return self.model.split("/")[0]


def converted(cache: Path) -> Path:
    """Return the folder of the real model, converted once and cached in `cache`."""
    return convert(find_gguf(cache), cache / "SmolLM2-135M-Instruct")


def _good(folder: Path) -> dict[str, bytes | Path]:
    return {file.name: file for file in sorted(folder.iterdir()) if file.is_file() and file.name != "conversion.json"}


def _remote_code(folder: Path) -> dict[str, bytes | Path]:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mamba-turbo", "auto_map": {"AutoModelForCausalLM": "modeling_turbo.TurboForCausalLM"}}
    code = b"from transformers import LlamaForCausalLM\n\n\nclass TurboForCausalLM(LlamaForCausalLM):\n    pass\n"
    return {**tiny_model.model(), "config.json": _json(config), "modeling_turbo.py": code}


def _corrupted(_folder: Path) -> dict[str, bytes | Path]:
    """Return complete files in which one weight is NaN, which only a computation detects."""
    weights = tiny_model.tensors()
    kind, shape, data = weights["model.norm.weight"]
    weights["model.norm.weight"] = (kind, shape, struct.pack("<f", math.nan) + data[4:])
    return {**tiny_model.model(), "model.safetensors": tiny_model.safetensors(weights)}


def _unknown(_folder: Path) -> dict[str, bytes | Path]:
    config = tiny_model.config(model_type="zorblax", architectures=["ZorblaxForCausalLM"])
    return {**tiny_model.model(), "config.json": _json(config)}


UPLOADS = (
    DemoModel(GOOD, "A small chat model with real weights.", _good),
    DemoModel(REMOTE_CODE, "An architecture that brings its own code.", _remote_code),
    DemoModel(CORRUPTED, "A model with a NaN in its weights.", _corrupted),
    DemoModel(UNKNOWN, "An architecture that transformers does not know.", _unknown),
)


def upload(endpoint: str, token: str, model: DemoModel, folder: Path) -> str:
    """Upload `model` with its owner's token and return the commit."""
    api = HfApi(endpoint=endpoint, token=token)
    api.create_repo(model.model, exist_ok=True)
    files = {"README.md": CARD.format(model=model.model, about=model.about).encode(), **model.files(folder)}
    operations = [CommitOperationAdd(name, content) for name, content in files.items()]
    return api.create_commit(model.model, operations, commit_message="Upload the model").oid


def _json(fields: object) -> bytes:
    return json.dumps(fields, indent=2).encode()
