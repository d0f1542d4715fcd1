"""Exports of any view of the leaderboard as CSV and parquet, read with pandas and datasets."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import redis

from bot.web import exports
from leaderboard.influences import benchmark_text
from redis_state.board.index import Index
from redis_state.board.scoreboard import EvaluationScores, Scoreboard
from redis_state.board.table_rows import TableRows
from redis_state.keys import Keys
from steward.valkey import Valkey
from tests.support.board.page_client import Client, page, serving
from tests.support.board.seeded_board import BENCHMARKS, entry, fill_board, path_of, score

KEYS = Keys("exported")
FORMULA = '=HYPERLINK("https://elsewhere.example")'
STRANGE = {"wide": "\uff1d1+1", "spaced": "  @SUM(A1)", "broken": "\n=1+1", "split": "mit;=1+1"}
"""Licences that a spreadsheet may run as formulas: full-width, after spaces, on a new line, after a separator."""


@pytest.fixture(scope="module")
def site(
    lasting_valkey: Valkey, lasting_redis: redis.Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """A board with scores, one of them with standard errors, facts of its table, and a licence that is a formula."""
    fill_board(lasting_redis, KEYS)
    index, scores = Index(lasting_redis, KEYS), Scoreboard(lasting_redis, KEYS)
    index.put(entry("eve/formula", "settled", "FINISHED", number=90, licence=FORMULA))
    score(scores, index.get(path_of("eve/formula")), 12.0, "chat")
    for number, (name, licence) in enumerate(STRANGE.items(), 91):
        index.put(entry(f"eve/{name}", "settled", "FINISHED", number=number, licence=licence))
        score(scores, index.get(path_of(f"eve/{name}")), 11.0, "chat")
    paths = {path_of(model): error for model, error in (("north/birch-70b", 0.8), ("tiny-lab/cedar-7b", 0.6))}
    vectors = {BENCHMARKS[0]: benchmark_text(np.arange(128.0), 1.9)}
    for path, stored in scores.find(paths).items():
        more = {"average_error": paths[path], "benchmark_influences": vectors}
        scores.put(EvaluationScores(**{**stored.model_dump(), "errors": dict.fromkeys(BENCHMARKS, 2.0), **more}))
    for model, digest in {"north/birch-70b": "c", "tiny-lab/cedar-7b": "c", "eve/formula": "d"}.items():
        (stored,) = scores.find([path_of(model)]).values()
        scores.put(stored.model_copy(update={"asked": digest * 64}))
    facts = {
        "fullname": "01-ai/Yi-34B",
        "Hub ❤️": 1_234,
        "Base Model": "01-ai/Yi-34B",
        "Upload To Hub Date": "2023-11-01",
    }
    earlier = {**facts, "Average ⬆️": 57.0, "Model sha": "b" * 40, "Precision": "bfloat16", "Type": "pretrained"}
    unavailable = {"fullname": "other/gone", "Average ⬆️": 40.0, "Available on the hub": False, "Precision": "float16"}
    TableRows(lasting_redis, KEYS).write(
        {path_of("01-ai/Yi-34B"): facts},
        {f"{path_of('01-ai/Yi-34B')}@{'b' * 40}": earlier, "other/gone float16 Original@": unavailable},
        index.tell,
    )
    yield from serving(lasting_valkey, tmp_path_factory.mktemp("exported"), KEYS.board)


def test_pandas_reads_the_csv_of_any_view(site: Client) -> None:
    """The CSV has the page's rows, order and filters, standard errors, and escaped formulas."""
    import pandas as pd  # here, because every process imports this file

    answer = site.get("/leaderboard.csv", params={"q": "Average: <= 60", "sort": "average", "rising": "1"})
    table = pd.read_csv(io.BytesIO(answer.content))
    shown = site.get("/api/leaderboard", params={"q": "Average: <= 60", "rising": "1"}).json()["rows"]
    assert table["model"].tolist() == [row["model"] for row in shown]
    assert table["average"].is_monotonic_increasing
    assert set(BENCHMARKS) <= set(table.columns)
    assert table.set_index("model").loc["eve/formula", "licence"] == f"'{FORMULA}"
    whole = pd.read_csv(io.BytesIO(site.get("/leaderboard.csv").content)).set_index("model")
    assert whole.loc["north/birch-70b", "average_error"] == 0.8
    assert pd.isna(whole.loc["eve/formula", "average_error"])


def test_no_text_of_a_stranger_becomes_a_formula(site: Client) -> None:
    """The CSV quotes each text, so that it stays in one cell, and puts an apostrophe before a formula."""
    text = site.get("/leaderboard.csv").text
    rows = {row["model"]: row["licence"] for row in csv.DictReader(io.StringIO(text, newline=""))}
    assert {name: rows[f"eve/{name}"] for name in STRANGE} == {
        **{name: f"'{licence}" for name, licence in STRANGE.items() if name != "split"},
        "split": STRANGE["split"],
    }
    assert f'"{STRANGE["split"]}"' in text


def test_datasets_and_pandas_read_both_files(site: Client, tmp_path: Path) -> None:
    """The parquet file has one schema for all rows, and both files have the same models."""
    import pandas as pd
    from datasets import load_dataset

    file = tmp_path / "leaderboard.parquet"
    file.write_bytes(site.get("/leaderboard.parquet?flagged=1").content)
    empty = pq.read_schema(io.BytesIO(site.get("/leaderboard.parquet?q=nothing-of-this-name").content))
    assert empty.equals(pq.read_schema(file))
    lines = tmp_path / "leaderboard.csv"
    lines.write_bytes(site.get("/leaderboard.csv?flagged=1").content)
    loaded, read = (
        load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")).to_pandas()
        for kind, path in (("parquet", file), ("csv", lines))
    )
    assert loaded["model"].tolist() == read["model"].tolist() == pd.read_parquet(file)["model"].tolist()
    assert "ada/willow-1.5b-merge" in loaded["model"].tolist()


