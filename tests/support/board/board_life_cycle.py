"""A board that tests disturb at random, and the invariants that hold whenever all work is done."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import redis

from bot.core.context import BoardContext
from bot.processes.schedule import Schedule
from bot.processes.sync_loop import SyncLoop
from hub.client import Hub
from hub.retries import Retries
from leaderboard.attempts import Details, Failure, Outcome
from leaderboard.lifecycle import highest_used_number
from leaderboard.requests import Request, Status, parse_request
from localhub.webhooks.delivery_log import OutgoingDelivery
from localhub.webhooks.store import Webhook
from redis_state import jobs
from redis_state.jobs import EvaluationJob
from steward.testing.board import BOT, REQUESTS, SECRET, BoardDriver
from steward.testing.hub import board_world, hub_with
from tests.support.board.published_details import publish

ENDED = ("FINISHED", "FAILED", "CANCELLED")
TIMEOUT = 0.4
"""Seconds after which a call of the bot to the Hub times out."""
QUICK = Retries(attempts=2, wait_initial=0.01, wait_max=0.02, jitter=0.01, patience=0.0)
WATCHED = [{"type": "dataset", "name": REQUESTS}, {"type": "space", "name": "board/space"}]
ONCE = ("run", "finish", "fail", "again")
"""Edits that each attempt causes at most once."""
READS = ("paths-info", "git", "preupload")
"""Routes that only read, although their method is not GET."""


class DeliveryStore:
    """Takes the place of localhub's sender of webhooks, and stores the deliveries until a test posts or drops them."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, str]] = []

    def post(self, _webhook: Webhook, delivery: OutgoingDelivery, _timeout: float) -> tuple[int, str | None]:
        """Store the delivery, and answer as the receiver of the webhook would."""
        self.waiting.append((delivery.delivery_id, delivery.payload))
        return 200, None

    def close(self) -> None:
        """Do nothing: no connection is open."""


