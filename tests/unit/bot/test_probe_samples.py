"""Metrics in tables of samples are summed and compared in a fork of the probe, from parts of a file."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from bot.evaluations.samples import GAP, neighbours_joined
from bot.probe.questions import SampleSums
from bot.probe.sample_sums import COLUMNS
from leaderboard.recomputed_metrics import MetricComparison
from leaderboard.sample_checks import MetricSum
from steward.testing.probe import shared_probe
from workers.publication.details import write_samples

LIMITS = {"max_rows": 10_000, "max_column": 1_000_000}


def sample(number: int, of_filter: str = "none", **metrics: Any) -> dict[str, Any]:
    """A sample, as lm-eval writes it; its texts hardly compress."""
    text = random.Random(number).randbytes(2_000).hex()
    return {
        "doc_id": number,
        "doc": {"question": text},
        "arguments": {"gen_args_0": {"arg_0": text, "arg_1": " A"}},
        "target": "A",
        "resps": [["-1.0", "True"]],
        "filtered_resps": [["-1.0", "True"]],
        "filter": of_filter,
        "metrics": list(metrics),
        **metrics,
    }


def table(folder: Path, *samples: dict[str, Any], metrics: tuple[str, ...] = ("acc,none",)) -> Path:
    """The path of the table that a worker writes for these samples."""
    lines = folder / "samples.jsonl"
    lines.write_text("".join(json.dumps(each) + "\n" for each in samples))
    write_samples(lines, folder / "table", metrics)
    return folder / "table"


def sums(folder: Path, metrics: tuple[str, ...] = ("acc,none",), withdrawn: tuple[int, ...] = ()) -> SampleSums:
    """The sums that the probe computes from the table."""
    return shared_probe().sample_sums(
        folder, "table", metrics=metrics, withdrawn=withdrawn, max_rows=10_000, max_filters=10
    )


def test_metrics_are_summed_up_by_filter(tmp_path: Path) -> None:
    """Metrics are summed by filter: numbers, numbers as text, several grades; a withdrawn question is only counted."""
    samples = [
        sample(0, acc=1.0, graded=[True, False, True]),
        sample(1, acc=0, graded=[False]),
        sample(2, acc=1.0, graded=[True]),
        sample(0, "other", acc="0.25", graded=[]),
    ]
    metrics = ("acc,none", "graded,none", "acc,other")
    table(tmp_path, *samples, metrics=metrics)
    totals = sums(tmp_path, metrics, withdrawn=(2,))
    assert (totals.error, totals.rows, dict(totals.questions)) == ("", 4, {"none": 3, "other": 1})
    assert dict(totals.metrics) == {
        "acc,none": MetricSum(1.0, 2, 0),
        "graded,none": MetricSum(2.0, 4, 0),
        "acc,other": MetricSum(0.25, 1, 0),
    }


@pytest.mark.parametrize("value", ["a word", None, [], [1.0, "x"], {"a": 1}, "nan", "1e999", 10**200])
def test_values_that_are_not_finite_numbers_are_counted_apart(tmp_path: Path, value: Any) -> None:
    """A sample whose metric is not a finite number is counted apart, not as zero."""
    table(tmp_path, sample(0, acc=1.0), sample(1, acc=value))
    totals = sums(tmp_path)
    assert (totals.error, totals.rows) == ("", 2)
    assert totals.metrics["acc,none"] == MetricSum(1.0, 1, 1)


def test_a_score_that_its_metrics_do_not_give_is_counted(tmp_path: Path) -> None:
    """Rows whose column `score`, which pages show as right or wrong, does not follow from their metrics are counted."""
    import pyarrow.parquet as pq

    path = table(tmp_path, sample(0, acc=1.0), sample(1, acc=0.0))
    read = pq.read_table(path)
    forged = read.set_column(read.schema.get_field_index("score"), "score", [[1.0, 1.0]])
    pq.write_table(forged, path)
    assert sums(tmp_path).scores_differ == 1


def test_a_table_is_summed_up_from_parts_of_its_file(tmp_path: Path) -> None:
    """The layout and the metric columns of a parquet file, less than a tenth of its bytes, suffice for the sums."""
    path = table(tmp_path, *(sample(number, acc=number % 2) for number in range(2_000)))
    data = path.read_bytes()
    whole = sums(tmp_path)
    layout = int.from_bytes(data[-8:-4], "little") + 8
    path.write_bytes(bytes(len(data) - layout) + data[-layout:])
    totals = shared_probe().table_parts(tmp_path, "table", **LIMITS)
    assert totals.error == ""
    assert len(totals.parts) > 4 * len(COLUMNS)
    places = neighbours_joined(totals.parts, 64)
    assert sum(end - start for start, end in places) < 0.1 * len(data)
    with path.open("r+b") as file:
        for start, end in places:
            file.seek(start)
            file.write(data[start:end])
    assert sums(tmp_path) == whole
    assert whole.metrics["acc,none"] == MetricSum(1_000.0, 2_000, 0)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no table" * 100, b"PAR1" + b"\xff" * 200 + b"PAR1"])
def test_what_is_no_table_is_told(tmp_path: Path, content: bytes) -> None:
    """A file that is not a parquet table is rejected with a reason."""
    (tmp_path / "table").write_bytes(content)
    assert sums(tmp_path).error == "is no table of samples"
    assert shared_probe().table_parts(tmp_path, "table", **LIMITS).error == "is no table of samples"


def test_a_table_has_limits(tmp_path: Path) -> None:
    """Tables with too many rows, or too many bytes of metrics, are rejected."""
    table(tmp_path, *(sample(number, acc=1) for number in range(20)))
    probe = shared_probe()
    assert probe.table_parts(tmp_path, "table", max_rows=10, max_column=10_000).error == "has more than 10 rows"
    assert "bytes of metrics" in probe.table_parts(tmp_path, "table", max_rows=100, max_column=10).error


@pytest.mark.parametrize(
    ("parts", "most", "joined"),
    [
        ([], 3, []),
        ([(0, 10)], 3, [(0, 10)]),
        ([(10, 20), (0, 10)], 3, [(0, 20)]),
        ([(0, 10), (10 + GAP, 20 + GAP)], 3, [(0, 20 + GAP)]),
        ([(0, 10), (20 + GAP, 30 + GAP)], 3, [(0, 10), (20 + GAP, 30 + GAP)]),
        ([(0, 1), (10**6, 10**6 + 1), (10**8, 10**8 + 1)], 2, [(0, 10**6 + 1), (10**8, 10**8 + 1)]),
        ([(0, 1), (10**6, 10**6 + 1), (10**8, 10**8 + 1)], 1, [(0, 10**8 + 1)]),
    ],
)
def test_neighbours_are_read_together(parts: list[tuple[int, int]], most: int, joined: list[tuple[int, int]]) -> None:
    """Parts with short gaps are read together, and those with longer gaps if there would be too many parts."""
    assert neighbours_joined(parts, most) == joined


@pytest.mark.parametrize(
    ("claimed", "computed", "above", "below"),
    [
        (1.0, 1, 0, 0),
        (0.3333333, 0.33333333, 0, 0),
        ("0.5", 0.5, 0, 0),
        (True, 1.0, 0, 0),
        ([True, False], [1, 0], 0, 0),
        (1.0, 0.0, 1, 0),
        (0.0, 1.0, 0, 1),
        ([True, True], [1, 0], 1, 0),
        ([True], [1, 0], 1, 0),
        (None, 1.0, 1, 0),
        ("word", 1.0, 1, 0),
    ],
)
def test_metrics_are_compared_with_those_that_were_computed_again(
    tmp_path: Path, claimed: Any, computed: Any, above: int, below: int
) -> None:
    """Metrics are compared with recomputed ones, up to rounding: above, below, or of another kind; some are skipped."""
    table(tmp_path, sample(0, acc=1.0), sample(1, acc=claimed), sample(2, acc=1.0), sample(3, acc=1.0))
    lines = [{"doc_id": at, "filter": "none", "metrics": {"acc": value}} for at, value in enumerate([1, computed, 0])]
    (tmp_path / "again.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    comparison = shared_probe().compare_metrics(
        tmp_path, "table", recomputed="again.jsonl", metrics=["acc,none"], skip=[2]
    )
    first = 1 if above or below else -1
    assert comparison == MetricComparison(compared=2, above=above, below=below, first=first)


def test_a_table_that_is_none_is_not_compared(tmp_path: Path) -> None:
    """A file that is not a parquet table is not compared, and the answer has a reason."""
    (tmp_path / "table").write_bytes(b"no table")
    (tmp_path / "again.jsonl").write_text("")
    comparison = shared_probe().compare_metrics(
        tmp_path, "table", recomputed="again.jsonl", metrics=["acc,none"], skip=[]
    )
    assert comparison.error == "is no table of samples"
