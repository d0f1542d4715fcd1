"""Several processes of each kind, one of which loses Redis for longer than its lease: nothing happens twice.

A TCP proxy cuts the connection when certain bytes pass through it, for example right after a process has claimed a
request. `make chaos` does so for each kind of process, and compares what people see in the end with what they see after
a run without a cut. In `make test`, test_two_syncs cuts off one of two sync loops in its own process.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest

from leaderboard.attempts import attempt_id
from leaderboard.request_paths import RequestPath
from steward.testing.waiting import wait_until
from tests.support.chaos.board_processes import BOARD, KEYS, PATIENCE, SECRET, BoardProcesses, open_board_processes
from tests.support.chaos.end_state import MODELS, check_end_state, without_attempts
from tests.support.chaos.tcp_proxy import CutTrigger, TcpProxy

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(900),
    pytest.mark.long("eight processes; test_two_syncs cuts off one of two loops"),
]
BEAT = 1.0
LONGEST_LEASE = 3.5 * BEAT
CUT = LONGEST_LEASE + 5
"""Seconds of a cut: the lease expires, and the other processes have time to notice it and to act."""
SYNCS = ("sync", "sync1", "sync2")
WEBS = ("web", "web1")
PROCESSES = (*WEBS, "schedule", "schedule1", *SYNCS, "worker", "worker1")
SLOW = attempt_id(BOARD["name"], str(RequestPath("ada", "good-slow", False, "float32", "Original")), "0" * 40, 1)[:12]
"""The beginning of the ids of the attempts that evaluate the slow model."""


@dataclass(frozen=True)
class Cut:
    """When a process of one kind loses its connection to Redis, and how."""

    kind: str
    when: str
    words: bytes
    side: Literal["asked", "answered"] = "answered"
    keeps: bool = False
    heals: bool = True
    """Whether connections that were open at the cut work again; else only new ones do."""


CUTS = (
    Cut("sync", "it notes that a request waits, and will tell so", rb'"state":"waiting"', "asked", keeps=True),
    Cut("schedule", "it has read what is in motion", rb"_eval_request_"),
    Cut("sync", "it has claimed a ledger", rb"ledger:town/requests"),
    Cut("sync", "its claim of a request is granted, and not heard", rb"request:ada/", keeps=True),
    Cut("schedule", "it notes the time of a round", rb"(?s)HSET.{1,20}steward:1:town:rounds", "asked", keeps=True),
    Cut("worker", "its attempt may run", rb"(?s)claim:%s.{1,60}claimed" % SLOW.encode()),
    Cut("worker", "its attempt may run, and it does not hear so", rb"(?s)claim:.{1,60}claimed", keeps=True),
    Cut("sync", "it has claimed a ledger, and its connections stay dead", rb"ledger:town/requests", heals=False),
    Cut("worker", "its attempt runs, and its connections stay dead", rb"(?s)claim:.{1,60}claimed", heals=False),
    Cut("web", "a delivery is stored, and it does not hear so", rb"flood-", "asked"),
    Cut("web", "a delivery is about to be stored", rb"flood-", "asked", keeps=True),
)


@contextmanager
def two_of_everything(folder: Path, kind: str = "", *triggers: CutTrigger) -> Iterator[BoardProcesses]:
    """Run a board with replicas of each process; those of `kind` reach Redis through proxies with `triggers`."""
    with open_board_processes(folder, webs=len(WEBS)) as board:
        cables = {}
        for name in PROCESSES:
            if name.rstrip("0123456789") == kind:
                cables[name] = TcpProxy(board.valkey.port, name, triggers)
            url = f"redis://127.0.0.1:{cables[name].port}/0" if name in cables else ""
            board.start(name, STEWARD_BEAT_SECONDS=str(BEAT), redis_url=url)
        try:
            for number in range(len(WEBS)):
                wait_until(lambda number=number: board.web_answers(number), describe=board.words, seconds=PATIENCE)
            wait_until(lambda: board.redis.hlen(KEYS.workers) == 2, describe=board.words, seconds=PATIENCE)
            yield board
        finally:
            for cable in cables.values():
                cable.heal()
            board.stop()
            for cable in cables.values():
                cable.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What people see after a run in which no connection was cut."""
    with two_of_everything(tmp_path_factory.mktemp("undisturbed")) as board:
        board.submit(*MODELS)
        return check_end_state(board)


def test_two_of_everything(undisturbed: dict[str, Any]) -> None:
    """With two web servers, two schedulers, three sync processes and two workers no effect happens twice."""
    assert len([name for name in undisturbed if name.startswith("requests/")]) == len(MODELS)


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: f"{cut.kind}: {cut.when}")
def test_one_of_two_is_cut_off_for_longer_than_its_lease(cut: Cut, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    """One replica loses Redis in the middle of its work and comes back: the end is the same, nothing happens twice."""
    trigger = CutTrigger(re.compile(cut.words), cut.side, cut.keeps)
    with two_of_everything(tmp_path, cut.kind, trigger) as board, ThreadPoolExecutor(1) as hub:
        trigger.set.set()
        board.submit(*MODELS)
        answers = hub.submit(deliver, board, 200) if cut.kind == "web" else None
        cable = wait_until(lambda: trigger.cut_proxy, describe=board.words, seconds=PATIENCE)
        began = time.monotonic()
        wait_until(lambda: time.monotonic() > began + CUT, describe=board.words, seconds=PATIENCE)
        (cable.heal if cut.heals else cable.forget)()
        visible_state = check_end_state(board)
        if answers is not None:
            all_are_stored_once(board, answers.result())
        assert not [name for name in board.processes if board.died(name)]
    assert visible_state == undisturbed or without_attempts(visible_state) == without_attempts(undisturbed)
    print(f"{cut.kind:8} {cut.when:55} {cable.name} without Redis for {CUT:.0f} s, same end, nothing twice")


def deliver(board: BoardProcesses, count: int) -> Counter[int]:
    """Send deliveries to both web servers, each until it is acknowledged; return the number of answers by status."""
    body = json.dumps({"event": {"action": "update", "scope": "repo.config"}, "repo": {"type": "model", "name": "a/b"}})
    answers: list[int] = []

    def send(number: int) -> None:
        headers = {"x-webhook-secret": SECRET, "webhook-id": f"flood-{number}"}
        url = f"http://127.0.0.1:{board.ports[number % 2]}/webhooks/hub"

        def acknowledged() -> bool:
            try:
                status = httpx2.post(url, content=body, headers=headers, timeout=30).status_code
            except httpx2.TimeoutException:
                status = 0
            answers.append(status)
            return status == 202

        wait_until(acknowledged, seconds=PATIENCE)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(count)))
    return Counter(answers)


def all_are_stored_once(board: BoardProcesses, answers: Counter[int]) -> None:
    """Check that each acknowledged delivery is in the inbox once, although some were sent again."""
    stored = Counter(fields[b"id"] for _, fields in board.redis.xrange(KEYS.inbox))
    flood = {name: times for name, times in stored.items() if name.startswith(b"flood-")}
    assert len(flood) == answers[202]
    assert set(flood.values()) == {1}
    assert answers[202] < sum(answers.values()), "no delivery was sent again, so the cut had no effect"