def test_large_files_are_bounded_and_that_of_the_whole_table_is_kept(
    site: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large files are limited per client and minute and in number at once; the file of the whole table is cached."""
    written = list[object]()
    real = exports._written
    monkeypatch.setattr(exports, "_written", lambda *given, **named: (written.append(given), real(*given, **named))[1])
    monkeypatch.setattr(exports, "LARGE", 2)
    whole = site.get("/leaderboard.csv")
    assert site.get("/leaderboard.csv").content == whole.content == site.get("/leaderboard.csv?page=2").content
    assert (len(written), whole.headers["content-length"]) == (1, str(len(whole.content)))
    monkeypatch.setattr(exports, "MAX_PER_MINUTE", 2)
    assert site.get("/leaderboard.csv?rising=1").status_code == 200
    assert len(written) == 2
    refused = site.get("/leaderboard.csv?rising=1")
    assert (refused.status_code, refused.json()["code"], int(refused.headers["retry-after"]) <= 60) == (
        429,
        "too-many",
        True,
    )
    monkeypatch.setattr(exports, "MAX_PER_MINUTE", 100)
    monkeypatch.setattr(exports, "MAX_OPEN", 0)
    busy = site.get("/leaderboard.csv?rising=1")
    assert (busy.status_code, busy.json()["code"], busy.headers["retry-after"]) == (503, "busy", "15")
    assert site.get("/leaderboard.csv").content == whole.content, "the cached file is still sent"
    assert len(site.get("/leaderboard.csv?q=birch-70b").content.splitlines()) == 2, "small files have no limits"


def test_facts_of_the_table_and_rows_of_earlier_commits_are_on_the_leaderboard(site: Client) -> None:
    """The leaderboard shows likes and dates, a row for an earlier commit, and deleted models only on request."""
    rows = site.get("/api/leaderboard", params={"q": "yi-34b"}).json()["rows"]
    assert [(row["likes"], row["uploaded"], row["revision"][:1] == "b") for row in rows] == [
        (1234, "2023-11-01", False),
        (1234, "2023-11-01", True),
    ]
    text = page(site, "/", q="yi-34b", column="revision")
    assert [f'title="{row["revision"]}"' in text for row in rows] == [True, True], "the column Model sha differs"
    assert [row["model"] for row in site.get("/api/leaderboard", params={"q": "gone"}).json()["rows"]] == []
    shown = site.get("/api/leaderboard", params={"q": "gone", "deleted": "1"}).json()["rows"]
    assert [(row["path"], row["available"]) for row in shown] == [("", False)]
    assert '<span class="tag">deleted</span>' in page(site, "/", q="gone", deleted="1")


def test_two_models_are_compared_with_their_intervals(site: Client) -> None:
    """Models are compared by id or name, with margins if both have standard errors; unknown names are listed."""
    pins = [path_of("north/birch-70b"), path_of("01-ai/Yi-34B")]
    comparison = site.get("/api/compare", params={"pin": pins, "model": ["tiny-lab/CEDAR-7b", "no/body"]}).json()
    assert [evaluation["row"]["model"] for evaluation in comparison["compared"]] == [
        "north/birch-70b",
        "01-ai/Yi-34B",
        "tiny-lab/cedar-7b",
    ]
    assert comparison["unknown"] == ["no/body"]
    assert comparison["compared"][0]["differences"] == {}
    assert comparison["compared"][1]["differences"]["average"] == {"value": pytest.approx(58.7 - 63.2), "margin": None}
    margins = {name: difference["margin"] for name, difference in comparison["compared"][2]["differences"].items()}
    independent = 1.959964 * math.hypot(2, 2)
    assert margins[BENCHMARKS[1]] == pytest.approx(independent), "there is no vector for it"
    assert margins[BENCHMARKS[0]] == pytest.approx(1.959964 * math.sqrt(2 * (2**2 - 1.9**2)), rel=1e-3)
    text = page(site, "/compare", pin=pins[0], add="tiny-lab/cedar-7b; no/body")
    assert "“no/body” is not on the leaderboard" in text
    assert 'href="/check?model=no%2Fbody"' in text


def test_rows_that_answered_other_questions_are_marked_and_found(site: Client) -> None:
    """A row whose model answered other questions is marked on the page, in JSON, search, CSV and comparison."""
    rows = {row["model"]: row for row in site.get("/api/leaderboard", params={"limit": 500}).json()["rows"]}
    assert [model for model, row in rows.items() if row["other_questions"]] == ["eve/formula"]
    assert (rows["eve/formula"]["asked"], rows["north/birch-70b"]["asked"]) == ("d" * 12, "c" * 12)
    table = site.get("/api/leaderboard", params={"q": f"Asked: {'d' * 12}"}).json()
    assert [row["model"] for row in table["rows"]] == ["eve/formula"]
    assert page(site, f"/?q=Asked:{'d' * 12}").count(">other questions<") == 1
    assert ">other questions<" not in page(site, f"/?q=Asked:{'c' * 12}")
    lines = csv.DictReader(site.get("/leaderboard.csv").text.splitlines())
    assert {line["model"]: line["asked"] for line in lines}["eve/formula"] == "d" * 12
    address = "/compare?model=north/birch-70b&model=tiny-lab/cedar-7b&model=eve/formula"
    compared = site.get(f"/api{address}").json()["compared"]
    assert [evaluation["same_questions"] for evaluation in compared] == [True, True, False]
    assert compared[1]["differences"]["average"]["margin"] is not None
    assert compared[2]["differences"]["average"]["margin"] is None
    assert page(site, address).count(">other questions<") == 1
