"""The table of contents as a file, for each front end."""

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
    """A row in memory: a flagged merge."""
    values: ContentsRow = {column.name: column.unknown for column in SHAPE}
    values |= {"fullname": "ada/good", "Flagged": True, "Merged": True, "MoE": False, "Submission Date": "2024-02-07"}
    return values | changes


def in_file(data: bytes) -> ContentsRow:
    """The only row, as another program reads it."""
    (values,) = pq.read_table(io.BytesIO(data)).to_pylist()
    return dict(values)


def by_another_program(values: ContentsRow) -> bytes:
    """A table of one row that another program wrote."""
    into = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([values]), into)
    return into.getvalue()


@pytest.mark.parametrize("front_end", GRADIO)
def test_a_gradio_space_gets_its_column_and_values_that_hide(front_end: str) -> None:
    """Three values are the opposite in the file, one column is only there; both are undone when it is read."""
    data = write_table([row()], SHAPE, {}, front_end)
    column, value = GRADIO[front_end]
    values = in_file(data)
    assert (values["Flagged"], values["Merged"], values["MoE"], values[column]) == (False, False, True, value)
    table = read_table(data, "oid", SHAPE, front_end)
    assert (table.rows, dict(table.more)) == ((row(),), {})


@pytest.mark.parametrize("before", GRADIO)
@pytest.mark.parametrize("after", [*GRADIO, "react"])
def test_a_table_is_read_as_it_was_written_whatever_the_board_says_now(before: str, after: str) -> None:
    """The file says for which front end it was written, and none of its own columns stays."""
    table = read_table(write_table([row()], SHAPE, {}, before), "oid", SHAPE, after)
    assert (table.rows, dict(table.more)) == ((row(),), {})
    assert write_table(table.rows, SHAPE, table.more, after) == write_table([row()], SHAPE, {}, after)


def test_other_front_ends_get_the_table_of_earlier_versions() -> None:
    """No column, no value and no byte differs."""
    plain = write_table([row()], SHAPE, {})
    assert in_file(plain) == row()
    assert {write_table([row()], SHAPE, {}, name) for name in ("template", "react")} == {plain}


def test_a_table_of_the_gradio_space_itself_is_read_as_that() -> None:
    """With its own column, values are the opposite; a time in it stays whole."""
    theirs = {"fullname": "ada/good", "Flagged": False, "MoE": True, "date": "2024-02-07T04:35:12Z"}
    (read,) = read_table(by_another_program({**theirs, "Merged": True}), "oid", SHAPE, "gradio-v1").rows
    assert (read["Flagged"], read["MoE"], read["Merged"]) == (True, False, False)
    assert in_file(write_table([read], SHAPE, {}, "gradio-v1")).items() >= theirs.items()
    (read,) = read_table(by_another_program({**theirs, "Not_Merged": True}), "oid", SHAPE, "gradio-v2").rows
    assert (read["Flagged"], read["Merged"]) == (True, False)


def test_without_its_own_column_a_table_is_not_that_of_a_gradio_space() -> None:
    """An earlier version of Steward wrote it, so its values mean what they say."""
    table = read_table(write_table([row()], SHAPE, {}), "oid", SHAPE, "gradio-v1")
    assert (table.rows, table.special) == ((row(),), ())


def test_a_table_is_read_without_threads_of_arrow() -> None:
    """One that still lets go of Python objects while the process exits would abort it, after the command's answer."""
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
