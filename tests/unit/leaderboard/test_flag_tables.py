"""Import of tables of flags that were kept by hand, with each kind of invalid key in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.flag_tables import LOST, BadFlagTable, read_table, tidy

URL = "https://huggingface.co/spaces/board/space/discussions/510"
PYTHON = f'''
# Models which have been flagged by users
FLAGGED_MODELS: dict[str, str] = {{
    "merged": "{URL}",
    "ada/tiger": "{URL}",  # trained on the test set
    'ada/lion': '{URL}',
}}
DO_NOT_SUBMIT_MODELS = ["ada/lynx"]

def flag_models(leaderboard_data):
    return {{"x/y": "no"}}
'''
DIRTY = {
    "ada/MetaModelv2 ": ("blanks", "ada/MetaModelv2"),
    "ada / merged-v1": ("blanks", "ada/merged-v1"),
    "\tada/tab": ("blanks", "ada/tab"),
    "https://huggingface.co/ada/address": ("address", "ada/address"),
    "ada/zero\u200bwidth": ("invisible", "ada/zerowidth"),
    "\u0430da/tiger": ("look-alike", None),
    "merged": ("no-name", None),
    "ada/with space/more": ("no-name", None),
    "": ("no-name", None),
    "ada/-x": ("no-name", None),
}


def test_the_text_of_a_program_is_read_and_not_run(tmp_path: Path) -> None:
    """The rows come from the dictionary in the text of a program; code before, in and after it does not run."""
    rows, problems = read_table(PYTHON)
    assert [(row.model, row.thread) for row in rows] == [("ada/tiger", URL), ("ada/lion", URL)]
    assert [problem.code for problem in problems] == ["no-name"]
    before, within, after, tag = (tmp_path / name for name in ("before", "within", "after", "tag"))
    touch = '__import__("pathlib").Path("{}").touch()'.format
    program = f'{touch(before)}\nMODELS = {{\n"ada/tiger": "{URL}",\n"ada/lynx": {touch(within)},\n}}\n{touch(after)}\n'
    tagged = f'{{"ada/tiger": "{URL}", "ada/lynx": !!python/object/apply:os.mkdir ["{tag}"]}}'
    for text in (program, tagged):
        rows, problems = read_table(text)
        assert [row.model for row in rows] == ["ada/tiger"]
        assert [problem.code for problem in problems] == ["no-thread"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("key", "expected"), DIRTY.items())
def test_each_dirty_key_is_told(key: str, expected: tuple[str, str | None]) -> None:
    """Each invalid key is reported, and is imported in its corrected form or reported as lost."""
    rows, (problem,) = read_table(json.dumps({key: URL}))
    assert problem.code == expected[0]
    assert [row.model for row in rows] == ([expected[1]] if expected[1] else [])
    assert (problem.code in LOST) is (not rows)


def test_doubles_and_rows_without_an_address_are_told() -> None:
    """Of keys that differ only in case the last counts and is reported, as is a row without a thread's address."""
    other = URL.replace("510", "511")
    rows, problems = read_table(f'{{"ada/tiger": "{URL}", "Ada/Tiger": "{other}", "ada/lion": "see above"}}')
    assert [(row.model, row.thread) for row in rows] == [("Ada/Tiger", other)]
    assert [problem.code for problem in problems] == ["twice", "no-thread"]


@pytest.mark.parametrize("text", ["", "[1, 2]", "just words", '{"a": ', "{" * 3_000, "x" * 5_000_001])
def test_what_is_no_table_says_so(text: str) -> None:
    """A text without a readable table raises `BadFlagTable`."""
    with pytest.raises(BadFlagTable):
        read_table(text)


@given(st.dictionaries(st.text(max_size=30), st.one_of(st.text(max_size=30), st.just(URL)), max_size=5))
def test_every_key_is_a_row_or_a_problem(table: dict[str, str]) -> None:
    """Each key of a table gives a row or a problem."""
    rows, problems = read_table(json.dumps(table))
    assert len(rows) + sum(problem.code in LOST or problem.code == "twice" for problem in problems) >= len(table)


@given(st.text(max_size=300))
def test_any_text_is_a_table_or_none(text: str) -> None:
    """Any text is read as a table or raises `BadFlagTable`, and no other exception."""
    try:
        read_table(text)
    except BadFlagTable as error:
        assert str(error)


@given(st.text(max_size=60))
def test_tidying_once_is_enough(name: str) -> None:
    """A name that is normalised already stays unchanged."""
    assert tidy(tidy(name)) == tidy(name)
