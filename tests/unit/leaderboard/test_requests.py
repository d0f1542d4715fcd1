"""The request file: paths, fields, problems, and edits that preserve unknown fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.attempts import number_in
from leaderboard.details import parse_table_path
from leaderboard.jsontext import edit
from leaderboard.predictions import is_predictions_path
from leaderboard.reasons import Problem
from leaderboard.request_paths import RequestPath, is_model, is_request_path, parse_path
from leaderboard.requests import Request, Status, parse_request

PATH = "01-ai/Yi-34B_eval_request_False_bfloat16_Original.json"


def file(**changes: Any) -> dict[str, Any]:
    """Return the fields of a valid request, with `changes`."""
    fields = {
        "model": "01-ai/Yi-34B",
        "base_model": "",
        "revision": "main",
        "precision": "bfloat16",
        "params": 34.389,
        "weight_type": "Original",
        "status": "PENDING",
        "submitted_time": "2024-06-12T10:00:00Z",
        "model_type": "🟢 : 🟢 pretrained",
        "job_id": -1,
        "job_start_time": None,
    }
    return {**fields, **changes}


def read(fields: object, path: str = PATH) -> Request | list[Problem]:
    """Parse a file with these fields."""
    return parse_request(path, json.dumps(fields).encode())


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.]{0,30}[A-Za-z0-9]", fullmatch=True).filter(
    lambda name: ".." not in name and not name.endswith(".git")
)


@given(NAMES | st.just(""), NAMES, st.booleans(), st.sampled_from(["float16", "4bit", "GPTQ"]), st.just("Delta"))
def test_a_path_is_read_as_it_was_written(org: str, name: str, private: bool, precision: str, weights: str) -> None:
    """Writing the path of a request and reading it gives the same parts, with and without an organisation."""
    path = RequestPath(org, name, private, precision, weights)
    assert parse_path(str(path)) == path


@pytest.mark.parametrize(
    ("spelled", "precision"),
    [
        ("gptq", "GPTQ"),
        ("GPTQ", "GPTQ"),
        ("Float16", "float16"),
        ("BF16", "bfloat16"),
        ("4-bit", "4bit"),
        ("4Bit", "4bit"),
    ],
)
@pytest.mark.parametrize("weights", ["Original", "original"])
def test_a_precision_is_read_in_any_spelling(spelled: str, precision: str, weights: str) -> None:
    """The React Space's form writes `gptq`; path and field stay as they are, and need not be spelled alike."""
    path = f"01-ai/Yi-34B_eval_request_False_{spelled}_{weights}.json"
    for stated in (spelled, precision):
        request = read(file(precision=stated, weight_type=weights), path)
        assert isinstance(request, Request)
        assert (request.path.precision, request.path.weight_type) == (precision, "Original")
        assert (str(request.path), request.file.precision) == (path, stated)
    (problem,) = parse_request(path, json.dumps(file(precision="float32")).encode())
    assert problem.code == "place"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("a/b/c_eval_request_False_float16_Original.json", "path-shape"),
        ("a/c_eval_request_false_float16_Original.json", "path-shape"),
        ("a/c_eval_request_False_float16.json", "path-shape"),
        ("../c_eval_request_False_float16_Original.json", "path-name"),
        ("a/.._eval_request_False_float16_Original.json", "path-name"),
        ("a/x..y_eval_request_False_float16_Original.json", "path-name"),
        ("a/x--y_eval_request_False_float16_Original.json", "path-name"),
        ("a/-x_eval_request_False_float16_Original.json", "path-name"),
        ("a/x.git_eval_request_False_float16_Original.json", "path-name"),
        ("a/x y_eval_request_False_float16_Original.json", "path-name"),
        ("a/x\u202ey_eval_request_False_float16_Original.json", "path-name"),
    ],
)
def test_a_wrong_path_is_named(path: str, code: str) -> None:
    """A path out of its folder, or with an invalid name, is a problem with its own code."""
    problem = parse_path(path)
    assert isinstance(problem, Problem)
    assert problem.code == code
    assert is_request_path(path)


def test_other_files_are_not_taken_for_requests() -> None:
    """Paths in the requests repo without the form of a request's path, such as the card's, are not requests."""
    assert not is_request_path("README.md")
    assert not is_request_path("a_eval_request_b/readme.json")
    assert is_request_path("gpt2_eval_request_False_float16_Original.json")


def test_a_file_of_the_first_generation_is_read() -> None:
    """Missing fields of older front ends, and fields that Steward does not know, are no problem."""
    request = read({"model": "01-ai/Yi-34B", "status": "PENDING", "likes": 7, "params": 0})
    assert isinstance(request, Request)
    assert request.status is Status.PENDING
    assert request.path.model == "01-ai/Yi-34B"


