"""Statistics of attempts and of the queue, on a real Hub protocol and a real queue server."""

from __future__ import annotations

from leaderboard.attempts import Details, Failure
from leaderboard.failures import cause
from leaderboard.timings import SLOT, DayCounts, SpanKey, bin_of, day_of
from redis_state.board.timings import Timings, day_from
from redis_state.keys import Keys
from redis_state.redis import Redis
from steward.testing.board import BoardDriver
from tests.support.board.published_details import publish

LOST = Failure(cause="gpu-lost", fault="us", message="The device fell off the bus.")


def today(stand: BoardDriver) -> DayCounts:
    """Return today's counts."""
    number = day_of(stand.time)
    return day_from(number, stand.context.timings.read([number])[0])


def test_a_wait_and_each_end_are_counted_once(stand: BoardDriver) -> None:
    """The bot counts the wait of the first attempt only, and the end of each once, with whose fault it was.

    A precision that the board has given up meanwhile counts among the others.
    """
    stand.time = day_of(stand.time) * 86_400.0 + 3_600
    stand.submit("ada/good")
    stand.settle()
    stand.time += 1_000
    stand.worker()
    stand.tick()
    stand.work()
    (job,) = stand.queued()
    stand.take(job)
    stand.end(job, failure=LOST)
    waits = today(stand).spans
    assert list(waits) == [SpanKey("waiting", "small", "float32")]
    (at,) = waits[SpanKey("waiting", "small", "float32")]
    assert at == bin_of(1_000)
    assert today(stand).ended == {"us": 1}
    stand.time += 3_600
    stand.worker()
    stand.tick()
    stand.settle()
    (job,) = stand.queued()
    stand.take(job)
    stand.context.board = stand.context.board.model_copy(update={"precisions": ("bfloat16",)})
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite))
    stand.context.mark(f"request:{job.path}")
    stand.work()
    assert stand.file(job.path)["status"] == "FINISHED"
    assert today(stand).ended == {"us": 1, "finished": 1}
    assert today(stand).spans == {**waits, SpanKey("running", "small", "other"): {bin_of(10.0): 1}}


def test_results_that_are_refused_are_no_good_end(stand: BoardDriver) -> None:
    """The bot counts an attempt with refused results as a failure, and relaunches the request."""
    job = stand.started()
    stand.end(job, details=Details(repo="board-details/elsewhere", commit="0" * 40, results_path="x"))
    assert stand.file(job.path)["status"] == "RERUN"
    assert today(stand).ended == {cause("results-refused").fault: 1}
    assert [span.what for span in today(stand).spans] == ["waiting"]


def test_the_timer_counts_the_queue_once_a_slot(stand: BoardDriver) -> None:
    """The timer counts the requests that wait, in RQ or not, and those that run."""
    stand.time = day_of(stand.time) * 86_400.0 + 10
    job = stand.started()
    stand.submit("ada/good", path="ada/good_eval_request_False_bfloat16_Original.json", precision="bfloat16")
    stand.settle()
    stand.tick()
    assert today(stand).queue == {0: (0, 0)}, "the slot was counted when the queue was still empty"
    stand.time += SLOT
    stand.worker()
    stand.beat(job)
    stand.tick()
    assert today(stand).queue == {0: (0, 0), 1: (1, 1)}


def test_counting_twice_counts_once_and_days_are_read_at_once(connection: Redis) -> None:
    """Each attempt is counted once; several days are read in three commands at most; malformed fields are ignored."""
    keys, now = Keys("timed"), 20_000 * 86_400.0 + 5
    for timings in (Timings(connection, keys), Timings(connection, keys)):
        timings.ended("a-1", "finished", seconds=60.0, tier="small", precision="4bit", now=now)
        timings.ended("a-1", "us", tier="small", precision="4bit", now=now + 86_400)
        timings.waited("a-1", 5.0, tier="large", precision="other", now=now)
        timings.sample(waiting=3, running=1, now=now)
    connection.hset(keys.timings(20_000), mapping={"end|martians": 1, "running|small|4bit|-1": 1, "queue|96": "1 1"})
    sent = connection.info("stats")["total_commands_processed"]
    first, second = Timings(connection, keys).read([20_000, 20_001])
    assert connection.info("stats")["total_commands_processed"] - sent <= 3
    day = day_from(20_000, first)
    assert day.spans == {
        SpanKey("running", "small", "4bit"): {bin_of(60.0): 1},
        SpanKey("waiting", "large", "other"): {bin_of(5.0): 1},
    }
    assert (day.ended, day.queue) == ({"finished": 1}, {0: (3, 1)})
    assert second == {}
    assert connection.ttl(keys.timings(20_000)) > 90 * 86_400
