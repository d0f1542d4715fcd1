"""What is found: one line for each thing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Check:
    """What was found about one thing; `mend` says what to do where it is not well."""

    name: str
    state: State
    words: str
    mend: str = ""


Checks = Iterator[Check]
