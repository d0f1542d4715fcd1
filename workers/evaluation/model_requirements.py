"""Estimates the requirements of a model on a machine, from the sizes of its downloaded files and its config.

This module rejects no model: for invalid files the estimate is small, and the child reports what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from redis_state.jobs import EvaluationJob
from workers.common.run_plan import WeightType
from workers.errors import BadCheckpoint
from workers.evaluation.placement import BYTES, ModelRequirements
from workers.models import checkpoint

MAX_HEADER_BYTES = 8 << 20
"""Bytes of a header that the worker itself reads; only the child reads a larger one."""
QUESTION_TOKENS = 4096
"""Tokens of a long question of the leaderboard's suites."""
_CONTEXT_FIELDS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")


def estimate_requirements(job: EvaluationJob, model: Path, base: Path | None) -> ModelRequirements:
    """The requirements of the job's model in the folder `model`; `base` is the folder of its base model, if any."""
    loaded = base or model
    config = _config(loaded)
    files = _weight_files(loaded)
    file_bytes = _bytes(files)
    quantisation = config.get("quantization_config")
    return ModelRequirements(
        precision=job.precision,
        parameters=int(file_bytes / _width(files, config)),
        file_bytes=file_bytes,
        weight_type=weight_type(job),
        change_bytes=_bytes([model / checkpoint.ADAPTER]) if weight_type(job) == "Adapter" else 0,
        quantised=str(quantisation.get("quant_method") or "unnamed") if isinstance(quantisation, dict) else "",
        sequence_bytes=_sequence_bytes(config),
    )


def weight_type(job: EvaluationJob) -> WeightType:
    """`Original`, `Adapter` or `Delta`, ignoring case in the request; any other value is an Original."""
    by_name: dict[str, WeightType] = {"adapter": "Adapter", "delta": "Delta"}
    return by_name.get(job.weight_type.casefold(), "Original")


def _config(folder: Path) -> dict[str, object]:
    try:
        return checkpoint.read_config(folder)
    except (BadCheckpoint, OSError):
        return {}


def _weight_files(folder: Path) -> list[Path]:
    """The weight files that are loaded, as others may hold the same weights again; all if the checkpoint is bad."""
    try:
        return [folder / name for name in checkpoint.weight_files(folder)]
    except (BadCheckpoint, OSError):
        return sorted(folder.glob("*.safetensors"))


def _bytes(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())


def _width(files: Sequence[Path], config: dict[str, Any]) -> float:
    """Bytes of one parameter in the files."""
    dtype = checkpoint.named_dtype(config)
    if dtype in BYTES:
        return BYTES[dtype]
    for file in files[:1]:
        with suppress(BadCheckpoint, OSError):
            tensors = checkpoint.read_header(file, max_bytes=MAX_HEADER_BYTES).values()
            kinds = [tensor.dtype for tensor in tensors if tensor.dtype in checkpoint.FLOATS]
            return checkpoint.FLOATS[max(set(kinds), key=kinds.count)] if kinds else 2.0
    return 2.0


def _sequence_bytes(config: dict[str, Any]) -> int:
    """Bytes of one question in progress: its logits over the vocabulary, twice, and its keys and values."""
    context = min([QUESTION_TOKENS, *filter(None, (_number(config, name) for name in _CONTEXT_FIELDS))])
    layers = _number(config, "num_hidden_layers") or _number(config, "n_layer")
    hidden = _number(config, "hidden_size") or _number(config, "n_embd")
    return context * (_number(config, "vocab_size") * 6 + layers * hidden * 4)


def _number(config: dict[str, Any], name: str) -> int:
    value = config.get(name)
    return value if isinstance(value, int) and value > 0 else 0
