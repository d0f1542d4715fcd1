"""The bot dispatches requests in turn, and follows cancellations, holds, priorities and tiers.

The tests use request files, the ledger, RQ and threads."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from huggingface_hub import CommitOperationAdd

from bot.ledger.edits import blob_id
from bot.model_facts.board_facts import with_model_facts
from bot.queue import rulings
from bot.read_models.queue_snapshot import take_snapshot
from bot.request_files.queue_places import with_queue_facts
from hub.budget import Commits
from leaderboard.admission.facts import ConfigFacts, ModelFacts, Quantization, Weights
from leaderboard.attempts import attempt_id
from leaderboard.requests import Request, parse_request
from redis_state.board.entry import IndexEntry
from redis_state.heartbeats import WorkerCard
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.queued_requests import THEIRS, path_of, queued, start, status_comment, submit


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


@pytest.mark.long("a board for one more order of the queue")
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


@pytest.mark.long("a board for one more order of the queue")
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
