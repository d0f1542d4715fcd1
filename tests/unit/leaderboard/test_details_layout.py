"""Where what lies in a details repo."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from leaderboard.details import Published, parse_table_path, split_name, table_path
from leaderboard.results import file_time

TIMES = st.floats(0, 4_000_000_000).map(file_time)


@given(st.from_regex(r"[a-z][a-z0-9_]{0,60}", fullmatch=True) | st.just("results"), TIMES)
def test_a_tables_path_is_read_back(config: str, time: str) -> None:
    """Which runs a repo holds is read from its paths alone."""
    assert parse_table_path(table_path(config, time)) == (config, time)


@given(st.text(max_size=80))
def test_other_paths_are_no_tables(path: str) -> None:
    """Whatever else lies in the repo does not get into the card."""
    assert parse_table_path(path) is None


@given(TIMES)
def test_a_runs_split_has_a_name_that_datasets_takes(time: str) -> None:
    """Split names are words joined by dots."""
    assert re.fullmatch(r"\w+(\.\w+)*", split_name(time))


def test_the_first_leaderboards_names_are_kept() -> None:
    """Readers of the old details find the new ones."""
    assert table_path("task", "2024-01-06T09-45-44.755529") == (
        "2024-01-06T09-45-44.755529/details_task_2024-01-06T09-45-44.755529.parquet"
    )
    assert split_name("2024-01-06T09-45-44.755529") == "2024_01_06T09_45_44.755529"


def test_an_outcome_file_becomes_the_outcome_of_the_commit_it_was_found_in() -> None:
    """The file cannot name its own commit: who read it can."""
    published = Published(
        attempt="0123456789ab-01234567-1", path="p", revision="0" * 40, suite="s", suite_digest="d",
        started=1.0, ended=2.0, results_path="results.json",
    )  # fmt: skip
    outcome = published.outcome("board/details", "1" * 40)
    assert outcome.ok
    assert outcome.details is not None
    assert outcome.details.commit == "1" * 40
