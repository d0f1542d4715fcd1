"""The aggregated table: columns, polarity, unknown values, and which rows stay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from leaderboard.columns import ContentsColumn, ContentsRow, columns
from leaderboard.contents import compile_rows, rows_of
from leaderboard.contents_row import HubModelInfo, TableSettings, describe, model_info_from_row
from leaderboard.evaluations import BoardSources, MeasuredResults, evaluations, is_results_path, measure, slim
from leaderboard.flags import FlagRecord, FlagScope
from leaderboard.removals import archived
from leaderboard.requests import Request, parse_request
from leaderboard.results import dump
from leaderboard.scores import BenchmarkScore, Scores, score
from leaderboard.steward_block import StewardBlock, scores_in_block, with_block
from leaderboard.suites import find_suite

SHA, OTHER = "a" * 40, "b" * 40
SUITE = find_suite("open-llm-v2")
BOARD = TableSettings(
    SUITE, "https://huggingface.co", lambda model: f"d/details_{model.replace('/', '__')}", frozenset({"acme"})
)
V2 = """eval_name|Precision|Type|T|Weight type|Architecture|Model|fullname|Model sha|Average ⬆️|Hub License|Hub ❤️
#Params (B)|Available on the hub|MoE|Flagged|Chat Template|CO₂ cost (kg)|IFEval Raw|IFEval|BBH Raw|BBH
MATH Lvl 5 Raw|MATH Lvl 5|GPQA Raw|GPQA|MUSR Raw|MUSR|MMLU-PRO Raw|MMLU-PRO|Merged|Official Providers
Upload To Hub Date|Submission Date|Generation|Base Model""".replace("\n", "|").split("|")
"""The columns of the Open LLM Leaderboard's table, in order."""
NAMES = [*V2, "Asked"]
"""The columns of a board's table."""


def request(model: str = "acme/lion", *, precision: str = "bfloat16", **changes: Any) -> Request:
    """A request that finished."""
    path = f"{model}_eval_request_False_{precision}_Original.json"
    fields = {"model": model, "status": "FINISHED", "revision": SHA, "precision": precision, "weight_type": "Original"}
    parsed = parse_request(path, json.dumps({**fields, **changes}).encode())
    assert isinstance(parsed, Request)
    return parsed


def measured(model: str = "acme/lion", *, day: int = 1, score: float = 0.5, **changes: Any) -> MeasuredResults:
    """Results by the suite."""
    scores = tuple(BenchmarkScore(benchmark.name, score, 100 * score, ()) for benchmark in SUITE.benchmarks)
    named: dict[str, Any] = {"precision": "bfloat16", "revision": SHA, **changes}
    return MeasuredResults(
        f"{model}/results_2026-01-{day:02}T00-00-00.000000.json", Scores(scores, 100 * score), **named
    )


def sources(
    requests: list[Request], results: list[MeasuredResults], flags: list[FlagRecord] | None = None
) -> BoardSources:
    """Return sources with these files."""
    by_path = {each.path: each for each in results}
    return BoardSources({str(each.path): each for each in requests}, by_path, set(by_path), flags)


def one_row(finished: Request, known: HubModelInfo | None = None, flags: list[FlagRecord] | None = None) -> ContentsRow:
    """The row of the only evaluation."""
    model = finished.path.model
    (row,) = compile_rows((), sources([finished], [measured(model)], flags), {model: known or HubModelInfo()}, BOARD)
    return row


def flag(model: str = "acme/lion", category: str = "other", **changes: Any) -> FlagRecord:
    """A flag that stands."""
    return FlagRecord(model=model, status="flagged", category=category, **changes)


def test_the_columns_are_those_of_the_readers() -> None:
    """Names, order and types are the Open LLM Leaderboard's, with one more at the end; a row holds each, in order."""
    assert [column.name for column in columns(SUITE)] == NAMES
    assert list(one_row(request())) == NAMES
    kinds = {column.name: column.kind for column in columns(SUITE)}
    assert {name for name, kind in kinds.items() if kind == "flag"} == {
        *("Available on the hub", "MoE", "Flagged", "Chat Template", "Merged", "Official Providers")
    }
    assert {name for name, kind in kinds.items() if kind == "count"} == {"Hub ❤️", "Generation"}


