"""A row of the aggregated table: its columns, their sources, and unknown values."""

from __future__ import annotations

import pytest

from leaderboard.columns import ContentsColumn, columns
from leaderboard.contents import compile_rows
from leaderboard.contents_row import HubModelInfo, TableSettings, describe, model_info_from_row
from leaderboard.evaluations import BoardSources, measure
from leaderboard.flags import FlagRecord
from leaderboard.results import dump
from leaderboard.scores import score
from leaderboard.steward_block import StewardBlock, scores_in_block, with_block
from tests.support.units.contents_sources import BOARD, OTHER, SHA, SUITE, flag, measured, one_row, request, sources

V2 = """eval_name|Precision|Type|T|Weight type|Architecture|Model|fullname|Model sha|Average ⬆️|Hub License|Hub ❤️
#Params (B)|Available on the hub|MoE|Flagged|Chat Template|CO₂ cost (kg)|IFEval Raw|IFEval|BBH Raw|BBH
MATH Lvl 5 Raw|MATH Lvl 5|GPQA Raw|GPQA|MUSR Raw|MUSR|MMLU-PRO Raw|MMLU-PRO|Merged|Official Providers
Upload To Hub Date|Submission Date|Generation|Base Model""".replace("\n", "|").split("|")
"""The columns of the Open LLM Leaderboard's table, in order."""
NAMES = [*V2, "Asked"]
"""The columns of a board's table."""


def test_the_columns_are_those_of_the_open_llm_leaderboard() -> None:
    """The columns are the Open LLM Leaderboard's, plus `Asked` at the end, and a row has all of them in this order."""
    assert [column.name for column in columns(SUITE)] == NAMES
    assert list(one_row(request())) == NAMES
    kinds = {column.name: column.kind for column in columns(SUITE)}
    assert {name for name, kind in kinds.items() if kind == "flag"} == {
        *("Available on the hub", "MoE", "Flagged", "Chat Template", "Merged", "Official Providers")
    }
    assert {name for name, kind in kinds.items() if kind == "count"} == {"Hub ❤️", "Generation"}


def test_a_row_tells_what_is_known() -> None:
    """The bot fills each column of a row from its source: the request, the results or the Hub."""
    asked = request(
        model_type="💬 : 💬 chat models (RLHF, DPO, IFT, ...)",
        params=7.242,
        architectures="MistralForCausalLM",
        submitted_time="2024-08-05T10:00:00Z",
        use_chat_template=True,
        base_model="mistral/base",
    )
    facts = HubModelInfo(likes=3, licence="apache-2.0", merged=True, moe=True, created="2024-04-13")
    row = one_row(asked, facts)
    assert row.pop("Model").startswith('<a target="_blank" href="https://huggingface.co/acme/lion" style="color: var(')
    scores = {f"{name}{raw}": 0.5 if raw else 50.0 for name in V2[19:30:2] for raw in (" Raw", "")}
    assert row == scores | {
        "eval_name": "acme_lion_bfloat16",
        "Precision": "bfloat16",
        "Type": "💬 chat models (RLHF, DPO, IFT, ...)",
        "T": "💬",
        "Weight type": "Original",
        "Architecture": "MistralForCausalLM",
        "fullname": "acme/lion",
        "Model sha": SHA,
        "Average ⬆️": 50.0,
        "Hub License": "apache-2.0",
        "Hub ❤️": 3,
        "#Params (B)": 7.242,
        "Available on the hub": True,
        "MoE": True,
        "Flagged": False,
        "Chat Template": True,
        "CO₂ cost (kg)": 0.0,
        "Merged": True,
        "Official Providers": True,
        "Upload To Hub Date": "2024-04-13",
        "Submission Date": "2024-08-05",
        "Generation": 1,
        "Base Model": "mistral/base",
        "Asked": None,
    }


def test_what_is_not_known_is_told_as_readers_expect_it() -> None:
    """Unknown values are null, or a placeholder where readers need one; a deleted model is shown as not available."""
    row = one_row(request("bob/cub"), HubModelInfo(available=False))
    names = ("Hub License", "Hub ❤️", "#Params (B)", "Architecture", "Upload To Hub Date", "Submission Date")
    assert [row[name] for name in names] == [None, 0, -1.0, "?", None, None]
    names = ("Available on the hub", "Merged", "MoE", "Official Providers")
    assert [row[name] for name in names] == [False, False, False, False]
    assert (row["Type"], row["Base Model"], row["Generation"]) == ("❓ other", "bob/cub", 0)


def test_no_row_has_a_null_in_a_column_of_numbers() -> None:
    """Columns of numbers have no null in the bot's rows or in those of other programs, whose known values are kept."""
    shape = columns(SUITE)
    numbers = [column.name for column in shape if column.kind in ("number", "count")]
    asked, theirs = [request(), request("acme/bear")], {"fullname": "acme/bear", "Precision": "bfloat16", "BBH": 4.5}
    cleaned = {column.name: column.read(theirs.get(column.name)) for column in shape}
    there = sources(asked, [measured()])
    rows = compile_rows(
        [cleaned], BoardSources(there.requests, there.measured, {*there.results, "acme/bear/results_1.json"}), {}, BOARD
    )
    assert [row["fullname"] for row in rows] == ["acme/bear", "acme/lion"]
    for row in rows:
        assert [name for name in numbers if row[name] is None] == []
        assert (row["CO₂ cost (kg)"], row["#Params (B)"]) == (0.0, -1.0)
    assert (rows[0]["BBH"], rows[0]["Average ⬆️"], rows[0]["Hub License"]) == (4.5, 0.0, None)