@pytest.mark.parametrize(
    ("word", "status"),
    [("FINISHED_NEW_EVAL", Status.FINISHED), ("rerun", Status.RERUN), ("WHATEVER", None), ("", None), ("R", None)],
)
def test_a_status_is_a_whole_word(word: str, status: Status | None) -> None:
    """A status in an old spelling is recognised; an unknown status or a part of one is not."""
    request = read(file(status=word))
    assert isinstance(request, Request)
    assert request.status is status


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        (b"not json", ["not-json"]),
        (b"[1]", ["not-an-object"]),
        (b"\xff\xfe", ["not-json"]),
        (b"[" * 100_000, ["not-json"]),
        (json.dumps(file(model=7)).encode(), ["field"]),
        (json.dumps(file(model=7, revision=[])).encode(), ["field", "field"]),
        (json.dumps(file(steward=3)).encode(), ["field"]),
        (json.dumps(file(steward={"attempt": -1})).encode(), ["field"]),
        (json.dumps(file(model="x/y")).encode(), ["place"]),
        (json.dumps(file(precision="4bit", weight_type="Delta")).encode(), ["place", "place"]),
    ],
)
def test_every_problem_of_a_file_is_told_at_once(data: bytes, codes: list[str]) -> None:
    """An invalid file gives all of its problems at once, each with a code."""
    problems = parse_request(PATH, data)
    assert isinstance(problems, list)
    assert [problem.code for problem in problems] == codes


def test_a_wrong_path_and_a_wrong_field_are_both_told() -> None:
    """A file in the wrong place with a wrong field has two problems."""
    problems = parse_request("a/b/c_eval_request_x.json", json.dumps(file(model=1)).encode())
    assert isinstance(problems, list)
    assert [problem.code for problem in problems] == ["path-shape", "field"]


@given(st.binary(max_size=300))
def test_no_bytes_make_the_parser_raise(data: bytes) -> None:
    """Any bytes of a file give a request or problems."""
    parsed = parse_request(PATH, data)
    assert isinstance(parsed, Request) or parsed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(st.text(max_size=8), JSON, max_size=6),
    st.sampled_from([None, 2, 4, "\t"]),
    st.booleans(),
    st.booleans(),
)
def test_an_edit_changes_only_what_it_names(
    fields: dict[str, Any], indent: int | str | None, ascii_only: bool, newline: bool
) -> None:
    """An edit keeps every other field, their order, and the layout of the file."""
    raw = json.dumps({"model": "é" if not ascii_only else "e", **fields}, indent=indent, ensure_ascii=ascii_only)
    raw += "\n" if newline else ""
    edited = edit(raw, {"status": "RUNNING"})
    assert json.loads(edited) == {**json.loads(raw), "status": "RUNNING"}
    assert [name for name in json.loads(edited) if name != "status"] == [n for n in json.loads(raw) if n != "status"]
    restored = edit(edited, {"status": "x"})
    assert restored.replace('"x"', '"RUNNING"') == edited or '"x"' in raw
    assert edited.endswith("\n") == newline
    if "status" in fields:
        same = edit(raw, {"status": fields["status"]})
        assert same == raw


@pytest.mark.parametrize(
    ("status", "failure", "tried"),
    [
        ("FINISHED", True, "b" * 40),
        ("FINISHED_2024-06-12", True, "b" * 40),
        ("FINISHED", False, None),
        ("FAILED", True, None),
        ("PENDING", True, None),
    ],
)
def test_a_newer_evaluation_failed_only_where_an_earlier_result_stands(
    status: str, failure: bool, tried: str | None
) -> None:
    """A request has the commit of a failed newer evaluation only if it is finished and has a failure."""
    facts = {"tried": "b" * 40, "failure": {"cause": "disk-full", "fault": "us", "message": "x"} if failure else None}
    request = read(file(status=status, steward=facts))
    assert isinstance(request, Request)
    assert request.tried == tried


@pytest.mark.parametrize(
    ("declared", "billions"),
    [
        ("7.242", 7.242),
        ("13", 13.0),
        ("0", None),
        ("-1", None),
        ("true", None),
        ('"7B"', None),
        ("null", None),
        ("1e9", None),
        ("NaN", None),
        ("Infinity", None),
    ],
)
def test_the_declared_number_of_parameters_counts_only_if_it_is_one(declared: str, billions: float | None) -> None:
    """The field `params` counts only as a positive, plausible number; front ends and people write other values too."""
    path = "org/model_eval_request_False_bfloat16_Original.json"
    text = f'{{"model": "org/model", "status": "FINISHED", "precision": "bfloat16", "params": {declared}}}'
    request = parse_request(path, text.encode())
    assert isinstance(request, Request)
    assert request.billions == billions


def test_a_name_or_path_with_a_trailing_line_break_is_invalid() -> None:
    """Names, paths and ids with a line break at the end are invalid, because it would start a line in a log."""
    assert is_model("org/lion") and not is_model("org/lion\n") and not is_model("lion\n")
    assert isinstance(parse_path(PATH), RequestPath) and isinstance(parse_path(PATH + "\n"), Problem)
    assert not is_predictions_path("ada/x_predictions.csv\n")
    assert number_in("0" * 12 + "-" + "0" * 8 + "-1\n") == 0
    assert parse_table_path("2024-06-12T10-00-00.123456/details_x_2024-06-12T10-00-00.123456.parquet\n") is None
