"""The flags of a board, as Redis has them: the records of the flags repo, by every name and by weights.

Few models are flagged, so all records are read whenever the repo has another commit: one call for the head where
nothing changed, a fetch where something did. Whoever asks before they were ever read, as after Redis was lost, has them
read first: no flag is escaped by an amnesia.

Race accepted: a model that is submitted between a maintainer's word and the commit of the flag, some seconds, is
judged without it. Its row is hidden as flagged all the same.
Race accepted: two processes read the repo at once, and the one that read the older commit writes last. The next look at
the head, within a round of the reconciler, finds that it is another.
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
    """The flags of one board. Without a flags repo (`repo` None) there are none."""

    def __init__(self, redis: Redis, keys: Keys, hub: Hub, mirror: Callable[[], Mirror], repo: Repo | None) -> None:
        self._redis, self._keys = redis, keys
        self._hub, self._mirror = hub, mirror
        self.repo = repo

    # --- what stands

    def __call__(self, models: Sequence[str], weights: str, /) -> tuple[EarlierRequest, ...]:
        """The flags that hold for one of `models` as a whole, or for weights of this digest."""
        found = self._by_names_or_weights(models, weights)
        return tuple(_earlier(one) for one in found if one.stands and one.kind.hides and one.scope.is_whole)

    def scoped(self, models: Sequence[str], revision: str, precision: str) -> tuple[EarlierRequest, ...]:
        """The flags of one commit or precision of `models` that hold for this one."""
        found = [one for one in self.of(models) if one.stands and one.kind.hides and not one.scope.is_whole]
        return tuple(_earlier(one) for one in found if one.scope.covers(revision, precision))

    def has_opted_out(self, models: Sequence[str]) -> bool:
        """Whether the authors of one of `models` asked that it be not here."""
        return any(one.stands and one.is_opt_out for one in self.of(models))

    def of(self, models: Iterable[str]) -> tuple[FlagRecord, ...]:
        """The records of these models, by any of their names: of flags that stand, and of those that were lifted."""
        return self._find([_name(model) for model in models])

    def of_weights(self, digest: str) -> tuple[FlagRecord, ...]:
        """The records of models with these very weights; none for a digest that is not known ("")."""
        return self._find([_weights(digest)]) if digest else ()

    def records(self) -> list[FlagRecord]:
        """Every record, by name."""
        if self.repo is None:
            return []
        self._learn()
        return self.known()[1]()

    def known(self) -> tuple[str, Callable[[], list[FlagRecord]]]:
        """The commit that was read last ("": none yet), and a function for its records: for those who may not call the
        Hub, and see nothing until a sync has read them."""
        commit = self._redis.hget(self._keys.flags_state, _COMMIT) if self.repo is not None else None

        def records() -> list[FlagRecord]:
            found = {one.model: one for raw in self._redis.hvals(self._keys.flags) for one in _records(raw)}
            return sorted(found.values(), key=lambda one: one.model.casefold())

        return text(commit or ""), records if commit is not None else list

    def of_thread(self, address: str) -> list[FlagRecord]:
        """The records whose thread is at `address`. One round trip."""
        return sorted(self._find([_thread(address)]), key=lambda one: one.model.casefold())

    def _by_names_or_weights(self, models: Sequence[str], weights: str) -> tuple[FlagRecord, ...]:
        fields = [_name(model) for model in models]
        return self._find([*fields, _weights(weights)] if weights else fields)

    def _find(self, fields: list[str]) -> tuple[FlagRecord, ...]:
        if self.repo is None or not fields:
            return ()
        self._learn()
        found = [one for raw in self._redis.hmget(self._keys.flags, fields) if raw is not None for one in _records(raw)]
        return tuple({one.model: one for one in found}.values())

    # --- from the repo

    def _learn(self) -> None:
        """Read the repo, if that was never done."""
        if not self._redis.hexists(self._keys.flags_state, _COMMIT):
            self.refresh()

    def refresh(self) -> bool:
        """Read the repo, if it has another commit than when it was read last; whether it had. Raises HubError."""
        if self.repo is None:
            return False
        head = self._hub.head(self.repo)
        known = self._redis.hget(self._keys.flags_state, _COMMIT)
        if known is not None and text(known) == head:
            return False
        commit, found = self._read(self.repo)
        self._put(commit, [one for one in found.values() if isinstance(one, FlagRecord)])
        for path, trouble in found.items():
            if isinstance(trouble, str):
                log.error("a flag that cannot be read", path=path, trouble=trouble)
        return True

    def file(self, path: str) -> bytes | None:
        """A file of the repo as it was fetched last; None where there is none."""
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
        """The newest commit, and each record there, or what is wrong with it."""
        commit = self._mirror().fetch(repo, depth=1)
        with self._mirror().read_fetched(repo) as view:
            return commit, dict(records_at(view, commit))

    def _put(self, commit: str, records: Iterable[FlagRecord]) -> None:
        fields: dict[str, list[object]] = {}
        for record in records:
            said = record.model_dump(mode="json")
            weights = [_weights(record.weights)] if record.weights else []
            for field in (*map(_name, record.names), _thread(record.thread), *weights):
                fields.setdefault(field, []).append(said)
        with self._redis.pipeline() as pipe:  # all or nothing: half of them would let the other half in
            pipe.delete(self._keys.flags)
            if fields:
                mapping: Fields = {name: json.dumps(several) for name, several in fields.items()}
                pipe.hset(self._keys.flags, mapping=mapping)
            pipe.hset(self._keys.flags_state, _COMMIT, commit)
            pipe.execute()


def records_at(view: MirrorView, commit: str) -> Iterator[tuple[str, FlagRecord | str]]:
    """Each record at `commit` by its path, or what is wrong with it in words."""
    for blob in view.files(commit):
        if is_record_path(blob.path) and blob.oid is not None:
            data = view.blob(blob.oid, max_bytes=MAX_RECORD)
            yield blob.path, parse_record(blob.path, data) if data is not None else "it is too large"


def _earlier(record: FlagRecord) -> EarlierRequest:
    words = record.reason or record.kind.words
    return EarlierRequest(record.path, record.model, words, record.thread)


def _records(raw: bytes | str) -> list[FlagRecord]:
    several: list[Mapping[str, object]] = json.loads(raw)
    return [FlagRecord.model_validate(one) for one in several]


def _name(model: str) -> str:
    return f"name {model.casefold()}"


def _thread(address: str) -> str:
    return f"thread {address}"


def _weights(digest: str) -> str:
    return f"weights {digest}"
