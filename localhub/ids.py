"""Ids like the Hub's: 24 hex digits; later ids sort after earlier ones."""

from __future__ import annotations

import itertools
import secrets
import time

_process = secrets.token_hex(5)
_counter = itertools.count(secrets.randbelow(1 << 20))


def new_id() -> str:
    """A new id of time, process and counter. It uses real time, because the Hub's clock may stand still."""
    return f"{int(time.time()):08x}{_process}{next(_counter) & 0xFFFFFF:06x}"
