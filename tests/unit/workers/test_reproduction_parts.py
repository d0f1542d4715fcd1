"""`steward reproduce` without a model: verdicts on samples, prompts to ask again, names of results, and its output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leaderboard.boards import Board
from leaderboard.evaluator_contract import question_digest
from leaderboard.results import dump
from leaderboard.steward_block import with_block
from steward.commands.reproduce import _lines
from tests.support.units.details_samples import results, sample
from workers.common.hub_access import HubAccess
from workers.jobs.attempt_lookup import find_attempt
from workers.jobs.recorded_attempt import CannotVerify
from workers.jobs.replay import NotReplayable, recorded_prompt, write_replay
from workers.jobs.reproduction_report import DifferentSample, Reproduction, SampleSide, reproduction_json
from workers.jobs.sample_comparison import (
    SampleDifferences,
    SampleVerdict,
    answers_of,
    largest_difference,
    paired,
    sample_verdict,
)
from workers.publication.details import CUT, SampleRow, sample_row
from workers.publication.evaluator_results import evaluator_row

NOWHERE = HubAccess("http://127.0.0.1:9", None)
TEXT = {"arguments": {"gen_args_0": {"arg_0": "Q:", "arg_1": {"until": ["\n"], "max_gen_toks": 4}}}}
BOARD = Board.model_validate(
    {
        "name": "trial", "title": "Trial", "suite": "starter",
        "repos": {**{name: f"trial/{name}" for name in ("requests", "results", "logs", "community")},
                  "details_namespace": "trial-details"},
    }
)  # fmt: skip


def row(**changes: Any) -> SampleRow:
    """One sample as a row of a table."""
    return sample_row(sample(**changes), ("acc_norm",))


def two(first: float, second: float) -> dict[str, Any]:
    """The responses to two choices."""
    return {"resps": [[[str(value), str(value == max(first, second))]] for value in (first, second)]}


@pytest.mark.parametrize(
    ("published", "here", "verdict"),
    [
        (row(), row(), "same"),
        (row(), row(acc_norm=0.0), "same"),  # the answer is the same, and scored otherwise
        (row(), row(**two(-0.5001, -1.5)), "other-digits"),
        (row(), row(**two(-1.5, -0.5)), "other-answers"),
        (row(), row(**two(-0.6, -1.4), acc_norm=0.0), "other-answers"),  # another choice by log-likelihood per length
        (row(), row(**two(-0.6, -1.4), acc_norm=0.9), "other-digits"),
        (row(), row(resps=[["a text"]]), "other-answers"),
        (row(resps=[["a text"]]), row(resps=[["another text"]]), "other-answers"),
        (row(), row(arguments={"gen_args_0": {"arg_0": "Q: It is?\nA:", "arg_1": " Yes"}}), "other-prompt"),
        (row(), row(doc_id=8), "other-prompt"),
        (row(resps=[[["-5.0", "True"]]]), row(resps=[[["-4.9", "False"]]]), "other-answers"),
        (row(resps=[[["-5.0", "True"]]]), row(resps=[[["-4.9", "True"]]]), "other-digits"),
    ],
)
def test_each_sample_has_one_verdict(published: SampleRow, here: SampleRow, verdict: SampleVerdict) -> None:
    """The verdict is the first of these that differs: the prompt, the answer, the digits of its log-likelihoods."""
    assert sample_verdict(published, here) == verdict


def of_evaluator(output: str, score: float = 1.0, **changes: Any) -> SampleRow:
    """A sample of another evaluator as a row of a table."""
    question = {"text": "?"}
    fields = {"id": 0, "question_digest": question_digest(question), "question": question, "prompt": "?"}
    line = json.dumps({**fields, "output": output, "metrics": {"score": score}, **changes}).encode()
    return evaluator_row(line, ("score",))


@pytest.mark.parametrize(
    ("published", "here", "verdict", "difference"),
    [
        (of_evaluator("0.123456 0.2"), of_evaluator("0.123456 0.2"), "same", 0.0),
        (of_evaluator("yes", 1.0), of_evaluator("yes", 0.0), "same", 0.0),  # scored otherwise
        (of_evaluator("0.123456 -0.21"), of_evaluator("0.123457 -0.21"), "other-digits", 1e-6),
        (of_evaluator("0.123456", 1.0), of_evaluator("0.123457", 0.0), "other-answers", 1e-6),
        (of_evaluator("0.12"), of_evaluator("0.19"), "other-answers", 0.0),
        (of_evaluator("0.123456"), of_evaluator("0.123456 0.1"), "other-answers", 0.0),
        (of_evaluator("The answer is 42."), of_evaluator("The answer is 43."), "other-answers", 0.0),
        (of_evaluator("yes"), of_evaluator("no"), "other-answers", 0.0),
        (of_evaluator("yes"), of_evaluator("yes", prompt="Is it?"), "other-prompt", 0.0),
    ],
)
def test_samples_of_other_evaluators_have_the_same_verdicts(
    published: SampleRow, here: SampleRow, verdict: SampleVerdict, difference: float
) -> None:
    """Outputs of other evaluators are compared as text; last digits of decimals may differ if the metrics agree."""
    assert sample_verdict(published, here) == verdict
    assert largest_difference(published, here) == pytest.approx(difference)


def test_samples_in_another_order_are_paired() -> None:
    """Samples are paired by question, whatever their order; a question that one side lacks is paired with None."""
    rows = [row(doc_id=number) for number in range(5)]
    pairs = [
        (one and one["doc_id"], other and other["doc_id"])
        for one, other in paired([rows[0], rows[1], rows[2], rows[4]], [rows[2], rows[0], rows[3], rows[1]])
    ]
    assert sorted(pairs, key=str) == [(0, 0), (1, 1), (2, 2), (4, None), (None, 3)]
    assert [one for one, _ in paired(rows, rows)] == rows


def test_the_first_sample_that_is_scored_otherwise_is_named() -> None:
    """The report shows the first sample with other metrics for the same answer, unless another sample differs more."""
    differences = SampleDifferences()
    differences.add("one", of_evaluator("yes"), of_evaluator("yes"))
    differences.add("one", of_evaluator("yes", 1.0), of_evaluator("yes", 0.0, id=0))
    assert differences.verdict == "same" and differences.rescored == 1
    assert differences.first is not None and differences.first[1] == "same"
    sides = [SampleSide("?", (), ("yes",), f'{{"score": {score}}}') for score in (1.0, 0.0)]
    first = DifferentSample("one", 0, "same", (), *sides)
    text = "\n".join(_lines(reproduction("same", first, "1 answers are the same, but scored otherwise")))
    assert '  metrics\n    published  {"score": 1.0}\n    here       {"score": 0.0}\n' in text
    differences.add("two", of_evaluator("yes"), of_evaluator("no"))
    assert differences.first[0] == "two"


def test_differences_and_answers_of_a_sample() -> None:
    """A sample's answers are its choices' log-likelihoods or its text; only log-likelihoods have a difference."""
    assert largest_difference(row(), row(**two(-0.25, -1.5))) == 0.25
    assert largest_difference(row(resps=[["one"]]), row(resps=[["two"]])) == 0.0
    assert answers_of(row()) == ("-0.5", "-1.5")
    assert answers_of(row(resps=[["a text"]])) == ("a text",)


@pytest.mark.parametrize("responses", ['[["a", "True"]]', '[[[[], "True"]]]', "[1]", "[" * 100_000, "{}", None])
def test_malformed_responses_count_as_other_answers(responses: str | None) -> None:
    """Malformed responses in an untrusted table count as other answers, and raise no error."""
    published: dict[str, Any] = {**row(), "responses": responses}
    differences = SampleDifferences()
    differences.add("t", published, row())
    assert differences.verdict == "other-answers"
    assert answers_of(published)


def test_recorded_prompts_become_tasks_of_the_harness(tmp_path: Path) -> None:
    """Prompts with choices become one task of the harness, prompts for texts another; their text is unchanged."""
    hostile = 'x {{ input }} {% raw %} "quoted" \n  é'
    chosen = recorded_prompt("one", row(arguments={"gen_args_0": {"arg_0": hostile, "arg_1": " Yes"}}))
    texts = [recorded_prompt("two", row(doc_id=number, **TEXT)) for number in range(2)]
    tasks = write_replay([chosen, *texts], tmp_path / "replay")
    assert tasks == {"replay_0": [chosen], "replay_1": texts}
    (line,) = (tmp_path / "replay" / "replay_0.jsonl").read_text().splitlines()
    assert json.loads(line) == {"prompt": hostile, "choices": [" Yes"], "target": 0}
    config = json.loads((tmp_path / "replay" / "replay_1.yaml").read_text())
    assert (config["output_type"], config["doc_to_text"], config["num_fewshot"]) == ("generate_until", "prompt", 0)
    assert config["generation_kwargs"] == {"until": ["\n"], "max_gen_toks": 4}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"prompt": f"long{CUT}"}, "were cut"),
        ({"continuations": f'[" Yes{CUT}'}, "were cut"),
        ({"continuations": "[]"}, "were cut"),
        ({"continuations": '[" the same", " the same"]'}, "only the first one is published"),
        ({"continuations": "[null]"}, "of a kind"),
        ({"continuations": "[1, 2]"}, "of a kind"),
    ],
)
def test_an_incomplete_sample_is_not_replayed(fields: dict[str, str], reason: str) -> None:
    """A sample with cut, missing or malformed choices or a cut prompt is not replayed, and the error has the reason."""
    with pytest.raises(NotReplayable, match=reason):
        recorded_prompt("task", {**row(), **fields})


def test_a_result_is_named_by_its_attempt_or_its_file(tmp_path: Path) -> None:
    """`steward reproduce` accepts a results file or an attempt, and refuses any other argument with the reason."""
    published = results()
    file = tmp_path / "results.json"
    file.write_bytes(dump(with_block(published.data, published.block)))
    assert find_attempt(BOARD, NOWHERE, str(file), "") == (published.block.attempt, published.block.model)
    assert find_attempt(BOARD, NOWHERE, published.block.attempt, "org/model") == (published.block.attempt, "org/model")
    file.write_text('{"results": {}}')
    with pytest.raises(CannotVerify, match="is no results file of Steward"):
        find_attempt(BOARD, NOWHERE, str(file), "")
    with pytest.raises(CannotVerify, match="names no attempt, no results file and no request"):
        find_attempt(BOARD, NOWHERE, "org/model", "")
    with pytest.raises(CannotVerify, match=r"results.json cannot be read"):
        find_attempt(BOARD, NOWHERE, "org/model/results.json", "")


def reproduction(verdict: SampleVerdict, first: DifferentSample | None, *reasons: str) -> Reproduction:
    """A reproduction of ten samples."""
    counts: dict[SampleVerdict, int] = {"same": 9, verdict: 1}
    return Reproduction(results().block, verdict, counts, first, reasons, 0.125, left_out={"other_task": "it was cut"})


def test_both_sides_of_the_first_sample_are_shown() -> None:
    """The output has both prompts and tokens from shortly before they differ, answers by choice, and the reasons."""
    sides = [
        SampleSide("x" * 500 + end, (*range(100), number), (f"-{number}.5", "-2.0"))
        for end, number in (("one\x1b[2J", 1), ("two", 2))
    ]
    first = DifferentSample("task", 7, "other-prompt", (" Yes", " No"), *sides)
    text = "\n".join(_lines(reproduction("other-prompt", first, "1 examples and 0 examples")))
    assert "10 samples compared: 9 same, 1 other-prompt" in text
    assert "Left out: other_task (it was cut)" in text
    assert f"    published  {'x' * 40 + 'one'!r}".rstrip("'") in text and "\x1b" not in text
    assert "  tokens from 94 on\n    published  94 95 96 97 98 99 1\n    here       94 95 96 97 98 99 2\n" in text
    assert "  log-likelihood of ' Yes'\n    published  -1.5\n    here       -2.5\n" in text
    assert "Another prompt: the model was asked something else.\nWhy (the first is" in text
    assert text.endswith("- 1 examples and 0 examples")


def test_the_same_and_other_digits_are_told_apart() -> None:
    """The output has the largest difference of numbers, or calls reasons without effect; the JSON has the verdict."""
    assert "numbers differ by at most 0.12." in "\n".join(_lines(reproduction("other-digits", None, "torch")))
    assert "Also different, without effect" in "\n".join(_lines(reproduction("same", None, "torch")))
    report = json.loads(reproduction_json(reproduction("other-digits", None, "torch")))
    assert (report["verdict"], report["samples"], report["reasons"], report["first"]) == (
        "other-digits",
        10,
        ["torch"],
        None,
    )
