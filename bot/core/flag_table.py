"""The flags of a board, cached in Redis: the records of the flags repo, by every name of a model and by weights.

Few models are flagged, so all records are read when the repo has a new commit: one call for the head if it has none,
else a fetch. The first query after Redis was lost reads them first, so a model cannot escape its flag that way.

Race accepted: a model that is submitted in the seconds between a maintainer's command and the commit of the flag is
judged without the flag. Its row is hidden as flagged nevertheless.
Race accepted: two processes read the repo at once, and the one with the older commit writes last. The next check of the
head, within a round of the reconciler, corrects it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from bot.core.mirrors.folder import MirrorDamaged
from hub.client import Hub
from hub.records import Repo
from leaderboard.admission.facts import EarlierRequest
from leaderboard.flags import MAX_RECORD, FlagRecord, is_record_path, parse_record
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import Mirror, MirrorView

log = structlog.get_logger()

_COMMIT = "commit"
MAX_TABLE_FILE = 10_000_000


class FlagBook:
    """The flags of one board; none if the board has no flags repo (`repo` None)."""

    def __init__(self, redis: Redis, keys: Keys, hub: Hub, mirror: Callable[[], Mirror], repo: Repo | None) -> None:
        self._redis, self._keys = redis, keys
        self._hub, self._mirror = hub, mirror
        self.repo = repo

    # --- queries

    def __call__(self, models: Sequence[str], weights: str, /) -> tuple[EarlierRequest, ...]:
        """The flags that hold for one of `models` as a whole, or for weights of this digest."""
        records = self._by_names_or_weights(models, weights)
        return tuple(_earlier(flag) for flag in records if flag.stands and flag.kind.hides and flag.scope.is_whole)

    def scoped(self, models: Sequence[str], revision: str, precision: str) -> tuple[EarlierRequest, ...]:
        """The flags with a narrower scope on `models` that cover this commit and precision."""
        scoped = [flag for flag in self.of(models) if flag.stands and flag.kind.hides and not flag.scope.is_whole]
        return tuple(_earlier(flag) for flag in scoped if flag.scope.covers(revision, precision))

    def has_opted_out(self, models: Sequence[str]) -> bool:
        """Whether the authors of one of `models` asked to keep it off the board."""
        return any(flag.stands and flag.is_opt_out for flag in self.of(models))

    def of(self, models: Iterable[str]) -> tuple[FlagRecord, ...]:
        """The records of these models by any of their names, lifted flags included."""
        return self._find([_name(model) for model in models])

    def of_weights(self, digest: str) -> tuple[FlagRecord, ...]:
        """The records of models with the same weights; none for an unknown digest ("")."""
        return self._find([_weights(digest)]) if digest else ()

    def records(self) -> list[FlagRecord]:
        """Every record, by name."""
        if self.repo is None:
            return []
        self._learn()
        return self.known()[1]()

    def known(self) -> tuple[str, Callable[[], list[FlagRecord]]]:
        """The commit that was read last ("": none yet), and a function for its records.

        For callers that may not call the Hub: they see no flags until a sync has read them.
        """
        commit = self._redis.hget(self._keys.flags_state, _COMMIT) if self.repo is not None else None

        def records() -> list[FlagRecord]:
            by_model = {flag.model: flag for raw in self._redis.hvals(self._keys.flags) for flag in _records(raw)}
            return sorted(by_model.values(), key=lambda flag: flag.model.casefold())

        return text(commit or ""), records if commit is not None else list

    def of_thread(self, address: str) -> list[FlagRecord]:
        """The records whose thread is at `address`. One round trip."""
        return sorted(self._find([_thread(address)]), key=lambda flag: flag.model.casefold())

    def _by_names_or_weights(self, models: Sequence[str], weights: str) -> tuple[FlagRecord, ...]:
        fields = [_name(model) for model in models]
        return self._find([*fields, _weights(weights)] if weights else fields)

    def _find(self, fields: list[str]) -> tuple[FlagRecord, ...]:
        if self.repo is None or not fields:
            return ()
        self._learn()
        values = [raw for raw in self._redis.hmget(self._keys.flags, fields) if raw is not None]
        return tuple({flag.model: flag for raw in values for flag in _records(raw)}.values())

    # --- reading the repo

    def _learn(self) -> None:
        """Read the repo if Redis holds no records of it."""
        if not self._redis.hexists(self._keys.flags_state, _COMMIT):
            self.refresh()

    def refresh(self) -> bool:
        """Read the repo if it has a new commit; return whether it had. Raises HubError."""
        if self.repo is None:
            return False
        head = self._hub.head(self.repo)
        known = self._redis.hget(self._keys.flags_state, _COMMIT)
        if known is not None and text(known) == head:
            return False
        commit, records = self._read(self.repo)
        self._put(commit, [record for record in records.values() if isinstance(record, FlagRecord)])
        for path, trouble in records.items():
            if isinstance(trouble, str):
                log.error("a flag that cannot be read", path=path, trouble=trouble)
        return True

    def file(self, path: str) -> bytes | None:
        """A file of the repo at the commit that was read last; None if there is none."""
        if self.repo is None:
            return None
        commit = self._redis.hget(self._keys.flags_state, _COMMIT)
        try:
            with self._mirror().read(self.repo) as view:
                oid = view.find(text(commit or ""), path)
                return view.blob(oid, max_bytes=MAX_TABLE_FILE) if oid is not None else None
        except MirrorDamaged:
            file = self._hub.find_file(self.repo, path)
            return file.data if file is not None else None

    def _read(self, repo: Repo) -> tuple[str, dict[str, FlagRecord | str]]:
        """The newest commit; path → the record at this commit, or the error in it."""
        commit = self._mirror().fetch(repo, depth=1)
        with self._mirror().read_fetched(repo) as view:
            return commit, dict(records_at(view, commit))

    def _put(self, commit: str, records: Iterable[FlagRecord]) -> None:
        fields: dict[str, list[object]] = {}
        for record in records:
            data = record.model_dump(mode="json")
            weights = [_weights(record.weights)] if record.weights else []
            for field in (*map(_name, record.names), _thread(record.thread), *weights):
                fields.setdefault(field, []).append(data)
        with self._redis.pipeline() as pipe:  # a transaction: a partial table would admit flagged models
            pipe.delete(self._keys.flags)
            if fields:
                mapping: Fields = {name: json.dumps(flags) for name, flags in fields.items()}
                pipe.hset(self._keys.flags, mapping=mapping)
            pipe.hset(self._keys.flags_state, _COMMIT, commit)
            pipe.execute()


def records_at(view: MirrorView, commit: str) -> Iterator[tuple[str, FlagRecord | str]]:
    """Each record at `commit` by its path, or the error in it."""
    for blob in view.files(commit):
        if is_record_path(blob.path) and blob.oid is not None:
            data = view.blob(blob.oid, max_bytes=MAX_RECORD)
            yield blob.path, parse_record(blob.path, data) if data is not None else "it is too large"


def _earlier(record: FlagRecord) -> EarlierRequest:
    words = record.reason or record.kind.words
    return EarlierRequest(record.path, record.model, words, record.thread)


def _records(raw: bytes | str) -> list[FlagRecord]:
    records: list[Mapping[str, object]] = json.loads(raw)
    return [FlagRecord.model_validate(record) for record in records]


def _name(model: str) -> str:
    return f"name {model.casefold()}"


def _thread(address: str) -> str:
    return f"thread {address}"


def _weights(digest: str) -> str:
    return f"weights {digest}"
