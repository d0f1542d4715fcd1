"""The leaderboard selects, ranks and orders rows as a plain loop does."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace

import pytest

from bot.web.leaderboard_rows import SIZE_STEPS, LeaderboardRows
from bot.web.request_row import RequestRow, TableFacts, facts_of, other_row
from bot.web.selection import Selection
from leaderboard.categories import ModelCategory
from leaderboard.flags import FlagRecord, FlagScope, StandingFlags
from leaderboard.ranks import RankedScore, rank_ranges
from leaderboard.search import Value, fold, parse

NAMES = ("IFEval", "BBH", "GPQA")


def line(number: int, dice: random.Random) -> RequestRow:
    """An evaluation with random values; several rows share a model, and some lack a size or a benchmark."""
    model = f"org-{number % 7}/model-{number % 40}"
    scores = {name: float(dice.randrange(0, 100)) for name in NAMES if dice.random() > 0.05}
    values: dict[str, Value] = {
        "category": dice.choice(list(ModelCategory)).value,
        "precision": dice.choice(("float16", "bfloat16", "4bit")),
        "weights": "Original",
        "licence": dice.choice(("mit", "apache-2.0", "")),
        "architecture": "LlamaForCausalLM",
        "base": "",
        "revision": f"{number:040x}",
        "average": float(dice.randrange(0, 30)),
        "parameters": dice.choice((0.5, 3.0, 7.0, 70.0, None)),
    }
    facts = TableFacts(
        likes=dice.choice((None, 3, 50)),
        merged=dice.random() < 0.3,
        moe=dice.random() < 0.2,
        official=dice.random() < 0.2,
        available=dice.random() > 0.1,
        raw={name: score / 200 for name, score in scores.items()},
    )
    return RequestRow(f"{number}.json", model, fold(model), "finished", 0.0, values, benchmarks=scores, facts=facts)


LINES = [line(number, random.Random(number)) for number in range(300)]
FLAGGED = ("org-1/model-1", "org-2/model-2")
FLAGS = StandingFlags(FlagRecord(model=name, status="flagged", category="other") for name in FLAGGED)
NO_FLAGS = StandingFlags(())
ROWS = LeaderboardRows(LINES, FLAGS, NAMES)
SELECTIONS = [
    Selection(),
    Selection(flagged=True, deleted=True),
    Selection(categories=("chat", "merge"), precisions=("4bit", "float16")),
    Selection(smallest=3.0, largest=7.0),
    Selection(merges=False, experts=False, official=True),
    Selection(per_model=True, sort="BBH"),
    Selection(benchmarks=("IFEval", "GPQA"), sort="model", rising=True),
    Selection(raw=True, sort="likes"),
    Selection(query="model-1; Hub License: mit", sort="parameters"),
    Selection(query="Average: >= 20; #Params: 7", sort="rank"),
    Selection(query="Flagged: yes"),
    Selection(query="nonsense: 1"),
]


def average(row: RequestRow, selection: Selection) -> float:
    """The average that a plain loop computes."""
    names = [name for name in NAMES if name in selection.benchmarks] or list(NAMES)
    if not selection.raw and len(names) == len(NAMES):
        return row.average or 0.0
    raw = {name: 100 * value for name, value in row.facts.raw.items()}
    scores = raw if selection.raw else row.benchmarks
    return sum(scores[name] for name in names) / len(names) if set(names) <= scores.keys() else math.nan


def matches(row: RequestRow, selection: Selection) -> bool:
    """Whether a plain loop shows the row."""
    size, query = row.values["parameters"], parse(selection.query)
    flagged = row.model in FLAGGED
    asks_for_flags = any(term.column.key == "flagged" for term in query.terms)
    named = not query.names or any(name in row.folded for name in query.names)
    return (
        not query.misread
        and named
        and all(term.fits({**row.values, "flagged": flagged}.get(term.column.key)) for term in query.terms)
        and (not selection.categories or row.values["category"] in selection.categories)
        and (not selection.precisions or row.values["precision"] in selection.precisions)
        and (selection.smallest is None or (isinstance(size, float) and size >= selection.smallest))
        and (selection.largest is None or (isinstance(size, float) and size <= selection.largest))
        and (selection.merges or not (row.facts.merged or row.values["category"] == "merge"))
        and (selection.experts or not row.facts.moe)
        and (selection.flagged or asks_for_flags or not flagged)
        and (selection.deleted or row.facts.available)
        and (not selection.official or row.facts.official)
    )


@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
def test_a_selection_shows_what_a_plain_loop_shows(selection: Selection) -> None:
    """A selection shows the same rows as a plain loop, ranked by the average of the selected benchmarks."""
    selected = ROWS.select(selection, parse(selection.query))
    rows = [row for row in LINES if matches(row, selection)]
    if selection.per_model:
        best: dict[str, float] = {}
        for row in rows:
            best[row.model] = max(best.get(row.model, -1.0), average(row, selection))
        assert sorted(LINES[at].model for at in selected.order) == sorted(best)
        rows = [LINES[at] for at in selected.order]
        assert all(average(row, selection) == best[row.model] for row in rows)
    assert sorted(LINES[at].path for at in selected.order) == sorted(row.path for row in rows)
    averages = [average(row, selection) for row in rows]
    for at in selected.order:
        own = average(LINES[at], selection)
        expected = 0 if math.isnan(own) else 1 + sum(other > own for other in averages)
        assert selected.ranks[at] == expected


@pytest.mark.parametrize("rising", [False, True])
@pytest.mark.parametrize("sort", ["average", "BBH", "parameters", "likes"])
def test_rows_without_a_value_come_last(sort: str, rising: bool) -> None:
    """Rows without a value come last in either direction; the others are in order."""
    selection = Selection(sort=sort, rising=rising, flagged=True, deleted=True)
    order = ROWS.select(selection).order
    values = [ROWS.average[at] if sort == "average" else ROWS.numbers(sort)[at] for at in order]
    numbers = [value for value in values if not math.isnan(value)]
    assert numbers == sorted(numbers, reverse=not rising)
    assert all(math.isnan(value) for value in values[len(numbers) :])


def test_the_bars_above_the_size_filter_count_every_sized_row() -> None:
    """The size filter has a bar for each step, and together they count every row with a known size."""
    assert len(ROWS.size_counts) == len(SIZE_STEPS)
    assert sum(ROWS.size_counts) == sum(row.values["parameters"] is not None for row in LINES)


def test_an_empty_board_has_no_rows() -> None:
    """Selections, suggestions and size counts of an empty board are empty."""
    empty = LeaderboardRows([], NO_FLAGS, NAMES)
    for selection in SELECTIONS:
        assert len(empty.select(selection, parse(selection.query)).order) == 0
    assert empty.models_like("a") == empty.values_like("licence", "m") == []
    assert sum(empty.size_counts) == 0


def test_suggestions_are_names_and_values_that_contain_what_was_typed() -> None:
    """Matching models are suggested once, the best first, and matching values, the most frequent first."""
    matching = sorted((row for row in LINES if "model-1" in row.folded), key=lambda row: -(row.average or 0.0))
    names = list(dict.fromkeys(row.model for row in matching))
    assert len(names) > 8
    assert ROWS.models_like("model-1") == names[:8]
    assert ROWS.models_like("model-1", limit=3) == names[:3]
    assert ROWS.models_like("no such model") == []
    assert ROWS.values_like("licence", "apa") == ["apache-2.0"]
    counts = Counter(row.values["precision"] for row in LINES)
    assert ROWS.values_like("precision", "float") == sorted(("float16", "bfloat16"), key=lambda name: -counts[name])


def test_a_row_of_the_table_becomes_an_evaluation() -> None:
    """A table row becomes an evaluation, without a request if another program wrote it, and only if it has scores."""
    row = {
        "fullname": "ada/tiny",
        "Average ⬆️": 31.5,
        "Type": "💬 chat models (RLHF, DPO, IFT, ...)",
        "#Params (B)": -1.0,
        "Model sha": "a" * 40,
        "MUSR": 12.5,
        "MUSR Raw": 0.4,
        "CO₂ cost (kg)": 0.0,
        "Base Model": "ada/tiny",
        "Flagged": True,
    }
    earlier = other_row("ada/tiny_eval_request_False_float16_Original.json@aaaa", row, ["MuSR"])
    foreign = other_row("ada/tiny float16 Original@aaaa", row, ["MuSR"])
    assert earlier is not None
    assert foreign is not None
    assert (earlier.path, foreign.path) == ("ada/tiny_eval_request_False_float16_Original.json", "")
    assert earlier.values["category"] == "chat"
    assert earlier.values["parameters"] is None
    assert earlier.benchmarks == {"MuSR": 12.5}
    facts = facts_of(row, ["MuSR"])
    assert (dict(facts.raw), facts.co2, facts.base_model) == ({"MuSR": 0.4}, None, "")
    assert LeaderboardRows([earlier, foreign], NO_FLAGS, NAMES).flagged.all()
    assert other_row("x", {**row, "Average ⬆️": None}, ["MuSR"]) is None


def test_a_flag_of_one_precision_hides_the_evaluation_at_it_alone() -> None:
    """A flag on one precision hides only that evaluation; the model's other one has the first rank."""
    values = dict(LINES[0].values)
    lines = [
        replace(LINES[0], path=f"{name}.json", values={**values, "precision": name, "average": average})
        for name, average in (("4bit", 20.0), ("float16", 10.0))
    ]
    flag = FlagRecord(model=lines[0].model, status="flagged", category="other", scope=FlagScope(precision="4bit"))
    rows = LeaderboardRows(lines, StandingFlags([flag]), NAMES)
    assert rows.flagged.tolist() == [True, False]
    selected = rows.select(Selection(deleted=True))
    assert (selected.order.tolist(), selected.ranks[1], selected.flagged) == ([1], 1, 1)


