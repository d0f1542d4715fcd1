"""The four models that are submitted: one that works, and three that each break in a way of their own."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

from workers.models import tiny_model
from workers.models.gguf import convert, packaged_gguf

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

It is part of Steward's demo: a leaderboard on a Hub of its own, on which people submit models, some of which work and
some of which do not, and every one of them is told what became of it.
"""


@dataclass(frozen=True)
class DemoModel:
    """A model to be made, by whom."""

    model: str
    about: str
    files: Callable[[Path], dict[str, bytes | Path]]

    @property
    def owner(self) -> str:
        """Whose model it is."""
        return self.model.split("/")[0]


def converted(cache: Path) -> Path:
    """The folder of the real model, converted once and kept in `cache`."""
    return convert(packaged_gguf(), cache / "SmolLM2-135M-Instruct")


def _good(folder: Path) -> dict[str, bytes | Path]:
    return {file.name: file for file in sorted(folder.iterdir()) if file.is_file() and file.name != "conversion.json"}


def _remote_code(folder: Path) -> dict[str, bytes | Path]:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mamba-turbo", "auto_map": {"AutoModelForCausalLM": "modeling_turbo.TurboForCausalLM"}}
    code = b"from transformers import LlamaForCausalLM\n\n\nclass TurboForCausalLM(LlamaForCausalLM):\n    pass\n"
    return {**tiny_model.model(), "config.json": _json(config), "modeling_turbo.py": code}


def _corrupted(_folder: Path) -> dict[str, bytes | Path]:
    """Its files are whole, and only whoever computes with it finds that one of its weights is no number."""
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
    DemoModel(CORRUPTED, "A model whose training went astray.", _corrupted),
    DemoModel(UNKNOWN, "An architecture that nobody has heard of yet.", _unknown),
)


def upload(endpoint: str, token: str, what: DemoModel, folder: Path) -> str:
    """Upload `what` in the name of its owner; the commit that holds it."""
    api = HfApi(endpoint=endpoint, token=token)
    api.create_repo(what.model, exist_ok=True)
    files = {"README.md": CARD.format(model=what.model, about=what.about).encode(), **what.files(folder)}
    operations = [CommitOperationAdd(name, content) for name, content in files.items()]
    return api.create_commit(what.model, operations, commit_message="Upload the model").oid


def _json(fields: object) -> bytes:
    return json.dumps(fields, indent=2).encode()
