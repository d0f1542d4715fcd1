"""The four models that are submitted: one that works, and three that each break in a way of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

from workers.gguf import convert, packaged_gguf

GOOD = "ada/SmolLM2-135M-Instruct"
REMOTE_CODE = "bob/mamba-turbo"
CORRUPTED = "bob/SmolLM2-cut-short"
UNKNOWN = "chen/zorblax-7b"

CUT_AT = 8 * 2**20
"""Bytes of the weights that reach the Hub where an upload breaks off."""

CARD = "---\nlicense: apache-2.0\n---\n# {model}\n\nPart of Steward's demo.\n"


@dataclass(frozen=True)
class Upload:
    """A model to be made, by whom."""

    model: str
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
    return {"config.json": _json(config), "modeling_turbo.py": code, "model.safetensors": _cut(folder, 2**16)}


def _corrupted(folder: Path) -> dict[str, bytes | Path]:
    return {**_good(folder), "model.safetensors": _cut(folder, CUT_AT)}


def _unknown(folder: Path) -> dict[str, bytes | Path]:
    config = {"model_type": "zorblax", "architectures": ["ZorblaxForCausalLM"], "hidden_size": 4096}
    return {"config.json": _json(config), "model.safetensors": _cut(folder, 2**16)}


UPLOADS = (
    Upload(GOOD, _good),
    Upload(REMOTE_CODE, _remote_code),
    Upload(CORRUPTED, _corrupted),
    Upload(UNKNOWN, _unknown),
)


def upload(endpoint: str, token: str, what: Upload, folder: Path) -> str:
    """Upload `what` in the name of its owner; the commit that holds it."""
    api = HfApi(endpoint=endpoint, token=token)
    api.create_repo(what.model, exist_ok=True)
    files = {"README.md": CARD.format(model=what.model).encode(), **what.files(folder)}
    operations = [CommitOperationAdd(name, content) for name, content in files.items()]
    return api.create_commit(what.model, operations, commit_message="Upload the model").oid


def _cut(folder: Path, size: int) -> bytes:
    with (folder / "model.safetensors").open("rb") as weights:
        return weights.read(size)


def _json(fields: object) -> bytes:
    return json.dumps(fields, indent=2).encode()
