"""Scores and results files."""

from __future__ import annotations

import json
import math
import struct
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.details import results_file, shared_results_path
from leaderboard.result_digests import combine
from leaderboard.results import MAX_BYTES, dump, file_time, parse_harness, read_results
from leaderboard.scores import BadResults, normalise, score
from leaderboard.steward_block import (
    BENCHMARK_INFLUENCE_LENGTH,
    BLOCK,
    INFLUENCE_LENGTH,
    StewardBlock,
    digest_parts,
    phase_seconds,
    scores_in_block,
    with_block,
)
from leaderboard.suites import find_suite

PYTHIA: dict[str, Any] = json.loads((Path(__file__).parent / "pythia_1b_raw.json").read_text())["results"]
V2 = find_suite("open-llm-v2")
STARTER = find_suite("starter")
RAW = {
    task.name: dict.fromkeys(benchmark.metrics, 0.625) for benchmark in STARTER.benchmarks for task in benchmark.tasks
}


def file(results: dict[str, Any] = RAW, **changes: Any) -> dict[str, Any]:
    """A results file of the starter suite as JSON data."""
    block = StewardBlock.model_validate(
        {
            "attempt": "0123456789ab-01234567-1",
            "request": "org/model_eval_request_False_float32_Original.json",
            "model": "org/model",
            "revision": "0" * 40,
            "precision": "float32",
            "suite": STARTER.name,
            "suite_digest": STARTER.digest,
            "started": "2026-11-24T12:00:00Z",
            "ended": "2026-11-24T12:01:00Z",
            **scores_in_block(score(RAW, STARTER)),
            **changes,
        }
    )
    return with_block({"results": results, "versions": {}}, block)


def test_pythia_1b_scores_as_worked_out_by_hand() -> None:
    """The scores of a real run are those that were worked out by hand from the documented formula."""
    # IFEval    the mean of two strict accuracies: (0.168207024029575 + 0.273381294964029) / 2 x 100
    # BBH       the mean of 24 subtasks. Ten of them are no better than guessing: 0 each. The others, (raw - 1/n) /
    #           (1 - 1/n) x 100: causal judgement 3.743316, date 4.48, geometric shapes 1.88, hyperbaton 2.4, deduction
    #           with five 0.5 and with three 4, movies 8.8, counting 2.044444, colored objects 5.129412, ruined names 4,
    #           translation errors 6.88, snarks 7.865169, temporal 1.333333, tracking seven 2: together 55.055674
    # MATH      no lower bound: 0.003021148036254 x 100
    # GPQA      four choices: (0.256711409395973 - 0.25) / 0.75 x 100
    # MuSR      0 (below 1/2), (0.265625 - 0.2) / 0.8 x 100 = 8.203125, 0 (below 1/3)
    # MMLU-PRO  ten choices: (0.113613696808511 - 0.1) / 0.9 x 100
    scores = score(PYTHIA, V2)
    by_hand = {
        "IFEval": 22.079415949680,
        "BBH": 55.055674 / 24,
        "MATH Lvl 5": 0.302114803625,
        "GPQA": 0.894854586130,
        "MuSR": 8.203125 / 3,
        "MMLU-PRO": 1.512632978723,
    }
    assert scores.by_name == pytest.approx(by_hand, abs=1e-6)
    assert scores.average == pytest.approx(sum(by_hand.values()) / 6, abs=1e-6)


def test_raw_scores_are_the_harnesss_own() -> None:
    """A benchmark with subtasks shows the harness's aggregate as its raw score."""
    raw = {benchmark.name: benchmark.raw for benchmark in score(PYTHIA, V2).benchmarks}
    assert raw["BBH"] == PYTHIA["leaderboard_bbh"]["acc_norm,none"]
    assert raw["GPQA"] == PYTHIA["leaderboard_gpqa"]["acc_norm,none"]


def test_the_raw_score_of_a_plain_mean_is_that_mean() -> None:
    """MMLU of the first suite is the unweighted mean of its subjects, not the harness's mean over all questions."""
    suite = find_suite("open-llm-v1")
    results = {
        task.name: dict.fromkeys(benchmark.metrics, 0.5) for benchmark in suite.benchmarks for task in benchmark.tasks
    }
    results |= {
        benchmark.source: dict.fromkeys(benchmark.metrics, 0.7)
        for benchmark in suite.benchmarks
        if benchmark.name == "MMLU"
    }
    scores = score(results, suite)
    assert {benchmark.name: (benchmark.raw, benchmark.normalised) for benchmark in scores.benchmarks} == {
        benchmark.name: (0.5, 50.0) for benchmark in suite.benchmarks
    }


