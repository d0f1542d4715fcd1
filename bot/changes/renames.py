"""Renames as a whole: requests, results, flags, and the details dataset where the bot's token can move it.

A rename is planned from the present files, like a pull request that renames, and committed as one changeset, all of it
or nothing. The flag follows after both commits: its record keeps every name, so that a rename escapes no flag.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import structlog

from bot.changes import rename_facts
from bot.changes.changesets import ApprovedPart, ChangesetPart, landed_commit
from bot.changes.proposal_text import Note
from bot.changes.rename_followups import name_details
from bot.changes.rename_sources import TooMuchToRead, source_of
from bot.core.context import BoardContext
from bot.flags.flag_files import rename as rename_flags
from hub.errors import BadRequest, Conflict, Denied, NotFound
from hub.records import Repo
from leaderboard.jsontext import edit
from leaderboard.reasons import Problem
from leaderboard.rename_checks import RenameVerdict, judge
from leaderboard.rename_contents import moved_results, result_place
from leaderboard.renames import REASONS, FilePlan, RenamePlan
from leaderboard.renames import plan as plan_rename
from leaderboard.roles import Person
from leaderboard.steward_facts import OURS, ours_in

log = structlog.get_logger()


def title(words: dict[str, str]) -> str:
    """The title of the commits."""
    return f"Rename {words['old']} to {words['new']}"


def prepare(
    context: BoardContext, old: str, new: str, asking: Sequence[Person]
) -> tuple[RenameVerdict, list[ChangesetPart]]:
    """Run all checks and plan the parts of the rename. A repo without files of `old` has no part."""
    parts: list[ChangesetPart] = []
    plans: list[RenamePlan] = []
    verdict = RenameVerdict(())
    for repo in (context.requests, context.results):
        source = source_of(context, repo)
        base = source.base(old, new)
        rename = plan_rename(source.kind, old, new, base.files, base.new_files)
        plans.append(rename)
        if repo == context.requests:
            verdict = judge(rename_facts.gather(context, _allow_no_files(rename), base, asking), escapes=False)
        if rename.files:
            parts.append(ChangesetPart(repo, base.commit, _planned_files(rename)))
    problems = [problem for rename in plans[1:] for problem in _allow_no_files(rename).problems]
    if not parts:
        problems.append(REASONS["nothing-to-rename"].problem(old=old))
    return verdict.with_problems(problems), parts


def _allow_no_files(rename: RenamePlan) -> RenamePlan:
    """The plan without the problem that its repo has no files of the model: one of the two repos may have none."""
    problems = tuple(problem for problem in rename.problems if problem.code != "nothing-to-rename")
    return RenamePlan(rename.kind, rename.old, rename.new, rename.files, problems)


def _planned_files(rename: RenamePlan) -> tuple[FilePlan, ...]:
    """The files of the plan; request files get the new path of their results, which move in the same changeset."""
    if rename.kind != "requests":
        return rename.files
    return tuple(
        replace(file, data=_with_results_path(file.data, rename)) if file.moves else file for file in rename.files
    )


def _with_results_path(data: bytes, rename: RenamePlan) -> bytes:
    raw = data.decode()
    ours = ours_in(json.loads(raw.removeprefix("\ufeff")))
    moved = moved_results(ours, partial(result_place, rename.old, rename.new))
    return edit(raw, {OURS: {**ours, **moved}}).encode() if moved else data


def plan(context: BoardContext, words: dict[str, str], repo: Repo) -> ChangesetPart | Problem:
    """Plan the part of the rename in `repo` from the present files."""
    source = source_of(context, repo)
    try:
        base = source.base(words["old"], words["new"])
    except TooMuchToRead as error:
        return error.problem
    rename = plan_rename(source.kind, words["old"], words["new"], base.files, base.new_files)
    problems = _allow_no_files(rename).problems
    return problems[0] if problems else ChangesetPart(repo, base.commit, _planned_files(rename))


def objection(
    context: BoardContext, words: dict[str, str], commit_title: str, parts: Sequence[ApprovedPart]
) -> Problem | None:
    """The first check that fails now; None for a rename that has started."""
    if any(landed_commit(context, commit_title, part) for part in parts):
        return None
    asking = [Person(words["asked_id"], words["asked"])] if words.get("asked_id") else []
    try:
        verdict, _ = prepare(context, words["old"], words["new"], asking)
    except TooMuchToRead as error:
        return error.problem
    return next((line.problem for line in verdict.lines if not line.ok), None)


def follow_up(
    context: BoardContext,
    words: dict[str, str],
    commits: Sequence[tuple[Repo, str]],
    cause: str,
) -> tuple[Note, ...]:
    """Move the flag and the details datasets. Return notes about the datasets."""
    old, new = words["old"], words["new"]
    rename_flags(context, old, new, cause)
    notes = _move_details(context, context.board.repos.details, old, new)
    if any(not note.moved for note in notes):
        for repo, commit in commits:
            if repo == context.requests:
                name_details(context, old, new, context.hub.changed_paths(repo, f"{commit}^", commit))
    restricted = _move_details(context, context.board.repos.restricted_details, old, new)
    return (*notes, *restricted)


def _move_details(context: BoardContext, named: Callable[[str], str], old: str, new: str) -> tuple[Note, ...]:
    """Move the dataset named `named(old)` to `named(new)`; if the bot's token cannot, the note asks its owner to."""
    present, wanted = Repo("dataset", named(old)), named(new)
    try:
        context.hub.move_repo(present, wanted)
    except (NotFound, Denied, BadRequest, Conflict) as error:
        if isinstance(error, NotFound) and not context.hub.repo_exists(present):
            return ()  # one 404 may be wrong, and then the requests would not name their details
        log.info("details not moved", repo=present.id, error=str(error))
        return (Note(present.id, wanted, moved=False),)
    return (Note(present.id, wanted, moved=True),)
