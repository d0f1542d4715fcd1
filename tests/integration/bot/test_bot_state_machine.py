"""Random sequences of events on a board: people, workers, kills, lost deliveries, faults of Hub and Redis, clock jumps.

`BoardLifeCycle.check` checks the invariants: each request has ended or visibly waits, has one status comment and at
most one running attempt; no step of an attempt is made twice, and no step of an abandoned attempt has an effect;
commits stay within their budget; and the bot does not answer itself.

`make test` runs one short sequence, the same each time. `make chaos` runs many long ones, too, which it draws from a
seed that it prints; `make chaos SEED=…` runs the same again.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

import httpx2
import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from bot.core.mirrors import mirror
from leaderboard.attempts import Failure
from leaderboard.request_paths import RequestPath
from redis_state import clock
from steward.testing.board import REQUESTS
from tests.support.board.board_life_cycle import ENDED, BoardLifeCycle
from tests.support.hub.lies import LIES

pytestmark = pytest.mark.timeout(7_200)

SUBMISSIONS = [
    ("good", "float32"),
    ("good", "float16"),
    ("good", "bfloat16"),
    ("remote", "float32"),
    ("strange", "4bit"),
]
WHERE = [
    "/api/*",
    "GET *",
    "GET */resolve/*",
    "GET */refs",
    "POST */paths-info/*",
    "POST */commit/*",
    "POST */discussions*",
    "/datasets/board/requests.git/*",
    "GET */info/refs",
]
STORED = ["GET */tree/*", "GET */refs", "GET */resolve/*", "GET */commits/*", "GET /api/models/*"]
"""Reads whose answers a cache may store for a while. It does not store threads: see `cache`."""
FAULTS: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "503": {"status": 503},
    "409": {"status": 409},
    "409 busy": {"status": 409, "error": "Another commit is in progress"},
    "412": {"status": 412},
    "429": {"status": 429},
    "429 with time": {"status": 429, "headers": {"Retry-After": "7"}},
    "429 commits": {
        "status": 429,
        "error": "You have exceeded the rate limit for repository commits (128 per hour). "
        "You can retry this action in about 1 hour.",
    },
}
AFTER = ("500", "503", "page")
"""Faults that may also come after the call has had its effect."""
LIED = ("page", "missing", "lost page", "circle", "short", "drip")
THEIRS = Failure(cause="weights-corrupted", fault="submission", message="Cut off.")
OURS = Failure(cause="disk-full", fault="us", message="Full.")
STOPPED = Failure(cause="cancelled", fault="submission", message="Cancelled.")


class Board(RuleBasedStateMachine):
    """A board, and the steps of the people, workers and processes around it."""

    connection: ClassVar[redis.Redis]
    web: ClassVar[httpx2.Client]

    @initialize(how=st.sampled_from(["theirs", "ours", "fine"]))
    def open(self, how: str) -> None:
        """Begin with a request that was evaluated, one that waits, and one worker."""
        self.life = BoardLifeCycle(self.connection, self.web)
        self.troubles: list[dict[str, Any]] = []
        self.caches: list[dict[str, Any]] = []
        self.life.stand.worker()
        self.submit(SUBMISSIONS[0])
        self.evaluate(how)
        self.submit(SUBMISSIONS[1])

    def teardown(self) -> None:
        """Finish all work, and check that every request has ended."""
        if not hasattr(self, "life"):
            return
        try:
            self.to_the_end()
        finally:
            self.life.close()

    # --- people

    @rule(which=st.sampled_from(SUBMISSIONS))
    def submit(self, which: tuple[str, str]) -> None:
        """A person submits a request."""
        name, precision = which
        path = str(RequestPath("ada", name, False, precision, "Original"))
        if path not in self.life.paths():
            fields = {"model": f"ada/{name}", "status": "PENDING", "note": 0}
            self.life.stand.put(path, json.dumps(fields).encode())

    @rule(pick=st.integers(0, 9), note=st.integers(1, 99))
    def edit(self, pick: int, note: int) -> None:
        """A person changes another field of a request file."""
        if paths := self.life.paths():
            path = paths[pick % len(paths)]
            self.life.stand.put(path, json.dumps({**self.life.file(path), "note": note}).encode())

    @rule(pick=st.integers(0, 9), status=st.sampled_from(["PENDING", "RERUN"]), whole=st.booleans())
    def ask_again(self, pick: int, status: str, whole: bool) -> None:
        """A person submits an ended request again, by its status alone or by a new file."""
        ended = [path for path, now in self.life.statuses().items() if now in ENDED]
        if ended:
            path = ended[pick % len(ended)]
            present = self.life.file(path)
            fields = {"model": present["model"], "status": status} if whole else {**present, "status": status}
            self.life.stand.put(path, json.dumps(fields).encode())

    @rule(pick=st.integers(0, 9))
    def cancel(self, pick: int) -> None:
        """A person withdraws a request."""
        open_ = [path for path, now in self.life.statuses().items() if now not in ENDED]
        if open_:
            path = open_[pick % len(open_)]
            self.life.stand.put(path, json.dumps({**self.life.file(path), "status": "CANCELLED"}).encode())

    @rule(pick=st.integers(0, 9))
    def remove(self, pick: int) -> None:
        """A person removes the file of a request that is not evaluated."""
        idle = [path for path, now in self.life.statuses().items() if now != "RUNNING"]
        if idle:
            path = idle[pick % len(idle)]
            self.life.stand.form.delete_file(path, REQUESTS, repo_type="dataset", commit_message="Remove")

    @rule(pick=st.integers(0, 9))
    def comment(self, pick: int) -> None:
        """A person comments in a thread, and quotes the bot's own marker."""
        if threads := self.life.stand.threads():
            num = threads[pick % len(threads)].num
            words = threads[pick % len(threads)].events[0].content
            self.life.stand.ada.comment_discussion(REQUESTS, num, f"{words}\nwhy?", repo_type="dataset")

    # --- deliveries

    @rule(order=st.permutations(range(6)), copies=st.lists(st.sampled_from([0, 1, 1, 1, 2]), min_size=6, max_size=6))
    def deliver(self, order: list[int], copies: list[int]) -> None:
        """The next deliveries come in any order, once, twice, or never."""
        waiting = self.life.gather()
        group = waiting[: len(order)]
        del waiting[: len(order)]
        for at in order:
            if at < len(group):
                self.life.bring(*[group[at]] * copies[at])

    # --- workers

    @rule()
    def take(self) -> None:
        """The worker takes the next job and asks for the claim."""
        self.life.take()

    @precondition(lambda self: self.life.running)
    @rule(done=st.integers(0, 100))
    def beat(self, done: int) -> None:
        """The worker goes on with its attempt, or learns that it is cancelled."""
        for job in self.life.granted():
            if not self.life.stand.beat(job, done, 100):
                self.life.tell(job, failure=STOPPED)

    @precondition(lambda self: self.life.running)
    @rule(how=st.sampled_from(["fine", "theirs", "ours"]))
    def end(self, how: str) -> None:
        """The worker ends the attempts whose claims were granted."""
        for job in self.life.granted():
            if how == "fine":
                self.life.tell(job, details=self.life.publish(job))
            else:
                self.life.tell(job, failure=THEIRS if how == "theirs" else OURS)

    @rule(how=st.sampled_from(["fine", "theirs", "ours"]))
    def evaluate(self, how: str) -> None:
        """One request is evaluated without any fault."""
        self.life.bring_all()
        self.life.pass_time(60.0)
        self.life.work()
        self.life.take()
        self.life.work()
        self.end(how)
        self.life.work()

    @precondition(lambda self: self.life.running)
    @rule()
    def stop(self) -> None:
        """The worker is told to stop, and hands back what it was granted."""
        for job in self.life.granted():
            self.life.stand.hand_back(job)
            self.life.stand.context.mark(f"request:{job.path}")
            del self.life.running[job.attempt]

    @precondition(lambda self: self.life.running)
    @rule(how=st.sampled_from(["before", "on a branch", "after", "cut off"]))
    def die(self, how: str) -> None:
        """The worker is killed before or after its commit, or only cut off.

        What it leaves on the branch for answers of unfinished attempts never counts as a result.
        """
        for job in self.life.granted():
            if how == "after":
                self.life.publish(job)
            elif how == "on a branch":
                self.life.publish(job, f"steward-answers-{job.attempt}")
                self.life.left_on_branches.add(job.attempt)
            elif how == "cut off":
                self.life.ghosts.append(job)
        self.life.running.clear()

    @precondition(lambda self: self.life.ghosts)
    @rule(tells=st.booleans())
    def haunt(self, tells: bool) -> None:
        """A worker that was cut off reports the end of an attempt that may have been given up."""
        job = self.life.ghosts.pop()
        details = self.life.publish(job)
        if tells:
            self.life.tell(job, details=details)

    # --- faults

    @rule(
        kind=st.sampled_from([*FAULTS, *LIED, "hang", "cut"]),
        where=st.sampled_from(WHERE),
        after=st.booleans(),
        times=st.integers(1, 4),
    )
    def stumble(self, kind: str, where: str, after: bool, times: int) -> None:
        """The Hub will fail some of the next calls of the bot, before or after they had their effect."""
        if kind == "429 commits":  # an hour's wait, which the Hub demands for commits only
            where = "POST */commit/*"
        if kind == "missing":  # the Hub reports only files as missing
            where = "GET */resolve/*"
        if kind == "circle":
            times *= 6  # one call follows five redirects
        fault = {"kind": "fail", **FAULTS[kind]} if kind in FAULTS else LIES.get(kind, {"kind": kind})
        if after and kind in (*AFTER, "hang"):
            fault = {**fault, "kind": f"{fault['kind']}-after"}
        self.troubles.append({**fault, "route": where, "times": min(times, 2) if kind in ("hang", "cut") else times})

    @rule(where=st.sampled_from(STORED))
    def cache(self, where: str) -> None:
        """A proxy stores what the bot reads, and sends it again until the next `come_to_rest`.

        Threads are not stored: a bot that does not see what it wrote just now would write it again.
        """
        self.caches.append({**LIES["stale"], "seconds": 0.0, "route": where, "times": None, "answers": {}})

    @rule(seconds=st.sampled_from([5.0, 40.0, 3_700.0, -5.0, -200.0]))
    def pass_time(self, seconds: float) -> None:
        """The clock jumps."""
        self.life.pass_time(seconds)

    @rule(steps=st.integers(1, 12))
    def sync(self, steps: int) -> None:
        """The timer ticks and a sync process does a little work, while the Hub has the prepared faults."""
        self.life.stand.tick()
        for fault in (*self.troubles, *self.caches):
            self.life.hub.state.faults.add(**fault)
        self.troubles.clear()
        for _ in range(steps):
            self.life.stand.loop.step()
        self.life.hub.state.faults.clear()

    @rule()
    def restart(self) -> None:
        """The sync process and the timer are started anew."""
        self.life.restart()

    @rule()
    def forget(self) -> None:
        """Redis loses everything."""
        self.connection.flushall()

    # --- quiet points

    @rule()
    def come_to_rest(self) -> None:
        """End all faults, do all work that can be done, and check the invariants."""
        self.caches.clear()
        self.life.bring_all()
        for _ in range(4):
            # If the test's clock was set back, the web server's marks are due only when it reaches the real time.
            self.life.pass_time(max(20.0, clock.now() - self.life.stand.time))
            self.life.work()
            self.life.bring_all()
            self.life.work()
        self.life.check()

    def to_the_end(self) -> None:
        """Evaluate all waiting requests."""
        for _ in range(60):
            self.come_to_rest()
            if all(status in ENDED for status in self.life.statuses().values()):
                return
            self.life.take()
            self.life.work()
            self.end("fine")
            self.life.pass_time(1_000)
        raise AssertionError(self.life.statuses())


