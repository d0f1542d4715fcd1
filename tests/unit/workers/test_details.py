"""Tables and card of a details repo."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from leaderboard.details import table_path
from tests.support.units.details_samples import STARTER, results, sample
from workers.errors import EvaluationFailed
from workers.publication.details import BATCH, MAX_TEXT, card, sample_row, score_rows, write_samples, write_scores

TIMES = ("2026-11-24T12-00-00.000000", "2026-11-25T12-00-00.000000")


def test_a_row_holds_prompt_choices_answers_and_score() -> None:
    """A row holds prompt, choices, answers and score of one question."""
    row = sample_row(sample(), ("acc_norm",))
    assert row["prompt"] == "Q: Is it?\nA:"
    assert json.loads(row["continuations"]) == [" Yes", " No"]
    assert json.loads(row["metrics"]) == {"acc_norm": 1.0}
    assert row["score"] == 1.0


def test_more_than_ten_choices_stay_in_order() -> None:
    """Choices are sorted by number; sorted as text, the tenth would follow the first."""
    arguments = {f"gen_args_{i}": {"arg_0": "Q", "arg_1": str(i)} for i in (10, 2, 0, 1)}
    row = sample_row(sample(arguments=arguments), ("acc_norm",))
    assert json.loads(row["continuations"]) == ["0", "1", "2", "10"]


def test_a_score_of_several_metrics_and_of_lists_is_their_mean() -> None:
    """The score is the mean, for instance of IFEval's value per prompt and its list of values per instruction."""
    line = sample(metrics=["strict", "each"], strict=True, each=[True, False, False, False])
    assert sample_row(line, ("strict", "each"))["score"] == 0.625


def test_long_text_is_cut_and_says_so() -> None:
    """Long text is cut and marked, so that an endless answer does not fill the disk."""
    row = sample_row(sample(target="x" * (MAX_TEXT + 1)), ("acc_norm",))
    assert len(row["target"]) < MAX_TEXT + 20
    assert row["target"].endswith("[cut]")


def test_a_lone_surrogate_becomes_a_character_that_can_be_stored() -> None:
    """Generated characters that UTF-8 cannot encode are replaced."""
    assert sample_row(sample(target="\ud800"), ("acc_norm",))["target"] == "?"


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"{}", b"[]", b"null"),
        *(sample(doc_id="x"), sample(arguments={}), sample(metrics=7), sample(acc_norm=10**400)),
    ],
)
def test_a_line_that_the_harness_did_not_write_is_refused(line: bytes) -> None:
    """A malformed line is refused, because the child's files are untrusted."""
    with pytest.raises(EvaluationFailed):
        sample_row(line, ("acc_norm",))


def test_a_table_has_every_sample_in_order(tmp_path: Path) -> None:
    """Batches of rows become one table; its columns are the same for every task."""
    lines = [sample(doc_id=i) for i in range(BATCH + 3)]
    (tmp_path / "samples.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    assert write_samples(tmp_path / "samples.jsonl", tmp_path / "t.parquet", ("acc_norm,none",)) == BATCH + 3
    table = pq.read_table(tmp_path / "t.parquet")
    assert table["doc_id"].to_pylist() == list(range(BATCH + 3))


def test_scores_are_a_table_too(tmp_path: Path) -> None:
    """The table of scores has a row for each task, each benchmark, and the average."""
    write_scores(results(), tmp_path / "t.parquet")
    rows = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert len(rows) == len(list(score_rows(results()))) == 13
    assert rows[-1]["kind"] == "average"
    assert rows[-1]["normalised"] == results().scores.average


def head(text: str) -> dict[str, dict[str, list[str]]]:
    """The paths by config and split, from a card's metadata."""
    configs = yaml.safe_load(text.split("---\n")[1])["configs"]
    return {c["config_name"]: {d["split"]: d["path"] for d in c["data_files"]} for c in configs}


def test_the_card_has_a_split_for_each_run_and_latest_for_the_newest() -> None:
    """The card's splits do not depend on the order of the paths."""
    paths = [f"{time}/details_starter_navigation_{time}.parquet" for time in reversed(TIMES)]
    splits = head(card("board/details", ["README.md", *paths], results(), STARTER, "board/restricted"))[
        "starter_navigation"
    ]
    assert splits == {
        "2026_11_24T12_00_00.000000": [paths[1]],
        "2026_11_25T12_00_00.000000": [paths[0]],
        "latest": [paths[0]],
    }


def test_the_card_shows_how_to_read_it_and_what_came_out() -> None:
    """The card shows how to load the data, and the scores."""
    paths = [table_path(config, TIMES[0]) for config in (STARTER.tasks[0], "results")]
    text = card("board/details", paths, results(), STARTER, "board/restricted")
    assert 'load_dataset("board/details", "starter_boolean_expressions", split="latest")' in text
    assert "| Word Sorting | 0.7500 | 75.00 |" in text
