"""The bot counts the GPU time of attempts, limits it by budgets, and estimates from it when evaluations start."""

from __future__ import annotations

import json

from huggingface_hub import CommitOperationAdd

from bot.evaluations.timing import count_gpu_time
from bot.queue import rulings
from bot.requests.relaunching import relaunch
from leaderboard.attempts import Details, Outcome
from leaderboard.budgets import DAY, HOUR, Budgets
from leaderboard.results import dump
from leaderboard.scores import score
from leaderboard.steward_block import StewardBlock, scores_in_block, with_block
from redis_state.board.measures import Cost
from redis_state.jobs import EvaluationJob
from steward.testing.board import BoardDriver
from tests.support.board.discussion import Discussion
from tests.support.board.queued_requests import THEIRS, queued, start, status_comment, submit


def test_a_budget_holds_back_until_a_day_has_passed_and_says_so(stand: BoardDriver) -> None:
    """After a submitter's GPU-hours are used up, their next request waits a day, with a comment; others do not wait."""
    budgets = Budgets(by_submitter=2, by_request=30)
    stand.context.board = stand.context.board.model_copy(update={"budgets": budgets})
    stand.worker()
    first, other = submit(stand, "p1", "p2", sender="ada")
    job = start(stand, queued(stand)[0])
    waits = other if job.path == first else first
    stand.time += 2 * HOUR
    stand.beat(job)
    stand.worker()
    stand.context.attempts.end(outcome(stand, job, seconds=2 * HOUR), "log", worker="w")
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    stand.tick()
    stand.settle()
    assert queued(stand) == []
    assert "each submitter has 2 GPU-hours in 24 hours, and they are used up" in status_comment(stand, waits)
    assert stand.file(job.path)["steward"]["gpu_seconds"] == 2 * HOUR
    (bobs,) = submit(stand, "p3", sender="bob")
    assert queued(stand) == [bobs]
    stand.time += DAY
    stand.worker()
    stand.tick()
    stand.settle()
    assert sorted(queued(stand)) == sorted([bobs, waits])


def test_the_gpu_time_of_a_cancelled_attempt_counts_after_a_relaunch(stand: BoardDriver) -> None:
    """A request that used up its GPU-hours, was cancelled and relaunched waits, and its file has the hours."""
    stand.context.board = stand.context.board.model_copy(update={"budgets": Budgets(by_request=2)})
    stand.worker()
    (path,) = submit(stand, "p1", sender="ada")
    job = start(stand, path)
    stand.time += 2 * HOUR
    stand.beat(job)
    assert rulings.cancel(stand.context, path, "It takes long.", "maya").done
    stand.settle()
    stand.settle()
    assert stand.file(path)["status"] == "CANCELLED"
    assert relaunch(stand.context, stand.context.index.get(path), cause="relaunch:1:c").how == "done"
    stand.worker()
    stand.tick()
    stand.settle()
    assert (stand.file(path)["status"], stand.file(path)["steward"]["gpu_seconds"]) == ("RERUN", 2 * HOUR)
    assert queued(stand) == []
    assert "GPU-hours" in status_comment(stand, path)


def test_what_attempts_took_is_forgotten_after_a_day_also_where_nothing_is_limited(stand: BoardDriver) -> None:
    """The bot deletes its records of GPU time after a day, also on a board without budgets."""
    cost = Cost("a-1", "p", "small", "ada", 100.0, ended=stand.time)
    stand.context.measures.spend(cost)
    stand.tick()
    assert stand.context.redis.hlen(stand.context.keys.spent) == 1
    stand.time += DAY
    stand.tick()
    assert stand.context.redis.hlen(stand.context.keys.spent) == 0


def test_an_attempt_that_reuses_answers_is_left_out_of_estimates(stand: BoardDriver) -> None:
    """An attempt that reuses an earlier attempt's answers counts in the budgets, but in no estimate of durations."""
    (path,) = submit(stand, "p1", sender="ada")
    entry, suite = stand.context.index.get(path), stand.context.suite
    for number, (seconds, replayed) in enumerate([(60.0, 900), (HOUR, 0)], 1):
        ended = Outcome(
            attempt=f"{'0' * 12}-{'a' * 8}-{number}",
            path=path,
            revision="a" * 40,
            suite=suite.name,
            suite_digest=suite.digest,
            started=stand.time - seconds,
            ended=stand.time,
            phase="publish",
            replayed=replayed,
            details=Details(repo="details/good", commit="c" * 40, results_path="results.json"),
        )
        count_gpu_time(stand.context, entry, ended.attempt, ended)
    assert stand.context.measures.durations().measured == {(suite.name, entry.size): [HOUR]}
    assert stand.context.redis.hlen(stand.context.keys.spent) == 2


def outcome(stand: BoardDriver, job: EvaluationJob, *, seconds: float) -> Outcome:
    """Return the outcome of an attempt that failed after `seconds`."""
    return Outcome(
        attempt=job.attempt,
        path=job.path,
        revision=job.revision,
        suite=job.suite,
        suite_digest=job.suite_digest,
        started=stand.time - seconds,
        ended=stand.time,
        phase="evaluate",
        failure=THEIRS,
    )


def test_how_long_evaluations_take_is_learned_again_from_the_results(stand: BoardDriver) -> None:
    """With an empty Redis the bot learns durations from the newest results, and estimates starts from them."""
    suite = stand.context.suite
    raw = {task: {"acc_norm,none": 0.75, "exact_match,answer": 0.5} for task in (*suite.tasks, *suite.run)}
    files = []
    for number in range(4):
        block = StewardBlock(
            attempt=f"0123456789ab-aaaaaaaa-{number + 1}",
            request="ada/good_eval_request_False_float32_Original.json",
            model="ada/good",
            revision="a" * 40,
            precision="float32",
            suite=suite.name,
            suite_digest=suite.digest,
            started="2026-11-24T12:00:00Z",
            ended=f"2026-11-24T13:0{number}:00Z",
            replayed=7 if number == 3 else 0,  # an earlier attempt computed a part: this one's time is left out
            **scores_in_block(score(raw, suite)),
        )
        data = dump(with_block({"results": raw, "config": {"model_num_parameters": 124_000_000}}, block))
        files.append(CommitOperationAdd(f"ada/good/results_2026-11-24T13-0{number}-00.000000.json", data))
    lines = [json.dumps({"edit": f"results {n}", "path": file.path_in_repo}) for n, file in enumerate(files)]
    stand.form.create_commit(
        "board/results", files, commit_message="Add results", commit_description="\n".join(lines), repo_type="dataset"
    )
    stand.worker()
    submit(stand, "p1", "p2", sender="ada")
    stand.settle()
    assert stand.context.measures.durations().measured == {("starter", 28): [3600.0, 3660.0, 3720.0]}
    start(stand, queued(stand)[0])
    (late,) = submit(stand, "p3", sender="ada")
    assert "and should start between " in status_comment(stand, late)
    stand.time -= 120  # Discussion lets two minutes pass, after which the worker must still be alive
    assert ", should start between " in Discussion(stand).ask("/status ada/good")
