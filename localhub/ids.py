"""Ids as the Hub gives them: 24 hex digits, later ones sort after earlier ones."""

from __future__ import annotations

import itertools
import secrets
import time

_process = secrets.token_hex(5)
_counter = itertools.count(secrets.randbelow(1 << 20))


def new_id() -> str:
    """A new 24-hex id: time, process, counter. Real time on purpose: a played clock may stand still."""
    return f"{int(time.time()):08x}{_process}{next(_counter) & 0xFFFFFF:06x}"