@given(st.floats(0, 1), st.floats(0, 0.95))
def test_normalisation_keeps_scores_between_0_and_100(raw: float, lower_bound: float) -> None:
    """A score of guessing or worse is 0, a perfect score is 100."""
    normalised = normalise(raw, lower_bound)
    assert 0 <= normalised <= 100 + 1e-9
    assert raw > lower_bound or normalised == 0
    assert normalise(1.0, lower_bound) == pytest.approx(100)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.95))
def test_normalisation_never_turns_an_order_around(a: float, b: float, lower_bound: float) -> None:
    """A better raw score never gives a lower normalised score."""
    assert normalise(min(a, b), lower_bound) <= normalise(max(a, b), lower_bound)


@pytest.mark.parametrize("wrong", [None, "0.5", True, -0.1, 1.1, float("nan"), float("inf"), [0.5]])
def test_a_score_that_is_no_number_between_0_and_1_is_refused(wrong: object) -> None:
    """A raw score that is a text, a boolean, NaN or out of range is refused."""
    with pytest.raises(BadResults):
        score({**RAW, "starter_navigation": {"acc_norm,none": wrong}}, STARTER)


def test_a_missing_task_is_refused_by_name() -> None:
    """Results without one of the suite's tasks are refused."""
    with pytest.raises(BadResults, match="starter_navigation"):
        score({name: entry for name, entry in RAW.items() if name != "starter_navigation"}, STARTER)


def test_a_file_is_read_as_it_was_written() -> None:
    """The bot reads a worker's results file and computes the scores again."""
    read = read_results(dump(file()), STARTER)
    assert read.block.model == "org/model"
    assert read.scores.by_name["Navigation"] == 25.0
    assert read.scores.by_name["Word Sorting"] == 62.5


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"suite_digest": "f" * 64}, "not of this one"),
        ({"average": 99.0}, "not those that follow"),
        ({"benchmarks": {"Navigation": 100.0}}, "not those that follow"),
    ],
)
def test_a_block_that_contradicts_the_raw_scores_is_refused(changes: dict[str, Any], complaint: str) -> None:
    """A block with other scores than the raw scores give, or of another suite, is refused."""
    with pytest.raises(BadResults, match=complaint):
        read_results(dump(file(**changes)), STARTER)


def test_digests_are_read_and_checked() -> None:
    """Digests that do not follow from their parts are refused; a file without digests is accepted."""
    part = {"asked": {"requests": "a" * 64, "documents": "b" * 64, "questions": 1}}
    scored = {"scored": dict.fromkeys(("metrics", "filters", "targets"), "c" * 16)}
    harness = {BLOCK: {"digests": {"tasks": {"starter_navigation": part | scored}}}}
    parts = digest_parts(harness)
    assert parts is not None
    digests = combine(parts, STARTER)
    assert read_results(dump(file(digests=digests.model_dump())), STARTER).block.digests == digests
    assert read_results(dump(file()), STARTER).block.digests is None
    for changes in ({"asked": "d" * 64}, {"rules": "d" * 16}):
        with pytest.raises(BadResults, match="not those that follow from their parts"):
            read_results(dump(file(digests={**digests.model_dump(), **changes})), STARTER)


def test_digests_that_the_child_reports_are_read_within_bounds() -> None:
    """An evaluation's child process may report no digests; a malformed report of digests raises an error."""
    assert digest_parts({}) is None
    with pytest.raises(BadResults, match="digests"):
        digest_parts({BLOCK: {"digests": {"tasks": {"../x": 1}}}})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'{"results": []}',
        b'{"results": {}, "x": NaN}',
        b"\xff\xfe",
        b'{"results": ' + b'{"a":' * 100_000,
        b'{"results": {"a": ' + b"[" * 60 + b"]" * 60 + b"}}",
        b'{"results": {"a": [1, ' + b"[" * 60 + b"]" * 60 + b"]}}",
        b'{"results": {"b": 1, "a": ' + b'{"a":' * 60 + b"1" + b"}" * 60 + b"}}",
        b'{"results": {}}' + b" " * MAX_BYTES,
    ],
    ids=[
        "empty",
        "null",
        "list",
        "list of results",
        "NaN",
        "not text",
        "too deep to read",
        "deep",
        "deep beside a number in a list",
        "deep beside a number in an object",
        "large",
    ],
)
def test_a_strangers_file_is_refused_within_bounds(data: bytes) -> None:
    """A file that is not a results file, is too large or too deeply nested raises `BadResults`."""
    with pytest.raises(BadResults):
        parse_harness(data)


@given(
    st.recursive(st.none() | st.floats() | st.text(max_size=9), lambda c: st.lists(c) | st.dictionaries(st.text(), c))
)
def test_no_json_value_breaks_the_reader(value: Any) -> None:
    """Any JSON document is either read or refused."""
    try:
        read_results(json.dumps({"results": value, "steward": value}).encode(), STARTER)
    except BadResults as error:
        assert str(error)  # reading and refusing are both fine; another exception is not


