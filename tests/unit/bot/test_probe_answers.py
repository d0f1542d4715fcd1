"""Which rows of a table of answers count if the filters of the suite have been renamed since."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.probe.answers import answers
from tests.support.units.details_samples import sample
from workers.publication.details import write_samples


@pytest.mark.parametrize(("filters", "right"), [(["loose"], 2), (["strict"], 1), (["of a newer suite"], 1)])
def test_the_first_row_of_a_question_counts_where_no_filter_has_the_name(
    tmp_path: Path, filters: list[str], right: int
) -> None:
    """If no row has a filter of the current suite, as after rescoring, the first row of each question counts."""
    lines = [sample(doc_id=0, filter="strict", acc_norm=1.0), sample(doc_id=1, filter="strict", acc_norm=0.0)]
    lines += [sample(doc_id=number, filter="loose", acc_norm=1.0) for number in (0, 1)]
    (tmp_path / "samples.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    write_samples(tmp_path / "samples.jsonl", tmp_path / "0.parquet", ["acc_norm,strict"])
    asked = {"files": ["0.parquet"], "filters": filters, "show": "all", "offset": 0, "limit": 5}
    (part,) = answers(tmp_path, {**asked, "max_rows": 100, "max_group": 1_000_000})
    assert (part["counts"]["all"], part["counts"]["right"]) == (2, right)
