"""Applies deltas to base models and checks adapters; raises errors where libraries only warn.

A delta is added tensor by tensor as its files are read: memory holds the base model and one tensor of the delta.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from workers.errors import AdapterUnusable, DeltaUnusable
from workers.models import checkpoint

_MISSING_KEYS = "missing adapter keys"
"""peft's warning about an adapter file that lacks weights; peft goes on with random weights, or none."""


def add_delta(model: Any, folder: Path) -> None:
    """Add the weights in `folder` to those of `model`, in the model's dtype.

    Raises DeltaUnusable if a tensor is missing, superfluous or of another shape, and BadCheckpoint.
    """
    targets: dict[str, torch.Tensor] = dict(model.state_dict(keep_vars=True))
    added: set[int] = set()
    for name, tensor in _tensors(folder):
        target = targets.get(name)
        if target is None:
            raise DeltaUnusable(f"its base model has no {name[:80]}")
        if target.shape != tensor.shape:
            shapes = f"{tuple(tensor.shape)} in the delta, {tuple(target.shape)} in its base model"
            raise DeltaUnusable(f"{name[:80]} has another shape: {shapes}")
        if target.data_ptr() not in added and target.is_floating_point():  # tied weights share memory under two names
            target.data += tensor.to(device=target.device, dtype=target.dtype)
            added.add(target.data_ptr())
    missing = {name: weight for name, weight in model.named_parameters() if weight.data_ptr() not in added}
    if missing:
        raise DeltaUnusable(f"{len(missing)} tensors are missing in it, among them {min(missing)[:80]}")


def _tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of a checkpoint, one at a time."""
    for shard in checkpoint.weight_files(folder):
        with safe_open(folder / shard, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  # an open file, not a mapping
                yield name, file.get_tensor(name)


@contextmanager
def require_whole_adapter() -> Iterator[None]:
    """Raise AdapterUnusable after the block if an adapter loaded in it lacks weights."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        if _MISSING_KEYS in str(warning.message):
            raise AdapterUnusable(str(warning.message)[:300])
