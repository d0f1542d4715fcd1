"""Plans the rename of a model on the board.

The plan follows from the present files, never from a proposal.

    requests   {old}_eval_request_*.json -> {new}_eval_request_*.json, `model`; `base_model` of other models' requests
    results    {old}/results_*.json -> {new}/results_*.json; `config_general.model_name` (v1), `config.model_args`,
               `config.model_name`, `model_name` and `model_name_sanitized` (v2), and in the `steward` block `model`,
               `request` and the path of the results whose answers were scored again

Other files in a results folder move unchanged. `leaderboard.rename_contents` changes the contents of a file, and
`leaderboard.rename_comparison` compares a pull request with the plan.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from leaderboard.jsontext import object_in
from leaderboard.reasons import Problem, Reason, table
from leaderboard.rename_contents import edited_contents, renamed_request, renamed_result, request_place, result_place
from leaderboard.request_paths import is_model

Kind = Literal["requests", "results"]
MAX_FILES = 2_000
"""Files that one rename may change; a maintainer decides about larger renames."""

REASONS = table(
    (
        Reason("same-name", "The old and the new name are the same.", "Name the model as it is called now."),
        Reason("no-name", "'{name}' cannot be a model id on the Hub.", "Copy the model's id from its page."),
        Reason("nothing-to-rename", "This repo has no files of {old}.", "Check the old name for typing errors."),
        Reason("taken", "{path} exists already and belongs to another model.", "Choose another name."),
        Reason(
            "unreadable",
            "{path} is no JSON object, so the name in it cannot be changed safely.",
            "Ask a maintainer to check the file.",
        ),
        Reason("two-models", "It renames more than one model: {names}.", "Open a pull request for each."),
        Reason("not-planned", "{path} is not part of renaming {old} to {new}.", "Leave this file unchanged."),
        Reason("not-moved", "{path} belongs to {old} and is not moved.", "Move it to {place}."),
        Reason("lost", "{path} is removed, but {place} is missing.", "Move the file instead of removing it."),
        Reason(
            "content",
            "{path} does not match the rename: {fields}.",
            "Change the model's name in it, and nothing else.",
        ),
        Reason("mode", "{path} is no plain file any more.", "Keep it a plain file."),
        Reason("too-many", "It changes more than {most} files.", "Ask a maintainer to do it."),
        Reason("too-much", "It is too large to be checked automatically: {what}.", "Ask a maintainer to do it."),
    )
)


@dataclass(frozen=True)
class FilePlan:
    """The planned change of one file: `path` moves to `place` (equal if it only changes) with the contents `data`.

    `was` is the contents from which it was planned.
    """

    path: str
    place: str
    was: bytes
    data: bytes

    @property
    def moves(self) -> bool:
        """Whether the file moves."""
        return self.path != self.place


@dataclass(frozen=True)
class RenamePlan:
    """The rename of `old` to `new` in one repo; `problems` say why it is impossible."""

    kind: Kind
    old: str
    new: str
    files: tuple[FilePlan, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def digest(self) -> str:
        """The digest of the plan, to which an approval is bound."""
        files = [(file.path, file.place, hashlib.sha256(file.was).hexdigest()) for file in self.files]
        return hashlib.sha256(json.dumps([self.kind, self.old, self.new, sorted(files)]).encode()).hexdigest()


def plan(kind: Kind, old: str, new: str, files: Mapping[str, bytes], taken: Iterable[str] = ()) -> RenamePlan:
    """Plan the rename of `old` to `new` in `files`, which may mention `old`; `taken` holds other paths of the repo."""
    problems = [REASONS["no-name"].problem(name=name[:100]) for name in (old, new) if not is_model(name)]
    if old == new:
        problems.append(REASONS["same-name"].problem())
    if problems:
        return RenamePlan(kind, old, new, problems=tuple(problems))
    planned, present = [], {*files, *taken}
    for path, data in sorted(files.items()):
        change = _file(kind, old, new, path, data)
        if isinstance(change, Problem):
            problems.append(change)
        elif change is not None:
            planned.append(change)
    leaving = {file.path for file in planned if file.moves}
    problems += [
        REASONS["taken"].problem(path=file.place) for file in planned if file.moves and file.place in present - leaving
    ]
    if not any(file.moves for file in planned):
        problems.append(REASONS["nothing-to-rename"].problem(old=old))
    if len(planned) > MAX_FILES:
        problems.append(REASONS["too-many"].problem(most=f"{MAX_FILES:,}"))
    return RenamePlan(kind, old, new, tuple(planned), tuple(problems))


def _file(kind: Kind, old: str, new: str, path: str, data: bytes) -> FilePlan | Problem | None:
    """Plan the change of one file; None if it does not mention `old`."""
    place = request_place(old, new, path) if kind == "requests" else result_place(old, new, path)
    if kind == "results" and place == path:
        return None
    fields = object_in(data)
    if fields is None:
        if place == path:
            return None
        # A folder of results may contain pictures and tables; a request must be an object.
        is_opaque = kind == "results" and not path.endswith(".json")
        return FilePlan(path, place, data, data) if is_opaque else REASONS["unreadable"].problem(path=path)
    changed = renamed_request(old, new, fields) if kind == "requests" else renamed_result(old, new, fields)
    if place == path and changed == fields:
        return None
    return FilePlan(path, place, data, data if changed == fields else edited_contents(data, fields, changed))
