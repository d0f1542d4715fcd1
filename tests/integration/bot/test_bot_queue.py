"""The queue end to end: request files, ledger, RQ and threads."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from huggingface_hub import CommitOperationAdd

from bot.evaluations.timing import count_gpu_time
from bot.ledger.edits import blob_id
from bot.model_facts.board_facts import with_model_facts
from bot.queue import rulings
from bot.read_models.queue_snapshot import take_snapshot
from bot.request_files.queue_places import with_queue_facts
from bot.requests.relaunching import relaunch
from hub.budget import Commits
from leaderboard.admission.facts import ConfigFacts, ModelFacts, Quantization, Weights
from leaderboard.attempts import Details, Failure, Outcome, attempt_id
from leaderboard.budgets import DAY, HOUR, Budgets
from leaderboard.requests import Request, parse_request
from leaderboard.results import dump
from leaderboard.scores import score
from leaderboard.steward_block import StewardBlock, scores_in_block, with_block
from redis_state.board.entry import IndexEntry
from redis_state.board.measures import Cost
from redis_state.heartbeats import WorkerCard
from redis_state.jobs import EvaluationJob
from tests.support.board.board_driver import REQUESTS, BoardDriver
from tests.support.board.discussion import Discussion
from tests.support.board.queued_requests import path_of, queued, start, status_comment, submit
from tests.support.sizes import one_in

pytestmark = one_in(3)
THEIRS = Failure(cause="weights-corrupted", fault="submission", message="Cut off.")


def judged_like(stand: BoardDriver, path: str, *precisions: str) -> list[str]:
    """Add requests that were accepted like the one at `path`, with their files on the Hub; return their paths."""
    entry, files, entries = stand.context.index.get(path), [], []
    assert entry.job is not None
    for number, precision in enumerate(precisions, 1):
        twin, data = path_of(precision), json.dumps({"model": "ada/good", "status": "PENDING"}).encode()
        attempt = attempt_id(stand.context.board.name, twin, entry.sha or "", 1)
        job = entry.job.model_copy(update={"path": twin, "attempt": attempt, "precision": precision})
        copied = {"path": twin, "attempt": attempt, "job": job, "file_oid": blob_id(data), "place": number}
        entries.append(entry.model_copy(update={**copied, "state": "waiting", "submitted": entry.submitted + number}))
        files.append(CommitOperationAdd(twin, data))
    stand.context.index.put(*entries)
    stand.form.create_commit(REQUESTS, files, commit_message="Add", repo_type="dataset")
    stand.context.mark("queue")
    stand.settle()
    return [copy.path for copy in entries]


def test_two_hundred_models_of_one_submitter_do_not_delay_the_first_of_another(stand: BoardDriver) -> None:
    """The bot takes a crowd's jobs out of RQ for a newcomer's first model, which then comes next."""
    stand.context.board = stand.context.board.model_copy(update={"threads": "never"})
    stand.worker()
    crowd = submit(stand, "c000", sender="crowd")
    crowd += judged_like(stand, crowd[0], *(f"c{n:03}" for n in range(1, 200)))
    assert len(queued(stand)) == 2
    running = start(stand, queued(stand)[0])
    assert len(queued(stand)) == 1
    assert queued(stand)[0] in crowd
    (first,) = submit(stand, "b1", sender="bob")
    assert queued(stand) == [first]
    line = take_snapshot(stand.context)
    outlook = line.outlook(first)
    assert outlook is not None
    assert (outlook.position, outlook.among) == (1, 200)
    stand.end(running, failure=THEIRS)
    assert queued(stand)[0] == first
    assert len(queued(stand)) == 2


def test_positions_are_told_as_they_cross_levels_and_not_in_between(stand: BoardDriver) -> None:
    """The bot edits a waiting request's comment when it reaches the third place and the first, and at no other step."""
    stand.context.ledger.budget.limits = Commits(at_once=60)
    paths = submit(stand, *(f"p{n}" for n in range(6)), sender="ada")
    order = [request.path for request in take_snapshot(stand.context).turns]
    last = order[-1]
    assert "It is number 6 in the queue" in status_comment(stand, last)
    stand.worker()
    stand.tick()
    stand.settle()
    announced = []
    for path in order[:-1]:
        stand.end(start(stand, path), failure=THEIRS)
        stand.worker()
        stand.tick()
        stand.settle()
        outlook = take_snapshot(stand.context).outlook(last)
        assert outlook is not None
        announced.append(
            (outlook.position, int(status_comment(stand, last).partition("It is number ")[2].partition(" ")[0]))
        )
    assert announced == [(5, 6), (4, 6), (3, 3), (2, 3), (1, 1)]
    assert len(paths) == 6


