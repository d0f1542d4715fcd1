"""The sync reads published answers of evaluations in parts, and refuses what is not public, too large or unreadable."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi

from bot.results import details_reader
from hub.client import Hub
from leaderboard.steward_facts import Access
from steward.testing.board import WORKER, BoardDriver
from tests.support.board.published_answers import (
    OTHER_TASK,
    TASK,
    WRONG,
    evaluate,
    many,
    put_table,
    read,
    repo_of,
    table,
)
from tests.support.units.details_samples import sample


@pytest.fixture
def evaluated(stand: BoardDriver, tmp_path: Path) -> str:
    """The request of an evaluation with fifty answers, of which the first thirty are right."""
    return evaluate(stand, tmp_path, many(set(range(30))))


def test_a_part_of_the_answers_is_read_with_its_counts(stand: BoardDriver, evaluated: str) -> None:
    """The sync reads answers in parts, all or only wrong ones, with prompt, choices, log-likelihoods and counts."""
    part = read(stand, evaluated, limit=20)
    assert (part.state, part.counts) == ("done", {"all": 50, "right": 30, "wrong": 20})
    assert [question.id for question in part.questions] == list(range(20))
    first = part.questions[0]
    assert (first.question, first.prompt, first.choices) == ("Question 0?", "Q: Is it?\nA:", [" Yes", " No"])
    (mine,) = first.answers
    assert (first.target_choice, mine.chosen, mine.likelihoods, mine.right) == (0, 0, [-0.5, -1.5], True)
    wrong = read(stand, evaluated, show="wrong", offset=10)
    assert [question.id for question in wrong.questions] == list(range(40, 50))
    assert {(question.answers[0].chosen, question.answers[0].right) for question in wrong.questions} == {(1, False)}
    assert read(stand, evaluated, show="wrong", offset=100).questions == []


def test_a_generated_answer_is_shown_as_it_came(stand: BoardDriver, tmp_path: Path) -> None:
    """A question without choices has the generated text, cut where it is long; the end of a long prompt is shown."""
    arguments = {"gen_args_0": {"arg_0": "x" * 9_000 + "Which?", "arg_1": {"until": ["\n"]}}}
    long = {"resps": [["word " * 5_000]], "filtered_resps": ["word"], "arguments": arguments, "target": "word"}
    path = evaluate(stand, tmp_path, [sample(**long)])
    (question,) = read(stand, path).questions
    assert (question.choices, question.answers[0].likelihoods, question.target) == ([], [], "word")
    assert question.answers[0].text.startswith("word word") and len(question.answers[0].text) < 3_100
    assert question.prompt.endswith("xWhich?") and len(question.prompt) < 4_100


def test_two_evaluations_differ_where_one_is_right(stand: BoardDriver, evaluated: str, tmp_path: Path) -> None:
    """A comparison lists the questions that exactly one of the two got right, except those whose texts differ."""
    other = many({*range(5, 30), 40, 41}, count=49)
    other[10] = sample(doc_id=10, doc={"input": "Another question?"}, **WRONG)
    second = evaluate(stand, tmp_path, other, "bfloat16")
    part = read(stand, evaluated, other=second)
    assert part.counts == {"all": 7, "right": 5, "wrong": 2, "common": 48}
    assert [question.id for question in part.questions] == [0, 1, 2, 3, 4, 40, 41]
    assert [each.right for each in part.questions[0].answers] == [True, False]
    assert [question.id for question in read(stand, evaluated, other=second, show="wrong").questions] == [40, 41]


def restrict(stand: BoardDriver) -> None:
    """Mark the benchmark of TASK as restricted."""
    suite = stand.context.suite
    benchmarks = tuple(each.model_copy(update={"restricted": each.source == TASK}) for each in suite.benchmarks)
    stand.context.suite = suite.model_copy(update={"benchmarks": benchmarks})


def test_restricted_benchmarks_and_unknown_tasks_are_not_read(stand: BoardDriver, evaluated: str) -> None:
    """The sync refuses restricted benchmarks, unknown tasks and unknown requests without a call to the Hub."""
    restrict(stand)
    calls = len(stand.calls)
    assert read(stand, evaluated).code == "restricted"
    assert read(stand, evaluated, task="../x").code == "no-task"
    assert read(stand, "ada/none.json", task=OTHER_TASK).code == "no-request"
    assert len(stand.calls) == calls


def test_models_that_are_not_public_are_not_read(stand: BoardDriver, evaluated: str) -> None:
    """Answers of a gated model stay hidden though their repo is public; a private model's request counts as unknown."""
    cases: tuple[tuple[Access, str], ...] = (("gated", "gated-model"), ("private", "no-request"))
    for access, code in cases:
        (indexed,) = stand.context.index.find([evaluated])
        assert indexed is not None
        stand.context.index.put(indexed.changed(standing=indexed.standing.with_access(access)))
        assert read(stand, evaluated).code == code