class BoardLifeCycle:
    """A board with its Hub and one scripted worker; the boards of one test share a web server."""

    def __init__(self, connection: redis.Redis, web: httpx2.Client) -> None:
        connection.flushall()
        self.connection, self.web = connection, web
        self.folder = tempfile.TemporaryDirectory()
        self.hub = hub_with(board_world(), Path(self.folder.name))
        self.hub.__enter__()
        self.deliveries = DeliveryStore()
        self.hub.state.webhooks.deliveries._sender = self.deliveries  # type: ignore[assignment]
        body = {"url": "http://127.0.0.1:9/", "watched": WATCHED, "domains": ["repo", "discussion"], "secret": SECRET}
        headers = {"Authorization": f"Bearer {BOT}"}
        httpx2.post(f"{self.hub.url}/api/settings/webhooks", json=body, headers=headers).raise_for_status()
        self.stand = BoardDriver(self.hub, connection)
        self.stand.context.hub.close()
        self.restart()
        self.elapsed = 0.0
        self.running: dict[str, EvaluationJob] = {}
        self.ghosts: list[EvaluationJob] = []
        self.left_on_branches: set[str] = set()
        """Attempts whose results are on another branch than the main one, where they do not count."""
        self.over: set[str] = set()
        self.published = 0

    def close(self) -> None:
        """Close the Hub and its client, and remove the Hub's folder."""
        self.stand.context.hub.close()
        self.hub.__exit__(None, None, None)
        self.folder.cleanup()

    # --- processes

    def restart(self) -> None:
        """Replace the sync process and the timer by new ones, which have nothing in memory."""
        old, calls = self.stand.context, self.stand.calls
        old.hub.close()
        door = Hub(
            self.hub.url,
            BOT,
            timeout=TIMEOUT,
            retries=QUICK,
            on_call=lambda method, route: calls.append((method, route)),
        )
        context = BoardContext(old.board, old.suite, door, old.redis, now=old.now, probe=old.probe, mirrors=old.mirrors)
        self.stand.context, self.stand.loop, self.stand.schedule = context, SyncLoop(context), Schedule(context)

    def pass_time(self, seconds: float) -> None:
        """Advance the clock or set it back, and let the worker beat once for itself and for each claimed job."""
        self.stand.time += seconds
        self.elapsed += max(0.0, seconds)
        self.stand.worker()
        for job in self.granted():
            self.stand.beat(job, 1, 100)

    def work(self) -> None:
        """Run the timer once, and sync every key that is due."""
        self.stand.tick()
        self.stand.work()

    # --- deliveries

    def gather(self) -> list[tuple[str, str]]:
        """Return the deliveries that are not posted yet, oldest first."""
        assert self.hub.state.webhooks.deliveries.drain(20.0)
        return self.deliveries.waiting

    def bring(self, *deliveries: tuple[str, str]) -> None:
        """Post these deliveries to the web server, in this order."""
        for name, payload in deliveries:
            headers = {"webhook-id": name, "x-webhook-secret": SECRET, "content-type": "application/json"}
            assert self.web.post("/webhooks/hub", content=payload.encode(), headers=headers).is_success

    def bring_all(self) -> None:
        """Post all waiting deliveries."""
        self.bring(*self.gather())
        self.deliveries.waiting.clear()

    # --- the worker

    def take(self) -> None:
        """Take the next job as the worker and ask for the claim, unless the worker has a job."""
        queued = self.stand.queued()
        if self.running or not queued:
            return
        job = queued[0]
        assert job.attempt not in self.over, f"{job.attempt} had ended"
        assert any(jobs.recall(self.connection, name, job.attempt) for name in self.stand.context.queues)
        self.stand.context.attempts.take(job.attempt, job.path, "w", now=self.stand.time)
        self.stand.context.mark(f"request:{job.path}")
        self.running[job.attempt] = job

    def granted(self) -> list[EvaluationJob]:
        """Return the jobs with a granted claim; drop those whose claim was refused."""
        attempts, states = self.stand.context.attempts, {}
        for attempt, job in list(self.running.items()):
            state = attempts.read(attempt)
            if state is None:
                attempts.take(attempt, job.path, "w", now=self.stand.time)  # Redis was lost
                self.stand.context.mark(f"request:{job.path}")
            elif state.state == "void" or (state.state == "taken" and self._cancelled(attempt)):
                del self.running[attempt]
            else:
                states[attempt] = state.state
        return [self.running[attempt] for attempt, state in states.items() if state != "taken"]

    def _cancelled(self, attempt: str) -> bool:
        """Whether the bot has cancelled the attempt while the worker waits for its claim."""
        return bool(self.connection.hget(self.stand.context.keys.attempt(attempt), "cancel"))

    def tell(self, job: EvaluationJob, *, failure: Failure | None = None, details: Details | None = None) -> None:
        """Report how an attempt ended."""
        fields: dict[str, Any] = {name: getattr(job, name) for name in ("attempt", "path", "revision", "suite")}
        times = {"started": 1.0, "ended": 2.0, "phase": "evaluate", "suite_digest": job.suite_digest}
        outcome = Outcome(**fields, **times, failure=failure, details=details)
        self.stand.context.attempts.end(outcome, "log", worker="w")
        self.stand.context.mark(f"request:{job.path}")
        self.running.pop(job.attempt, None)
        self.over.add(job.attempt)

    def publish(self, job: EvaluationJob, branch: str = "main") -> Details:
        """Commit the details of an attempt to its details repo."""
        self.published += 1
        return publish(self.hub.url, job, self.stand.context.suite, number=self.published, branch=branch)

    # --- the requests repo

    def paths(self) -> list[str]:
        """Return the paths of all request files."""
        names = self.stand.form.list_repo_files(REQUESTS, repo_type="dataset")
        return sorted(name for name in names if name.endswith(".json"))

    def file(self, path: str) -> dict[str, Any]:
        """Return one request file."""
        file = self.stand.form.hf_hub_download(REQUESTS, path, repo_type="dataset", local_dir=self.folder.name + "/f")
        fields: dict[str, Any] = json.loads(Path(file).read_bytes())
        return fields

    def statuses(self) -> dict[str, str]:
        """Return path → status."""
        return {path: str(self.file(path)["status"]) for path in self.paths()}

    # --- invariants

    def check(self) -> None:
        """Check the invariants of requests, threads and commits, and that another round of syncs writes nothing."""
        for path in self.paths():
            self._check_request(path)
        alive = map(self.stand.context.attempts.read, self.stand.context.attempts.alive(now=self.stand.time))
        evaluated = [state.path for state in alive if state is not None and state.state != "void"]
        assert len(evaluated) == len(set(evaluated)), f"two living attempts of one request: {evaluated}"
        self._check_threads()
        self._check_commits()
        with self._silence():
            self.bring_all()
            self.stand.work()

    def _check_request(self, path: str) -> None:
        """The request has ended or visibly waits, and its file agrees with the attempts that were made."""
        fields, entry = self.file(path), self.stand.context.index.get(path)
        waits = entry.state in ("new", "waiting", "queued", "running")
        assert fields["status"] in ENDED or waits, (path, fields["status"], entry)
        request = parse_request(path, json.dumps(fields).encode())
        if isinstance(request, Request) and request.status is not None and not request.status.waits:
            facts = request.file.steward
            if request.status is Status.FINISHED and facts.failure is not None:  # an earlier result, put back
                assert highest_used_number(request) >= (facts.attempt or 0), fields
            else:
                assert highest_used_number(request) == facts.attempt, fields

    def _check_threads(self) -> None:
        """Every comment of the bot begins with a marker, and no marker occurs twice."""
        comments = [event for thread in self.stand.threads() for event in thread.events if event.type == "comment"]
        own = [event.content for event in comments if event.author == "steward-bot"]
        assert all(text.startswith("<!-- steward:1 ") for text in own), own
        assert not [marker for marker, count in Counter(text.split("\n")[0] for text in own).items() if count > 1]

    def _check_commits(self) -> None:
        """Commits stay in the budget; each step of an attempt was made once; abandoned attempts have no results."""
        commits = self.stand.form.list_repo_commits(REQUESTS, repo_type="dataset")
        own = [commit for commit in commits if "steward-bot" in commit.authors]
        assert len(own) <= 60 * (self.elapsed / 3600 + 1), f"{len(own)} commits in {self.elapsed} s"
        steps = Counter(edit for commit in own for edit in _edits(commit.message))
        twice = [edit for edit, count in steps.items() if count > 1 and edit.split(" ")[0] in ONCE]
        assert not twice, f"made twice: {twice}"
        results = self.stand.form.list_repo_files("board/results", repo_type="dataset")
        for name in results:
            if "results_" in name:
                data = self.stand.context.hub.read_file(self.stand.context.results, name).data
                attempt = json.loads(data)["steward"]["attempt"]
                assert not {f"again {attempt}", f"fail {attempt}"} & steps.keys(), f"{attempt} was given up"
                assert attempt not in self.left_on_branches, f"{attempt} did not publish its results"

    @contextmanager
    def _silence(self) -> Iterator[None]:
        """Assert that the bot writes nothing in the block, unless it tries a failed sync again."""
        before = len(self.stand.calls)
        yield
        wrote = [call for call in self.stand.calls[before:] if call[0] != "GET" and call[1] not in READS]
        assert not wrote or self.connection.hlen(self.stand.context.keys.dirty_tries), f"the bot wrote again: {wrote}"


def _edits(message: str) -> Iterator[str]:
    for line in message.splitlines():
        if line.startswith("{"):
            yield str(json.loads(line).get("edit", ""))
