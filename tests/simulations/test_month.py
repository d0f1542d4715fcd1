"""Parts of the simulated month: its script, its figures, and the checks that find errors."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest

from bot.read_models.models import QueueBlockerView
from bot.request_files.status_text import State, StatusView, status_comment
from hub.records import Comment, Repo, Thread
from leaderboard.attempts import Failure
from leaderboard.evaluator_contract import EvaluatorResults, EvaluatorSample
from redis_state.board.entry import IndexEntry
from redis_state.board.request_snapshot import RequestSnapshot
from simulations.month import inspection, scripted_evaluator
from simulations.month.models import BAD, KINDS
from simulations.month.report import growing_processes
from simulations.month.resource_monitor import SETTLING_SAMPLES, PartResources, bot_calls, most_within
from simulations.month.schedule import FAULTS, MONTH, Scale, write
from simulations.month.scripted_scores import fate_of, score_of
from simulations.month.statistics_table import spread, table

pytestmark = pytest.mark.long("a part of a simulation, which is no part of Steward")
WHOLE_MONTH = Scale(1.0, MONTH, 4.0, (10, 80))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SPACE = Repo("space", "month/leaderboard")


def test_a_whole_month_has_what_was_asked_for() -> None:
    """A whole month has 3,000 submissions and the other actions; a third of the models are bad, of every bad kind."""
    script = write(1, WHOLE_MONTH)
    counted = Counter(act.what for act in script.acts)
    assert (len(script.submissions), counted["submit"]) == (3_000, 3_000)
    assert {what: counted[what] for what in ("report", "rename", "flag")} == {"report": 200, "rename": 60, "flag": 40}
    assert sum(bool(KINDS[submission.kind].code) for submission in script.submissions) == 1_000
    assert {submission.kind for submission in script.submissions} >= {kind.name for kind in BAD}
    assert len({submission.owner for submission in script.submissions}) > 390
    assert sum(counted[what] for what in {what for _, _, what in FAULTS}) == len(FAULTS)


def test_a_seed_gives_the_same_script_again() -> None:
    """The same seed gives the same script, another seed another one; actions are in order, within their day."""
    assert write(7, WHOLE_MONTH) == write(7, WHOLE_MONTH)
    assert write(7, WHOLE_MONTH) != write(8, WHOLE_MONTH)
    script = write(7, WHOLE_MONTH)
    for number in range(MONTH):
        seconds = [act.second for act in script.day(number)]
        assert seconds == sorted(seconds)
        assert not seconds or 0 <= seconds[0] <= seconds[-1] <= WHOLE_MONTH.hours * 3600


@pytest.mark.parametrize("days", [1, 2, 5, 20])
def test_a_short_month_has_one_trouble_a_day_at_most(days: int) -> None:
    """A short month has at most one fault a day, and none on its first day."""
    whats = {what for _, _, what in FAULTS}
    troubles = [act for act in write(1, Scale(0.05, days, 0.2, (10, 80))).acts if act.what in whats]
    assert len(troubles) == min(days - 1, len(FAULTS))
    assert len({act.day for act in troubles}) == len(troubles)
    assert all(0 < act.day < days for act in troubles)


def test_the_harness_reads_a_model_s_fate_from_its_name() -> None:
    """The name of a model says how its evaluation ends, also after a rename; other names succeed at once."""
    model = write(1, WHOLE_MONTH).submissions[0].model
    owner, name = model.split("/")
    assert fate_of(model) == fate_of(f"{owner}/new-{name}")
    assert fate_of("a/b-dies-25") == ("dies", 2.5)
    assert fate_of("steward/canary") == ("ok", 0.1)


def test_figures_are_printed_as_a_table() -> None:
    """The table has the figures of one kind in one line, and each finding in a line of its own."""
    assert spread([]) == {"p50": 0, "p95": 0, "most": 0}
    assert spread(range(100)) == {"p50": 50, "p95": 95, "most": 99}
    lines = table({"waits": {"p50": 1.5, "p95": 2}, "findings": {"grows": ["web"]}})
    assert lines == ["waits     p50 1.5  p95 2", "findings", "  grows  1", "    - web"]


def test_the_busiest_five_minutes_are_found() -> None:
    """The most calls in any five minutes are found in rising counts, from the bot's calls alone."""
    assert most_within([(0, 0), (100, 50), (200, 60), (350, 260), (900, 300)], 300) == 210
    calls = [{"account": "bot", "route": route, "count": 3} for route in ("/api/x", "/{ns}/resolve/{path}")]
    assert bot_calls([*calls, {"account": "ada", "route": "/api/x", "count": 9}]) == (3, 3)