@pytest.fixture
def board(connection: redis.Redis, web: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> type[Board]:
    """The state machine, on this Redis and web server, with short timeouts of the mirror."""
    monkeypatch.setattr(mirror, "_CONNECT_MS", 1_000)
    monkeypatch.setattr(mirror, "_SILENCE_MS", 1_000)
    Board.connection, Board.web = connection, web
    return Board


@pytest.mark.long("one more random life; `make chaos` runs the file")
def test_a_request_put_back_as_it_was_between_two_looks_is_evaluated(board: type[Board]) -> None:
    """A failed request that is removed and submitted again with the same text between two polls is evaluated again."""
    life = board()
    try:
        life.open(how="theirs")
        path = life.life.paths()[-1]
        assert life.life.file(path)["status"] == "FAILED"
        life.remove(pick=1)
        life.submit(which=SUBMISSIONS[0])
        assert life.life.file(path)["status"] == "PENDING"
        life.come_to_rest()
    finally:
        life.teardown()


@pytest.mark.parametrize(
    ("lives", "steps"),
    [pytest.param(1, 24, id="one"), pytest.param(200, 60, id="many", marks=pytest.mark.long("half an hour"))],
)
def test_random_lives_of_a_board_keep_the_invariants(board: type[Board], lives: int, steps: int) -> None:
    """The invariants hold whenever all work of a random sequence is done, and every request ends."""
    sequences = settings(
        max_examples=lives, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(board, settings=sequences)