@pytest.mark.parametrize(
    "seconds", [None, 7, [], {"load": "long"}, {"load": -1}, {"load": float("nan")}, {"dance": 1.0}]
)
def test_times_that_a_child_made_up_are_left_out(seconds: object) -> None:
    """Invalid durations of phases are ignored."""
    assert phase_seconds({"steward": {"seconds": seconds}}) == {}
    assert phase_seconds({"steward": {"seconds": {"load": 1.5, "dance": 2}}}) == {"load": 1.5}


def test_infinity_is_not_written() -> None:
    """NaN and infinity are refused, because JSON has no such numbers."""
    with pytest.raises(BadResults):
        dump({"results": {"a": float("inf")}})


def test_the_path_is_the_leaderboards_own() -> None:
    """Shared results have the Open LLM Leaderboard's path; a worker cannot name any other file to be copied."""
    name = results_file(file_time(1_795_521_600.5))
    assert shared_results_path("org/model", name) == "org/model/results_2026-11-24T12-00-00.500000.json"
    for other in ("results.json", f"x/{name}", f"../{name}", f"{name}\n", "README.md"):
        assert shared_results_path("org/model", other) is None


def vector(*numbers: float) -> str:
    """An influence vector that begins with `numbers`."""
    return b64encode(
        struct.pack(f"<{INFLUENCE_LENGTH}e", *numbers, *[0.0] * (INFLUENCE_LENGTH - len(numbers)))
    ).decode()


def benchmark_vector(factor: float, *steps: int) -> str:
    """The influence vector of a benchmark that begins with `steps`."""
    more = [0] * (BENCHMARK_INFLUENCE_LENGTH - len(steps))
    return b64encode(struct.pack(f"<f{BENCHMARK_INFLUENCE_LENGTH}b", factor, *steps, *more)).decode()


NAMES = [benchmark.name for benchmark in STARTER.benchmarks]
ERRORS: dict[str, Any] = {
    "errors": dict.fromkeys(NAMES, 2.5),
    "average_error": 2.5 / math.sqrt(len(NAMES)),
    "influence": vector(0.6, -0.6),
    "benchmark_influences": {NAMES[0]: benchmark_vector(0.02, 100, -70)},
}


def test_standard_errors_are_read_with_the_scores() -> None:
    """A block may name standard errors, all or some; older blocks name none."""
    errors = read_results(dump(file(**ERRORS)), STARTER).block.score_errors
    assert errors.benchmarks == ERRORS["errors"]
    assert (errors.average, errors.influence) == (ERRORS["average_error"], ERRORS["influence"])
    assert errors.benchmark_influences == ERRORS["benchmark_influences"]
    some = read_results(dump(file(errors={NAMES[0]: 2.5})), STARTER).block.score_errors
    assert (some.benchmarks, some.average) == ({NAMES[0]: 2.5}, None)
    old = file()
    for name in ERRORS:
        del old["steward"][name]
    assert read_results(dump(old), STARTER).block.score_errors.average is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"errors": {**ERRORS["errors"], NAMES[0]: 0.0}},
        {"errors": {**ERRORS["errors"], NAMES[0]: -1.0}},
        {"errors": {**ERRORS["errors"], NAMES[0]: 100.1}},
        {"errors": {**ERRORS["errors"], NAMES[0]: "much"}},
        {"errors": {**ERRORS["errors"], "Another": 2.5}},
        {"errors": dict.fromkeys(NAMES[1:], 2.5)},
        {"errors": {}},
        {"errors": {f"Benchmark {i}": 2.5 for i in range(51)}},
        {"average_error": 2.5},
        {"average_error": 0.0},
        {"average_error": None},
        {"influence": vector(0.9, -0.9)},
        {"influence": vector(math.nan)},
        {"influence": vector(math.inf)},
        {"influence": vector()[:-4]},
        {"influence": vector() + "AAAA"},
        {"influence": vector()[:-1]},
        {"influence": "<" + vector()[1:]},
        {"benchmark_influences": {NAMES[0]: benchmark_vector(0.02, 100, -80)}},
        {"benchmark_influences": {NAMES[0]: benchmark_vector(math.nan, 1)}},
        {"benchmark_influences": {NAMES[0]: benchmark_vector(math.inf, 1)}},
        {"benchmark_influences": {NAMES[0]: benchmark_vector(0.01, 1)[:-4]}},
        {"benchmark_influences": {"Another": benchmark_vector(0.01, 1)}},
    ],
)
def test_standard_errors_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """Standard errors are positive numbers of the suite's benchmarks, and agree with each other."""
    data = file(**ERRORS)
    data["steward"] |= wrong
    with pytest.raises(BadResults):
        read_results(json.dumps(data).encode(), STARTER)