def test_a_row_tells_what_is_known() -> None:
    """Every column from its source: request, results, the Hub."""
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
    """Null, but where readers compare numbers or split words; a model that is gone is not available."""
    row = one_row(request("bob/cub"), HubModelInfo(available=False))
    names = ("Hub License", "Hub ❤️", "#Params (B)", "Architecture", "Upload To Hub Date", "Submission Date")
    assert [row[name] for name in names] == [None, 0, -1.0, "?", None, None]
    names = ("Available on the hub", "Merged", "MoE", "Official Providers")
    assert [row[name] for name in names] == [False, False, False, False]
    assert (row["Type"], row["Base Model"], row["Generation"]) == ("❓ other", "bob/cub", 0)


def test_no_row_has_a_null_in_a_column_of_numbers() -> None:
    """Neither a row of ours nor one that others made and that knows less; what it does know stays."""
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
    """The facts in a row give the same row again; values of other types do no harm."""
    facts = HubModelInfo(
        likes=3, licence="mit", merged=True, moe=False, created="2024-04-13", base_model="x/y", parameters=7.0
    )
    row = one_row(request(), facts)
    assert one_row(request(), model_info_from_row(row)) == row
    tiny = one_row(request("bob/cub"), HubModelInfo(parameters=0.0))  # of fewer parameters than are told
    assert one_row(request("bob/cub"), model_info_from_row(tiny)) == tiny
    read = [
        ContentsColumn("a", kind).read(value)
        for kind, value in (("count", 3.0), ("number", float("nan")), ("flag", "True"))
    ]
    assert read == [3, None, None]


def test_a_row_holds_no_half_of_a_surrogate_pair() -> None:
    """A request file can hold one, and the file of the table cannot: it could not be written any more."""
    assert one_row(request(architectures="Lion\ud800ForCausalLM"))["Architecture"] == "Lion?ForCausalLM"


def test_names_are_escaped() -> None:
    """An address with a quote in it cannot leave its link."""
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
    """By any name in any case, by weights, and only in the scope of the flag."""
    assert one_row(request(steward={"weights": "c" * 64}), flags=[record])["Flagged"] is flagged


def test_whom_the_authors_took_off_has_no_row() -> None:
    """An opt-out hides the model's rows, those of others too."""
    with_opt_out = sources([request()], [measured()], [flag(category="opt-out")])
    assert compile_rows([one_row(request())], with_opt_out, {}, BOARD) == []


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, True),
        ({"status": "FINISHED_2023"}, True),
        ({"status": "PENDING_NEW_EVAL"}, True),
        ({"status": "RUNNING"}, False),
        ({"status": "CANCELLED"}, False),
        ({"status": "FAILED"}, False),
        ({"submitted_by": "x", "ci_run_id": "7"}, False),
        ({"status": "RUNNING", "steward": {"kept": {"revision": SHA, "results": measured().path}}}, True),
        ({"steward": {"results": measured().path}}, True),
        ({"steward": {"results": "acme/lion/results_lost.json"}}, False),
        ({"steward": {"access": "private"}}, False),
        ({"revision": OTHER}, False),
        ({"revision": "main"}, True),
    ],
)
def test_which_evaluations_are_shown(changes: dict[str, Any], shown: bool) -> None:
    """A finished request has a row, also during a newer evaluation; private models have none."""
    whole = request(**changes)
    for stored in (whole, slim(whole)):
        assert bool(evaluations(sources([stored], [measured()]))) is shown


def test_the_newest_results_of_the_precision_stand() -> None:
    """All precisions share a folder: of those that fit, the newest by name."""
    results = [measured(day=1), measured(day=3), measured(day=2), measured(day=9, precision="4bit")]
    (evaluation,) = evaluations(sources([request()], results)).values()
    assert evaluation.measured.path == measured(day=3).path


