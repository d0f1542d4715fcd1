"""The decisive lines of an attempt's log: the few that a person would point at.

Logs are private and long. A thread quotes only these. They are strangers' words all the same, and escaped where they
are shown.
"""

from __future__ import annotations

import re

MOST, LONGEST = 6, 240
"""Lines that are quoted, and characters of each."""
_LOOKED_AT = 2_000
"""Lines at the end of a log in which they are looked for."""
_ERROR = re.compile(
    r"^(\s*(?:E\s+)?[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning|Fault)\b.*"
    r"|.*\b(?:[Oo]ut of memory|OOM|[Kk]illed|[Nn]o space left|CUDA error|NCCL|[Ss]egmentation fault)\b.*"
    r"|.*\b(?:error|fatal|failed)\b\s*[:\-].*)$"
)
_NOISE = re.compile(r"^\s*(?:File \".*\", line \d+|\^+|~+|Traceback \(most recent call last\):|During handling of|$)")
_PROGRESS = re.compile(r"\d{1,3}%\|.*\||\bit/s\b|\bs/it\b")


def decisive_lines(log: str, *, most: int = MOST) -> list[str]:
    """Up to `most` lines of `log`, in their order: its last errors; where there is none, its last lines of all."""
    lines = [line.rstrip() for line in log.splitlines()[-_LOOKED_AT:]]
    told = [line for line in lines if line.strip() and not _NOISE.match(line) and not _PROGRESS.search(line)]
    errors = list(dict.fromkeys(line.strip() for line in told if _ERROR.match(line)))
    chosen = errors[-most:] if errors else [line.strip() for line in told[-most:]]
    return [line if len(line) <= LONGEST else f"{line[:LONGEST]} …" for line in chosen]