def test_the_table_remembers_what_the_hub_said() -> None:
    """The facts that are read back from a model's row give the same row again; values of a wrong type become null."""
    facts = HubModelInfo(
        likes=3, licence="mit", merged=True, moe=False, created="2024-04-13", base_model="x/y", parameters=7.0
    )
    row = one_row(request(), facts)
    assert one_row(request(), model_info_from_row(row)) == row
    tiny = one_row(request("bob/cub"), HubModelInfo(parameters=0.0))  # too few parameters to be shown
    assert one_row(request("bob/cub"), model_info_from_row(tiny)) == tiny
    read = [
        ContentsColumn("a", kind).read(value)
        for kind, value in (("count", 3.0), ("number", float("nan")), ("flag", "True"))
    ]
    assert read == [3, None, None]


def test_a_row_holds_no_half_of_a_surrogate_pair() -> None:
    """A lone surrogate in a request file is replaced in the row, because the file of the table could not contain it."""
    assert one_row(request(architectures="Lion\ud800ForCausalLM"))["Architecture"] == "Lion?ForCausalLM"


def test_names_are_escaped() -> None:
    """The link in a row is HTML-escaped, so that a quote in the Hub's address adds no tag."""
    odd = TableSettings(SUITE, 'https://x/"><script>', lambda model: model)
    (row,) = compile_rows((), sources([request()], [measured()]), {}, odd)
    assert "<script>" not in row["Model"]


@pytest.mark.parametrize(
    ("record", "flagged"),
    [
        (flag(), True),
        (flag("ACME/Lion"), True),
        (flag("acme/other", also=("acme/lion",)), True),
        (flag("acme/other"), False),
        (flag().model_copy(update={"status": "lifted"}), False),
        (flag(scope={"precision": "bfloat16"}), True),
        (flag(scope={"precision": "4bit"}), False),
        (flag(scope={"revision": OTHER}), False),
        (flag("acme/other", weights="c" * 64), True),
    ],
)
def test_flagged_is_true_where_it_is_flagged(record: FlagRecord, flagged: bool) -> None:
    """A row is marked as flagged if an active flag names its model, in any case, or its weights, and covers the row."""
    assert one_row(request(steward={"weights": "c" * 64}), flags=[record])["Flagged"] is flagged


def test_a_results_file_of_ours_says_whether_it_was_made_with_the_chat_template() -> None:
    """Steward's block says whether the chat template was used; files of other programs do not."""
    raw = {benchmark.source: dict.fromkeys(benchmark.metrics, 0.5) for benchmark in SUITE.benchmarks}
    raw |= {
        task.name: dict.fromkeys(benchmark.metrics, 0.5) for benchmark in SUITE.benchmarks for task in benchmark.tasks
    }
    block = StewardBlock.model_validate(
        {
            "attempt": "0123456789ab-01234567-1",
            "request": str(request().path),
            "model": "acme/lion",
            "revision": SHA,
            "precision": "bfloat16",
            "use_chat_template": True,
            "suite": SUITE.name,
            "suite_digest": SUITE.digest,
            "started": "2026-01-01T00:00:00Z",
            "ended": "2026-01-01T00:01:00Z",
            **scores_in_block(score(raw, SUITE)),
        }
    )
    path, theirs = measured().path, {"results": raw}
    for data, with_template in ((with_block(theirs, block), True), (theirs, None)):
        results = measure(path, dump(data), SUITE)
        assert results is not None
        assert results.chat_template is with_template


def test_generations_are_counted_and_circles_end() -> None:
    """A chain of two base models counts two generations; a cycle ends."""
    asked = [
        request("a/one", base_model="a/two"),
        request("a/two", base_model="b/root"),
        request("c/one", base_model="c/two"),
        request("c/two", base_model="c/one"),
    ]
    rows = compile_rows((), sources(asked, [measured(each.path.model) for each in asked]), {}, BOARD)
    assert [(row["fullname"], row["Generation"]) for row in rows] == [
        ("a/one", 2),
        ("a/two", 1),
        ("c/one", 1),
        ("c/two", 1),
    ]


def test_a_number_of_parameters_that_no_model_has_counts_as_unknown() -> None:
    """A number of parameters beyond the largest float, which a worker can write, is shown as unknown."""
    raw = {benchmark.source: dict.fromkeys(benchmark.metrics, 0.5) for benchmark in SUITE.benchmarks}
    raw |= {
        task.name: dict.fromkeys(benchmark.metrics, 0.5) for benchmark in SUITE.benchmarks for task in benchmark.tasks
    }
    for count, parameters in ((10**400, -1.0), (135_000_000, 0.135)):
        data = dump({"results": raw, "config": {"model_num_parameters": count}})
        results = measure(measured().path, data, SUITE)
        assert results is not None
        (row,) = compile_rows((), sources([request()], [results]), {}, BOARD)
        assert row["#Params (B)"] == parameters


def test_a_model_says_of_itself_what_it_is() -> None:
    """A model is a merge by its tags, and a mixture of experts by a tag or a part of its name."""
    assert describe(["mergekit"], "lion-7b") == (True, False)
    assert describe([], "Lion-8x7B-MoE") == (False, True)
    assert describe(["moerge"], "moebius") == (True, True)
    assert describe([], "moebius") == (False, False)
