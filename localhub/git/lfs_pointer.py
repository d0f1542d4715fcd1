"""LFS pointers: the small text files that represent large files in git."""

from __future__ import annotations

import re
from dataclasses import dataclass

POINTER_MIN_BYTES, POINTER_MAX_BYTES = 120, 1024
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]+\n)*oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,15})\n"
)


@dataclass(frozen=True, slots=True)
class Pointer:
    """A parsed pointer; `pointer_size` is the size of its text."""

    sha256: str
    size: int
    pointer_size: int


def pointer_text(sha256: str, size: int) -> bytes:
    """The text of an object's pointer."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def parse_pointer(blob: bytes) -> Pointer | None:
    """Parse a blob as a pointer; None if it is not one."""
    if len(blob) > POINTER_MAX_BYTES:
        return None
    match = _POINTER.fullmatch(blob)
    return Pointer(match[1].decode(), int(match[2]), len(blob)) if match else None
