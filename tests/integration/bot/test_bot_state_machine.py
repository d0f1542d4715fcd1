"""Everything at once, in any order: people, workers, deaths, lost events, a stumbling Hub, amnesia, jumps of the clock.

After every quiet point: each request is at its end or visibly waiting, has one status comment at most and one living
attempt at most, commits stayed within their budget, and the bot said nothing but status comments.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pytest
import redis
from huggingface_hub import CommitOperationAdd, HfApi
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from stand_kit import REQUESTS, WORKER, Stand, world

from bot.desk import Desk
from bot.schedule import Schedule
from bot.sync.loop import SyncLoop
from hub.retries import Retries
from leaderboard.attempts import Details, Failure, Outcome
from leaderboard.details import Published, outcome_path
from leaderboard.requests import RequestPath
from leaderboard.results import Block, dump, score, scores_in_block, with_block
from localhub.testing import LocalHub
from wire import jobs
from wire.attempts import Progress
from wire.jobs import EvaluationJob

pytestmark = pytest.mark.timeout(900)
WHOLE = bool(os.environ.get("STEWARD_WHOLE_MATRIX"))
ENDED = ("FINISHED", "FAILED")
QUICK = Retries(attempts=2, wait_initial=0.01, wait_max=0.02, jitter=0.01, patience=0.0)
SUBMISSIONS = [
    ("good", "float32"),
    ("good", "float16"),
    ("good", "bfloat16"),
    ("remote", "float32"),
    ("strange", "4bit"),
]
FAULTS = {
    "500 before": {"status": 500},
    "503 before": {"status": 503},
    "409": {"status": 409},
    "412": {"status": 412},
    "429": {"status": 429},
}


class Board(RuleBasedStateMachine):
    """A board, and everybody who acts on it."""

    connection: ClassVar[redis.Redis]

    @initialize()
    def open(self) -> None:
        """Begin with an empty board and one worker."""
        self.connection.flushall()
        self.folder = tempfile.TemporaryDirectory()
        self.hub = LocalHub(Path(self.folder.name), world())
        self.hub.__enter__()
        self.stand = Stand(self.hub, self.connection)
        self.stand.desk.hub.retries = QUICK
        self.running: dict[str, EvaluationJob] = {}
        self.finished: dict[str, int] = {}
        self.troubles: list[tuple[str, bool, int]] = []
        self.stand.schedule.tick()
        self.stand.worker()

    def teardown(self) -> None:
        """Let everybody do their work to the end: then every request is at its end."""
        if not hasattr(self, "stand"):
            return
        try:
            self.to_the_end()
        finally:
            self.stand.desk.probe.close()
            self.stand.desk.hub.close()
            self.hub.__exit__(None, None, None)
            self.folder.cleanup()

    # --- people

    @rule(which=st.sampled_from(SUBMISSIONS), told=st.booleans())
    def submit(self, which: tuple[str, str], told: bool) -> None:
        """Somebody submits; the webhook comes, or is lost."""
        name, precision = which
        path = str(RequestPath("ada", name, False, precision, "Original"))
        if path not in self.paths():
            fields = {"model": f"ada/{name}", "status": "PENDING", "note": 0}
            self.stand.put(path, json.dumps(fields).encode())
        if told:
            self.stand.desk.mark("requests")

    @rule(pick=st.integers(0, 9), note=st.integers(1, 99))
    def edit(self, pick: int, note: int) -> None:
        """Somebody changes another field of a request file: it must survive."""
        if paths := self.paths():
            path = paths[pick % len(paths)]
            self.stand.put(path, json.dumps({**self.stand.file(path), "note": note}).encode())
            self.stand.desk.mark("requests")

    @rule(pick=st.integers(0, 9))
    def comment(self, pick: int) -> None:
        """Somebody writes into a thread, quoting the bot's own marker."""
        if threads := self.stand.threads():
            num = threads[pick % len(threads)].num
            words = threads[pick % len(threads)].events[0].content
            self.stand.ada.comment_discussion(REQUESTS, num, f"{words}\nwhy?", repo_type="dataset")

    # --- workers

    @rule()
    def take(self) -> None:
        """The worker takes the next job and asks for the claim."""
        queues = [jobs.queue(self.connection, name) for name in self.stand.desk.queues]
        waiting = [job for queue in queues for job in queue.jobs]
        if self.running or not waiting:
            return
        found = waiting[0]
        job = jobs.parse(found.kwargs["message"])
        found.delete()
        self.stand.desk.attempts.take(job.attempt, job.path, "w", now=self.stand.time)
        self.stand.desk.mark(f"request:{job.path}")
        self.running[job.attempt] = job

    @precondition(lambda self: self.running)
    @rule(done=st.integers(0, 100))
    def beat(self, done: int) -> None:
        """The worker goes on with what it was granted."""
        for job in self.granted():
            if not self.stand.desk.attempts.beat(job.attempt, Progress("evaluate", done, 100), now=self.stand.time):
                self.tell(job, failure=Failure(cause="cancelled", fault="submission", message="Cancelled."))

    @precondition(lambda self: self.running)
    @rule(how=st.sampled_from(["fine", "theirs", "ours"]))
    def end(self, how: str) -> None:
        """The worker comes to an end with what it was granted."""
        for job in self.granted():
            if how == "fine":
                self.publish(job)
            elif how == "theirs":
                self.tell(job, failure=Failure(cause="weights-corrupted", fault="submission", message="Cut off."))
            else:
                self.tell(job, failure=Failure(cause="disk-full", fault="us", message="Full."))

    @precondition(lambda self: self.running)
    @rule(published=st.booleans())
    def die(self, published: bool) -> None:
        """The worker is killed, before or after its commit, in any case before it could say so."""
        for job in self.granted():
            if published:
                self.publish(job, tell=False)
        self.running.clear()

    # --- what happens to everybody

    @rule(kind=st.sampled_from(sorted(FAULTS)), after=st.booleans(), times=st.integers(1, 4))
    def stumble(self, kind: str, after: bool, times: int) -> None:
        """The Hub will fail the next calls of the bot, before or after they had their effect."""
        self.troubles.append((kind, after and FAULTS[kind]["status"] in (500, 503), times))

    def have_troubles(self) -> None:
        """Let the Hub fail, from now on until the bot's turn is over."""
        faults = self.hub.box.faults
        for kind, after, times in self.troubles:
            fail = faults.fail_after if after else faults.fail
            fail("/api/*", times=times, **FAULTS[kind])
        self.troubles.clear()

    @rule(seconds=st.sampled_from([5.0, 40.0, 3_700.0]))
    def pass_time(self, seconds: float) -> None:
        """The clock jumps; whoever lives beats once."""
        self.stand.time += seconds
        self.stand.worker()
        for job in self.granted():
            self.stand.desk.attempts.beat(job.attempt, Progress("evaluate", 1, 100), now=self.stand.time)

    @rule(steps=st.integers(1, 12))
    def sync(self, steps: int) -> None:
        """The timer ticks and a sync process does a little work."""
        self.stand.schedule.tick()
        self.have_troubles()
        for _ in range(steps):
            self.stand.loop.step()
        self.hub.box.faults.clear()

    @rule()
    def restart(self) -> None:
        """The sync process is started anew: what it had in memory is gone."""
        old = self.stand.desk
        desk = Desk(old.board, old.suite, old.hub, old.redis, now=old.now, probe=old.probe, mirrors=old.mirrors)
        self.stand.desk, self.stand.loop, self.stand.schedule = desk, SyncLoop(desk), Schedule(desk)

    @rule()
    def forget(self) -> None:
        """Redis loses everything."""
        self.connection.flushall()

    # --- quiet points

    @rule()
    def come_to_rest(self) -> None:
        """The Hub is well again and all work that can be done is done: what people see is in order."""
        for _ in range(4):
            self.pass_time(20.0)
            self.stand.schedule.tick()
            self.stand.settle()
        self.check()

    def to_the_end(self) -> None:
        """Evaluate whatever still waits."""
        for _ in range(60):
            self.come_to_rest()
            if all(self.stand.file(path)["status"] in ENDED for path in self.paths()):
                break
            self.take()
            self.stand.settle()
            self.end("fine")
            self.stand.time += 1_000
            self.running = {job.attempt: job for job in self.granted()}
        statuses = {path: self.stand.file(path)["status"] for path in self.paths()}
        assert all(status in ENDED for status in statuses.values()), statuses

    def check(self) -> None:
        """The invariants."""
        index = {entry.path: entry for entry in map(self.stand.desk.index.get, self.paths())}
        for path in self.paths():
            status, entry = self.stand.file(path)["status"], index[path]
            assert status in ENDED or entry.state in ("new", "waiting", "queued", "running"), (path, status, entry)
            self.check_thread(path)
        alive = [self.stand.desk.attempts.read(one) for one in self.stand.desk.attempts.alive(now=self.stand.time)]
        paths = [state.path for state in alive if state is not None and state.state != "void"]
        assert len(paths) == len(set(paths)), paths
        commits = self.stand.form.list_repo_commits(REQUESTS, repo_type="dataset")
        assert sum("steward-bot" in one.authors for one in commits) <= 60 * (self.hours() + 1)

    def check_thread(self, path: str) -> None:
        """At most one status comment carries the path's marker, and no comment of the bot carries none."""
        marker = f"status {path} -->"
        comments = [event for thread in self.stand.threads() for event in thread.events if event.type == "comment"]
        own = [event.content for event in comments if event.author == "steward-bot"]
        assert sum(marker in text.split("\n")[0] for text in own) <= 1, path
        assert all(text.startswith("<!-- steward:1 ") for text in own)

    # --- hands

    def hours(self) -> int:
        """Hours that have passed on the board's clock, at least."""
        from wire import clock

        return int((self.stand.time - clock.now()) // 3600) + 1

    def paths(self) -> list[str]:
        """Every request file."""
        names = self.stand.form.list_repo_files(REQUESTS, repo_type="dataset")
        return sorted(name for name in names if name.endswith(".json"))

    def granted(self) -> list[EvaluationJob]:
        """What the worker may go on with; what was refused it forgets."""
        for attempt, job in list(self.running.items()):
            state = self.stand.desk.attempts.read(attempt)
            if state is None:
                self.stand.desk.attempts.take(attempt, job.path, "w", now=self.stand.time)  # Redis was lost
                self.stand.desk.mark(f"request:{job.path}")
            elif state.state == "void":
                del self.running[attempt]
        states = {attempt: self.stand.desk.attempts.read(attempt) for attempt in self.running}
        return [self.running[a] for a, state in states.items() if state is not None and state.state != "taken"]

    def tell(self, job: EvaluationJob, *, failure: Failure | None = None, details: Details | None = None) -> None:
        """Tell the bot how an attempt ended."""
        fields = {"attempt": job.attempt, "path": job.path, "revision": job.revision, "suite": job.suite}
        times = {"started": 1.0, "ended": 2.0, "phase": "evaluate", "suite_digest": job.suite_digest}
        self.stand.desk.attempts.end(Outcome(**fields, **times, failure=failure, details=details), "log")
        self.stand.desk.mark(f"request:{job.path}")
        self.running.pop(job.attempt, None)

    def publish(self, job: EvaluationJob, *, tell: bool = True) -> None:
        """Commit the details of `job`, as the worker does, and tell the bot, or die before that."""
        repo, suite = "board-details/details_ada__good", self.stand.desk.suite
        name = f"results_2026-11-24T12-00-00.{len(self.finished):06}.json"
        fields: dict[str, Any] = {"attempt": job.attempt, "revision": job.revision, "suite": job.suite}
        fields["suite_digest"] = job.suite_digest
        raw = {t: {"acc_norm,none": 0.75, "exact_match,answer": 0.5} for t in (*suite.tasks, *suite.run)}
        more = {"request": job.path, "model": job.model, "precision": job.precision, "started": "", "ended": ""}
        block = Block(**fields, **more, **scores_in_block(score(raw, suite)))
        told = Published(**fields, path=job.path, started=1, ended=2, results_path=name)
        files = {
            name: dump(with_block({"results": raw}, block)),
            outcome_path(job.attempt): told.model_dump_json().encode(),
        }
        gpu = HfApi(self.hub.url, token=WORKER)
        gpu.create_repo(repo, repo_type="dataset", exist_ok=True)
        operations = [CommitOperationAdd(path, content) for path, content in files.items()]
        commit = gpu.create_commit(repo, operations, commit_message="Add details", repo_type="dataset")
        self.finished[job.attempt] = 1
        if tell:
            self.tell(job, details=Details(repo=repo, commit=commit.oid, results_path=name))


def test_whatever_happens_in_whatever_order_people_get_their_answers(connection: redis.Redis) -> None:
    """Random lives of a board keep the invariants at every quiet point, and end with every request at its end."""
    Board.connection = connection
    case = Board.TestCase()
    case.settings = settings(
        max_examples=60 if WHOLE else 4,
        stateful_step_count=40 if WHOLE else 20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case.runTest()
