"""Edits of JSON text change the named fields and no other character."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.jsontext import edit, object_in

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
BLANK = st.text(" \t\r\n", max_size=3)
NAMES = st.sampled_from(["status", "steward", "job_id", "é", "a,b", 'q"{', "\ud83d"])
FIELDS = st.dictionaries(NAMES, JSON, max_size=5)


def written(draw: st.DrawFn, fields: list[tuple[str, Any]]) -> list[str]:
    """Build an object in any JSON layout, as pieces; every fourth piece from the third on is a value."""
    ascii_only = draw(st.booleans()) or "\ud83d" in str(fields)
    pieces = [draw(st.sampled_from(["", "\ufeff"])) + draw(BLANK) + "{" + draw(BLANK)]
    for number, (name, value) in enumerate(fields):
        text = json.dumps(value, ensure_ascii=True, indent=draw(st.sampled_from([None, 1, "\t"])))
        comma = "," + draw(BLANK) if number < len(fields) - 1 else ""
        pieces += [json.dumps(name, ensure_ascii=ascii_only), f"{draw(BLANK)}:{draw(BLANK)}", text, draw(BLANK) + comma]
    return [*pieces, "}" + draw(BLANK)]


@st.composite
def files(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Build an object as pieces of text with its names in order; a name may occur twice."""
    fields = draw(st.lists(st.tuples(NAMES, JSON), max_size=5))
    return written(draw, fields), [name for name, _ in fields]


@given(files(), FIELDS)
def test_only_the_values_that_are_named_change(file: tuple[list[str], list[str]], changes: dict[str, Any]) -> None:
    """In any layout, also with repeated names or lone surrogates, an edit changes only the values of named fields."""
    pieces, names = file
    raw = "".join(pieces)
    edited = edit(raw, changes)
    before, after = json.loads(raw.removeprefix("\ufeff")), json.loads(edited.removeprefix("\ufeff"))
    assert after == {**before, **changes}
    assert edit(edited, changes) == edited
    remaining = edited
    for number, piece in enumerate(pieces[:-1]):
        name = names[(number - 1) // 4] if number else ""
        if number % 4 == 3 and name in changes:
            _, end = json.JSONDecoder().raw_decode(remaining)
            remaining = remaining[end:]
        elif number == len(pieces) - 2:
            assert remaining.startswith(piece) or set(changes) - set(names)
        else:
            assert remaining.startswith(piece)
            remaining = remaining[len(piece) :]
    assert edited.endswith(pieces[-1])
    assert set(changes) & set(names) or set(changes) - set(names) or edited == raw


@given(FIELDS)
def test_setting_a_field_to_its_own_value_changes_nothing(fields: dict[str, Any]) -> None:
    """Setting every field to its own value gives the same text in any layout."""
    for raw in (json.dumps(fields, indent=3), json.dumps(fields, separators=(",", ":"))):
        assert edit(raw, fields) == raw


LAYOUTS = [
    ('{"a": 1}', '{"a": 1, "new": {"x": [1, 2]}}'),
    ('{"a":1,"b":2}\n', '{"a":1,"b":2,"new":{"x":[1,2]}}\n'),
    ('{ "a" : 1 }', '{ "a" : 1, "new" : {"x" : [1, 2]} }'),
    ("{}", '{"new": {"x": [1, 2]}}'),
    ('{\n  "a": 1\n}', '{\n  "a": 1,\n  "new": {\n    "x": [\n      1,\n      2\n    ]\n  }\n}'),
    ('{\r\n\t"a": 1\r\n}', '{\r\n\t"a": 1,\r\n\t"new": {\r\n\t\t"x": [\r\n\t\t\t1,\r\n\t\t\t2\r\n\t\t]\r\n\t}\r\n}'),
]


@pytest.mark.parametrize(("raw", "expected"), LAYOUTS)
def test_a_new_field_is_written_like_the_others(raw: str, expected: str) -> None:
    """A new field gets the layout of the others: indented, compact, with blanks or with Windows line ends."""
    assert edit(raw, {"new": {"x": [1, 2]}}) == expected


def test_true_is_not_one() -> None:
    """An edit replaces `true` and 1.0 by 1, although Python compares them as equal."""
    assert edit('{"a": true, "b": 1.0}', {"a": 1, "b": 1}) == '{"a": 1, "b": 1}'


@pytest.mark.parametrize("raw", ["", "[1]", '{"a": 1', '{"a": 1 "b": 2}', "{1: 2}", '{"a" 1}'])
def test_what_is_no_object_is_not_edited(raw: str) -> None:
    """An edit of a text that is not a JSON object raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        edit(raw, {"a": 2})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b"[1]", None),
        (b"", None),
        (b"\xff{}", None),
        (b"[" * 100_000, None),
        (b'{"a": ' + b"9" * 5_000 + b"}", None),
    ],
    ids=["object", "byte order mark", "list", "nothing", "not text", "too deep", "too large a number"],
)
def test_whatever_bytes_hold_is_an_object_or_nothing(data: bytes, expected: dict[str, Any] | None) -> None:
    """Untrusted bytes are read as an object or as None, and never raise an error."""
    assert object_in(data) == expected
