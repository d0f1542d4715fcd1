"""`/try`: one reply, edited from the first check to the report; no request, no file, and no delay of a request."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.requests import trials
from leaderboard.attempts import Failure, Outcome
from leaderboard.evaluators import Evaluator
from leaderboard.failures import cause
from leaderboard.suites import Suite
from leaderboard.trials import MAX_TRIES, MAX_WAIT_SECONDS, WINDOW_SECONDS, TrialAnswer, TrialReport, TrialTask
from redis_state import jobs
from redis_state.attempts import LOST, AttemptProgress
from redis_state.heartbeats import WorkerCard
from redis_state.jobs import EvaluationJob
from redis_state.set_aside import SetAsideWorker
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.deadly_calls import dies
from tests.support.board.discussion import Discussion

TRY = "/try ada/good precision=float32"
HOSTILE = "</details> @ada [x](http://evil.example) <!-- steward:1 --> | \n\n# title"
REPORT = TrialReport(
    load_seconds=12,
    tasks=(TrialTask(name="starter_navigation", asked=32, questions=3_200, seconds=36),),
    answers=(TrialAnswer(task="starter_navigation", text=HOSTILE),),
)


def pass_time(stand: BoardDriver, *doing: str) -> None:
    """Let two minutes pass, announce one worker for each of `doing`, and tick the timer."""
    stand.time += 120
    beat(stand, *doing)
    stand.tick()
    stand.work()


def beat(stand: BoardDriver, *doing: str) -> None:
    """Announce one worker for each of `doing`, with that as its attempt."""
    for number, attempt in enumerate(doing):
        card = WorkerCard(name=f"w{number}", tiers=("all",), since=stand.time, beat=stand.time, doing=attempt)
        stand.context.workers.announce(card)


def take(stand: BoardDriver, job: EvaluationJob) -> bool | None:
    """Take the trial `job` from RQ as a worker and ask for its claim; return the answer."""
    assert any(jobs.recall(stand.context.redis, name, job.attempt) for name in stand.context.queues)
    stand.context.attempts.take(job.attempt, job.path, "w", now=stand.time)
    beat(stand, job.attempt)
    stand.context.mark(job.path)
    stand.work()
    return stand.answer(job)


def end(
    stand: BoardDriver, job: EvaluationJob, *, report: TrialReport | None = None, failure: Failure | None = None
) -> None:
    """Report the end of the trial as the worker, and sync."""
    fields = job.model_dump(include={"attempt", "path", "revision", "suite", "suite_digest"})
    outcome = Outcome(**fields, started=1, ended=2, phase="load", trial=report, failure=failure, hardware="2 × H100")
    stand.context.attempts.end(outcome, "a log", worker="w")
    beat(stand, "")
    stand.context.mark(job.path)
    stand.work()


def running(stand: BoardDriver, talk: Discussion) -> EvaluationJob:
    """Let a worker claim the only trial; return its job."""
    stand.time += 120
    beat(stand, "")
    talk.look()
    beat(stand, "")
    pass_time(stand, "")
    (job,) = stand.queued()
    assert take(stand, job) is True
    return job


def reply(talk: Discussion) -> str:
    """Return the bot's only reply."""
    (text,) = talk.replies()
    return text


def ask(stand: BoardDriver, text: str = TRY) -> Discussion:
    """Write the command in a new discussion as Ada; return the discussion."""
    talk = Discussion(stand)
    talk.say(text)
    return talk


def test_a_trial_from_the_command_to_the_report(stand: BoardDriver) -> None:
    """A trial waits, runs and is reported in the same reply, and leaves neither a commit nor a file on the Hub."""
    commits, talk = stand.commits(), ask(stand)
    assert "waits for a trial" in reply(talk)
    pass_time(stand, "busy")
    assert stand.queued() == []
    job = running(stand, talk)
    assert (job.questions, job.model, job.precision) == (32, "ada/good", "float32")
    talk.look()
    assert "is being tried" in reply(talk)
    end(stand, job, report=REPORT)
    text = reply(talk)
    assert "runs at" in text
    assert "would take about 1 hour on `2 × H100`" in text
    assert "| `starter_navigation` | 32 | 36 seconds | 3,200 | about 1 hour |" in text
    assert "- `starter_navigation`: `</details> @ada [x](http://evil.example) <!-- steward:1 --> \\| # title`" in text
    talk.look()
    pass_time(stand, "")
    assert reply(talk) == text
    assert (stand.commits(), stand.queued()) == (commits, [])
    assert stand.context.index.count_waiting() == 0
    assert not stand.context.trials.pending()
    assert [file.path for file in stand.context.hub.list_files(stand.context.results)] == [".gitattributes"]


def test_a_model_that_fails_gets_cause_and_advice(stand: BoardDriver) -> None:
    """A failure of the model ends the trial at once, with cause and advice in the reply."""
    talk = ask(stand)
    end(stand, running(stand, talk), failure=cause("weights-shape").failure("weights of layer 3"))
    assert "failed in the phase `load`" in reply(talk)
    assert "`weights-shape`" in reply(talk)
    assert "**Next:**" in reply(talk)
    assert not stand.context.trials.pending()


