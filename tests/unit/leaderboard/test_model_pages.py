"""Scores on models' own pages: the settings in the board file, and the file for the repo of a model."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from huggingface_hub import eval_result_entries_to_yaml, parse_eval_result_entries

from leaderboard.boards import BadBoard, parse_board, set_effect
from leaderboard.effects import Effect, EffectMode
from leaderboard.evaluations import MeasuredResults
from leaderboard.model_pages import (
    PageScore,
    adds_only_scores,
    best_precision,
    eval_file,
    file_path,
    page_scores,
    unknown_columns,
)
from leaderboard.scores import BenchmarkScore, Scores
from leaderboard.suites import find_suite
from steward.testing.board import BOARD

COLUMN = {"dataset": "bench/riddles", "task_id": "navigation", "unit": "percent", "same_task": True}


def board_text(**changes: Any) -> str:
    """A board file with one column for models' pages; a change to None leaves the field out."""
    column = {name: value for name, value in {**COLUMN, **changes}.items() if value is not None}
    return BOARD + yaml.safe_dump({"model_pages": {"Navigation": column}})


@pytest.mark.parametrize("same_task", [None, False])
def test_a_column_that_is_not_said_to_be_that_task_is_refused(same_task: bool | None) -> None:
    """A column is refused without `same_task: true`; the message names the column and what to write."""
    with pytest.raises(BadBoard, match=r"(?s)Navigation.*`same_task: true`.*navigation of bench/riddles"):
        parse_board(board_text(same_task=same_task))


@pytest.mark.parametrize(
    ("name", "value"), [("unit", "points"), ("unit", None), ("dataset", "riddles"), ("task_id", ""), ("shots", 5)]
)
def test_other_wrong_fields_are_refused(name: str, value: Any) -> None:
    """Each field is checked when the board file is read."""
    with pytest.raises(BadBoard, match=name):
        parse_board(board_text(**{name: value}))


def test_the_columns_have_to_be_benchmarks_of_the_suite() -> None:
    """A configured column that is no benchmark of the suite is reported as unknown."""
    suite = find_suite("starter")
    assert unknown_columns(["Navigation", "Sailing"], suite) == ["Sailing"]


@pytest.mark.parametrize("effects", ["effects: on", "effects: shadow", "effects: {edit: on, others: on}", ""])
def test_the_effect_is_off_unless_the_board_file_names_it(effects: str) -> None:
    """The effect on models' repos is on only if the board file names it; `on` for all or for `others` excludes it."""
    text = BOARD.replace("effects: on", effects)
    assert parse_board(text).effects.mode(Effect.MODEL_PR) is EffectMode.OFF
    named = parse_board(set_effect(text, Effect.MODEL_PR, EffectMode.ON))
    assert named.effects.mode(Effect.MODEL_PR) is EffectMode.ON
    assert named.effects.mode(Effect.EDIT) is parse_board(text).effects.mode(Effect.EDIT)


def measured(path: str = "ada/lion/results_2026-11-24T12-00-00.5.json", **changes: Any) -> MeasuredResults:
    """Results of two benchmarks."""
    names = ("Boolean Expressions", "Navigation")
    scores = Scores(tuple(BenchmarkScore(name, 0.123456789, 7.0, ()) for name in names), 7.0)
    return MeasuredResults(path, scores, **{"precision": "bfloat16", "revision": "a" * 40, **changes})


def entries(results: MeasuredResults, **changes: Any) -> list[Any]:
    """The entries that the client reads in the file."""
    board, suite = parse_board(board_text(**changes)), find_suite("starter")
    scores = page_scores(board.model_pages, suite, results, title="Démo", source="https://hub/results.json")
    return parse_eval_result_entries(yaml.safe_load(eval_file(scores)))


def test_the_file_is_what_the_client_reads_and_writes() -> None:
    """The client reads the file that the bot writes: only the configured column, with a raw score in its unit."""
    (entry,) = entries(measured(chat_template=True))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("bench/riddles", "navigation", 12.3457)
    assert (entry.date, entry.source_name, entry.source_url) == (
        "2026-11-24T12:00:00Z",
        "Démo",
        "https://hub/results.json",
    )
    assert entry.notes == "2-shot, bfloat16, chat template, commit aaaaaaaa"
    again = eval_result_entries_to_yaml([entry])
    assert again[0]["value"] == 12.3457
    (fraction,) = entries(measured("ada/lion/results_old.json", precision="", revision=""), unit="fraction")
    assert (fraction.value, fraction.date, fraction.notes) == (0.123457, None, "2-shot")


@pytest.mark.parametrize(
    "text", ["a\n- dataset: {id: b/c}\n  value: 1", "---\n", "*x", "!!python/name:os.system", "\u202e: ["]
)
def test_no_text_adds_an_entry_to_a_file_of_scores(text: str) -> None:
    """Untrusted text in the source or the notes of a score stays text, and adds no entry to the file."""
    score = PageScore("Column", "org/benchmark", "task", 0.5, "2026-01-01", text, text, text)
    (entry,) = yaml.safe_load(eval_file([score]))
    assert (entry["source"], entry["notes"], entry["value"]) == ({"url": text, "name": text}, text, 0.5)


def test_paths_and_precisions() -> None:
    """The file is named after the board; a precision that is not quantised comes first."""
    assert file_path("open-llm") == ".eval_results/open-llm.yaml"
    assert best_precision(["4bit", "float16", "bfloat16"]) == "bfloat16"
    assert best_precision(["GPTQ", "8bit"]) == "8bit"
    assert adds_only_scores([".eval_results/a.yaml"])
    assert not adds_only_scores([]) and not adds_only_scores([".eval_results/a.yaml", "config.json"])
