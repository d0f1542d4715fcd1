"""The record of a GPU, as the driver reports it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """A GPU: the driver's number and id for it, its product name, and its memory in bytes."""

    index: int
    uuid: str
    name: str
    memory_bytes: int
