"""The contents table as a parquet file, in the form that each front end expects."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.core.mirrors.contents_table import read_table, write_table
from leaderboard.columns import ContentsRow, columns
from leaderboard.suites import find_suite

SHAPE = columns(find_suite("open-llm-v1"))
GRADIO = {"gradio-v1": ("date", "2024-02-07"), "gradio-v2": ("Not_Merged", False)}


def row(**changes: Any) -> ContentsRow:
    """A row of a flagged merge, as Steward holds it in memory."""
    values: ContentsRow = {column.name: column.unknown for column in SHAPE}
    values |= {"fullname": "ada/good", "Flagged": True, "Merged": True, "MoE": False, "Submission Date": "2024-02-07"}
    return values | {"Available on the hub": True} | changes


def in_file(data: bytes) -> ContentsRow:
    """The only row of a parquet file, without any conversion by Steward."""
    (values,) = pq.read_table(io.BytesIO(data)).to_pylist()
    return dict(values)


def by_another_program(values: ContentsRow) -> bytes:
    """A table of one row that another program wrote."""
    into = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([values]), into)
    return into.getvalue()


@pytest.mark.parametrize("front_end", GRADIO)
def test_a_gradio_front_end_gets_inverted_flags_and_its_own_column(front_end: str) -> None:
    """For a Gradio front end, three flags are inverted and one column is added in the file; reading it undoes both."""
    data = write_table([row()], SHAPE, {}, front_end)
    column, value = GRADIO[front_end]
    values = in_file(data)
    assert (values["Flagged"], values["Merged"], values["MoE"], values[column]) == (False, False, True, value)
    table = read_table(data, "oid", SHAPE, front_end)
    assert (table.rows, dict(table.more)) == ((row(),), {})


@pytest.mark.parametrize("before", GRADIO)
@pytest.mark.parametrize("after", [*GRADIO, "react"])
def test_a_table_is_read_as_it_was_written_whatever_the_board_says_now(before: str, after: str) -> None:
    """A table is read in the form of the front end that it was written for, even if the board now has another one."""
    table = read_table(write_table([row()], SHAPE, {}, before), "oid", SHAPE, after)
    assert (table.rows, dict(table.more)) == ((row(),), {})
    assert write_table(table.rows, SHAPE, table.more, after) == write_table([row()], SHAPE, {}, after)


def test_other_front_ends_get_the_table_of_earlier_versions() -> None:
    """For other front ends, the file is identical to that of a board without a front end."""
    plain = write_table([row()], SHAPE, {})
    assert in_file(plain) == row()
    assert {write_table([row()], SHAPE, {}, name) for name in ("template", "react")} == {plain}


def test_a_table_that_the_gradio_space_wrote_is_read_with_inverted_flags() -> None:
    """In a table that the Gradio Space itself wrote, flags are inverted; its timestamp is kept."""
    theirs = {"fullname": "ada/good", "Flagged": False, "MoE": True, "date": "2024-02-07T04:35:12Z"}
    (read,) = read_table(by_another_program({**theirs, "Merged": True}), "oid", SHAPE, "gradio-v1").rows
    assert (read["Flagged"], read["MoE"], read["Merged"]) == (True, False, False)
    assert in_file(write_table([read], SHAPE, {}, "gradio-v1")).items() >= theirs.items()
    (read,) = read_table(by_another_program({**theirs, "Not_Merged": True}), "oid", SHAPE, "gradio-v2").rows
    assert (read["Flagged"], read["Merged"]) == (True, False)


@pytest.mark.parametrize("available", [True, False])
@pytest.mark.parametrize("flagged", [True, False])
def test_the_second_gradio_space_hides_flagged_models_as_gone(available: bool, flagged: bool) -> None:
    """The second Space ignores flags, and finds flagged models gone from the Hub; Steward reads what is so."""
    rows = (row(**{"Available on the hub": available, "Flagged": flagged}),)
    data = write_table(rows, SHAPE, {}, "gradio-v2")
    assert in_file(data)["Available on the hub"] is (available and not flagged)
    assert read_table(data, "oid", SHAPE, "gradio-v2").rows == rows


def test_without_its_own_column_a_table_is_not_that_of_a_gradio_space() -> None:
    """A table without the Gradio column is from an earlier version of Steward, and its flags are not inverted."""
    table = read_table(write_table([row()], SHAPE, {}), "oid", SHAPE, "gradio-v1")
    assert (table.rows, table.special) == ((row(),), ())


def test_a_table_is_read_without_threads_of_arrow() -> None:
    """Reading a table leaves no Arrow threads, which could abort the process if they free Python objects at exit."""
    script = """
import os
from bot.core.mirrors.contents_table import read_table, write_table
from leaderboard.columns import columns
from leaderboard.suites import find_suite
shape = columns(find_suite("open-llm-v1"))
data = write_table([{column.name: column.unknown for column in shape}], shape, {})
before = len(os.listdir("/proc/self/task"))
assert len(read_table(data, "", shape).rows) == 1
print(before, len(os.listdir("/proc/self/task")))
"""
    process = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    before, after = map(int, process.stdout.split())
    assert before == after
