"""Removes from logs what must not leave the machine: tokens, host addresses, folders."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote

HIDDEN = "[hidden]"
_TOKENS = re.compile(
    r"\bhf_[A-Za-z0-9_]{8,}|\b(?:api_org|oauth)_[A-Za-z0-9]{16,}|(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|\bsteward-attempt-\d+\.[\w=.-]+"
)
_BREAK = r"(?:\r?\n[ \t|]*)?"
"""A line break, which may stand between two characters of a secret, with the indentation of the next line."""
_MIN_ENCODED = 8
"""Length from which an encoded secret is searched for: shorter ones would match other text."""
_CREDENTIALS = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]*(?=@)")
_ADDRESSES = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?\b")
_FOLDERS = re.compile(r"(?:(?<![\w/.])|(?<=[^:]/))(?:/[\w.@+-]+){2,}/(?=[\w.@+-])")
"""Absolute paths. The path of a URL does not match, unless a library appended a folder to it after two slashes."""


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets`, Hub tokens, passwords in URLs, IP addresses, and folders of this machine.

    Secrets are recognised in the encodings of addresses and of base64, and over the ends of lines. The last name of a
    path stays: `/srv/models/abc/config.json` becomes `…/config.json`.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = _anywhere(secret).sub(HIDDEN, text)
    for pattern in (_TOKENS, _CREDENTIALS, _ADDRESSES):
        text = pattern.sub(HIDDEN, text)
    return _FOLDERS.sub("…/", text)


@lru_cache(maxsize=32)
def _anywhere(secret: str) -> re.Pattern[str]:
    """A pattern that finds `secret` in each of its encodings, also where a line was broken inside it."""
    forms = sorted({secret, *_encoded(secret)}, key=len, reverse=True)
    return re.compile("|".join(_BREAK.join(map(re.escape, form)) for form in forms))


def _encoded(secret: str) -> Iterator[str]:
    """The secret as part of an address, and the characters of base64 that follow from it alone."""
    yield quote(secret, safe="")
    for before in range(3):  # bytes of a group of three that precede it
        data = b"\0" * before + secret.encode("utf-8", "replace")
        for alphabet in (b"+/", b"-_"):
            encoded = b64encode(data, alphabet).decode()
            own = encoded[(8 * before + 5) // 6 : 8 * len(data) // 6]
            if len(own) >= _MIN_ENCODED:
                yield own
