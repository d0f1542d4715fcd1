"""Edits of files in shared repos, the rule that applies them, and the commit messages that name them. No I/O.

A sync stages an edit; the ledger applies it later, to the file as it is then. An edit of fields names the fields that
it sets and the values that it relies on (its guard): a person's change to another field survives it, and a person's
change to a guarded field voids it. The rule (`plan`) gives each edit one result:

    landed    the file already has the content that the edit sets
    void      the guard fails, or the file is gone or not a JSON object: the sync that staged it decides again
    written   the edit changes the file
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from hub.file_checks import has_content
from hub.records import Change, DeleteFile, WriteFile
from leaderboard.jsontext import BOM, JsonObject, is_same, object_in
from leaderboard.jsontext import edit as edit_text
from leaderboard.steward_facts import OURS, ours_in

MAX_EDITED_BYTES = 1024 * 1024
"""The size up to which the ledger edits fields of a file."""
_MAX_TITLE, _MAX_DESCRIPTION = 200, 60_000
"""Characters of a commit's title, and of its description."""
_SHA1_DIGITS = 40


@dataclass(frozen=True)
class PresentFile:
    """A file at one commit. `data` is None if it was not read."""

    oid: str
    data: bytes | None = None

    @property
    def is_large(self) -> bool:
        """Whether LFS stores it."""
        return not _is_blob_id(self.oid)


Files = Mapping[str, PresentFile | None]
"""Path → file; None if there is none."""
Applied = bytes | None | Literal["landed", "void"]
"""The new content (None: no file), or the reason for which the file stays as it is."""


class _Edit(BaseModel):
    """Fields of every kind of edit.

    `id` is unique: staging the same id again replaces the edit. `subject` (such as a request's path) waits for it.
    `after` holds the ids of edits that must land first, in any repo; `wake` the dirty keys to mark when it has landed
    or is void.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    id: str = Field(min_length=1, max_length=300)
    path: str = Field(max_length=5_000)
    line: str = Field(max_length=400, description="the effect, for the commit's message: `Run org/model`")
    subject: str = Field(default="", max_length=5_000)
    after: tuple[str, ...] = ()
    wake: tuple[str, ...] = ()


class EditBase(BaseModel):
    """The file as the sync read it when it staged the edit: the ledger reads it again only if it has changed."""

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    data: bytes
    commit: str
    oid: str = ""
    """The id of the content on the Hub, which is a sha256 if LFS stores it; needed only then."""


class FieldEdit(_Edit):
    """Set `fields` of a JSON object, and the members `facts` (None removes one) of its object `steward`.

    `guard` holds, by field, the values with which the edit is still valid; None stands for a missing field, and the
    name `steward.x` for a member of `steward`. With `whole`, only the content of this git blob id is valid.
    """

    kind: Literal["fields"] = "fields"
    fields: dict[str, Any] = Field(default_factory=dict)
    facts: dict[str, Any] = Field(default_factory=dict)
    guard: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    whole: str | None = None
    base: EditBase | None = None

    def applied_to(self, present: PresentFile | None) -> Applied:
        """The result of the edit for a file; None: there is no file."""
        if present is None or present.data is None:
            return "void"
        try:
            text = present.data.decode()
            fields = json.loads(text.removeprefix(BOM))
        except (ValueError, RecursionError):
            return "void"
        if not isinstance(fields, dict):
            return "void"
        ours = ours_in(fields)
        if self._is_set(fields, ours):
            return "landed"
        if self.whole not in (None, present.oid) or not self._guard_holds(fields, ours):
            return "void"
        facts = {name: value for name, value in {**ours, **self.facts}.items() if value is not None}
        return edit_text(text, {**self.fields, OURS: facts} if self.facts else self.fields).encode()

    def _is_set(self, fields: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
        outer = all(name in fields and is_same(fields[name], value) for name, value in self.fields.items())
        return outer and all(is_same(ours.get(name), value) for name, value in self.facts.items())

    def _guard_holds(self, fields: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
        values = {name: _value(fields, ours, name) for name in self.guard}
        return all(any(is_same(values[name], value) for value in allowed) for name, allowed in self.guard.items())


class PutFile(_Edit):
    """Write `data`. With `unless_exists`, an existing file stays as it is, and the edit counts as landed."""

    kind: Literal["put"] = "put"
    data: bytes
    unless_exists: bool = True

    def applied_to(self, present: PresentFile | None) -> Applied:
        """The result of the edit for a file; None: there is no file."""
        if present is not None and (self.unless_exists or is_content(present.oid, self.data)):
            return "landed"
        return self.data


class RestoreFile(_Edit):
    """Restore the file's content `data` (None: remove it), if the file is still in the state `left`.

    `left` is the id of a content on the Hub, a git blob id or the sha256 of a file in LFS; None for a removed file.
    """

    kind: Literal["restore"] = "restore"
    data: bytes | None
    left: str | None

    def applied_to(self, present: PresentFile | None) -> Applied:
        """The result of the edit for a file; None: there is no file."""
        oid = present.oid if present is not None else None
        if oid is None if self.data is None else oid is not None and is_content(oid, self.data):
            return "landed"
        return self.data if self.left == oid else "void"


AnyEdit = FieldEdit | PutFile | RestoreFile
EDIT: TypeAdapter[AnyEdit] = TypeAdapter(
    Annotated[AnyEdit, Field(discriminator="kind")], config=ConfigDict(ser_json_inf_nan="constants")
)
"""Reads and writes edits as JSON. A file may hold NaN: a guard with null in its place would never hold."""


@dataclass
class EditPlan:
    """The results of a batch of edits that were applied to the files of one commit."""

    landed: list[AnyEdit] = field(default_factory=list)
    void: list[AnyEdit] = field(default_factory=list)
    written: list[AnyEdit] = field(default_factory=list)
    contents: dict[str, bytes | None] = field(default_factory=dict)
    """Path → the new content; None to remove the file."""

    @property
    def changes(self) -> list[Change]:
        """The changes to commit."""
        return [DeleteFile(path) if data is None else WriteFile(path, data) for path, data in self.contents.items()]


def plan(edits: Iterable[AnyEdit], files: Files) -> EditPlan:
    """Apply `edits` to `files` in order, each to the content that the earlier ones gave its file."""
    planned = EditPlan()
    for edit in edits:
        is_changed = edit.path in planned.contents
        content = planned.contents.get(edit.path)
        changed_file = PresentFile(blob_id(content), content) if content is not None else None
        result = edit.applied_to(changed_file if is_changed else files.get(edit.path))
        if result is None or isinstance(result, bytes):
            planned.contents[edit.path] = result
            planned.written.append(edit)
        elif result == "void":
            planned.void.append(edit)
        else:  # content that an earlier edit of this batch sets has not landed before the commit
            (planned.written if is_changed else planned.landed).append(edit)
    return planned


def _value(fields: Mapping[str, Any], ours: Mapping[str, Any], name: str) -> Any:
    owner, _, member = name.partition(".")
    return ours.get(member) if owner == OURS and member else fields.get(name)


def guard_of(raw: str, *names: str) -> dict[str, tuple[Any, ...]]:
    """The guard that requires these fields to have the values that they have in the JSON object `raw`."""
    fields = json.loads(raw.removeprefix(BOM))
    ours = ours_in(fields)
    return {name: (_value(fields, ours, name),) for name in names}


def blob_id(data: bytes) -> str:
    """The git blob id of `data`."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _is_blob_id(oid: str) -> bool:
    """Whether an id is a git blob id, and not the longer sha256 of a file that LFS stores."""
    return len(oid) == _SHA1_DIGITS


