"""Records of flags and the tables made from them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.flag_categories import CATEGORIES
from leaderboard.flags import (
    DO_NOT_SUBMIT,
    FLAGGED,
    SCOPED,
    FlagDecision,
    FlagEvidence,
    FlagRecord,
    FlagScope,
    compile_tables,
    flagged,
    lifted,
    parse_record,
    record_path,
    renamed,
)
from leaderboard.request_paths import is_model

FIRST = FlagDecision(what="flagged", at="2026-11-25T04:00:00Z", by="maya", by_id="1", category="copy", cause="c1")
LIFT = FlagDecision(what="lifted", at="2026-11-26T04:00:00Z", by="maya", by_id="1", reason="mended", cause="c2")
RECORD = FlagRecord(model="ada/tiger", status="flagged", category="copy", thread="https://hub/d/1", decisions=(FIRST,))
NAMES = st.from_regex(r"\A[a-zA-Z0-9]{1,8}/[a-zA-Z0-9]{1,8}\Z")


@st.composite
def records(draw: st.DrawFn) -> FlagRecord:
    """Generate any record of a flag."""
    return FlagRecord(
        model=draw(NAMES),
        status=draw(st.sampled_from(["flagged", "lifted"])),
        category=draw(st.sampled_from(sorted(CATEGORIES))),
        reason=draw(st.text(max_size=40)),
        scope=draw(st.sampled_from([FlagScope(), FlagScope(revision="abc"), FlagScope(precision="float16")])),
        thread="https://hub/d/1",
        also=tuple(draw(st.lists(NAMES, max_size=2))),
    )


@given(records())
def test_a_record_is_read_as_it_was_written(record: FlagRecord) -> None:
    """Records with any text, in any script, are read back unchanged."""
    assert parse_record(record.path, record.dump()) == record


@given(st.lists(records(), max_size=6))
def test_tables_contain_exactly_the_names_of_active_flags(several: list[FlagRecord]) -> None:
    """The names of whole flags, of partial flags and of opt-outs are in one table each, lifted flags in none."""
    tables = {path: json.loads(data) for path, data in compile_tables(several).items()}
    standing = [record for record in several if record.status == "flagged"]
    whole = {
        name
        for record in standing
        if record.category != "opt-out" and record.scope == FlagScope()
        for name in record.names
    }
    parts = {
        name
        for record in standing
        if record.category != "opt-out" and record.scope != FlagScope()
        for name in record.names
    }
    opted_out = {name for record in standing if record.category == "opt-out" for name in record.names}
    assert set(tables[FLAGGED]) == whole
    assert {row["model"] for row in tables[SCOPED]} == parts
    assert set(tables[DO_NOT_SUBMIT]) == opted_out


def test_tables_do_not_depend_on_the_order_of_records() -> None:
    """The tables of the same flags are the same bytes in any order of the records."""
    other = RECORD.model_copy(update={"model": "Bob/lion"})
    assert compile_tables([RECORD, other]) == compile_tables([other, RECORD])


def test_one_comment_decides_once() -> None:
    """A cause that was applied before changes nothing, even after the flag was lifted; another cause flags again."""
    once = flagged(None, RECORD.model_copy(update={"decisions": ()}), FIRST)
    assert once.decisions == (FIRST,)
    assert flagged(once, RECORD, FIRST) is once
    lifted_flag = lifted(once, LIFT)
    assert (lifted_flag.stands, lifted_flag.decisions) == (False, (FIRST, LIFT))
    assert lifted(lifted_flag, LIFT) is lifted_flag
    assert flagged(lifted_flag, RECORD, FIRST) is lifted_flag
    again = flagged(lifted_flag, RECORD, FIRST.model_copy(update={"cause": "c3"}))
    assert (again.stands, len(again.decisions)) == (True, 3)


def test_no_flag_is_escaped_by_a_new_name() -> None:
    """After a rename, the flag's record and table contain both names; the same name in another case is not added."""
    moved = renamed([RECORD], "ada/lion")
    assert (moved.path, moved.names) == ("flags/ada/lion.json", ("ada/lion", "ada/tiger"))
    assert set(json.loads(compile_tables([moved])[FLAGGED])) == {"ada/lion", "ada/tiger"}
    again = flagged(moved, FlagRecord(model="ada/lion", status="flagged", category="copy", also=("ADA/Tiger",)), LIFT)
    assert again.also == ("ada/tiger",)


def test_flags_of_both_names_become_one() -> None:
    """Records under several names merge into the strictest one with every decision."""
    lighter = RECORD.model_copy(
        update={"model": "ada/lion", "scope": FlagScope(precision="float16"), "decisions": (LIFT,), "also": ()}
    )
    assert RECORD.scope.is_whole and RECORD.stands
    for records in ([RECORD, lighter], [lighter, RECORD]):
        united = renamed(records, "ada/lion")
        assert (united.stands, united.scope, set(united.decisions)) == (True, FlagScope(), {*RECORD.decisions, LIFT})
        assert united.names == ("ada/lion", "ada/tiger")