def test_a_failure_of_ours_is_tried_again(stand: BoardDriver) -> None:
    """After failures of workers the bot tries again; after MAX_TRIES of them it ends the trial and says so."""
    talk = ask(stand)
    failures: list[Callable[[EvaluationJob], None]] = [
        lambda job: end(stand, job),
        lambda _: pass_time(stand, ""),
        lambda job: end(stand, job, failure=cause("worker-lost").failure("its machine failed")),
    ]
    attempts = set()
    assert len(failures) == MAX_TRIES
    for fail in failures:
        job = running(stand, talk)
        attempts.add(job.attempt)
        fail(job)
    assert len(attempts) == MAX_TRIES
    assert "a problem on our side" in reply(talk)
    assert not stand.context.trials.pending()


def test_a_trial_runs_with_the_present_version_of_the_suite(stand: BoardDriver) -> None:
    """If the suite changes while a trial is queued in RQ, its job is replaced before a worker gets it."""
    ask(stand)
    pass_time(stand, "")
    pass_time(stand, "")
    (earlier,) = stand.queued()
    suite = stand.context.suite = Suite.model_validate({**stand.context.suite.model_dump(), "version": 99})
    pass_time(stand, "")
    (job,) = stand.queued()
    assert (job.suite_digest, job.questions) == (suite.digest, earlier.questions)
    assert earlier.suite_digest != suite.digest
    assert take(stand, job) is True


def test_a_worker_that_was_set_aside_runs_no_trial(stand: BoardDriver) -> None:
    """A worker that was set aside gets no claim, and the trial waits for another without losing a try."""
    talk = ask(stand)
    stand.time += 120
    beat(stand, "")
    pass_time(stand, "")
    (job,) = stand.queued()
    aside = SetAsideWorker(worker="w", attempt=job.attempt, path=job.path, reason="its samples differ", at=stand.time)
    stand.context.set_aside.put(aside)
    assert take(stand, job) is False
    (trial,) = stand.context.trials.pending()
    assert (trial.job.attempt != job.attempt, trial.tries) == (True, 0)
    assert "waits for a trial" in reply(talk)


@pytest.mark.long("a trial on a board for one more end of it")
@pytest.mark.parametrize("forged", [b"{}", b"x"])
def test_unreadable_outcomes_end_a_trial(stand: BoardDriver, forged: bytes) -> None:
    """A second unreadable outcome from a worker ends the trial, and the reply names the cause."""
    talk = ask(stand)
    for _ in range(2):
        job = running(stand, talk)
        stand.context.redis.hset(stand.context.keys.attempt(job.attempt), mapping={"state": "ended", "outcome": forged})
        stand.context.mark(job.path)
        stand.work()
    assert "(`results-refused`)" in reply(talk)
    assert not stand.context.trials.pending()


@pytest.mark.long("a trial on a board for one more end of it")
def test_a_request_takes_the_worker_of_a_trial(stand: BoardDriver) -> None:
    """A request takes the worker of a trial, which waits again until another worker is idle."""
    talk = ask(stand)
    job = running(stand, talk)
    stand.submit("ada/good")
    stand.settle()
    pass_time(stand, job.attempt)
    assert [queued.questions for queued in stand.queued()] == [0]
    progress = AttemptProgress("evaluate", 1, 2)
    assert not stand.context.attempts.beat(job.attempt, progress, now=stand.time, worker="w", path=job.path)
    end(stand, job, failure=cause("cancelled").failure())
    assert "waits for a trial" in reply(talk)
    pass_time(stand, "")
    (request,) = stand.queued()
    assert request.questions == 0
    pass_time(stand, "", "")
    assert sorted(queued.questions for queued in stand.queued()) == [0, 32], "not queued though a worker is idle"
    pass_time(stand, "")
    assert [queued.questions for queued in stand.queued()] == [0], "queued though that worker has stopped"


@pytest.mark.long("a trial on a board for one more end of it")
def test_after_redis_was_lost_the_same_trial_is_asked_for_again(stand: BoardDriver) -> None:
    """After a loss of Redis, the bot resumes the trial from its reply; a final reply stays as it is."""
    talk = ask(stand)
    job = running(stand, talk)
    stand.context.redis.flushall()
    talk.look()
    assert "waits for a trial" in reply(talk)
    (trial,) = stand.context.trials.pending()
    assert trial.job == job
    progress = AttemptProgress("evaluate", 1, 2)
    stand.context.attempts.beat(job.attempt, progress, now=stand.time, worker="w", path=job.path)
    beat(stand, job.attempt)
    stand.tick()
    stand.work()
    assert stand.queued() == [], "the trial is queued though its worker sends heartbeats"
    end(stand, job, report=REPORT)
    final = reply(talk)
    assert "runs at" in final
    stand.context.redis.flushall()
    talk.look()
    assert (reply(talk), stand.context.trials.pending()) == (final, [])