def test_only_a_process_that_lived_long_enough_can_grow() -> None:
    """A process that ran briefly is not reported as growing; of several processes the longest counts."""

    def grows(*lives: list[float]) -> list[str]:
        resources = PartResources(dict(enumerate(lives)))
        monitor = SimpleNamespace(processes=SimpleNamespace(parts=["sync-0"]), resources={"sync-0": resources})
        return growing_processes(cast(Any, monitor))

    filling = [150.0 + 100 * at / 300 for at in range(300)]
    growing = [150.0 + 100 * at / SETTLING_SAMPLES for at in range(SETTLING_SAMPLES)]
    steady = [min(210.0, 150.0 + at) for at in range(2 * SETTLING_SAMPLES)]
    assert grows(filling) == []
    assert grows(filling, growing) == ["sync-0: 180.0 MiB early, 240.0 MiB late"]
    assert grows(steady) == []


def thread(*posts: tuple[str, str], author: str = "ada", status: str = "open") -> inspection.BoardThread:
    """Return a thread with a comment for each (author, text), a minute apart."""
    comments = tuple(
        Comment(f"{n:024x}", None, who, NOON + timedelta(minutes=n), text, False, False)
        for n, (who, text) in enumerate(posts)
    )
    read = Thread(3, "?", status, False, None, author, NOON, False, comments, None, None, None, ())  # type: ignore[arg-type]
    return inspection.BoardThread(SPACE, read)


def test_silence_and_repetition_are_found_in_threads() -> None:
    """The checks find unanswered threads on no list, commands without a reply, and markers on two comments."""
    mark = "<!-- steward:1 month answer {} -->\n"
    asked = thread(("ada", "Hello?"))
    assert list(inspection.unanswered([asked], set()))
    assert not list(inspection.unanswered([asked], {asked.key}))
    command = thread(("ada", "/status"), ("bot", mark.format(f"{0:024x}")), ("eve", "/why a/b"))
    assert [line.partition(" ")[2] for line in inspection.without_reply([command])] == ["eve: /why a/b"]
    assert not list(inspection.repeated_markers([command]))
    assert list(inspection.repeated_markers([command, thread(("bot", mark.format(f"{0:024x}")))]))
    assert list(inspection.unfinished_replies([thread(("bot", "<!-- steward:1 month doing abc -->"))]))
    assert inspection.answer_seconds([command]) == [60.0]


def settled(path: str, status: str, cause: str = "", *, oid: str = "") -> IndexEntry:
    """Return the index entry of a request that has ended."""
    failure = Failure(cause=cause, fault="submission", message="No.") if cause else None
    return IndexEntry(
        path=path, state="settled", file_oid=oid, standing=RequestSnapshot(status=status, failure=failure)
    )


def test_files_that_the_index_misses_or_has_outdated_are_found() -> None:
    """The check finds new, changed and deleted files; a waiting request is read again anyway."""
    entries = [settled("same", "FINISHED", oid="1"), settled("changed", "FAILED", oid="1"), settled("gone", "FAILED")]
    indexed = {entry.path: entry for entry in [*entries, IndexEntry(path="waits", state="waiting", file_oid="1")]}
    wrong = list(inspection.not_indexed({"same": "1", "changed": "2", "missed": "3", "waits": "4"}, indexed))
    assert [line.partition(" ")[0] for line in wrong] == ["missed", "changed", "gone"]


def test_status_comments_with_another_end_are_found() -> None:
    """A status comment has to show how its request ended; that of an unfinished or renamed request may be outdated."""
    entries = {entry.path: entry for entry in [settled("good", "FINISHED"), settled("bad", "FAILED", "copy")]}
    entries |= {"off": settled("off", "CANCELLED"), "kept": settled("kept", "FINISHED", "gpu-lost")}
    entries |= {"waits": IndexEntry(path="waits", state="waiting")}

    def wrong(path: str, state: str) -> bool:
        failure = Failure(cause="copy", fault="submission", message="No.")
        held = QueueBlockerView(kind="hub", reason="The Hub gives no answer.") if state == "unanswered" else None
        text = status_comment(StatusView(cast(State, state), path, "", "", failure=failure, held=held))
        comment = f"<!-- steward:1 month status {path} -->\n{text}"
        return bool(list(inspection.wrong_status_comments([thread(("bot", comment), author="bot")], entries)))

    right = {"good": {"finished"}, "bad": {"failed", "refused"}, "off": {"cancelled"}, "kept": {"failed", "refused"}}
    for path, states in right.items():
        assert {state for state in get_args(State) if not wrong(path, state)} == states
    assert not wrong("waits", "running")
    assert not wrong("old-name", "running")


