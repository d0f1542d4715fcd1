"""Removing from logs what must not leave the machine."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.common.scrub import HIDDEN, scrub


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("token hf_AbCdEfGhIjKlMnOp used", f"token {HIDDEN} used"),
        ("with steward-attempt-1.eyJhIjoi_-0=.0a1b2c3d in it", f"with {HIDDEN} in it"),
        ("authorization: Bearer abc.def-123456", f"authorization: {HIDDEN}"),
        ("redis://user:secret@queue:6379/0", f"redis://{HIDDEN}@queue:6379/0"),
        ("connect to 10.1.2.3:6379 failed", f"connect to {HIDDEN} failed"),
        ("/srv/steward/models/abc/config.json is no JSON", "…/config.json is no JSON"),
        ("see https://hf.co//srv/models/ada--m/abc.", "see https://hf.co/…/abc."),
        ("see https://hf.co/a/b/c/d", "see https://hf.co/a/b/c/d"),
        ("3/4 of org/model read, 12/24", "3/4 of org/model read, 12/24"),
        ("loss 0.123.456", "loss 0.123.456"),
    ],
)
def test_secrets_and_places_go_and_words_stay(text: str, scrubbed: str) -> None:
    """Tokens, passwords, addresses and folders are hidden; names of models and numbers stay."""
    assert scrub(text) == scrubbed


@given(st.text(), st.text("abcXYZ0123456789", min_size=8), st.text())
def test_a_known_secret_never_stays(before: str, secret: str, after: str) -> None:
    """A known secret is removed, whatever it looks like and whatever surrounds it."""
    assert secret not in scrub(before + secret + after, [secret])


def test_the_longer_of_two_secrets_goes_first() -> None:
    """If one secret is a prefix of another, no part of the longer one stays."""
    assert scrub("abcdefgh-tail", ["abcdefgh", "abcdefgh-tail"]) == HIDDEN


SECRET = "wk_9Zq/+aB?c=dE~fG!h 1"


@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("after", ["", ":", "@hub/path"])
def test_an_encoded_secret_goes(before: str, after: str) -> None:
    """A secret is hidden also in base64, as in a header of basic authentication, and URL-encoded."""
    for encode in (b64encode, urlsafe_b64encode):
        encoded = encode(f"{before}{SECRET}{after}".encode()).decode()
        scrubbed = scrub(f"header: {encoded} sent", [SECRET])
        assert HIDDEN in scrubbed and len(scrubbed) < len("header:  sent") + len(HIDDEN) + 2 * len(before + after) + 8
    assert scrub(f"GET /x?{before}{quote(SECRET, safe='')}{after}", [SECRET]) == f"GET /x?{before}{HIDDEN}{after}"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n    ", "\n| "])
def test_a_secret_goes_that_a_library_broke_over_lines(end: str) -> None:
    """A secret is hidden also if a line break splits it, wherever that is."""
    for at in range(1, len(SECRET)):
        assert scrub(f"a {SECRET[:at]}{end}{SECRET[at:]} b", [SECRET]) == f"a {HIDDEN} b"