def test_rows_of_others_stand_as_long_as_their_results_do() -> None:
    """Results that we cannot read keep their row; without results, or once removed, it goes; renames are followed."""
    theirs = {**one_row(request()), "Average ⬆️": 1.5, "Flagged": True, "theirs": 7}
    there = BoardSources({str(request().path): request()}, {}, {measured().path})
    assert compile_rows([theirs], there, {}, BOARD) == [theirs]
    flagless = BoardSources(there.requests, {}, there.results, [])
    assert compile_rows([theirs], flagless, {}, BOARD) == [{**theirs, "Flagged": False}]
    assert compile_rows([theirs], BoardSources(there.requests), {}, BOARD) == []
    cancelled = request(status="CANCELLED")
    assert compile_rows([theirs], BoardSources({str(cancelled.path): cancelled}, {}, {measured().path}), {}, BOARD) == []
    new = request("acme/lioness")
    (moved,) = compile_rows(
        [theirs], BoardSources({str(new.path): new}, {}, {measured("acme/lioness").path}), {}, BOARD
    )
    assert (moved["fullname"], moved["eval_name"]) == ("acme/lioness", "acme_lioness_bfloat16")
    assert "lioness</a>" in moved["Model"]
    assert (moved["Average ⬆️"], moved["theirs"]) == (1.5, 7)


def test_the_cost_that_others_measured_stays_with_their_results() -> None:
    """A row of results that we can read is written anew, and its CO₂ is not lost; of other results it tells nothing."""
    noted = {**one_row(request()), "CO₂ cost (kg)": 1.5}
    assert compile_rows([noted], sources([request()], [measured()]), {}, BOARD) == [noted]
    ours = sources([request()], [measured(request=str(request().path))])
    newer = sources([request(revision=OTHER)], [measured(day=2, revision=OTHER)])
    for board_sources in (ours, newer):
        assert [row["CO₂ cost (kg)"] for row in compile_rows([noted], board_sources, {}, BOARD)] == [0.0]


def test_a_row_that_others_made_of_an_earlier_commit_stays_once() -> None:
    """It stays beside results of either program, with its own flag and weights."""
    earlier = {**one_row(request()), "Model sha": OTHER, "Average ⬆️": 11.0, "theirs": 7}
    newer, results = one_row(request()), [measured(day=1, revision=OTHER), measured(day=2)]
    both = sources([request()], results)
    assert compile_rows([earlier, newer, earlier], both, {}, BOARD) == [newer, earlier]
    assert compile_rows([earlier], both, {}, BOARD) == [newer, earlier], "what they noted of it stays with it"
    ours = MeasuredResults(results[1].path, results[1].scores, str(request().path), "bfloat16", SHA)
    named = request(steward={"results": ours.path, "revision": SHA, "weights": "c" * 64})
    flags = [flag("acme/other", weights="c" * 64)]
    rows = compile_rows([earlier, newer], sources([named], [results[0], ours], flags), {}, BOARD)
    assert [(row["Model sha"], row["Flagged"]) for row in rows] == [(SHA, True), (OTHER, False)]


def test_results_are_told_with_the_chat_template_that_they_were_made_with() -> None:
    """A resubmission with another chat template setting does not change the row of the existing results."""
    asked = str(request().path)
    first = measured(request=asked, revision=OTHER, chat_template=False)
    previous = {"revision": OTHER, "results": first.path}
    resubmitted = request(status="PENDING_NEW_EVAL", use_chat_template=True, steward={"kept": previous})
    (row,) = compile_rows((), sources([resubmitted], [first]), {}, BOARD)
    assert (row["Model sha"], row["Chat Template"]) == (OTHER, False)
    now = measured(day=2, request=asked, chat_template=True)
    resubmitted = request(use_chat_template=True, steward={"results": now.path})
    rows = compile_rows((), sources([resubmitted], [first, now]), {}, BOARD)
    assert [(row["Model sha"], row["Chat Template"]) for row in rows] == [(SHA, True), (OTHER, False)]


def test_a_results_file_of_ours_says_whether_it_was_made_with_the_chat_template() -> None:
    """Steward's block says whether the chat template was used; files of other programs do not."""
    raw = {benchmark.source: dict.fromkeys(benchmark.metrics, 0.5) for benchmark in SUITE.benchmarks}
    raw |= {task.name: dict.fromkeys(benchmark.metrics, 0.5) for benchmark in SUITE.benchmarks for task in benchmark.tasks}
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


