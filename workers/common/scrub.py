"""Removes from logs what must not leave the machine: tokens, host addresses, folders."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "[hidden]"
_TOKENS = re.compile(
    r"\bhf_[A-Za-z0-9_]{8,}|\b(?:api_org|oauth)_[A-Za-z0-9]{16,}|(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"
)
_CREDENTIALS = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]*(?=@)")
_ADDRESSES = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?\b")
_FOLDERS = re.compile(r"(?:(?<![\w/.])|(?<=[^:]/))(?:/[\w.@+-]+){2,}/(?=[\w.@+-])")
"""Absolute paths. The path of a URL does not match, unless a library appended a folder to it after two slashes."""


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets`, Hub tokens, passwords in URLs, IP addresses, and folders of this machine.

    The last name of a path stays: `/srv/models/abc/config.json` becomes `…/config.json`.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern in (_TOKENS, _CREDENTIALS, _ADDRESSES):
        text = pattern.sub(HIDDEN, text)
    return _FOLDERS.sub("…/", text)
