"""What pydantic found wrong with a file, in one line for whoever wrote it."""

from __future__ import annotations

from pydantic import ValidationError


def mistakes(error: ValidationError, *, most: int | None = None) -> str:
    """`repos.flags: what is wrong; …` for the first `most` fields that are wrong (None: for each)."""
    found = error.errors(include_url=False)[:most]
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)