def is_content(oid: str, data: bytes) -> bool:
    """Whether the file `oid` (a git blob id, or the sha256 of one that LFS stores) holds `data`."""
    return has_content(BytesIO(data), oid)


def message(edits: Sequence[AnyEdit]) -> tuple[str, str]:
    """Title and description of the commit that writes `edits`.

    The description has one JSON object per line, `{"edit": id, "path": …, "does": …, "status": …}`. If it became too
    long for a commit, the last line gives the number of edits that are left out.
    """
    lines: list[str] = []
    size = 0
    for edit in edits:
        summary = {"edit": edit.id, "path": edit.path, "does": _one_line(edit.line)}
        if isinstance(edit, FieldEdit) and "status" in edit.fields:
            summary["status"] = str(edit.fields["status"])
        line = json.dumps(summary)
        if size + len(line) > _MAX_DESCRIPTION:
            lines.append(json.dumps({"more": len(edits) - len(lines)}))
            break
        lines.append(line)
        size += len(line) + 1
    return _title(edits), "\n".join(lines)


def edits_in(message: str) -> tuple[str, ...]:
    """The ids of the edits that a commit wrote, by its `message`; none if it does not name all of them."""
    ids = _edit_ids(message)
    return tuple(edit for edit in ids if edit is not None) if None not in ids else ()


def named_edits(message: str) -> tuple[str, ...]:
    """The ids of the edits that a commit's `message` names, even if it does not name all of them."""
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
    """The JSON objects in the description of a commit, one per line that begins with {; None for an invalid one."""
    return [object_in(line.encode("utf-8", "replace")) for line in message.splitlines() if line.startswith("{")]


def _title(edits: Sequence[AnyEdit]) -> str:
    first = _one_line(edits[0].line)
    others = len({_one_line(edit.line) for edit in edits}) - 1
    return f"{first[: _MAX_TITLE - 20]} and {others} more" if others else first[:_MAX_TITLE]


def _one_line(text: str) -> str:
    return " ".join(text.split())
