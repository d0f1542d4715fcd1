"""In the fork: loading a config with the installed transformers, as a worker would, without remote code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.probe.documents import Unreadable, count_in, error_words, read_object

_NAMES_FILES = ("configuration_files", "_name_or_path")
"""Fields that name files; what they say is not needed for loading."""
_SPECIAL = ("bos", "eos", "pad")
_DTYPES = ("float16", "bfloat16", "float32", "float64")


def warm(model_type: str) -> None:
    """Import the library's class for this type of model, in whatever process."""
    from transformers import CONFIG_MAPPING, AutoConfig  # noqa: F401
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES  # noqa: F401

    if model_type in CONFIG_MAPPING:
        CONFIG_MAPPING[model_type]


def answers(folder: Path, _: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """ConfigFacts of the config.json in `folder`."""
    import transformers

    yield {**_facts(folder), "transformers": transformers.__version__}


def _facts(folder: Path) -> dict[str, Any]:
    from transformers import CONFIG_MAPPING, AutoConfig

    try:
        fields = read_object(folder / "config.json")
    except Unreadable as error:
        return {"state": "unreadable", "error": str(error)}
    model_type = fields.get("model_type")
    named = model_type if isinstance(model_type, str) else ""
    known = {"model_type": named[:100], "architecture": _architecture(fields)}
    if fields.get("auto_map"):
        return {"state": "remote-code", **known}
    if named not in CONFIG_MAPPING:
        return {"state": "unknown-architecture", **known}
    kept = {name: value for name, value in fields.items() if name not in _NAMES_FILES}
    (folder / "config.json").write_text(json.dumps(kept), "utf-8")
    try:
        loaded = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)  # nosec B615  # a folder
        sizes = _sizes(loaded)
    except MemoryError:
        return {"state": "too-costly", **known}
    except Exception as error:  # noqa: BLE001  whatever a stranger's config provokes is the answer
        return {"state": "unreadable", "error": error_words(error, folder), **known}
    return {"state": "loaded", **known, **sizes, **_said(fields), "is_causal": _is_causal(named, fields)}


def _architecture(fields: Mapping[str, Any]) -> str:
    named = fields.get("architectures")
    first = named[0] if isinstance(named, list) and named else ""
    return first[:200] if isinstance(first, str) else ""


def _sizes(loaded: Any) -> dict[str, Any]:
    """What the library makes of the config: it knows the many names of these fields, and their defaults."""
    text = loaded.get_text_config()
    return {
        "vocabulary": count_in(getattr(text, "vocab_size", None)),
        "context": count_in(getattr(text, "max_position_embeddings", None)),
        "layers": count_in(getattr(text, "num_hidden_layers", None)),
    }


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the config itself says, in the text model's part where it has one."""
    inner = fields.get("text_config")
    parts = (fields, inner) if isinstance(inner, dict) else (fields,)
    said = {name: value for part in parts for name, value in part.items()}
    dtype = said.get("dtype") or said.get("torch_dtype")
    plain = dtype.removeprefix("torch.") if isinstance(dtype, str) else ""
    return {
        "dtype": plain if plain in _DTYPES else plain[:40],
        "quantization": _quantization(said.get("quantization_config")),
        "special_tokens": {name: ids for name in _SPECIAL if (ids := _ids(said.get(f"{name}_token_id")))},
    }


def _quantization(said: Any) -> dict[str, Any] | None:
    if not isinstance(said, dict) or not said:
        return None
    method = said.get("quant_method")
    bits = count_in(said.get("bits"), 64)
    for width, field in ((8, "load_in_8bit"), (4, "load_in_4bit")):
        if bits is None and said.get(field) is True:
            bits, method = width, method or "bitsandbytes"
    return {"method": method[:40].lower() if isinstance(method, str) else "unknown", "bits": bits}


def _ids(said: Any) -> list[int]:
    several = said if isinstance(said, list) else [said]
    return [one for one in several[:50] if type(one) is int and abs(one) < 10**15]


def _is_causal(model_type: str, fields: Mapping[str, Any]) -> bool:
    """Whether the library has a causal language model for this type, and the checkpoint is one."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

    if model_type not in CAUSAL:
        return False
    named = _architecture(fields)
    classes = {name for one in CAUSAL.values() for name in (one if isinstance(one, tuple) else (one,))}
    return not named or named in classes
