"""Flags: one record per flagged or opted-out model, and the tables of flags that front ends read.

    flags/{org}/{model}.json    the record: category, reason, evidence, reporter, thread, scope, every decision
    flagged.json                model id → address of the flag's thread
    scoped.json                 flags of one revision or one precision only
    do_not_submit.json          models whose authors opted out

The tables are compiled from the records, which are the source of truth. A record applies to every name that it holds:
the model's present name on the Hub, and names that rows of the board still use. Names are compared without case.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import reduce
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.flag_categories import CATEGORIES, FlagCategory
from leaderboard.options import precision_named
from leaderboard.request_paths import is_model

FOLDER, SUFFIX = "flags/", ".json"
FLAGGED, SCOPED, DO_NOT_SUBMIT = "flagged.json", "scoped.json", "do_not_submit.json"
OPT_OUT = "opt-out"
"""The category of models whose authors asked to keep them off the board."""
MAX_RECORD = 200_000
"""Maximal bytes of one record."""
Status = Literal["flagged", "lifted"]
Word = Annotated[str, Field(max_length=500)]
Text = Annotated[str, Field(max_length=2_000)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class FlagScope(_Record):
    """The evaluations that a flag covers: one commit, one precision; "" for all of them."""

    revision: Word = ""
    precision: Word = ""

    @property
    def is_whole(self) -> bool:
        """Whether the whole model is flagged."""
        return not (self.revision or self.precision)

    def covers(self, revision: str, precision: str) -> bool:
        """Whether the flag covers an evaluation at this commit and precision; "" means unknown."""
        same_commit = not (self.revision and revision) or revision.startswith(self.revision)
        return same_commit and (not (self.precision and precision) or precision_named(self.precision) == precision)

    def contains(self, other: FlagScope) -> bool:
        """Whether this scope covers everything that `other` covers."""
        same_precision = precision_named(self.precision) == precision_named(other.precision)
        return other.revision.startswith(self.revision) and (not self.precision or same_precision)

    def joined_with(self, other: FlagScope) -> FlagScope:
        """Return the smallest scope that contains both."""
        if self.contains(other):
            return self
        short, long = sorted((self.revision, other.revision), key=len)
        same_precision = precision_named(self.precision) == precision_named(other.precision)
        return FlagScope(
            revision=short if long.startswith(short) else "", precision=self.precision if same_precision else ""
        )


class FlagEvidence(_Record):
    """One finding, with a link to its source and the other model that it concerns."""

    code: Word
    message: Text
    link: Text = ""
    other: Word = ""


class FlagDecision(_Record):
    """One decision: by whom, when (ISO, UTC) and why; `cause` is the comment or the import that made it."""

    what: Literal["flagged", "lifted"]
    at: Word
    by: Word
    by_id: Word = ""
    reason: Text = ""
    category: Word = ""
    cause: Word = ""


class FlagRecord(_Record):
    """The flag of one model and its history. `also` holds other names of the model; `weights` the digest of its
    weights, if models with the same weights are flagged too."""

    version: Literal[1] = 1
    model: Word
    status: Status
    category: Word
    reason: Text = ""
    scope: FlagScope = Field(default_factory=FlagScope)
    thread: Text = ""
    reporter: Word = ""
    reporter_id: Word = ""
    evidence: tuple[FlagEvidence, ...] = ()
    weights: Word = ""
    also: tuple[Word, ...] = ()
    decisions: tuple[FlagDecision, ...] = ()

    @property
    def path(self) -> str:
        """The path of the record in the flags repo."""
        return record_path(self.model)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name of the model, each once."""
        return tuple(dict.fromkeys((self.model, *self.also)))

    @property
    def stands(self) -> bool:
        """Whether the flag is in force."""
        return self.status == "flagged"

    @property
    def is_opt_out(self) -> bool:
        """Whether the record is an opt-out by the authors rather than a flag."""
        return self.category == OPT_OUT

    @property
    def kind(self) -> FlagCategory:
        """The category; `other` for an unknown word."""
        return CATEGORIES.get(self.category, CATEGORIES["other"])

    @property
    def flagged_by(self) -> FlagDecision | None:
        """The last decision that flagged the model."""
        return next((decision for decision in reversed(self.decisions) if decision.what == "flagged"), None)

    @property
    def is_recheckable(self) -> bool:
        """Whether a recheck of the evidence can show that the reason of the flag is gone."""
        return self.stands and bool(self.recheckable_codes())

    def with_thread(self, url: str) -> FlagRecord:
        """Return the record with the address of its thread."""
        return self.model_copy(update={"thread": url})

    def recheckable_codes(self) -> frozenset[str]:
        """Return the codes of the evidence on which the flag depends."""
        return self.kind.rechecked_codes & {evidence.code for evidence in self.evidence}

    def dump(self) -> bytes:
        """Return the contents of the record's file, without the oldest decisions where it would exceed MAX_RECORD: a
        larger file is not read, and the model would not be flagged. The file's history has them."""
        record, data = self, _file_of(self)
        while len(data) > MAX_RECORD and len(record.decisions) > 1:
            record = record.model_copy(update={"decisions": record.decisions[1:]})
            data = _file_of(record)
        return data

    def flagged_with(self, decisions: Iterable[FlagDecision], also: Iterable[str]) -> FlagRecord:
        """Return this record in force, with these `decisions` and other names."""
        return self.model_copy(update={"status": "flagged", "decisions": tuple(decisions), "also": tuple(also)})

    def lifted_by(self, decision: FlagDecision) -> FlagRecord:
        """Return this record with its flag lifted by `decision`."""
        return self.model_copy(update={"status": "lifted", "decisions": (*self.decisions, decision)})

    def renamed_to(self, model: str, also: Iterable[str], decisions: Iterable[FlagDecision]) -> FlagRecord:
        """Return this record for the model under its new name, with other names and every decision."""
        return self.model_copy(update={"model": model, "also": tuple(also), "decisions": tuple(decisions)})

    def widened_to(self, scope: FlagScope) -> FlagRecord:
        """Return this record with a scope that contains its own. A flag of a part that grows to the whole model gets no
        weights, since no maintainer flagged other models with it."""
        weights = self.weights if self.scope.is_whole or not scope.is_whole else ""
        return self.model_copy(update={"scope": scope, "weights": weights})


