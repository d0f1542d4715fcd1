"""The index of requests in Redis: its entries, and the lists by state that save reading them all."""

from __future__ import annotations

import json

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redis_state.board.entry import EntryState, IndexEntry, Origin
from redis_state.board.index import Index
from redis_state.keys import Keys

STATES: tuple[EntryState, ...] = ("new", "waiting", "queued", "running", "settled", "foreign")
MOVES = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from([*STATES, "gone"])), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES, at_once=st.booleans())
def test_the_lists_hold_just_what_the_entries_say(
    connection: redis.Redis, moves: list[tuple[str, EntryState]], at_once: bool
) -> None:
    """Each entry is in the list of its state and in no other, after any change, of one entry or of many."""
    connection.flushall()
    index, states = Index(connection, Keys("demo")), dict[str, str]()
    for path, state in moves:
        if state == "gone":
            index.drop(path)
            states.pop(path, None)
            continue
        states[path] = state
        others = [entry for entry in index.find(sorted(states)) if entry is not None and entry.path != path]
        index.put(IndexEntry(path=path, state=state, attempt=f"attempt {path}"), *(others if at_once else ()))
    assert index.count() == len(states)
    assert sorted(index.paths()) == sorted(states)
    assert {entry.path for entry in index.waiting()} == {path for path, state in states.items() if state == "waiting"}
    assert index.count_waiting() == len(list(index.waiting()))
    assert {entry.path for entry in index.busy()} == {
        path for path, state in states.items() if state in ("queued", "running")
    }
    assert index.unjudged() == sorted(path for path, state in states.items() if state == "new")


def test_entries_come_back_as_they_were(connection: redis.Redis) -> None:
    """A stored entry is found unchanged by path and by thread; a line of another version is ignored."""
    index = Index(connection, Keys("demo"))
    entry = IndexEntry(
        path="é/m.json", state="waiting", submitter="ada", submitted=1.5, thread=7, attempt="x", file_oid="1"
    )
    index.put(entry)
    index.put()
    assert index.get(entry.path) == entry
    assert index.find([entry.path, "none"]) == [entry, None]
    assert index.find([]) == []
    assert (index.of_thread(7), index.of_thread(8)) == (entry.path, None)
    (turn,) = index.waiting()
    assert (turn.path, turn.attempt, turn.submitter, turn.submitted) == (entry.path, "x", "ada", 1.5)
    newer = json.dumps([*turn, "of a newer version"])
    connection.hset(Keys("demo").waiting, entry.path, newer)
    assert Index(connection, Keys("demo")).waiting() == (turn,)
    connection.hset(Keys("demo").requests, "old", '{"path": 7}')
    assert index.get("old") == IndexEntry(path="old")


def test_a_file_counts_as_judged_once_its_sync_is_through(connection: redis.Redis) -> None:
    """The index records a judged file's blob id, changes no other field, and deletes the origin with the request."""
    index = Index(connection, Keys("demo"))
    index.put(IndexEntry(path="p", state="settled", model="ada/m"))
    index.put_origins([("p", Origin(author="ada", pull=3))])
    index.judged("p", "oid")
    assert index.get("p") == IndexEntry(path="p", state="settled", model="ada/m", file_oid="oid")
    assert index.origin("p").pull == 3
    index.drop("p")
    assert index.origin("p") == Origin()


def test_the_requests_of_a_model_are_found_by_its_name_alone(connection: redis.Redis) -> None:
    """The case of a model's name does not matter, and models whose names begin alike are not listed."""
    connection.flushall()
    index = Index(connection, Keys("demo"))
    paths = ["o/m_eval_request_False_float16_Original.json", "O/M_eval_request_False_4bit_Original.json"]
    others = ["o/m-2_eval_request_False_float16_Original.json", "m_eval_request_False_float16_Original.json", "x.json"]
    index.put(*(IndexEntry(path=path) for path in (*paths, *others)))
    assert {entry.path for entry in index.of_model("o/M")} == set(paths)
    index.drop(paths[0])
    assert [entry.path for entry in index.of_model("o/m")] == paths[1:]
    assert [entry.path for entry in index.of_model("m")] == [others[1]]
