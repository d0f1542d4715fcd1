"""Trials: which get a worker, which give theirs back, and how long a whole evaluation would take."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from leaderboard.attempts import dirty_key
from leaderboard.dispatch import QueueConditions, WaitingRequest, WorkerCapacity
from leaderboard.trial_dispatch import choose_trials
from leaderboard.trials import TrialReport, TrialTask
from redis_state.board.entry import IndexEntry
from redis_state.jobs import EvaluationJob, parse

SMALL, LARGE = ("small",), ("large",)


def requests(text: str) -> list[WaitingRequest]:
    """Return a waiting request for each word `path:tier`, the oldest first."""
    pairs = [word.split(":") for word in text.split()]
    return [
        WaitingRequest(path, path, "ada", float(at), tier=tier)  # type: ignore[arg-type]
        for at, (path, tier) in enumerate(pairs)
    ]


def workers(text: str) -> tuple[WorkerCapacity, ...]:
    """Return a worker for each word, `tier` or `tier:attempt`."""
    pairs = [word.partition(":") for word in text.split()]
    return tuple(WorkerCapacity((tier,), doing) for tier, _, doing in pairs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trials", "running", "chosen", "capacities", "start", "stop"),
    [
        ("t:small", "", "", "small", "t", ""),
        ("t:small", "", "", "small:r", "", ""),
        ("t:small", "", "a:small", "small", "", ""),
        ("t:small", "", "a:small", "small small", "t", ""),
        ("t:small", "", "a:large", "small large:r", "t", ""),
        ("t:small u:small", "", "", "small", "t", ""),
        ("t:small u:small", "", "", "small small", "t u", ""),
        ("", "v", "", "small:v", "", ""),
        ("", "v", "a:small", "small:v", "", "v"),
        ("", "v", "a:small", "small small:v", "", ""),
        ("", "v", "a:small b:small", "small small:v", "", "v"),
        ("", "v", "a:large", "small:v large:r", "", ""),
        ("t:small", "v", "a:small", "small:v", "", "v"),
        ("t:small", "", "", "", "", ""),
    ],
    ids=[
        "an idle worker", "a busy one", "a request takes the only one", "another is left", "of another tier",
        "one for one worker", "one for each", "it goes on", "a request needs its worker", "an idle one is enough",
        "one idle one is not", "that worker cannot serve it", "no new one meanwhile", "no worker",
    ],
)  # fmt: skip
def test_trials_take_what_no_request_needs(
    trials: str, running: str, chosen: str, capacities: str, start: str, stop: str
) -> None:
    """A trial starts only on a worker that no request needs, and stops if a request needs its worker."""
    conditions = QueueConditions(capacities=workers(capacities))
    turns = choose_trials(requests(trials), running.split(), requests(chosen), conditions)
    assert ([turn.path for turn in turns.start], turns.stop) == (start.split(), stop.split())


@pytest.mark.parametrize("paused", ["board", "tier:small"])
def test_a_pause_holds_trials_too(paused: str) -> None:
    """No trial starts while its board or tier is paused."""
    conditions = QueueConditions(paused=frozenset({paused}), capacities=workers("small"))
    assert choose_trials(requests("t:small"), [], [], conditions).start == []


def test_the_time_of_a_whole_evaluation_scales_with_its_questions() -> None:
    """The estimate scales the time of each task with its questions and counts loading once."""
    tasks = (
        TrialTask(name="a", asked=32, questions=3_200, seconds=10),
        TrialTask(name="b", asked=8, questions=8, seconds=4),
        TrialTask(name="c", asked=8, questions=2, seconds=4),
    )
    assert TrialReport(load_seconds=6, tasks=tasks).whole_seconds == 6 + 1_000 + 4 + 4


@pytest.mark.parametrize(
    "changes",
    [
        {"load_seconds": float("nan")},
        {"load_seconds": -1},
        {"tasks": []},
        {"tasks": [{"name": "a", "asked": 0, "questions": 1, "seconds": 1}]},
        {"tasks": [{"name": "a", "asked": 1, "questions": 1, "seconds": float("inf")}]},
        {"answers": [{"task": "a", "text": "x" * 401}]},
        {"answers": [{"task": "a", "text": "x"}] * 4},
    ],
)
def test_a_report_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    """Workers write reports, so each number and text has bounds."""
    good = {"load_seconds": 1, "tasks": [{"name": "a", "asked": 1, "questions": 1, "seconds": 1}]}
    TrialReport.model_validate(good)
    with pytest.raises(ValidationError):
        TrialReport.model_validate({**good, **changes})


def test_jobs_that_are_no_trials_read_as_before() -> None:
    """A job that is no trial has no field of trials, so that earlier versions accept it; the field is bounded."""
    fields = {
        "board": "demo", "attempt": f"{'a' * 12}-{'b' * 8}-1", "path": "p", "model": "org/m", "revision": "b" * 40,
        "precision": "float32", "weight_type": "Original", "suite": "s", "suite_digest": "d",
    }  # fmt: skip
    job = EvaluationJob.model_validate(fields)
    entry = IndexEntry(path="p", job=job)
    assert "questions" not in entry.model_dump_json()
    assert IndexEntry.model_validate_json(entry.model_dump_json()) == entry
    assert job.model_dump(mode="json").keys() == EvaluationJob.model_fields.keys() - {"questions", "cross_check"}
    assert parse(job.model_dump(mode="json")) == job
    trial = job.model_copy(update={"questions": 32})
    assert parse(trial.model_dump(mode="json")) == trial
    with pytest.raises(ValidationError):
        EvaluationJob.model_validate({**fields, "questions": 1_001})


def test_a_trial_is_its_own_dirty_key() -> None:
    """The dirty key of a request has a prefix, and the key of a trial is used as it is."""
    assert dirty_key("org/m.json") == "request:org/m.json"
    assert dirty_key("trial:thread:dataset/b/r:7:c:0") == "trial:thread:dataset/b/r:7:c:0"
