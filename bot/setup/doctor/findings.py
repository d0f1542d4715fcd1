"""The finding of one check."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Check:
    """One finding; `mend` says how to fix it if the state is not `ok`."""

    name: str
    state: State
    words: str
    mend: str = ""


Checks = Iterator[Check]
