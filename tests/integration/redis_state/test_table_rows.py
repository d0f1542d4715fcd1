"""The rows of the aggregated table in Redis: readers are notified of every change."""

from __future__ import annotations

import pytest
import redis

from redis_state.board.index import Index
from redis_state.board.table_rows import TableRows
from redis_state.keys import Keys

KEYS = Keys("rows")
ROW = {"fullname": "ada/tiny", "Hub ❤️": 3}


def notices(connection: redis.Redis) -> int:
    """The number of notices that readers of the index get."""
    return len(connection.xrange(KEYS.request_changes))


def test_a_writer_that_dies_before_its_notice_wrote_nothing(connection: redis.Redis) -> None:
    """If a writer dies before its notice, no row is stored; the next write stores the row and notifies readers once."""
    connection.flushall()
    rows, index = TableRows(connection, KEYS), Index(connection, KEYS)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rows.write({"a.json": ROW}, {}, dies)
    assert rows.find(["a.json"]) == {}
    rows.write({"a.json": ROW}, {}, index.tell)
    assert (rows.find(["a.json"]), notices(connection)) == ({"a.json": ROW}, 1)
    rows.write({"a.json": ROW}, {}, index.tell)
    assert notices(connection) == 1
    rows.write({}, {}, index.tell)
    assert (rows.find(["a.json"]), notices(connection)) == ({}, 2)


def test_the_version_rises_with_each_change_of_the_other_rows(connection: redis.Redis) -> None:
    """Each change of the rows without a request raises the version, by which their readers notice it."""
    connection.flushall()
    rows, index = TableRows(connection, KEYS), Index(connection, KEYS)
    versions = [rows.version()]
    for others in ({"x@1": ROW}, {"x@1": ROW}, {"x@1": {**ROW, "Hub ❤️": 4}}, {}):
        rows.write({}, others, index.tell)
        versions.append(rows.version())
        assert rows.others() == others
    assert versions == ["", "1", "1", "2", "3"]