def _file_of(record: FlagRecord) -> bytes:
    return (json.dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n").encode()


def record_path(model: str) -> str:
    """Return the path of the record of `model`."""
    return f"{FOLDER}{model}{SUFFIX}"


def is_record_path(path: str) -> bool:
    """Whether `path` is the path of a record."""
    return path.startswith(FOLDER) and path.endswith(SUFFIX)


def parse_record(path: str, data: bytes) -> FlagRecord | str:
    """Return the record in `data` at `path`, or a sentence that says what is wrong with it."""
    if len(data) > MAX_RECORD:
        return f"it has more than {MAX_RECORD:,} bytes"
    try:
        record = FlagRecord.model_validate_json(data)
    except (ValidationError, ValueError, RecursionError) as error:
        return f"it cannot be read as a flag: {_first_line(error)}"
    if not is_model(record.model):
        return f"'{record.model[:100]}' cannot be the name of a model"
    return record if record.path == path else f"it is the record of {record.model}, which belongs at {record.path}"


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))} {first['msg']}"[:200].strip()
    return str(error).splitlines()[0][:200]


def flagged(before: FlagRecord | None, now: FlagRecord, decision: FlagDecision) -> FlagRecord:
    """Return `now` with the earlier decisions and `decision`; `before` if `decision` was recorded already."""
    earlier = before.decisions if before is not None else ()
    if before is not None and any(recorded.cause == decision.cause for recorded in earlier):
        return before
    names = {name.casefold(): name for name in (*now.also, *(before.names if before else ()))}
    names.pop(now.model.casefold(), None)  # a name that differs only in case is the same name
    return now.flagged_with((*earlier, decision), names.values())


def lifted(before: FlagRecord, decision: FlagDecision) -> FlagRecord:
    """Return the record with its flag lifted; unchanged if the flag is not in force."""
    return before.lifted_by(decision) if before.stands else before


def renamed(records: Iterable[FlagRecord], new: str) -> FlagRecord:
    """Merge the records (at least one) of a model under its names into one record under its new name `new`.

    A new name does not lift a flag, so the other names stay in the record. The strictest record counts, with a scope
    that contains those of all flags in force; every decision is kept.
    """
    known = list(records)
    strictest = max(known, key=lambda it: (it.stands, it.is_opt_out, it.kind.hides and it.scope.is_whole))
    names = {name.casefold(): name for record in known for name in record.names}
    names.pop(new.casefold(), None)  # a name that differs only in case is the same name
    decisions = dict.fromkeys(decision for record in known for decision in record.decisions)
    scope = reduce(FlagScope.joined_with, (record.scope for record in known if record.stands), strictest.scope)
    moved = strictest.renamed_to(new, names.values(), sorted(decisions, key=lambda decision: decision.at))
    return moved.widened_to(scope)


def compile_tables(records: Iterable[FlagRecord]) -> dict[str, bytes]:
    """Return the files that front ends read, by path."""
    standing = sorted((record for record in records if record.stands), key=lambda record: record.model.casefold())
    whole = {
        name: record.thread
        for record in standing
        if record.kind.hides and record.scope.is_whole
        for name in record.names
    }
    scoped = [
        {"model": name, "revision": record.scope.revision, "precision": record.scope.precision, "thread": record.thread}
        for record in standing
        if record.kind.hides and not record.scope.is_whole
        for name in record.names
    ]
    opted_out = sorted({name for record in standing if record.is_opt_out for name in record.names}, key=str.casefold)
    tables = {FLAGGED: whole, SCOPED: scoped, DO_NOT_SUBMIT: opted_out}
    return {path: (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode() for path, table in tables.items()}


class StandingFlags:
    """The flags in force, by name and by weights."""

    def __init__(self, records: Iterable[FlagRecord]) -> None:
        self._names: dict[str, list[FlagRecord]] = {}
        self._weights: set[str] = set()
        for record in records:
            if not record.stands:
                continue
            for name in record.names:
                self._names.setdefault(name.casefold(), []).append(record)
            if record.weights and record.kind.hides and record.scope.is_whole:
                self._weights.add(record.weights)

    def flagged(self, model: str, revision: str, precision: str, weights: str) -> bool:
        """Whether front ends hide an evaluation as flagged."""
        records = self._names.get(model.casefold(), ())
        by_name = any(record.kind.hides and record.scope.covers(revision, precision) for record in records)
        return by_name or bool(weights and weights in self._weights)

    def opted_out(self, model: str) -> bool:
        """Whether the authors of `model` opted out."""
        return any(record.is_opt_out for record in self._names.get(model.casefold(), ()))
