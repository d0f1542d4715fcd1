"""What must not leave the machine with a log: tokens, addresses of hosts, folders."""

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
"""Not the path of an address; but one that a library hung on an address, behind two slashes, is a folder."""


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets`, tokens of the Hub, passwords in addresses, IP addresses, and folders of this machine.

    Of a path its last name stays, which says what was meant: `/srv/models/abc/config.json` becomes `…/config.json`.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern in (_TOKENS, _CREDENTIALS, _ADDRESSES):
        text = pattern.sub(HIDDEN, text)
    return _FOLDERS.sub("…/", text)
