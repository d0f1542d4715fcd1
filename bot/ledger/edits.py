"""Edits of files in shared repos, as data: staged by any sync, applied later to the file as it is then.

An edit names the fields that it sets and the values that it relies on (its guard), never the whole file: a person's
change to another field survives it, and a person's change to a guarded field voids it. Nothing here does I/O.

    landed    the file already has the content that the edit sets
    void      the guard fails, or the file is gone or no object: the sync that staged it decides again
    written   the edit changes the file
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from hub.records import Change, DeleteFile, WriteFile
from leaderboard.jsontext import BOM, JsonObject, is_same, object_in
from leaderboard.jsontext import edit as edit_text
from leaderboard.requests import OURS, ours_in

MAX_EDITED = 1024 * 1024
"""Bytes: a larger file is not one whose fields we edit."""
_TITLE, _DESCRIPTION = 200, 60_000
"""Characters of a commit's title, and of its description."""
_SHA1_DIGITS = 40


class _Edit(BaseModel):
    """Fields of every kind of edit.

    `id` is unique: staging the same id again replaces the edit. `subject` (a request's path) waits for it, `wake` are
    the dirty keys to mark when it has landed or is void, `after` the ids that must have landed first, in any repo.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    id: str = Field(min_length=1, max_length=300)
    path: str = Field(max_length=5_000)
    line: str = Field(max_length=400, description="what it does, for the commit's message: `Run org/model`")
    subject: str = Field(default="", max_length=5_000)
    after: tuple[str, ...] = ()
    wake: tuple[str, ...] = ()


class EditBase(BaseModel):
    """The file as the sync read it when it staged the edit: if it has not changed, it need not be read again."""

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    data: bytes
    commit: str
    oid: str = ""
    """As in `File`; only needed where LFS keeps it."""


class FieldEdit(_Edit):
    """Set `fields` of a JSON object, and the members `facts` (None removes one) of its object `steward`.

    `guard` holds the values that each field may have for the edit to be right still; None stands for a missing one, and
    `steward.x` for a member. `whole` is the git blob id of the only content that it is right for.
    """

    kind: Literal["fields"] = "fields"
    fields: dict[str, Any] = Field(default_factory=dict)
    facts: dict[str, Any] = Field(default_factory=dict)
    guard: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    whole: str | None = None
    base: EditBase | None = None


class PutFile(_Edit):
    """Write `data`. With `unless_exists`, an existing file stays, whatever it holds, and the edit counts as landed."""

    kind: Literal["put"] = "put"
    data: bytes
    unless_exists: bool = True


class RestoreFile(_Edit):
    """Restore the file's content `data` (None: remove it), if the file is still in the state `left`.

    `left` is an id as in `File`; None if the file was removed.
    """

    kind: Literal["restore"] = "restore"
    data: bytes | None
    left: str | None


AnyEdit = FieldEdit | PutFile | RestoreFile
EDIT: TypeAdapter[AnyEdit] = TypeAdapter(Annotated[AnyEdit, Field(discriminator="kind")])
"""Reads and writes edits as JSON."""


@dataclass(frozen=True)
class PresentFile:
    """A file as it is at one commit. `data` is None where it was not worth reading."""

    oid: str
    data: bytes | None = None

    @property
    def large(self) -> bool:
        """Whether LFS keeps it."""
        return not _is_blob_id(self.oid)


Files = Mapping[str, PresentFile | None]
"""Path → file; None where there is none."""


@dataclass
class EditPlan:
    """The results of a batch of edits, applied to the files of one commit."""

    landed: list[AnyEdit] = field(default_factory=list)
    void: list[AnyEdit] = field(default_factory=list)
    written: list[AnyEdit] = field(default_factory=list)
    contents: dict[str, bytes | None] = field(default_factory=dict)
    """Path → what the file is to hold; None where it is to go."""

    @property
    def changes(self) -> list[Change]:
        """What to commit."""
        return [DeleteFile(path) if data is None else WriteFile(path, data) for path, data in self.contents.items()]


def plan(edits: Iterable[AnyEdit], files: Files) -> EditPlan:
    """Apply `edits` to `files` in order, each upon what the ones before it made of its file."""
    made = EditPlan()
    for edit in edits:
        touched = edit.path in made.contents
        now = made.contents.get(edit.path)
        made_so_far = PresentFile(blob_id(now), now) if now is not None else None
        found = _apply(edit, made_so_far if touched else files.get(edit.path))
        if found is None or isinstance(found, bytes):
            made.contents[edit.path] = found
            made.written.append(edit)
        elif found == "void":
            made.void.append(edit)
        else:  # what an edit before it in this very batch made so has not landed before the batch has
            (made.written if touched else made.landed).append(edit)
    return made


Applied = bytes | None | Literal["landed", "void"]
"""What the file is to hold (None: it is to go), or why it stays as it is."""


def _apply(edit: AnyEdit, present: PresentFile | None) -> Applied:
    match edit:
        case PutFile():
            return _put(edit, present)
        case RestoreFile():
            return _restore(edit, present)
        case _:
            return _set(edit, present)


def _restore(edit: RestoreFile, present: PresentFile | None) -> Applied:
    done = edit.data is None if present is None else edit.data is not None and is_content(present.oid, edit.data)
    if done:
        return "landed"
    return edit.data if edit.left == (None if present is None else present.oid) else "void"


def _put(edit: PutFile, present: PresentFile | None) -> Applied:
    if present is not None and (edit.unless_exists or is_content(present.oid, edit.data)):
        return "landed"
    return edit.data


def _set(edit: FieldEdit, present: PresentFile | None) -> Applied:
    if present is None or present.data is None:
        return "void"
    try:
        text = present.data.decode()
        now = json.loads(text.removeprefix(BOM))
    except (ValueError, RecursionError):
        return "void"
    if not isinstance(now, dict):
        return "void"
    ours = ours_in(now)
    if _has(now, ours, edit):
        return "landed"
    if edit.whole is not None and edit.whole != present.oid:
        return "void"
    if any(not _among(_value(now, ours, name), allowed) for name, allowed in edit.guard.items()):
        return "void"
    facts = {name: value for name, value in {**ours, **edit.facts}.items() if value is not None}
    changes = {**edit.fields, OURS: facts} if edit.facts else dict(edit.fields)
    return edit_text(text, changes).encode()


def _has(now: Mapping[str, Any], ours: Mapping[str, Any], edit: FieldEdit) -> bool:
    outer = all(name in now and is_same(now[name], value) for name, value in edit.fields.items())
    return outer and all(is_same(ours.get(name), value) for name, value in edit.facts.items())


def _value(now: Mapping[str, Any], ours: Mapping[str, Any], name: str) -> Any:
    owner, _, member = name.partition(".")
    return ours.get(member) if owner == OURS and member else now.get(name)


def _among(value: Any, allowed: Sequence[Any]) -> bool:
    return any(is_same(value, one) for one in allowed)


def guard_of(raw: str, *names: str) -> dict[str, tuple[Any, ...]]:
    """The guard that holds as long as these fields of the object `raw` stay as they are in it."""
    now = json.loads(raw.removeprefix(BOM))
    ours = ours_in(now)
    return {name: (_value(now, ours, name),) for name in names}


def blob_id(data: bytes) -> str:
    """The id under which git keeps `data`."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _is_blob_id(oid: str) -> bool:
    """Whether an id is that of git, and not the longer one of a file that LFS keeps."""
    return len(oid) == _SHA1_DIGITS