RANKED = LeaderboardRows(
    [
        replace(row, suite="ab"[number % 20 == 0], errors=dict.fromkeys(("average", *NAMES), 0.5) if number % 2 else {})
        for number, row in enumerate(LINES)
    ],
    FLAGS,
    NAMES,
)
"""The rows, every other one with standard errors, and some of another suite."""


@pytest.mark.parametrize("selection", SELECTIONS, ids=repr)
def test_ranges_of_ranks_are_among_the_selected_rows(selection: Selection) -> None:
    """Ranges of ranks are among the selected rows; flagged rows, raw scores and rows without errors have none."""
    selected = RANKED.select(selection, parse(selection.query))
    order = selected.order.tolist()
    ranges = [RANKED.ranges(selected, part) for part in (order[:5], order, range(len(LINES)))][-1]
    error = 0.5 if not 0 < len(selection.benchmarks) < len(NAMES) else 0.5 / math.sqrt(len(selection.benchmarks))
    ranked = [at for at in order if selected.ranks[at]]
    scores = [
        RankedScore(
            float(selected.averages[at]), error if RANKED.lines[at].errors else None, suite=RANKED.lines[at].suite
        )
        for at in ranked
    ]
    wanted = dict(zip(ranked, rank_ranges(scores), strict=True))
    assert ranges == ({} if selection.raw else {at: wanted[at] for at in ranked if RANKED.lines[at].errors})


def test_without_errors_there_are_no_ranges() -> None:
    """Without standard errors, there are no ranges of ranks."""
    assert not ROWS.has_errors
    assert ROWS.ranges(ROWS.select(Selection()), [0, 1]) == {}


def test_rows_that_answered_other_questions_are_told_apart() -> None:
    """Ranges of ranks compare rows with the same questions; rows without a digest count with most of their suite."""
    asked = [("s", ""), ("s", "c"), ("s", "c"), ("s", "d"), ("", ""), ("", "c"), ("t", "")]
    lines = [
        replace(row, suite=suite, asked=digest, errors={"average": 0.5})
        for row, (suite, digest) in zip(LINES, asked, strict=False)
    ]
    rows = LeaderboardRows(lines, NO_FLAGS, NAMES)
    assert [rows.group_of(line) for line in lines] == ["c", "c", "c", "d", "", "c", "t"]
    assert [rows.asks_others(line) for line in lines] == [False, False, False, True, False, False, True]
    selected = rows.select(Selection(deleted=True))
    assert rows.ranges(selected, range(len(lines)))[3] == (1, 1)
