"""The failures of a computation that ends without its answers."""

from __future__ import annotations

import torch


class GenerationFailed(Exception):
    """Generation ended without all answers."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether the device or the machine has no more memory; for the latter torch raises a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