SCOPES = [
    FlagScope(revision=revision, precision=precision)
    for revision in ("", "abcdef0", "abcdef012345", "fedcba9")
    for precision in ("", "float16", "4bit")
]


@pytest.mark.parametrize("first", SCOPES)
def test_a_new_name_frees_no_part_that_a_flag_covers(first: FlagScope) -> None:
    """The merged flag covers what either flag covered; a partial flag that becomes a whole one drops its weights."""
    old = RECORD.model_copy(update={"scope": first, "weights": "w"})
    for second in SCOPES:
        new = RECORD.model_copy(update={"model": "ada/lion", "scope": second, "weights": "w"})
        united = renamed([old, new], "ada/lion")
        assert united.scope.contains(first) and united.scope.contains(second)
        for revision in ("abcdef0123456789", "abcdef0987654321", "fedcba9876543210", "0123456789abcdef"):
            for precision in ("float16", "4bit", "bfloat16"):
                before = first.covers(revision, precision) or second.covers(revision, precision)
                assert united.scope.covers(revision, precision) or not before
        assert not (united.scope.is_whole and united.weights) or first.is_whole or second.is_whole
        ended = new.model_copy(update={"status": "lifted"})
        assert renamed([old, ended], "ada/lion").scope == first, "a lifted flag adds nothing"


@pytest.mark.parametrize(
    ("scope", "revision", "precision", "covers"),
    [
        (FlagScope(), "abcdef", "float16", True),
        (FlagScope(revision="abc"), "abcdef", "float16", True),
        (FlagScope(revision="abc"), "fedcba", "float16", False),
        (FlagScope(revision="abc"), "", "float16", True),
        (FlagScope(precision="float16"), "abcdef", "float16", True),
        (FlagScope(precision="float16"), "abcdef", "bfloat16", False),
        (FlagScope(precision="gptq"), "abcdef", "GPTQ", True),
        (FlagScope(revision="abc", precision="float16"), "abcdef", "bfloat16", False),
    ],
)
def test_a_scope_covers_what_it_names(scope: FlagScope, revision: str, precision: str, *, covers: bool) -> None:
    """A flag's scope covers the revisions and precisions that it names; an unknown revision counts as covered."""
    assert scope.covers(revision, precision) is covers


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no json", "cannot be read as a flag"),
        (b"[]", "cannot be read as a flag"),
        (b"\xff", "cannot be read as a flag"),
        (b'{"model": "ada/tiger", "status": "maybe", "category": "copy"}', "status"),
        (b'{"model": "ada/lion", "status": "flagged", "category": "copy"}', "belongs at flags/ada/lion.json"),
        (b'{"model": "../lion", "status": "flagged", "category": "copy"}', "cannot be the name"),
        (b" " * 300_000, "more than 200,000 bytes"),
    ],
)
def test_a_file_that_is_no_record_says_why(data: bytes, words: str) -> None:
    """A file that is not a valid record gives a message with the reason, and no exception."""
    problem = parse_record(record_path("ada/tiger"), data)
    assert isinstance(problem, str)
    assert words in problem


def test_fields_that_nobody_knows_are_kept() -> None:
    """Unknown fields of a record are kept when the next decision is added."""
    fields = json.loads(RECORD.dump()) | {"seen_in": ["a paper"]}
    record = parse_record(RECORD.path, json.dumps(fields).encode())
    assert isinstance(record, FlagRecord)
    assert json.loads(lifted(record, LIFT).dump())["seen_in"] == ["a paper"]


def test_only_evidence_that_can_be_fixed_in_its_category_is_checked_again() -> None:
    """A flag for a copy is checked again for the unnamed original; a flag for contamination has nothing to check."""
    evidence = (
        FlagEvidence(code="same-weights-unnamed", message="x"),
        FlagEvidence(code="author-flagged", message="y"),
    )
    assert RECORD.model_copy(update={"evidence": evidence}).recheckable_codes() == {"same-weights-unnamed"}
    assert (
        RECORD.model_copy(update={"evidence": evidence, "category": "contamination"}).recheckable_codes() == frozenset()
    )


@pytest.mark.parametrize("name", ["gpt2", "ada/tiger", "a.b/c_d-e"])
def test_names_of_models(name: str) -> None:
    """Names with and without an organisation are valid; names with blanks, `..` or more parts are not."""
    assert is_model(name)
    assert not any(map(is_model, (f"{name}/x/y", f" {name}", f"../{name}", f"{name}/", "")))


def test_a_record_of_many_decisions_can_still_be_read() -> None:
    """The file of a record leaves out the oldest decisions, so that it does not exceed the size that is read."""
    decisions = [FIRST.model_copy(update={"reason": "é" * 2_000, "cause": f"c{number}"}) for number in range(60)]
    record = parse_record(RECORD.path, RECORD.flagged_with(decisions, ()).dump())
    assert isinstance(record, FlagRecord) and record.stands
    assert 20 < len(record.decisions) < 60
    assert record.decisions == tuple(decisions[-len(record.decisions) :])