def test_a_commit_that_we_evaluated_keeps_its_row_beside_the_newer_one() -> None:
    """The row has the commit's newest results, the submission date from the table, and its own flag."""
    asked = str(request().path)
    first, again, now = (
        measured(day=day, score=day / 10, request=asked, revision=revision)
        for day, revision in ((1, OTHER), (2, OTHER), (3, SHA))
    )
    before = request(revision=OTHER, submitted_time="2026-01-01T00:00:00Z", steward={"results": first.path})
    resubmitted = request(revision=SHA, submitted_time="2026-01-03T00:00:00Z", steward={"results": now.path})
    (old,) = compile_rows((), sources([before], [first]), {}, BOARD)
    flags = [flag(scope=FlagScope(revision=OTHER))]
    more = [measured(day=9, request=asked, revision="c" * 40), measured("acme/tiger", request=asked, revision="c" * 40)]
    both = sources([resubmitted], [first, again, now, *more], flags)
    rows = compile_rows([{**old, "theirs": 7}], both, {}, BOARD)
    shown = [(row["Model sha"], row["Average ⬆️"], row["Submission Date"], row["Flagged"]) for row in rows]
    assert shown == [(SHA, 30.0, "2026-01-03", False), (OTHER, 20.0, "2026-01-01", True)]
    assert ["theirs" in row for row in rows] == [False, True]
    assert compile_rows(rows, both, {}, BOARD) == rows
    assert [row["Submission Date"] for row in compile_rows((), both, {}, BOARD)] == ["2026-01-03", None]
    assert [row["Model sha"] for row in compile_rows(rows, sources([resubmitted], [now]), {}, BOARD)] == [SHA]


@pytest.mark.parametrize(
    ("earlier", "results"),
    [
        ({"Model sha": OTHER}, []),
        ({"Model sha": OTHER}, [measured(revision=OTHER, precision="4bit")]),
        ({"Model sha": "main"}, [measured(revision="main")]),
        ({"Model sha": ""}, [measured(revision="")]),
        ({}, [measured()]),
    ],
)
def test_the_newest_evaluation_takes_the_place_of_all_other_rows(
    earlier: ContentsRow, results: list[MeasuredResults]
) -> None:
    """It replaces rows without results, rows of results in another precision, and rows at a possibly equal commit."""
    row = {**one_row(request()), "Average ⬆️": 11.0, **earlier}
    board_sources = sources([request()], [*results, measured(day=2)])
    assert compile_rows([row], board_sources, {}, BOARD) == [one_row(request())]
    assert rows_of(evaluations(board_sources), [row]) == ([] if earlier == {"Model sha": OTHER} else [row])


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
    """Workers write it: one beyond the largest floating-point number ended every later write of the table."""
    raw = {benchmark.source: dict.fromkeys(benchmark.metrics, 0.5) for benchmark in SUITE.benchmarks}
    raw |= {task.name: dict.fromkeys(benchmark.metrics, 0.5) for benchmark in SUITE.benchmarks for task in benchmark.tasks}
    for count, parameters in ((10**400, -1.0), (135_000_000, 0.135)):
        data = dump({"results": raw, "config": {"model_num_parameters": count}})
        results = measure(measured().path, data, SUITE)
        assert results is not None
        (row,) = compile_rows((), sources([request()], [results]), {}, BOARD)
        assert row["#Params (B)"] == parameters


def test_results_of_other_suites_and_broken_ones_make_no_row() -> None:
    """Results that the suite cannot read are no measurement; archives and pictures are no results."""
    assert measure("a/b/results_1.json", b'{"results": {}}', SUITE) is None
    assert measure("a/b/results_1.json", b'{"steward": 1, "results"', SUITE) is None
    assert is_results_path("a/b/results_1.json")
    assert not is_results_path(".steward/archive/a/b/results_1.json")
    assert not is_results_path(archived("a/b/results_1.json"))
    assert not is_results_path("a/b/table.md")


def test_a_model_says_of_itself_what_it_is() -> None:
    """Merges by their tags; mixtures of experts by tag or by a part of their name."""
    assert describe(["mergekit"], "lion-7b") == (True, False)
    assert describe([], "Lion-8x7B-MoE") == (False, True)
    assert describe(["moerge"], "moebius") == (True, True)
    assert describe([], "moebius") == (False, False)
