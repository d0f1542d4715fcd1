"""The ledger of each shared repo: edits staged in Redis, then written to the Hub (`bot.ledger.writer`).

The sync of the dirty key `ledger:{repo}` is the only writer of that repo. A sync that changes a file stages an edit and
returns; when the edit has landed or is void, the keys that it names are marked dirty, and their syncs read the file as
it is then. An edit that only *waits* (for the budget, for another edit) needs no action.

Race closed: the bot dies after staging, before the ledger runs. Staging marks the ledger's key in the same script.
Race closed: the bot dies after dropping an edit. Dropping marks the waiting keys in the same script.
Race closed: edits wait for an edit in another repo. Its end marks their ledger.
Race closed: Redis was lost, and with it the count of commits. Before a repo gets busy, its earlier commits are counted
from its history, once in the life of a Redis.
Race accepted: an edit is void again and again (a cache shows an old version of the file), so that its sync and its
ledger would wake each other without end: a void edit marks the waiting keys only VOID_WAIT seconds later.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import structlog
from pydantic import ValidationError

from bot.ledger.edits import EDIT, AnyEdit, PresentFile, plan
from bot.ledger.writer import APPLIED, LANDED, SEEN, End, Ledger, StagedEdit
from hub.budget import DAY, HOUR, Commits
from hub.client import Hub
from hub.errors import HubError
from hub.records import File, Repo
from redis_state.clock import Clock
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncPriority
from redis_state.heads import Heads
from redis_state.parking import ParkedSync, ParkedSyncs
from redis_state.staging import NewEdit, Staging, StoredEdit
from redis_state.webhook_quota import Side, WebhookQuota, field

log = structlog.get_logger()

LEDGER = "ledger"
"""Dirty keys `ledger:{repo}`: edits are staged for that dataset repo."""
VOID_WAIT = 1.0
ASK_AGAIN = 60.0
"""The longest time before the budget is checked again, which costs no call to the Hub."""
EARLIER = 1_000
"""Maximum of earlier commits that are counted: as many as the Hub returns in one answer."""
PRECISION = 2.0
"""Seconds by which the Hub's time of a commit may be earlier than the bot's: the Hub returns whole seconds."""

for _name in (APPLIED, LANDED, SEEN):
    point(_name)
STAGED = point("edits staged, sync not done")


def ledger_key(repo: Repo) -> str:
    """The dirty key of the writer of `repo`."""
    return f"{LEDGER}:{repo.id}"


class Ledgers:
    """The ledgers of one board."""

    def __init__(
        self,
        hub: Hub,
        staging: Staging,
        heads: Heads,
        webhook_quota: WebhookQuota,
        parking: ParkedSyncs,
        now: Clock,
        budget: Commits | None = None,
    ) -> None:
        self.staging = staging
        self.heads = heads
        self.webhook_quota = webhook_quota
        self.parking = parking
        self.now = now
        self.budget = budget or Commits()
        self._hub = hub
        self._ledger = Ledger(hub, self, passing=pass_by)

    # --- for syncs

    def stage(self, repo: Repo, *edits: AnyEdit, priority: SyncPriority = SyncPriority.PERSON) -> None:
        """Stage `edits`, to be written in this order when the budget of `repo` allows; staging twice counts once."""
        new = [NewEdit(edit.id, edit.subject, edit.after, EDIT.dump_json(edit)) for edit in edits]
        changed = self.staging.stage(repo.id, new, tell=ledger_key(repo), due=self.now(), priority=priority)
        log.info("staged", repo=repo.id, edits=[edit.id for edit in edits], changed=changed)
        pass_by(STAGED)

    def pending(self, subject: str) -> bool:
        """Whether edits of `subject` are staged; its keys are marked dirty when each of them ends."""
        return self.staging.pending(subject) > 0

    def ahead(self, repo: Repo, path: str, there: File | None) -> bytes | None:
        """What the file `path` will hold once all that is staged for it has landed, upon what it is now: `there`.

        `there` is what it holds where nothing is staged: one round trip. Else all that is staged for `repo` is read.
        """
        staged = [held.edit for held in self.held(repo) if held.edit.path == path] if self.pending(path) else []
        now = PresentFile(there.oid, there.data) if there is not None else None
        contents = plan(staged, {path: now}).contents
        return contents.get(path, there.data if there is not None else None)

    def knows(self, ids: Sequence[str]) -> bool:
        """Whether each of these edits landed, or is staged still: its end marked what it wakes, or will.

        False after a day, or where Redis was emptied since they were staged. One round trip.
        """
        ends = self.staging.ended(ids)
        return all(ends.get(edit, "void") != "void" for edit in ids)

    def landed(self, *ids: str) -> bool:
        """Whether all these edits are known to have landed; not after a day, or if Redis was lost. One round trip."""
        ends = self.staging.ended(ids)
        return all(ends.get(edit) == "landed" for edit in ids)

    def sync(self, repo_id: str) -> float | None:
        """The sync of `ledger:{repo_id}`: write the staged edits; return when to continue, if known."""
        return self._ledger.write(Repo("dataset", repo_id))

    # --- what `bot.ledger.writer.EditStore` asks for

    def held(self, repo: Repo) -> Iterator[StagedEdit]:
        """The edits staged for `repo`, in order. An unreadable one, such as one of another version, waits."""
        for staged in self.staging.read(repo.id):
            try:
                edit = EDIT.validate_json(staged.body)
            except ValidationError as error:
                log.error(
                    "no edit", repo=repo.id, edit=staged.id[:300], error=str(error.errors(include_url=False))[:500]
                )
                continue
            yield StagedEdit(edit, staged.version)

    def ended(self, ids: Sequence[str]) -> Mapping[str, End | Literal["staged"]]:
        """What became of these edits."""
        return self.staging.ended(ids)

    def end(self, repo: Repo, held: StagedEdit, how: End) -> None:
        """Drop an edit and mark the keys that wait for it."""
        due = self.now() + (VOID_WAIT if how == "void" else 0.0)
        self._drop(repo, held, how, held.edit.wake, due)
        log.info("edit ended", repo=repo.id, edit=held.edit.id, how=how)

    def refuse(self, repo: Repo, held: StagedEdit, error: HubError) -> None:
        """Drop an edit that the Hub will never accept, and park the keys that wait for it, with the reason."""
        log.error("edit refused", repo=repo.id, edit=held.edit.id, error=str(error))
        for key in held.edit.wake:
            self.parking.park(ParkedSync(key=key, error=str(error)[:500], tries=1, since=self.now()))
        self._drop(repo, held, "void", (), self.now())

    def next_commit(self, repo: Repo) -> float | None:
        """When to ask whether the budget allows a commit; None where it does now.

        Not much later, however long it looks: what others commit comes out of the budget, and they may have stopped.
        What the Hub itself asked to wait is waited for.
        """
        now = self.now()
        allowed = self._allowed(repo, self._commits(repo, now), now)
        when = max(min(allowed, now + ASK_AGAIN), self.staging.paused(repo.id))
        return when if when > now else None

    def spend(self, repo: Repo) -> bool:
        """Count a commit, and the delivery that it will cause."""
        now = self.now()
        times = self._commits(repo, now)
        if self._allowed(repo, times, now) > now:
            return False
        if not self.staging.spend(repo.id, seen=len(times), now=now, name=secrets.token_hex(8)):
            return False
        self.webhook_quota.caused("repo.content", repo.id, now=now)
        return True

    def known(self, repo: Repo) -> str:
        """The value for `after` in `saw`."""
        return self.heads.known(repo.id)

    def saw(self, repo: Repo, commit: str, *, after: str) -> None:
        """`commit` is in the repo, and newer than `after`: the syncs that an edit's end wakes read the file there."""
        self.heads.saw(repo.id, commit, after=after)

    def pause(self, repo: Repo, seconds: float) -> None:
        """The Hub wants no commits in `repo` for `seconds`."""
        self.staging.pause(repo.id, self.now() + seconds)

    def _commits(self, repo: Repo, now: float) -> list[float]:
        """The times of our commits within a day, also of those that this Redis had not heard of."""
        times = self.staging.commits(repo.id, now=now)
        if not self.budget.is_busy(times, now) or self.staging.is_counted(repo.id):
            return times
        self._count_earlier(repo, min(times), now)
        return self.staging.commits(repo.id, now=now)

    def _count_earlier(self, repo: Repo, first: float, now: float) -> None:
        """Count what was committed within a day before `first`, our first commit that this Redis knows. Two calls.

        The Hub has them still where Redis was lost, or is new: its limits hold for them as well.
        """
        me = self._hub.me().name
        ours: dict[str, float] = {}
        deliveries: Counter[str] = Counter()
        for entry in self._hub.commits(repo, limit=EARLIER):
            time = entry.date.timestamp() if entry.date else 0.0
            if not now - DAY < time < first - PRECISION:
                continue
            sides: tuple[Side, ...] = ("all",)
            if me in entry.authors:
                ours[entry.oid] = time
                sides = ("all", "own")
            if time > now - 2 * HOUR:  # older ones do not count for the budget, and may have caused no deliveries
                deliveries.update(field(side, "repo.content", repo.id, now=time) for side in sides)
        self.staging.count(repo.id, ours, deliveries)
        log.info("counted earlier commits", repo=repo.id, ours=len(ours), deliveries=deliveries.total())

    def _allowed(self, repo: Repo, times: Sequence[float], now: float) -> float:
        return self.budget.next(times, now, self.webhook_quota.of_others("repo.content", repo.id, now=now))

    def _drop(self, repo: Repo, held: StagedEdit, how: End, wake: Sequence[str], due: float) -> None:
        staged = StoredEdit(held.edit.id, held.version, b"")
        self.staging.end(repo.id, staged, how, subject=held.edit.subject, wake=wake, due=due)