def is_content(oid: str, data: bytes) -> bool:
    """Whether the file `oid` (a git blob id, or the sha256 of one that LFS keeps) holds `data`."""
    return oid == (blob_id(data) if _is_blob_id(oid) else hashlib.sha256(data).hexdigest())


def message(edits: Sequence[AnyEdit]) -> tuple[str, str]:
    """Title and description of the commit that writes `edits`.

    The description is one JSON object a line, `{"edit": id, "path": …, "does": …, "status": …}`; where it would become
    too long for a commit, the last line says how many are left out: the diff has them.
    """
    lines: list[str] = []
    size = 0
    for edit in edits:
        said = {"edit": edit.id, "path": edit.path, "does": _one_line(edit.line)}
        if isinstance(edit, FieldEdit) and "status" in edit.fields:
            said["status"] = str(edit.fields["status"])
        line = json.dumps(said)
        if size + len(line) > _DESCRIPTION:
            lines.append(json.dumps({"more": len(edits) - len(lines)}))
            break
        lines.append(line)
        size += len(line) + 1
    return _title(edits), "\n".join(lines)


def edits_in(message: str) -> tuple[str, ...]:
    """The ids of the edits that a commit wrote, by its `message`; none where it does not tell all of them."""
    ids = _edit_ids(message)
    return tuple(edit for edit in ids if edit is not None) if None not in ids else ()


def named_edits(message: str) -> tuple[str, ...]:
    """The ids of the edits that a commit's `message` names, also where it does not tell all of them."""
    return tuple(edit for edit in _edit_ids(message) if edit is not None)


def paths_in(message: str, prefix: str) -> list[str]:
    """The paths of the edits that a commit's `message` names and whose ids begin with `prefix`."""
    lines = filter(None, _described(message))
    return [str(line.get("path", "")) for line in lines if str(line.get("edit", "")).startswith(prefix)]


def _edit_ids(message: str) -> list[str | None]:
    """The id of the edit of each line that is an object; None for a line that names none."""
    ids = [line.get("edit") if line is not None else None for line in _described(message)]
    return [edit if isinstance(edit, str) else None for edit in ids]


def _described(message: str) -> list[JsonObject | None]:
    """The objects in the description of a commit; None for a line that looks like one and is none."""
    return [object_in(line.encode("utf-8", "replace")) for line in message.splitlines() if line.startswith("{")]


def _title(edits: Sequence[AnyEdit]) -> str:
    first = _one_line(edits[0].line)
    others = len({_one_line(edit.line) for edit in edits}) - 1
    return f"{first[: _TITLE - 20]} and {others} more" if others else first[:_TITLE]


def _one_line(text: str) -> str:
    return " ".join(text.split())
