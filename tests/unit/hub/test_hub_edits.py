"""Edits of files: what they change and preserve, when they are void, and the messages of their commits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ledger.edits import (
    EDIT,
    AnyEdit,
    EditBase,
    FieldEdit,
    PresentFile,
    PutFile,
    RestoreFile,
    blob_id,
    edits_in,
    guard_of,
    message,
    named_edits,
    plan,
)
from hub.records import DeleteFile

PATH = "o/m.json"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["status", "params", "job_id", "é", "a b"])
OBJECTS = st.dictionaries(NAMES, JSON, max_size=5)
FACTS = st.dictionaries(st.sampled_from(["attempt", "thread", "failure"]), JSON, max_size=3)


def present(fields: Any, **dump: Any) -> PresentFile:
    """A file on the Hub with this content."""
    data = fields if isinstance(fields, bytes) else json.dumps(fields, **dump).encode()
    return PresentFile(blob_id(data), data)


def edit(**changes: Any) -> FieldEdit:
    """An edit that sets a pending request to running."""
    defaults: dict[str, Any] = {"fields": {"status": "RUNNING"}, "guard": {"status": ("PENDING",)}}
    return FieldEdit(**{"id": "run 1", "path": PATH, "line": "Run o/m", **defaults, **changes})


def become(single: AnyEdit, file: PresentFile | None) -> tuple[str, Any]:
    """Return the result of an edit, and the JSON that it writes."""
    planned = plan([single], {PATH: file})
    for word in ("landed", "void", "written"):
        if getattr(planned, word):
            return word, json.loads(planned.contents[PATH] or b"null") if word == "written" else None
    raise AssertionError("an edit got lost")


def test_an_edit_sets_its_fields_and_leaves_the_rest() -> None:
    """An edit keeps unknown fields, other members of `steward`, and the indentation."""
    file = present({"mystery": [1], "status": "PENDING", "steward": {"thread": 3, "x": 1}}, indent=3)
    planned = plan([edit(facts={"attempt": 2, "x": None})], {PATH: file})
    text = (planned.contents[PATH] or b"").decode()
    assert json.loads(text) == {"mystery": [1], "status": "RUNNING", "steward": {"thread": 3, "attempt": 2}}
    assert '\n   "mystery"' in text


@pytest.mark.parametrize(
    "file",
    [
        None,
        present(b"{"),
        present(b"[1]"),
        present(b"\xff"),
        PresentFile("a" * 40),
        present({"status": "CANCELLED"}),
        present({}),
    ],
)
def test_an_edit_of_what_is_not_as_it_was_is_void(file: PresentFile | None) -> None:
    """An edit is void if the file is missing, is not a JSON object, or has another value in a guarded field."""
    assert become(edit(), file)[0] == "void"


@given(OBJECTS, FACTS, OBJECTS, FACTS)
def test_whoever_changed_another_field_keeps_the_change(
    theirs: dict[str, Any], their_facts: dict[str, Any], fields: dict[str, Any], facts: dict[str, Any]
) -> None:
    """An edit keeps all other fields, and counts as committed once the file has its values."""
    file = present({**theirs, "steward": their_facts})
    field_edit = edit(fields=fields, facts=facts, guard={})
    word, now = become(field_edit, file)
    if word == "landed":
        now = json.loads(file.data or b"")
    for name, value in theirs.items():
        assert json.dumps(now[name]) == json.dumps(fields.get(name, value))
    remaining = {name: value for name, value in {**their_facts, **facts}.items() if value is not None}
    if word == "written" and facts:
        assert now["steward"] == remaining
    assert become(field_edit, present(now))[0] == "landed"


@given(OBJECTS, OBJECTS)
def test_a_guard_holds_as_long_as_the_guarded_fields_stay(before: dict[str, Any], after: dict[str, Any]) -> None:
    """A guard made from a file holds exactly while the guarded fields have the same JSON."""
    guard = guard_of(json.dumps({**before, "steward": {"attempt": 1}}), "status", "steward.attempt")
    field_edit = edit(fields={"new": 1}, guard=guard)
    same = json.dumps(before.get("status")) == json.dumps(after.get("status"))
    expected = "written" if same else "void"
    assert become(field_edit, present({**after, "steward": {"attempt": 1}}))[0] == expected
    assert become(field_edit, present({**after, "steward": {"attempt": 2}}))[0] == "void"


def test_a_guard_on_a_value_that_is_no_number_holds_after_the_edit_was_stored() -> None:
    """A guard on a field with NaN, which pandas writes, still holds after the edit was stored as JSON."""
    text = '{"status": "PENDING", "job_id": NaN}'
    field_edit = edit(guard=guard_of(text, "status", "job_id"))
    assert become(EDIT.validate_json(EDIT.dump_json(field_edit)), present(text.encode()))[0] == "written"


def test_an_edit_of_one_content_is_right_for_no_other() -> None:
    """An edit with `whole` is void if any byte of the file changed."""
    file = present({"status": "PENDING"})
    assert become(edit(whole=file.oid), file)[0] == "written"
    assert become(edit(whole=file.oid), present({"status": "PENDING", "x": 1}))[0] == "void"


def test_true_is_not_one() -> None:
    """Values are compared as JSON: `true` is not 1."""
    assert become(edit(fields={"private": 1}, guard={}), present({"private": True}))[0] == "written"
    assert become(edit(guard={"private": (0,)}), present({"private": False, "status": "PENDING"}))[0] == "void"


def test_edits_of_a_file_build_on_each_other() -> None:
    """Two edits in one batch apply in order, and neither counts as committed before the batch."""
    first = edit()
    second = edit(id="finish 1", fields={"status": "FINISHED"}, guard={"status": ("RUNNING",)})
    again = edit(id="finish 2", fields={"status": "FINISHED"}, guard={"status": ("RUNNING",)})
    planned = plan([first, second, again], {PATH: present({"status": "PENDING"})})
    assert planned.written == [first, second, again]
    assert json.loads(planned.contents[PATH])["status"] == "FINISHED"
    assert (planned.landed, planned.void) == ([], [])


def test_an_existing_file_is_overwritten_only_without_unless_exists() -> None:
    """With `unless_exists`, any existing file counts as committed; without it, other content is overwritten."""
    put = PutFile(id="p", path=PATH, line="Add", data=b'{"a": 1}')
    over = put.model_copy(update={"unless_exists": False})
    assert become(put, None) == ("written", {"a": 1})
    assert become(put, present({"b": 2}))[0] == "landed"
    assert become(over, present({"b": 2}))[0] == "written"
    assert become(over, present({"a": 1}))[0] == "landed"


def test_half_a_character_in_a_file_survives() -> None:
    """A lone surrogate in a file is written as the same JSON escape again."""
    planned = plan([edit()], {PATH: present(b'{"status": "PENDING", "x": "\\ud83d", "y": "\xc3\xa9"}')})
    assert json.loads(planned.contents[PATH])["x"] == "\ud83d"
    assert b"\\ud83d" in planned.contents[PATH]


def test_a_byte_order_mark_and_line_ends_are_kept() -> None:
    """A byte order mark and Windows line ends are kept, and added fields use the same line ends."""
    planned = plan([edit(facts={"attempt": 1})], {PATH: present(b'\xef\xbb\xbf{\r\n  "status":  "PENDING"\r\n}\r\n')})
    expected = b'{\r\n  "status":  "RUNNING",\r\n  "steward":  {\r\n    "attempt":  1\r\n  }\r\n}\r\n'
    assert planned.contents[PATH] == b"\xef\xbb\xbf" + expected


def test_a_commit_says_in_lines_of_json_what_it_did() -> None:
    """A commit has the title of its first edit and the number of others, and a JSON line for each edit."""
    other = PutFile(id="log 1", path="x\ny", line="Add the\nlog of o/m", data=b"")
    title, description = message([edit(), other])
    assert title == "Run o/m and 1 more"
    assert [json.loads(line) for line in description.splitlines()] == [
        {"edit": "run 1", "path": PATH, "does": "Run o/m", "status": "RUNNING"},
        {"edit": "log 1", "path": "x\ny", "does": "Add the log of o/m"},
    ]
    assert message([edit()])[0] == "Run o/m"


def test_a_commit_of_very_many_edits_says_how_many_it_leaves_out() -> None:
    """The message of a commit with many edits is limited, and says how many are left out; its title is short."""
    edits = [edit(id=f"run {n}", path="p" * 900, line="Run " + "m" * 390 + str(n)) for n in range(300)]
    title, description = message(edits)
    assert len(title) <= 200
    assert len(description) < 62_000
    lines = [json.loads(line) for line in description.splitlines()]
    assert lines[-1] == {"more": 300 - len(lines) + 1}
    assert edits_in(description) == ()
    assert named_edits(description) == tuple(f"run {n}" for n in range(len(lines) - 1))


@given(st.binary(max_size=50))
def test_edits_travel_as_json(data: bytes) -> None:
    """Stored edits are read back unchanged, with any bytes."""
    for original in (edit(base=EditBase(data=data, commit="c")), PutFile(id="p", path=PATH, line="Add", data=data)):
        assert EDIT.validate_json(EDIT.dump_json(original)) == original


@pytest.mark.parametrize(
    ("file", "written", "data", "becomes"),
    [
        (b"theirs", b"theirs", b"ours", "written"),
        (b"theirs", b"theirs", None, "written"),
        (None, None, b"ours", "written"),
        (b"ours", b"theirs", b"ours", "landed"),
        (None, b"theirs", None, "landed"),
        (b"a third one's", b"theirs", b"ours", "void"),
        (b"a third one's", b"theirs", None, "void"),
        (b"theirs", None, b"ours", "void"),
        (None, b"theirs", b"ours", "void"),
    ],
)
def test_a_file_is_restored_only_where_nobody_touched_it_since(
    file: bytes | None, written: bytes | None, data: bytes | None, becomes: str
) -> None:
    """A file is restored only if it is still as another account left it; a later change of a third one is kept."""
    restoring = RestoreFile(
        id="back", path=PATH, line="Take back", data=data, left=None if written is None else blob_id(written)
    )
    planned = plan([restoring], {PATH: None if file is None else PresentFile(blob_id(file))})
    assert getattr(planned, becomes) == [restoring]
    assert EDIT.validate_json(EDIT.dump_json(restoring)) == restoring
    if becomes == "written":
        (change,) = planned.changes
        assert change == DeleteFile(PATH) if data is None else change.path == PATH
