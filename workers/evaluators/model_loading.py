"""Loads the model of a plan by transformers: a whole one, from its folder, without code of the model's own."""

from __future__ import annotations

from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer, BitsAndBytesConfig


class CannotLoad(Exception):
    """The model cannot be evaluated; the message says why, for its author."""


def load_model(plan: dict[str, Any], model_class: Any, *, unused: str = "") -> tuple[Any, Any]:
    """The tokenizer, and the model as `model_class` loads it, on its device or devices. Raises CannotLoad.

    Weights whose names begin with `unused` may be missing.
    """
    model = plan["model"]
    if model["weight_type"] != "Original":
        raise CannotLoad(f"only whole models are evaluated, and this is an {model['weight_type']}")
    quantised = model["quantisation"]
    settings = {"quantization_config": BitsAndBytesConfig(**quantised)} if quantised else {}
    if in_parts := plan["devices"]["spread"] == "parts":
        settings["device_map"] = "auto"
    try:
        tokenizer = AutoTokenizer.from_pretrained(model["folder"])  # nosec B615  # a folder: there is no network
        network, info = model_class.from_pretrained(
            model["folder"],
            dtype=getattr(torch, model["dtype"]),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **settings,
        )
    except (ValueError, KeyError, OSError, SafetensorError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the machine's; transformers' own have no number
            raise
        raise CannotLoad(f"transformers cannot load it: {first_line(error)}") from error
    if missing := [name for name in info["missing_keys"] if not unused or not name.startswith(unused)]:
        raise CannotLoad(f"weights are missing, such as {min(missing)}")
    return tokenizer, network if quantised or in_parts else network.to(plan["devices"]["device"])


def first_line(error: Exception) -> str:
    """The first line of an error's message, or else its type."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
