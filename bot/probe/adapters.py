"""In the fork: the config of an adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.probe.documents import Unreadable, read_object

FILE = "adapter_config.json"


def answers(folder: Path, _: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The base model that the adapter names, and its kind."""
    try:
        fields = read_object(folder / FILE)
    except Unreadable as error:
        yield {"error": str(error)}
        return
    base, kind = fields.get("base_model_name_or_path"), fields.get("peft_type")
    if not isinstance(base, str) or not base.strip():
        yield {"error": "it names no base model"}
        return
    yield {"base_model": base.strip()[:200], "kind": kind[:40] if isinstance(kind, str) else ""}
