"""Pull requests that rename a model: compare them with the plan of that rename, before and after the merge.

The plan comes from the files on main, never from the pull request. An approval is bound to the plan, the head, and the
outcome at this head. Before the merge the bot plans and checks again; after it, the bot compares the merge commit with
the plan of the files before it and with the outcome, byte for byte.

Race accepted: main changes only the layout of a planned file after the pull request was opened. The merge then mixes
both layouts and is reverted, though its contents are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from bot.changes import rename_facts
from bot.changes.rename_followups import follow_up
from bot.changes.rename_sources import MergedCommit, RenameSource, TooMuchToRead, source_of
from bot.core.context import BoardContext
from bot.core.pull_records import MAIN, CheckedRename
from bot.flags.flag_files import rename as rename_flags
from hub.records import Repo, Thread
from leaderboard.changes import FileChange
from leaderboard.rename_checks import WORDS, RenameCheckLine, RenameVerdict, judge
from leaderboard.rename_claims import RenameClaim
from leaderboard.rename_comparison import RenameComparison, compare_with_plan
from leaderboard.renames import MAX_FILES, REASONS, RenamePlan, plan
from redis_state.dirty import SyncPriority
from redis_state.redis import text

log = structlog.get_logger()

_TOO_MANY_CHANGES: RenameComparison = RenameComparison("wrong", (REASONS["too-many"].problem(most=f"{MAX_FILES:,}"),))


@dataclass(frozen=True)
class RenameCheck:
    """The result of a check: the verdict with the lines of the report, and what an approval is bound to."""

    verdict: RenameVerdict
    rename: CheckedRename

    @property
    def passed(self) -> bool:
        """Whether a maintainer can approve it."""
        return self.verdict.passed


def check_rename(
    context: BoardContext, repo: Repo, thread: Thread, changes: Sequence[FileChange] | None, claim: RenameClaim
) -> RenameCheck:
    """Compare `changes`, the diff of the pull request `thread`, with the plan of `claim`; None: the diff is too large.

    A dozen calls in the requests repo, for any number of requests; in the results repo one more for each file.
    """
    names = CheckedRename(old=claim.old, new=claim.new)
    if claim.problem is not None:
        return RenameCheck(RenameVerdict((RenameCheckLine(False, claim.problem),)), names)
    source = source_of(context, repo)
    try:
        base = source.base(claim.old, claim.new)
        planned = plan(source.kind, claim.old, claim.new, base.files, base.new_files)
        comparison, outcome = _compare(source, planned, thread, changes)
    except TooMuchToRead as error:
        return RenameCheck(RenameVerdict((RenameCheckLine(False, error.problem),)), names)
    facts = rename_facts.gather(context, planned, base, rename_facts.asking_for(context, repo, thread))
    verdict = judge(facts, comparison)
    verdict = RenameVerdict((*_thread_lines(thread), *verdict.lines), verdict.partial)
    rename = CheckedRename(old=claim.old, new=claim.new, plan=planned.digest, outcome=outcome, partial=verdict.partial)
    return RenameCheck(verdict, rename)


def _compare(
    source: RenameSource, planned: RenamePlan, thread: Thread, changes: Sequence[FileChange] | None
) -> tuple[RenameComparison, str]:
    """Compare the pull request with the plan, and return the digest of its outcome too.

    Contents are fetched only where the pull request changes no file outside the plan.
    """
    if changes is None or len(changes) > 2 * MAX_FILES:
        return _TOO_MANY_CHANGES, ""
    by_paths = compare_with_plan(planned, changes, {})
    if planned.problems or any(problem.code != "content" for problem in by_paths.problems):
        path_problems = tuple(problem for problem in by_paths.problems if problem.code != "content")
        return RenameComparison("wrong", path_problems, by_paths.left), ""
    head = source.head(thread.num, thread.head_commit or "", changes)
    return compare_with_plan(planned, changes, head.contents), head.digest


def _thread_lines(thread: Thread) -> list[RenameCheckLine]:
    lines: list[RenameCheckLine] = []
    if thread.target not in (MAIN, None):
        lines.append(RenameCheckLine(False, WORDS["other-branch"].problem(name=thread.target)))
    if thread.conflicting_files:
        lines.append(RenameCheckLine(False, WORDS["conflicts"].problem()))
    return lines


def still_holds(context: BoardContext, repo: Repo, thread: Thread, rename: CheckedRename) -> bool:
    """Whether the check still holds: the plan is the same, and the facts still pass."""
    source = source_of(context, repo)
    try:
        base = source.base(rename.old, rename.new)
    except TooMuchToRead:
        return False
    planned = plan(source.kind, rename.old, rename.new, base.files, base.new_files)
    if planned.digest != rename.plan or planned.problems:
        return False
    facts = rename_facts.gather(context, planned, base, rename_facts.asking_for(context, repo, thread))
    return judge(facts).passed


def is_exact(context: BoardContext, repo: Repo, rename: CheckedRename, commit: str) -> MergedCommit | None:
    """The merge commit, if it made exactly the checked changes; else None."""
    source = source_of(context, repo)
    try:
        merged = source.merged(rename.old, rename.new, commit)
    except TooMuchToRead:
        return None
    planned = plan(source.kind, rename.old, rename.new, merged.base.files, merged.base.new_files)
    comparison = compare_with_plan(planned, merged.changes, merged.head.contents)
    is_same = (planned.digest, merged.head.digest) == (rename.plan, rename.outcome)
    return merged if is_same and comparison.verdict != "wrong" else None


def follow_up_merge(
    context: BoardContext, repo: Repo, rename: CheckedRename, merged: MergedCommit, commit: str
) -> None:
    """Do what follows from `commit`, a correct merge: update Steward's facts, rename flags."""
    kind = source_of(context, repo).kind
    planned = plan(kind, rename.old, rename.new, merged.base.files, merged.base.new_files)
    follow_up(context, planned, merged.head.contents)
    rename_flags(context, rename.old, rename.new, commit)


def mark_linked(context: BoardContext, repo: Repo, number: int) -> None:
    """Mark the discussions that link pull request `number`."""
    keys = [text(key) for key in context.redis.smembers(context.keys.pull_links(f"{repo.id} {number}"))]
    context.mark_all(keys, SyncPriority.PERSON)
