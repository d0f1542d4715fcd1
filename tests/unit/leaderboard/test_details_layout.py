"""Names of details repos and paths in them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.records import Repo
from leaderboard.boards import BoardRepos, models_with_same_details
from leaderboard.details import PublishedOutcome, parse_table_path, split_name, table_path
from leaderboard.request_paths import is_repo_name
from leaderboard.results import file_time

TIMES = st.floats(0, 4_000_000_000).map(file_time)
REPOS = BoardRepos(requests="o/a", results="o/b", logs="o/c", community="o/d", details_namespace="o")
PARTS = st.text("ab_.-9", min_size=1, max_size=12).flatmap(
    lambda some: st.integers(1, 24).map(lambda n: (some * n)[:96])
)
MODELS = st.tuples(PARTS.filter(is_repo_name), PARTS.filter(is_repo_name)).map("/".join)


@given(st.from_regex(r"[a-z][a-z0-9_]{0,60}", fullmatch=True) | st.just("results"), TIMES)
def test_a_tables_path_is_read_back(config: str, time: str) -> None:
    """The path of a table is parsed back into its config and time, which give the runs in a repo."""
    assert parse_table_path(table_path(config, time)) == (config, time)


@given(st.text(max_size=80))
def test_other_paths_are_no_tables(path: str) -> None:
    """The path of any other file is not taken for that of a table."""
    assert parse_table_path(path) is None


@given(MODELS)
def test_every_model_has_a_details_repo_that_the_hub_takes(model: str) -> None:
    """The details repo of a model is called `details_{org}__{name}`, and is cut if that is too long."""
    plain, repo = f"details_{model.replace('/', '__')}", Repo("dataset", REPOS.details(model))
    name = repo.id.removeprefix("o/")
    assert (name == plain) == (len(plain) <= 96)
    assert is_repo_name(name)
    assert name.startswith("details_")


@given(MODELS, st.lists(st.text("ab_9", min_size=1, max_size=3), min_size=2, max_size=2, unique=True))
def test_long_names_with_different_ends_have_different_details_repos(model: str, ends: list[str]) -> None:
    """Two models with long names that differ only in their last letters have different details repos."""
    org, name = model.split("/")
    first, second = (f"{org}/{name[:93]}{end}" for end in ends)
    assert REPOS.details(first) != REPOS.details(second)


@pytest.mark.parametrize("pattern", ["{model}-details", "{model}", "d_{model}"])
@given(model=MODELS)
def test_a_board_names_details_as_its_front_end_links_them(pattern: str, model: str) -> None:
    """The name of a details repo follows the board's pattern, and is cut if it is too long."""
    plain = pattern.replace("{model}", model.replace("/", "__"))
    name = REPOS.model_copy(update={"details_name": pattern}).details(model).removeprefix("o/")
    assert (name == plain) == (len(plain) <= 96)
    assert is_repo_name(name)


@pytest.mark.parametrize(
    "pattern", ["details", "{model}{model}", "-{model}", "{model}.git", "a/{model}", "{org}{model}"]
)
def test_an_invalid_pattern_for_names_of_details_repos_is_refused(pattern: str) -> None:
    """A board file is refused if all models would share a details repo, or if the Hub would refuse its name."""
    with pytest.raises(ValidationError, match="write a name that the Hub allows"):
        BoardRepos(**{**REPOS.model_dump(), "details_name": pattern})


def test_the_name_of_a_model_does_not_change_by_an_update() -> None:
    """The shortened name is fixed, because later versions have to find published details."""
    assert REPOS.details("ada/good") == "o/details_ada__good"
    assert REPOS.details(f"ada/m{'x' * 82}") == f"o/details_ada__m{'x' * 82}"
    assert REPOS.details(f"ada/m{'x' * 83}") == f"o/details_ada_m{'x' * 66}_73aba8c7ecd74cf3"


@given(MODELS)
def test_restricted_answers_have_a_repo_that_no_other_model_has(model: str) -> None:
    """The repo of restricted answers has a suffix; a model whose own name ends in it is a possible conflict."""
    name = REPOS.restricted_details(model).removeprefix("o/")
    assert is_repo_name(name) and name != REPOS.details(model).removeprefix("o/")
    plain = f"details_{model.replace('/', '__')}-restricted-answers"
    assert (name == plain) == (len(plain) <= 96)
    other = f"{model}-restricted-answers"
    assert other in models_with_same_details(model) and model in models_with_same_details(other)


@given(TIMES)
def test_a_runs_split_has_a_name_that_datasets_takes(time: str) -> None:
    """Split names are words joined by dots."""
    assert re.fullmatch(r"\w+(\.\w+)*", split_name(time))


def test_the_first_leaderboards_names_are_kept() -> None:
    """Paths and splits have the form of the first Open LLM Leaderboard, so that its readers find them."""
    assert table_path("task", "2024-01-06T09-45-44.755529") == (
        "2024-01-06T09-45-44.755529/details_task_2024-01-06T09-45-44.755529.parquet"
    )
    assert split_name("2024-01-06T09-45-44.755529") == "2024_01_06T09_45_44.755529"


def test_an_outcome_file_becomes_the_outcome_of_the_commit_it_was_found_in() -> None:
    """The reader of an outcome file adds the file's commit, which the file itself cannot contain."""
    published = PublishedOutcome(
        attempt="0123456789ab-01234567-1", path="p", revision="0" * 40, suite="s", suite_digest="d",
        started=1.0, ended=2.0, results_path="results.json",
    )  # fmt: skip
    outcome = published.outcome("board/details", "1" * 40)
    assert outcome.ok
    assert outcome.details is not None
    assert outcome.details.commit == "1" * 40