@pytest.mark.long("a trial on a board for one more end of it")
def test_a_bot_that_dies_at_any_call_answers_once(stand: BoardDriver) -> None:
    """A bot that is killed at any call starts the trial once, and reports in a single reply."""
    number, talk = 0, Discussion(stand)
    stand.ada.comment_discussion(REQUESTS, talk.number, comment=TRY, repo_type="dataset")
    while dies(stand, number, talk.look):
        stand.context.redis.delete(stand.context.keys.dirty_leases)
        number += 3
    job = running(stand, talk)
    assert "is being tried" in reply(talk)
    stand.context.trials.put(stand.context.trials.pending()[0])
    end(stand, job, report=REPORT)
    assert "runs at" in reply(talk)


@pytest.mark.long("a trial on a board for one more end of it")
def test_a_trial_without_a_worker_ends_after_a_week(stand: BoardDriver) -> None:
    """If no worker is free within a week, the bot ends the trial and says so."""
    talk = ask(stand)
    stand.time += MAX_WAIT_SECONDS
    pass_time(stand)
    assert "No worker was free" in reply(talk)
    assert not stand.context.trials.pending()


def test_a_model_with_a_request_is_not_tried(stand: BoardDriver) -> None:
    """The reply to `/try` links the model's request; a model whose request failed may be tried."""
    path = stand.submit("ada/good", status="FINISHED")
    stand.settle()
    text = reply(ask(stand))
    assert f"blob/main/{path}" in text
    assert "`FINISHED`" in text
    stand.submit("ada/good", status="FAILED")
    stand.settle()
    assert "waits for a trial" in reply(ask(stand))


REFUSED = [
    ("/try ada/pickled precision=float32", "would be refused"),
    ("/try ada/nowhere", "would be refused"),
    ("/try ada/good precision=1bit", "would be refused"),
    (f"{TRY}\n/status", "a comment of its own"),
    ("/try ada/good revision=../../etc", "would be refused"),
    ("/try ../good", "org/model"),
    ("/try ada/good limit=100000", "Write it like this"),
    ("/try", "Write it like this"),
    ("/try ada/good `rm -rf`", "Write it like this"),
    (f"{TRY}\n{TRY}", "a comment of its own"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_what_cannot_be_tried_is_refused_with_a_reason(stand: BoardDriver, text: str, words: str) -> None:
    """An invalid `/try` is refused with the reason, and does not count as a trial."""
    answer = reply(ask(stand, text))
    assert words in answer, answer
    assert stand.context.trials.pending() == []
    assert stand.context.trials.count(stand.context.hub.user("ada").id, "x", now=stand.time) == 0


def test_a_person_has_a_few_trials_a_week_and_a_board_few_at_a_time(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials are limited for each board and person; a limit of 0 and another evaluator turn them off."""
    monkeypatch.setattr(trials, "MAX_PENDING", 0)
    assert "other trials wait already" in reply(ask(stand))
    monkeypatch.undo()
    stand.context.board = stand.context.board.model_copy(update={"trials_a_week": 1})
    ask(stand)
    talk = ask(stand)
    assert "used up your 1 trials" in reply(talk)
    person, later = stand.context.hub.user("ada").id, stand.time + WINDOW_SECONDS
    assert stand.context.trials.count(person, "x", now=later) == 0
    stand.context.board = stand.context.board.model_copy(update={"trials_a_week": 0})
    assert "takes no trials. " in reply(ask(stand))
    stand.context.board = stand.context.board.model_copy(update={"trials_a_week": 1})
    other = Evaluator.model_validate({"name": "inspect-ai", "version": "1", "command": ["python"]})
    stand.context.suite = stand.context.suite.model_copy(update={"evaluator": other})
    assert "only lm-eval can make them" in reply(ask(stand))


def test_a_model_that_not_everybody_can_read_is_not_tried(stand: BoardDriver) -> None:
    """A trial of a gated model is refused, because the reply would quote it; a private one looks missing."""
    stand.ada.update_repo_settings("ada/good", gated="auto")
    assert "was not tried" in reply(ask(stand))
    stand.ada.update_repo_settings("ada/good", gated=False)
    stand.ada.update_repo_settings("ada/good", private=True)
    private, missing = (reply(ask(stand, f"/try ada/{name} precision=float32")) for name in ("good", "gone"))
    assert private.partition("\n\n")[2].replace("ada/good", "ada/gone") == missing.partition("\n\n")[2]
    assert "would be refused" in private
    assert stand.context.trials.pending() == []


def test_a_claim_of_a_trial_that_nobody_asked_for_is_refused(stand: BoardDriver) -> None:
    """The bot refuses a worker's claim of a trial of which it has no record."""
    talk = ask(stand)
    job = running(stand, talk)
    stand.context.redis.delete(stand.context.keys.trials)
    stand.time += LOST + 1
    stand.context.attempts.take(job.attempt, job.path, "w", now=stand.time)
    stand.context.mark(job.path)
    stand.work()
    assert stand.answer(job) is False