def test_a_dispatch_that_comes_while_a_worker_takes_the_job_does_not_hide_its_claim(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a worker takes the job while the bot writes that the request waits, the bot still grants the claim."""
    stand.worker()
    (path,) = submit(stand, "float32", sender="ada")
    entry, (job,) = stand.context.index.get(path), stand.queued()
    stand.context.index.put(entry.model_copy(update={"state": "waiting"}))
    stand.context.redis.delete(*(f"rq:queue:{name}" for name in stand.context.queues))

    def taken_meanwhile(*_: object) -> bool:
        return stand.context.attempts.take(job.attempt, path, "w", now=stand.time)

    monkeypatch.setattr("bot.queue.dispatching._may_run", taken_meanwhile)
    stand.context.mark("queue")
    stand.settle()
    assert stand.queued() == []
    assert stand.answer(job) is True
    assert stand.file(path)["status"] == "RUNNING"


@pytest.mark.parametrize(
    ("stage", "by_hand"),
    [
        ("waiting", False),
        ("queued", True),
        ("taken", False),
        ("running", False),
        ("handed-back", True),
    ],
)
def test_a_request_can_be_cancelled_at_every_stage(stand: BoardDriver, stage: str, by_hand: bool) -> None:
    """At every stage the file of a cancelled request stays CANCELLED, RQ has no job, and a worker is told to stop."""
    if stage != "waiting":
        stand.worker()
    (path,) = submit(stand, "float32", sender="ada")
    if stage in ("running", "handed-back"):
        job = start(stand, path)
        stand.beat(job)
    if stage == "handed-back":
        stand.hand_back(job)
        stand.context.mark(f"request:{path}")
        stand.settle()
    if stage == "taken":
        (job,) = stand.queued()
        stand.context.redis.delete(*(f"rq:queue:{name}" for name in stand.context.queues))
        stand.context.attempts.take(job.attempt, path, "w", now=stand.time)
    if by_hand:
        stand.put(path, json.dumps({**stand.file(path), "status": "CANCELLED"}).encode())
    else:
        assert rulings.cancel(stand.context, path, "The authors asked for it.", "maya").done
    stand.context.mark(f"request:{path}")
    stand.settle()
    assert stand.file(path)["status"] == "CANCELLED"
    assert stand.file(path)["sender"] == "ada"
    assert stand.queued() == []
    assert stand.context.index.get(path).state == "settled"
    if stage == "taken":
        assert stand.answer(job) is False
    if stage == "running":
        assert not stand.beat(job, 2, 2)
    assert "Cancelled" in status_comment(stand, path)
    assert ("by `maya`: The authors asked for it." in status_comment(stand, path)) is not by_hand
    again = rulings.cancel(stand.context, path, "The authors asked for it.", "maya")
    assert (again.code, again.done) == ("cancelled-already", False)
    stand.worker()
    stand.tick()
    stand.settle()
    assert stand.queued() == []


def test_a_hold_takes_a_request_out_of_rq_and_survives_amnesia(stand: BoardDriver) -> None:
    """A hold takes the job out of RQ, shows its reason in file and thread, and is in force also after Redis is lost."""
    stand.worker()
    (path,) = submit(stand, "float32", sender="ada")
    assert queued(stand) == [path]
    assert rulings.hold(stand.context, path, "The licence is <unclear>.", "maya").done
    stand.settle()
    stand.settle()
    assert queued(stand) == []
    assert stand.file(path)["steward"]["hold"]["reason"] == "The licence is <unclear>."
    assert stand.file(path)["status"] == "PENDING"
    assert "**On hold** by `maya`: The licence is &lt;unclear>." in status_comment(stand, path)
    assert rulings.hold(stand.context, path, "The licence is <unclear>.", "max").code == "held-already"
    stand.context.redis.flushall()
    stand.worker()
    stand.tick()
    stand.settle()
    assert queued(stand) == []
    assert rulings.unhold(stand.context, path).done
    stand.settle()
    assert queued(stand) == [path]
    assert "hold" not in stand.file(path)["steward"]
    assert "On hold" not in status_comment(stand, path)
    assert rulings.unhold(stand.context, path).code == "not-held"


def test_priorities_reorder_what_waits_and_what_lies_in_rq(stand: BoardDriver) -> None:
    """High priority comes first, also before jobs in RQ, and low priority last; the same one again changes nothing."""
    stand.worker()
    paths = submit(stand, "p1", "p2", "p3", sender="ada")
    late = next(path for path in paths if path not in queued(stand))
    first, second = queued(stand)
    assert rulings.set_priority(stand.context, late, "high").done
    assert rulings.set_priority(stand.context, first, "low").done
    stand.settle()
    stand.settle()
    assert sorted(queued(stand)) == sorted([late, second])
    assert [request.path for request in take_snapshot(stand.context).turns] == [late, second, first]
    assert stand.file(late)["steward"]["priority"] == "high"
    assert rulings.set_priority(stand.context, late, "high").code == "priority-already"
    assert rulings.set_priority(stand.context, late, "normal").done
    stand.settle()
    assert "priority" not in stand.file(late)["steward"]


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


def test_each_tier_has_its_queue_and_its_workers(stand: BoardDriver) -> None:
    """A request goes into the queue of its tier, or of the next larger one while its own tier has no worker."""
    stand.context.workers.announce(WorkerCard(name="l", tiers=("large",), since=stand.time, beat=stand.time))
    (path,) = submit(stand, "float32", sender="ada")
    assert stand.context.index.get(path).tier == "small"
    assert lies_in(stand, path) == stand.context.queue("large")
    stand.context.workers.announce(WorkerCard(name="s", tiers=("small",), since=stand.time, beat=stand.time))
    stand.context.mark("queue")
    stand.settle()
    assert lies_in(stand, path) == stand.context.queue("small")


def lies_in(stand: BoardDriver, path: str) -> str:
    """Return the RQ queue that holds the attempt of `path`."""
    return take_snapshot(stand.context).queued_in[stand.context.index.get(path).attempt or ""]


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


def test_packed_weights_are_as_large_as_what_is_packed_in_them(stand: BoardDriver) -> None:
    """One number of a GPTQ checkpoint holds eight 4-bit parameters: the bot counts those, also in an adapter's base."""
    packed = Weights(("model.safetensors",), dtypes={"I32": 8_500_000_000, "F16": 2_000_000_000}, nbytes=38_000_000_000)
    packed = replace(packed, parameters=sum(packed.dtypes.values()))
    model = ModelFacts("found", "a" * 40, ConfigFacts("loaded", quantization=Quantization("gptq", 4)), weights=packed)
    lora = Weights(("adapter_model.safetensors",), dtypes={"F32": 20_000_000}, parameters=20_000_000, nbytes=80_000_000)
    adapter = ModelFacts("found", "b" * 40, ConfigFacts("missing"), weights=lora, base_name="ada/base", base=model)
    for facts, weight_type, count in ((model, "Original", 70_000_000_000), (adapter, "Adapter", 70_020_000_000)):
        path = f"ada/large_eval_request_False_GPTQ_{weight_type}.json"
        request = parse_request(path, json.dumps({"model": "ada/large", "status": "PENDING"}).encode())
        assert isinstance(request, Request)
        assert with_queue_facts(stand.context, IndexEntry(path=path), request, facts).tier == "medium"
        assert with_model_facts(IndexEntry(path=path), facts, weight_type).parameters == count
