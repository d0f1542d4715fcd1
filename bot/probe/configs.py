"""Code in the fork: load a config with the installed transformers as a worker does, without remote code; read the
config of an adapter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.probe.documents import Unreadable, count_in, error_words, read_object

ADAPTER_FILE = "adapter_config.json"
_FILE_FIELDS = ("configuration_files", "_name_or_path")
"""Fields that name files; loading does not need them."""
_SPECIAL = ("bos", "eos", "pad")
_DTYPES = ("float16", "bfloat16", "float32", "float64")


def warm(model_type: str) -> None:
    """Import the library's class for this type of model, in the calling process."""
    from transformers import CONFIG_MAPPING, AutoConfig  # noqa: F401
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES  # noqa: F401

    if model_type in CONFIG_MAPPING:
        CONFIG_MAPPING[model_type]


def answers(folder: Path, _: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the ConfigFacts of the config.json in `folder`."""
    import transformers

    yield {**_facts(folder), "transformers": transformers.__version__}


def _facts(folder: Path) -> dict[str, object]:
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
    loadable = {name: value for name, value in fields.items() if name not in _FILE_FIELDS}
    (folder / "config.json").write_text(json.dumps(loadable), "utf-8")
    try:
        loaded = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)  # nosec B615  # a folder
        sizes = _sizes(loaded)
    except MemoryError:
        return {"state": "too-costly", **known}
    except Exception as error:  # noqa: BLE001  any error that an untrusted config causes is the answer
        return {"state": "unreadable", "error": error_words(error, folder), **known}
    return {"state": "loaded", **known, **sizes, **_own_fields(fields), "is_causal": _is_causal(named, fields)}


def _architecture(fields: Mapping[str, Any]) -> str:
    named = fields.get("architectures")
    first = named[0] if isinstance(named, list) and named else ""
    return first[:200] if isinstance(first, str) else ""


def _sizes(loaded: Any) -> dict[str, object]:
    """The sizes in the loaded config: the library knows the many names of these fields, and their defaults."""
    text = loaded.get_text_config()
    return {
        "vocabulary": count_in(getattr(text, "vocab_size", None)),
        "context": count_in(getattr(text, "max_position_embeddings", None)),
        "layers": count_in(getattr(text, "num_hidden_layers", None)),
    }


def _own_fields(fields: Mapping[str, Any]) -> dict[str, object]:
    """Facts from the fields of the config itself; those of the text model's part take precedence."""
    text_config = fields.get("text_config")
    merged = {**fields, **text_config} if isinstance(text_config, dict) else fields
    dtype = merged.get("dtype") or merged.get("torch_dtype")
    plain = dtype.removeprefix("torch.") if isinstance(dtype, str) else ""
    return {
        "dtype": plain if plain in _DTYPES else plain[:40],
        "quantization": _quantization(merged.get("quantization_config")),
        "special_tokens": {name: ids for name in _SPECIAL if (ids := _ids(merged.get(f"{name}_token_id")))},
    }


def _quantization(config: Any) -> dict[str, object] | None:
    if not isinstance(config, dict) or not config:
        return None
    method = config.get("quant_method")
    bits = count_in(config.get("bits"), 64)
    for width, field in ((8, "load_in_8bit"), (4, "load_in_4bit")):
        if bits is None and config.get(field) is True:
            bits, method = width, method or "bitsandbytes"
    return {"method": method[:40].lower() if isinstance(method, str) else "unknown", "bits": bits}


def _ids(value: Any) -> list[int]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items[:50] if type(item) is int and abs(item) < 10**15]


def _is_causal(model_type: str, fields: Mapping[str, Any]) -> bool:
    """Whether the library has causal language models of this type, and the checkpoint is one."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

    if model_type not in CAUSAL:
        return False
    named = _architecture(fields)
    classes = {name for value in CAUSAL.values() for name in (value if isinstance(value, tuple) else (value,))}
    return not named or named in classes


def adapter_answers(folder: Path, _: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the base model that the adapter's config names, and the adapter's kind."""
    try:
        fields = read_object(folder / ADAPTER_FILE)
    except Unreadable as error:
        yield {"error": str(error)}
        return
    base, kind = fields.get("base_model_name_or_path"), fields.get("peft_type")
    if not isinstance(base, str) or not base.strip():
        yield {"error": "it names no base model"}
        return
    yield {"base_model": base.strip()[:200], "kind": kind[:40] if isinstance(kind, str) else ""}