def test_attempts_published_twice_and_unexpected_errors_are_found() -> None:
    """The checks find an attempt that was published twice, and an unexpected error in a log."""
    assert list(inspection.published_twice(["a-1", "b-1", "a-1", "a-2"])) == ["a-1 2 times"]
    failed = "2026-01-01 [error    ] sync failed  trace='Traceback (most recent call last):\\n  KeyError: 1\\n'"
    (finding,) = inspection.unexpected_errors({"web": "[info ] running\n", "sync-0": f"[info ] request\n{failed}\n"})
    assert finding.startswith("sync-0: ")
    assert "KeyError" in finding


def test_a_score_that_a_resumed_attempt_changed_is_found() -> None:
    """Every score of a model must be the one that an uninterrupted evaluation gives it; renamed models are left out."""

    def results(model: str, *scores: float) -> dict[str, Any]:
        tasks = {f"task-{number}": {"acc,none": score} for number, score in enumerate(scores)}
        return {"results": tasks, "steward": {"attempt": f"{model}-1", "model": model}}

    files = [results("right", 0.5, 0.5), results("wrong", 0.5, 0.25), results("renamed", 0.1)]
    findings = list(inspection.unexpected_scores(files, {"right": 0.5, "wrong": 0.5}))
    assert findings == ["wrong-1: [0.25, 0.5] instead of 0.5"]


def test_unexpected_ends_are_found() -> None:
    """A wrong refusal, a good model that failed and an endless wait are findings; a used-up quota is not."""

    def entry(path: str, status: str, cause: str = "", state: str = "settled") -> IndexEntry:
        failure = Failure(cause=cause, fault="submission", message="No.") if cause else None
        standing = RequestSnapshot(status=status, failure=failure)
        return IndexEntry(path=path, model=path, state=state, standing=standing)  # type: ignore[arg-type]

    entries = [
        entry("bad", "FAILED", "copy"),
        entry("other", "FAILED", "card-short"),
        entry("quota", "FAILED", "quota-submitter"),
        entry("good", "FINISHED"),
        entry("lost", "FAILED", "gpu-lost"),
        entry("dying", "FAILED", "weights-header"),
        entry("waits", "PENDING", state="waiting"),
        entry("unheard", "RUNNING"),
    ]
    expected = {"bad": "copy", "other": "copy", "quota": "", "good": "", "lost": "", "dying": "", "waits": ""}
    wrong = inspection.unexpected_ends({item.path: item for item in entries}, expected, {"dying": "dies"})
    assert [line.partition(":")[0] for line in wrong] == ["lost", "other"]
    assert list(inspection.without_end(entries)) == ["waits is waiting", "unheard is settled, and known as RUNNING"]


def test_results_that_no_other_worker_confirmed_are_findings() -> None:
    """An unconfirmed result of another account's worker is a finding; the operator's own results are not."""
    again = {"worker": "lender-1", "status": "not-compared", "reason": "no other worker"}
    blocks = [{"attempt": "a", "checked": {"again": again}}, {"attempt": "b", "checked": {}}, {"attempt": "c"}]
    blocks.append({"attempt": "d", "checked": {"again": {**again, "status": "agrees"}}})
    findings = list(inspection.unconfirmed([{"steward": block} for block in blocks]))
    assert findings == ["a of lender-1: not-compared no other worker"]


def test_a_model_with_two_open_pull_requests_of_the_bot_is_a_finding() -> None:
    """The check finds a model with two open pull requests of the bot; one for each model is right."""
    assert list(inspection.several_pages({"ada/one": [1], "ada/two": [3, 2]})) == ["ada/two: [2, 3]"]


def test_the_scripted_evaluator_follows_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted evaluator writes files that a worker can read, with the score that the script expects."""
    (tmp_path / "samples").mkdir()
    monkeypatch.chdir(tmp_path)
    revision = "0" * 40
    plan = {"model": {"name": "ada/ok-0001-ok-10", "revision": revision}, "tasks": [{"name": "starter_navigation"}]}
    results = scripted_evaluator.results_of(plan)
    report = EvaluatorResults.model_validate(results)
    assert report.tasks["starter_navigation"].metrics == {"accuracy": score_of("ada/ok-0001-ok-10")}
    sample = json.loads((tmp_path / "samples" / "starter_navigation.jsonl").read_text())
    assert EvaluatorSample.model_validate(sample).metrics == report.tasks["starter_navigation"].metrics
