"""Flags: what a leaderboard holds against a model, or what its authors asked for, in a file each; and the tables of
them that front ends read.

    flags/{org}/{model}.json    the record: category, reason, evidence, reporter, thread, scope, every decision
    flagged.json                model id → address of the thread in which it is spoken about
    scoped.json                 flags of one revision or one precision only
    do_not_submit.json          models whose authors asked that they be not here

The records are the truth, the tables are made from them. A model goes by every name that its record knows: as it is
called on the Hub now, and as rows of the board still call it. Names count in any case of letters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.requests import is_model

FOLDER, SUFFIX = "flags/", ".json"
FLAGGED, SCOPED, DO_NOT_SUBMIT = "flagged.json", "scoped.json", "do_not_submit.json"
MAX_RECORD = 200_000
"""Bytes of one record."""
Status = Literal["flagged", "lifted"]
Word = Annotated[str, Field(max_length=500)]
Text = Annotated[str, Field(max_length=2_000)]


@dataclass(frozen=True)
class FlagCategory:
    """A kind of flag, as data. `words` say what is held against a model; `cure` what its author can do.

    `cured_by` are codes of suspicions (`leaderboard.suspicions`): where those that a flag rests on can be found no
    more, its cause is gone. `hides` says that the rows of such a model are hidden as flagged; `follows_weights`
    that whoever has its weights is flagged too, which must not strike the original of a copy.
    """

    name: str
    words: str
    cure: str
    rechecked_codes: frozenset[str] = frozenset()
    hides: bool = True
    follows_weights: bool = True


CATEGORIES: Mapping[str, FlagCategory] = {
    one.name: one
    for one in (
        FlagCategory(
            "contamination",
            "trained on what models are tested with",
            "Show how its data were made, and how they were cleaned of the questions.",
        ),
        FlagCategory(
            "copy",
            "another model's weights, without saying so",
            "Name the original in base_model of the model card, and keep its licence.",
            frozenset({"same-weights-unnamed", "licence-missing", "licence-changed", "base-undeclared"}),
            follows_weights=False,
        ),
        FlagCategory(
            "merge",
            "a merge, or made from other models, without saying so",
            "Declare it in the model card: the tag merge, and base_model with the models that it was made from.",
            frozenset({"merge-undeclared", "base-undeclared"}),
        ),
        FlagCategory(
            "category",
            "listed as another kind of model than it is",
            "Say in a comment which kind it is; a maintainer corrects it.",
            frozenset({"wrong-category"}),
            follows_weights=False,
        ),
        FlagCategory(
            "opt-out",
            "the authors asked that it is not on this leaderboard",
            "If you are one of them and have changed your mind, say so in a comment.",
            hides=False,
        ),
        FlagCategory("other", "see the reason", "Say in a comment what speaks against the reason."),
    )
}


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class FlagScope(_Record):
    """What of the model is flagged: one commit, one precision; "" for all of them."""

    revision: Word = ""
    precision: Word = ""

    @property
    def is_whole(self) -> bool:
        """Whether it is the model as such."""
        return not (self.revision or self.precision)

    def covers(self, revision: str, precision: str) -> bool:
        """Whether an evaluation at this commit and precision is meant; "" stands for one that is not known."""
        same_commit = not (self.revision and revision) or revision.startswith(self.revision)
        return same_commit and (not (self.precision and precision) or self.precision == precision)


class FlagEvidence(_Record):
    """One thing that was found, with where it can be seen, and the other model that it speaks of."""

    code: Word
    message: Text
    link: Text = ""
    other: Word = ""


class FlagDecision(_Record):
    """What was decided, by whom, when (ISO, UTC), why; `cause` is the comment, or the import, that did it."""

    what: Literal["flagged", "lifted"]
    at: Word
    by: Word
    by_id: Word = ""
    reason: Text = ""
    category: Word = ""
    cause: Word = ""


class FlagRecord(_Record):
    """All that is known of the flag of one model. `also` are other names of it; `weights` the
    digest of its weights, where whoever has them is flagged too."""

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
        """Where it lies in the flags repo."""
        return record_path(self.model)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that the model goes by, each once."""
        return tuple(dict.fromkeys((self.model, *self.also)))

    @property
    def stands(self) -> bool:
        """Whether it is in force."""
        return self.status == "flagged"

    @property
    def is_opt_out(self) -> bool:
        """Whether it is no flag, but what the authors asked for."""
        return self.category == "opt-out"

    @property
    def kind(self) -> FlagCategory:
        """Its category; `other` for a word that nobody knows any more."""
        return CATEGORIES.get(self.category, CATEGORIES["other"])

    @property
    def flagged_by(self) -> FlagDecision | None:
        """The decision that flagged it last."""
        return next((one for one in reversed(self.decisions) if one.what == "flagged"), None)

    @property
    def is_recheckable(self) -> bool:
        """Whether its cause can be seen to be gone."""
        return self.stands and bool(self.recheckable_codes())

    def with_thread(self, url: str) -> FlagRecord:
        """The record with the address of its thread."""
        return self.model_copy(update={"thread": url})

    def recheckable_codes(self) -> frozenset[str]:
        """The codes of its evidence whose end would end its cause."""
        return self.kind.rechecked_codes & {one.code for one in self.evidence}

    def dump(self) -> bytes:
        """The contents of its file."""
        return (json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n").encode()


def record_path(model: str) -> str:
    """Where the record of `model` lies."""
    return f"{FOLDER}{model}{SUFFIX}"


def is_record_path(path: str) -> bool:
    """Whether a file at `path` is meant as a record."""
    return path.startswith(FOLDER) and path.endswith(SUFFIX)


def parse_record(path: str, data: bytes) -> FlagRecord | str:
    """The record in `data` at `path`, or what is wrong with it in words."""
    if len(data) > MAX_RECORD:
        return f"it has more than {MAX_RECORD:,} bytes"
    try:
        found = FlagRecord.model_validate_json(data)
    except (ValidationError, ValueError, RecursionError) as error:
        return f"it cannot be read as a flag: {_first_line(error)}"
    if not is_model(found.model):
        return f"'{found.model[:100]}' cannot be the name of a model"
    return found if found.path == path else f"it speaks of {found.model}, which belongs at {found.path}"


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))} {first['msg']}"[:200].strip()
    return str(error).splitlines()[0][:200]


