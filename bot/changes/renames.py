"""A whole rename at once: requests, results, flags, and the details dataset where our token may move it.

Planned from the files as they are, like a pull request that renames (`pulls.py`), and carried out as one change
set: all of it or nothing. Flags follow once both are in: their own record keeps every name, so that none is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import structlog

from bot.changes import rename_facts
from bot.changes.changesets import ApprovedPart, ChangesetPart, landed_commit
from bot.changes.proposal_text import Note
from bot.changes.rename_sources import TooMuchToRead, source_of
from bot.core.context import BoardContext
from bot.flags.flag_files import rename as rename_flags
from hub.errors import BadRequest, BadToken, Conflict, Denied, NotFound
from hub.records import Repo
from leaderboard.jsontext import edit
from leaderboard.reasons import Problem
from leaderboard.rename_checks import RenameVerdict, judge
from leaderboard.renames import REASONS, FilePlan, RenamePlan, request_place, result_place
from leaderboard.renames import plan as plan_rename
from leaderboard.requests import OURS
from leaderboard.roles import Person

log = structlog.get_logger()


def title(words: dict[str, str]) -> str:
    """What the commits are called."""
    return f"Rename {words['old']} to {words['new']}"


def prepare(
    context: BoardContext, old: str, new: str, asking: Sequence[Person]
) -> tuple[RenameVerdict, list[ChangesetPart]]:
    """Every check, and the parts of the rename; a repo that has nothing of `old` has none."""
    parts: list[ChangesetPart] = []
    plans: list[RenamePlan] = []
    judged = RenameVerdict(())
    for repo in (context.requests, context.results):
        source = source_of(context, repo)
        base = source.base(old, new)
        it = plan_rename(source.kind, old, new, base.files, base.new_files)
        plans.append(it)
        if repo == context.requests:
            judged = judge(rename_facts.gather(context, _without_nothing(it), base, asking), escapes=False)
        elif not it.files:
            continue
        if it.files:
            parts.append(ChangesetPart(repo, base.commit, _pointing(it)))
    more = [problem for it in plans[1:] for problem in _without_nothing(it).problems]
    if not parts:
        more.append(REASONS["nothing-to-rename"].problem(old=old))
    return judged.with_problems(more), parts


def _without_nothing(it: RenamePlan) -> RenamePlan:
    """The plan, where it is no trouble that one of the repos has nothing of the model."""
    kept = tuple(problem for problem in it.problems if problem.code != "nothing-to-rename")
    return RenamePlan(it.kind, it.old, it.new, it.files, kept)


def _pointing(it: RenamePlan) -> tuple[FilePlan, ...]:
    """The files of the plan; requests say where their results will be, which come along."""
    if it.kind != "requests":
        return it.files
    return tuple(replace(one, data=_pointed(one.data, it)) if one.moves else one for one in it.files)


def _pointed(data: bytes, it: RenamePlan) -> bytes:
    raw = data.decode()
    ours = json.loads(raw.removeprefix("\ufeff")).get(OURS)
    said = ours.get("results") if isinstance(ours, dict) else None
    if not isinstance(said, str) or result_place(it.old, it.new, said) == said:
        return data
    return edit(raw, {OURS: {**ours, "results": result_place(it.old, it.new, said)}}).encode()


def plan(context: BoardContext, words: dict[str, str], repo: Repo) -> ChangesetPart | Problem:
    """The part of the rename in `repo`, as the files are now."""
    source = source_of(context, repo)
    try:
        base = source.base(words["old"], words["new"])
    except TooMuchToRead as error:
        return error.problem
    it = plan_rename(source.kind, words["old"], words["new"], base.files, base.new_files)
    problems = _without_nothing(it).problems
    return problems[0] if problems else ChangesetPart(repo, base.commit, _pointing(it))


def objection(
    context: BoardContext, words: dict[str, str], its_title: str, parts: Sequence[ApprovedPart]
) -> Problem | None:
    """Why it must not be begun, by now; what was begun goes on."""
    if any(landed_commit(context, its_title, part) for part in parts):
        return None
    asking = [Person(words["asked_id"], words["asked"])] if words.get("asked_id") else []
    try:
        judged, _ = prepare(context, words["old"], words["new"], asking)
    except TooMuchToRead as error:
        return error.problem
    return next((line.problem for line in judged.lines if not line.ok), None)


def follow_up(
    context: BoardContext, words: dict[str, str], commits: Sequence[tuple[Repo, str]], cause: str
) -> tuple[Note, ...]:
    """Flags, pointers and details follow; where the details are then."""
    old, new = words["old"], words["new"]
    for repo, commit in commits:
        if repo == context.requests:
            paths = context.hub.changed_paths(repo, f"{commit}^", commit)
            places = [(path, request_place(old, new, path)) for path in paths]
            context.index.put_origins((place, context.index.origin(path)) for path, place in places if path != place)
    rename_flags(context, old, new, cause)
    return _move_details(context, old, new)


def _move_details(context: BoardContext, old: str, new: str) -> tuple[Note, ...]:
    """Move the details dataset where our token may; else its owner is told."""
    repos = context.board.repos
    there, wanted = Repo("dataset", repos.details(old)), repos.details(new)
    try:
        context.hub.move_repo(there, wanted)
    except BadToken:
        raise
    except NotFound:
        return ()
    except (Denied, BadRequest, Conflict) as error:
        log.info("details not moved", repo=there.id, error=str(error))
        return (Note(there.id, wanted, moved=False),)
    return (Note(there.id, wanted, moved=True),)