@pytest.mark.parametrize("change", [{"private": True}, {"gated": "manual"}, {"gated": "auto"}])
def test_repos_that_are_not_public_are_refused(stand: BoardDriver, evaluated: str, change: dict[str, Any]) -> None:
    """The sync refuses answers in a private or gated repo, though the bot's own token could read them."""
    gpu = HfApi(stand.hub.url, token=WORKER)
    gpu.update_repo_settings(repo_of(stand), repo_type="dataset", **change)
    part = read(stand, evaluated)
    assert (part.state, part.code, part.questions) == ("refused", "not-public", [])
    assert repo_of(stand) in part.message


def test_a_table_is_downloaded_once_and_read_as_long_as_it_is_public(
    stand: BoardDriver, evaluated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A further part costs one call and no download; a stored table is not shown after its repo becomes gated."""
    put_table(stand, evaluated, table(tmp_path, many({3, 5, 11})))  # a table that no other test has stored
    saved = list[str]()
    for name in ("save_file", "file_id"):
        real = getattr(Hub, name)
        monkeypatch.setattr(Hub, name, lambda *a, _real=real, _name=name, **k: (saved.append(_name), _real(*a, **k))[1])
    assert read(stand, evaluated).counts == read(stand, evaluated, show="wrong").counts
    assert saved == ["file_id", "save_file", "file_id"]
    HfApi(stand.hub.url, token=WORKER).update_repo_settings(repo_of(stand), repo_type="dataset", gated="auto")
    assert read(stand, evaluated).code == "not-public"


def test_a_table_that_needs_gigabytes_is_refused_and_the_sync_goes_on(
    stand: BoardDriver, evaluated: str, tmp_path: Path
) -> None:
    """The sync refuses a small file whose rows take gigabytes, and answers the next question."""
    whole = pq.read_table(io.BytesIO(table(tmp_path, many(set(), count=200))))
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 200), pa.array(["x" * 30_000_000]))
    large = io.BytesIO()
    pq.write_table(whole.set_column(whole.column_names.index("doc"), "doc", text), large, store_schema=False)
    assert len(large.getvalue()) < 4_000_000
    put_table(stand, evaluated, large.getvalue(), OTHER_TASK)
    assert read(stand, evaluated, task=OTHER_TASK).code in ("too-large", "unreadable")
    assert read(stand, evaluated).state == "done"


def test_invalid_tables_of_answers_are_refused(
    stand: BoardDriver, evaluated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sync refuses a missing, broken or too large table of answers, and says so if `pyarrow` is not installed."""
    assert read(stand, evaluated, task=OTHER_TASK).code == "no-table"
    strange = io.BytesIO()
    pq.write_table(pa.table({"doc_id": [["nested"]]}), strange)
    for data in (b"PAR1 and nothing", strange.getvalue()):
        put_table(stand, evaluated, data, OTHER_TASK)
        assert read(stand, evaluated, task=OTHER_TASK).code == "unreadable"
    put_table(stand, evaluated, table(tmp_path, many({7})))  # a new table: the sync stores a table that it has read
    for bound in ("MAX_TABLE", "MAX_ROWS", "MAX_GROUP"):
        with monkeypatch.context() as patch:
            patch.setattr(details_reader, bound, 40)
            assert read(stand, evaluated).code == "too-large", bound
    monkeypatch.setattr(details_reader, "can_write", lambda: False)
    assert "pyarrow" in read(stand, evaluated).message
