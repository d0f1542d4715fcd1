"""The state of one local Hub: all its parts, opened and closed together."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TextIO

from localhub.accounts.oauth import OAuth
from localhub.accounts.store import Accounts, Caller
from localhub.clock import Clock
from localhub.controls.faults import Faults
from localhub.controls.limits import RateLimits
from localhub.controls.stats import Stats
from localhub.database import Database
from localhub.errors import FolderInUse
from localhub.jobs.runner import JobRunner
from localhub.jobs.store import JobStore
from localhub.json_values import JsonObject
from localhub.repos.access import Access
from localhub.repos.buckets import Buckets
from localhub.repos.collections import Collections
from localhub.repos.events import HubEvent, Subscriber
from localhub.repos.grants import Grants
from localhub.repos.lfs_store import LfsStore
from localhub.repos.likes import Likes
from localhub.repos.spaces import Spaces
from localhub.repos.store import RepoStore
from localhub.repos.volumes import Volume, Volumes
from localhub.threads.eval_results import EvalResults
from localhub.threads.pulls import Pulls
from localhub.threads.service import ThreadService
from localhub.webhooks.deliveries import Deliveries
from localhub.webhooks.jobs import WebhookJobs
from localhub.webhooks.service import WebhookService
from localhub.webhooks.store import WebhookStore


class HubState:
    """One Hub over one folder; this is where its parts are composed.

    The server sets `url` once it is bound; answers read it when they are written. With `lfs_uploads` off, the
    Hub asks clients to send every file as a regular one: a client with Xet cannot send LFS files here.
    """

    def __init__(self, data: Path, clock: Clock) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self._folder_lock = _lock(data)
        self.data = data
        self.url = "http://127.0.0.1"
        self.clock = clock
        self._subscribers: list[Subscriber] = []
        self.database = Database(data / "hub.sqlite")
        self.accounts = Accounts(self.database, clock)
        self.repos = RepoStore(data, self.database, clock, self.emit)
        self.grants = Grants(self.database, clock)
        self.likes = Likes(self.database, clock)
        self.spaces = Spaces(self.database, clock)
        self.collections = Collections(self.database, clock)
        self.access = Access(self.accounts, self.repos, self.grants)
        self.oauth = OAuth(self.database, self.accounts, clock)
        self.lfs = LfsStore(data / "lfs", self.database, clock)
        self.lfs_uploads = True
        self.limits = RateLimits(clock)
        self.faults = Faults()
        self.stats = Stats(self.accounts, clock)
        pulls = Pulls(self.repos, self.limits, clock, self.emit)
        self.threads = ThreadService(self.database, self.access, pulls, self.emit, clock)
        self.eval_results = EvalResults(self.repos, self.threads)
        self.job_store = JobStore(self.database, clock)
        self.buckets = Buckets(self.database, self.accounts, clock)
        self.volumes = Volumes(self.access, self.buckets, self.lfs)
        self.jobs = JobRunner(self.job_store, data / "jobs", self._mount)
        self.webhooks = self._webhook_service()
        # Webhooks come last: a receiver may read the counters and the timeline at once.
        self._subscribers += [self.stats.count_commits, self.threads.follow, self.webhooks.dispatch]

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with every later event, in the thread that causes it."""
        self._subscribers.append(subscriber)

    def emit(self, event: HubEvent) -> None:
        """Pass the event to every subscriber, in the order of their subscription."""
        for subscriber in self._subscribers:
            subscriber(event)

    def close(self) -> None:
        """Stop the background threads and release the folder."""
        self.jobs.close()
        self.webhooks.close()
        self.database.close()
        self._folder_lock.close()

    def _mount(self, account_id: str, volume: JsonObject, folder: Path) -> None:
        """Write the files of a Job's volume to `folder`, with the access of the account that started the Job."""
        self.volumes.write(Caller(self.accounts.by_id(account_id)), Volume.model_validate(volume), folder)

    def _webhook_service(self) -> WebhookService:
        store = WebhookStore(self.database, self.clock)
        jobs = WebhookJobs(self.database, self.job_store, self.jobs)
        deliveries = Deliveries(self.database, self.clock, self.stats, self.faults.webhooks, store, jobs.start)
        return WebhookService(
            store, deliveries, self.accounts, self.repos, self.access, self.faults, jobs, base_url=lambda: self.url
        )


def _lock(data: Path) -> TextIO:
    """Lock the folder for this process: two servers on one folder would undo each other's commits."""
    handle = (data / "lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise FolderInUse(f"another local Hub is using {data}: stop it, or give --data another folder") from error
    return handle
