"""Multipart forms are split into fields and files, within bounds and for any body."""

from __future__ import annotations

import pytest

from bot.web.incoming import MAX_PARTS, parts_in

TYPE = "multipart/form-data; boundary=xyz"
BODY = (
    b'--xyz\r\ncontent-disposition: form-data; name="name"\r\n\r\nfirst\r\n'
    b'--xyz\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\ncontent-type: text/csv\r\n\r\n'
    b"id\r\n\r\n1\r\n\r\n--xyz--\r\n"
)
BODIES: list[tuple[str, bytes, dict[str, bytes]]] = [
    (TYPE, BODY, {"name": b"first", "file": b"id\r\n\r\n1\r\n", "file:name": b"a.csv"}),
    (TYPE.replace("xyz", '"xyz"'), BODY, {"name": b"first", "file": b"id\r\n\r\n1\r\n", "file:name": b"a.csv"}),
    ("text/plain", BODY, {}),
    ("multipart/form-data; boundary=", BODY, {}),
    ("multipart/form-data; boundary=other", BODY, {}),
    (TYPE, b"", {}),
    (TYPE, b"--xyz\r\nno header--xyz--", {}),
    (TYPE, b"--xyz" * (MAX_PARTS + 1), {}),
    (TYPE, b'--xyz\r\nx: filename="only"\r\n\r\n1\r\n--xyz--', {}),
]


@pytest.mark.parametrize(("content_type", "body", "fields"), BODIES)
def test_a_form_with_a_file_is_split(content_type: str, body: bytes, fields: dict[str, bytes]) -> None:
    """Fields and files are returned as bytes; a body that is not multipart, or has too many parts, has no fields."""
    assert parts_in(content_type, body) == fields
