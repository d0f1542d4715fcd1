"""The context of a sync: the board, the client of the Hub, and the state in Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from bot.core.adoption import Adoption
from bot.core.committed_files import CommittedFiles
from bot.core.flag_table import FlagBook
from bot.core.guarded_writes import GuardedWriter
from bot.core.metrics_recomputer import MetricsRecomputer
from bot.core.mirrors.contents_table import ContentsCache
from bot.core.platforms import Platforms
from bot.ledger.commit_budget import CommitBudget
from bot.ledger.ledger import Ledger
from bot.ledger.store import EditStore
from bot.probe import Probe
from hub.client import Hub
from hub.comments import Marker
from hub.errors import BadRequest, NotFound
from hub.records import Account, Repo
from leaderboard.admission.facts import EarlierRequest
from leaderboard.admission.needs import board_with_needs
from leaderboard.boards import Board
from leaderboard.look_rhythm import LONGEST_SECONDS
from leaderboard.submission_kinds import SubmissionKinds, submission_kinds
from leaderboard.suites import Suite
from leaderboard.tiers import TIERS, Tier
from redis_state.accepted_digests import AcceptedDigests
from redis_state.attempts import Attempts
from redis_state.board.backend_runs import BackendRuns
from redis_state.board.claimed_numbers import ClaimedNumbers
from redis_state.board.cross_checks import CrossChecks
from redis_state.board.decisions import Decisions
from redis_state.board.index import Index
from redis_state.board.measures import Measures
from redis_state.board.pauses import Pauses
from redis_state.board.sample_verdicts import SampleVerdicts
from redis_state.board.scoreboard import Licences, Scoreboard
from redis_state.board.table_rows import TableRows
from redis_state.board.timings import Timings
from redis_state.board.trials import Trials
from redis_state.clock import Clock
from redis_state.dirty import DirtyKeys, SyncPriority
from redis_state.heads import Heads
from redis_state.heartbeats import WorkerRegistry
from redis_state.keys import Keys
from redis_state.meters import Meters
from redis_state.parking import ParkedSyncs
from redis_state.redis import Redis, text
from redis_state.set_aside import SetAsideWorkers
from redis_state.shadowed_writes import ShadowList
from redis_state.webhook_quota import WebhookQuota

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import Mirror
    from leaderboard.prediction_scores import AnswerKey
    from leaderboard.queue_snapshot import QueueSnapshot

VISIBILITY_CACHE_SECONDS = 300.0

Flags = Callable[[Sequence[str], str], tuple[EarlierRequest, ...]]
"""Returns the flags that hold for one of these models (case ignored), or for weights of this digest ("": unknown)."""


@dataclass
class BoardContext:
    """The board, the clients and the state that the syncs of one board use in one process. Threads may share them."""

    board: Board
    suite: Suite
    hub: Hub
    redis: Redis
    now: Clock
    probe: Probe = field(default_factory=Probe)
    mirrors: Path | None = None
    """The folder for clones of the board's repos; None: below the system's folder for temporary files."""
    models_hub: Hub | None = None
    """The client for pull requests with scores on models' repos, with a token of its own; None: none are written."""
    pages_url: str = ""
    """The address of the board's own pages; empty: not known."""
    look_seconds: float = LONGEST_SECONDS
    """The longest time between two looks for changes that no webhook reported."""
    platforms: Platforms | None = None
    """The platforms on which the attempts of some tiers run; None: this process starts no runs."""
    recomputer: MetricsRecomputer | None = None
    """Computes metrics again from samples before results are published; None: this process does not."""

    def __post_init__(self) -> None:
        self.board = board_with_needs(self.board, self.suite)
        self.keys = Keys(self.board.name)
        self._name_repos()
        self._open_stores()
        self._make_caches()
        self._open_files()

    def _name_repos(self) -> None:
        self.requests = Repo("dataset", self.board.repos.requests)
        self.results = Repo("dataset", self.board.repos.results)
        self.logs = Repo("dataset", self.board.repos.logs)
        self.private_logs = Repo("dataset", self.board.repos.private_logs)
        self.community = Repo(self.board.repos.community_type, self.board.repos.community)
        self.flags_repo = Repo("dataset", self.board.repos.flags) if self.board.repos.flags else None
        self.contents = Repo("dataset", self.board.repos.contents) if self.board.repos.contents else None

    def _open_stores(self) -> None:
        """The state that the processes share in Redis."""
        self.dirty = DirtyKeys(self.redis, self.keys)
        self.attempts = Attempts(self.redis, self.keys)
        self.workers = WorkerRegistry(self.redis, self.keys)
        self.parking = ParkedSyncs(self.redis, self.keys)
        self.meters = Meters(self.redis, self.keys)
        self.index = Index(self.redis, self.keys)
        self.claimed_numbers = ClaimedNumbers(self.redis, self.keys)
        self.decisions = Decisions(self.redis, self.keys)
        self.scores = Scoreboard(self.redis, self.keys)
        self.accepted_digests = AcceptedDigests(self.redis, self.keys, self.suite.digest)
        self.set_aside = SetAsideWorkers(self.redis, self.keys)
        self.sample_verdicts = SampleVerdicts(self.redis, self.keys)
        self.cross_checks = CrossChecks(self.redis, self.keys)
        self.licences = Licences(self.redis, self.keys)
        self.table_rows = TableRows(self.redis, self.keys)
        self.webhook_quota = WebhookQuota(self.redis, self.keys)
        self.heads = Heads(self.redis, self.keys)
        self.measures = Measures(self.redis, self.keys)
        self.timings = Timings(self.redis, self.keys)
        self.trials = Trials(self.redis, self.keys)
        self.backend_runs = BackendRuns(self.redis, self.keys)
        self.pauses = Pauses(self.redis, self.keys)
        self.queues = tuple(self.queue(tier) for tier in TIERS)

    def _make_caches(self) -> None:
        """Make the data that this process holds in memory; all of it can be read again."""
        self.contents_memory = ContentsCache()
        self.last_snapshot: QueueSnapshot | None = None
        self.answers_memory: tuple[str, AnswerKey] | None = None
        """The private answers to the suite with this digest (`bot.predictions`): in memory alone."""
        self._logs_private: tuple[bool, float] | None = None
        self.private_logs_ready: tuple[bool, float] | None = None
        """Whether the private logs repo can be used, and when this was read (`bot.core.log_repos`)."""

    def _open_files(self) -> None:
        """Readers and writers of the files in the board's repos. Every write to the Hub passes through `effects`."""
        edits = EditStore(self.redis, self.keys)
        budget = CommitBudget(self.hub, self.redis, self.keys, self.webhook_quota, self._present)
        self.ledger = Ledger(self.hub, edits, budget, self.heads, self.parking, self._present)
        self.flag_book = FlagBook(self.redis, self.keys, self.hub, lambda: self.mirror, self.flags_repo)
        self.flags: Flags = self.flag_book
        self.request_files = CommittedFiles(self.hub, self.heads, lambda: self.mirror, self.requests)
        self.adoption = Adoption(self.hub, self.redis, self.keys, self.requests, self.request_files)
        shadow = ShadowList(self.redis, self.keys)
        # The writer looks up the board at each call, so that a replaced board counts.
        self.effects = GuardedWriter(
            lambda: self.board.effects, self.hub, self.ledger, self.webhook_quota, shadow, self.adoption, self._present
        )

    @property
    def takes(self) -> SubmissionKinds:
        """The kinds of submissions that the board takes."""
        return submission_kinds(self.board, self.suite)

    def _present(self) -> float:
        """The time by the present clock, for parts that must follow when `now` is replaced."""
        return self.now()

    @cached_property
    def mirror(self) -> Mirror:
        """Clones of the board's repos, created at the first read: the web server never reads one."""
        from bot.core.mirrors.mirror import Mirror

        return Mirror(self.hub, self.mirrors)

    @property
    def shared(self) -> frozenset[str]:
        """Ids of the repos whose files the bot changes: it writes to no other, even if an edit is staged for one."""
        repos = (self.requests, self.results, self.logs, self.private_logs, self.flags_repo, self.contents)
        return frozenset(repo.id for repo in repos if repo is not None)

    def is_logs_repo_private(self) -> bool:
        """Whether the logs repo is private; False if it does not exist. One call every VISIBILITY_CACHE_SECONDS.

        The answer is stored for the web server, which has no token.
        """
        known = self._logs_private
        if known is None or time.monotonic() - known[1] > VISIBILITY_CACHE_SECONDS:
            try:
                known = (self.hub.is_private(self.logs), time.monotonic())
            except NotFound:
                return False
            self._logs_private = known
            self.redis.hset(self.keys.hub_state, "logs", "private" if known[0] else "public")
        return known[0]

    def has_public_logs(self) -> bool:
        """Whether the logs repo is public, as far as a sync has found out."""
        return text(self.redis.hget(self.keys.hub_state, "logs") or b"") == "public"

    def queue(self, tier: Tier) -> str:
        """Name of the RQ queue of `tier`."""
        return self.keys.queue(tier)

    def me(self) -> Account:
        """The bot's own account. Its id is stored for the inbox, which ignores deliveries of the bot's own comments."""
        account = self.hub.me()
        self.redis.hset(self.keys.hub_state, "me", account.id)
        return account

    def marker(self, kind: str, key: str) -> Marker:
        """The hidden marker of one of this board's comments."""
        return Marker(self.board.name, kind, key)

    def heard_since(self) -> float:
        """The time since which heartbeats could arrive without a break: before, Redis or all schedulers were down.

        Stores the present time if Redis has none, because Redis is new.
        """
        now = self.now()
        return float(self.redis.set(self.keys.born, now, nx=True, get=True) or now)

    def mark(self, key: str, priority: SyncPriority = SyncPriority.EVENT) -> None:
        """Mark `key` dirty: the thing that it names may have changed."""
        self.dirty.mark(key, due=self.now(), priority=priority)

    def mark_all(self, keys: Iterable[str], priority: SyncPriority) -> None:
        """Mark many keys in one round trip."""
        self.dirty.mark_all(keys, due=self.now(), priority=priority)

    def mark_model_page(self, model: str) -> None:
        """Mark the pull request with scores on the repo of `model`, if the board writes such ones."""
        if self.models_hub is not None and self.board.model_pages:
            self.mark(model_page_key(model), SyncPriority.BACKGROUND)

    def address(self, repo: Repo, path: str = "", *, revision: str = "main") -> str:
        """The address of `path` in `repo`, or of the repo."""
        at = f"{self.hub.session.endpoint}{repo.web}"
        return f"{at}/blob/{quote(revision, safe='')}/{quote(path)}" if path else at


def request_key(path: str) -> str:
    """The dirty key of the request at `path`."""
    return f"request:{path}"


MODEL_PAGE = "model-page"


def model_page_key(model: str) -> str:
    """The dirty key of the pull request with the board's scores on the repo of `model`."""
    return f"{MODEL_PAGE}:{model}"


def thread_key(repo: Repo, number: int) -> str:
    """The dirty key of one thread of `repo`."""
    return f"thread:{repo.kind}/{repo.id}:{number}"


def threads_key(repo: Repo) -> str:
    """The dirty key of the list of threads of `repo`."""
    return f"threads:{repo.kind}/{repo.id}"


def repo_of(text: str) -> Repo | None:
    """The repo in `dataset/owner/name`, the form in dirty keys."""
    kind, _, name = text.partition("/")
    try:
        return Repo(kind, name) if kind in ("model", "dataset", "space") else None  # type: ignore[arg-type]
    except BadRequest:
        return None


def thread_of(text: str) -> tuple[Repo, int] | None:
    """Repo and number in `dataset/owner/name:12`."""
    name, _, number = text.rpartition(":")
    repo = repo_of(name)
    return (repo, int(number)) if repo is not None and number.isdecimal() else None