def flagged(before: FlagRecord | None, now: FlagRecord, decision: FlagDecision) -> FlagRecord:
    """`now` with what was decided about the model before, and `decision`; the same where that was taken already."""
    earlier = before.decisions if before is not None else ()
    if before is not None and any(one.cause == decision.cause for one in earlier):
        return before
    known = {name.casefold(): name for name in (*now.also, *(before.names if before else ()))}
    known.pop(now.model.casefold(), None)  # the same in other letters is no other name
    return now.model_copy(
        update={"status": "flagged", "decisions": (*earlier, decision), "also": tuple(known.values())}
    )


def lifted(before: FlagRecord, decision: FlagDecision) -> FlagRecord:
    """The record once its flag is lifted; the same where it is already."""
    if not before.stands:
        return before
    return before.model_copy(update={"status": "lifted", "decisions": (*before.decisions, decision)})


def renamed(records: Iterable[FlagRecord], new: str) -> FlagRecord:
    """The one record of a model that is called `new` now, of those (one at least) that there are under its names.

    No flag is escaped by a new name, so the others stay known. What weighs most stands; every decision is kept.
    """
    known = list(records)
    heaviest = max(known, key=lambda one: (one.stands, one.is_opt_out, one.kind.hides and one.scope.is_whole))
    names = {name.casefold(): name for one in known for name in one.names}
    names.pop(new.casefold(), None)  # the same in other letters is no other name
    decisions = sorted(dict.fromkeys(one for record in known for one in record.decisions), key=lambda one: one.at)
    return heaviest.model_copy(update={"model": new, "also": tuple(names.values()), "decisions": tuple(decisions)})


def compile_tables(records: Iterable[FlagRecord]) -> dict[str, bytes]:
    """The files that front ends read, by path."""
    standing = sorted((one for one in records if one.stands), key=lambda one: one.model.casefold())
    whole = {name: one.thread for one in standing if one.kind.hides and one.scope.is_whole for name in one.names}
    scoped = [
        {"model": name, "revision": one.scope.revision, "precision": one.scope.precision, "thread": one.thread}
        for one in standing
        if one.kind.hides and not one.scope.is_whole
        for name in one.names
    ]
    opted_out = sorted({name for one in standing if one.is_opt_out for name in one.names}, key=str.casefold)
    tables = {FLAGGED: whole, SCOPED: scoped, DO_NOT_SUBMIT: opted_out}
    return {path: (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode() for path, table in tables.items()}


class StandingFlags:
    """The flags that stand, by name and by weights."""

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
        """Whether an evaluation is hidden as flagged."""
        records = self._names.get(model.casefold(), ())
        hit = any(one.kind.hides and one.scope.covers(revision, precision) for one in records)
        return hit or bool(weights and weights in self._weights)

    def opted_out(self, model: str) -> bool:
        """Whether its authors asked that it be not here."""
        return any(one.is_opt_out for one in self._names.get(model.casefold(), ()))
