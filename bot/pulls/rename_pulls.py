"""A pull request that renames a model: held against the plan of that rename, and watched over its merge.

The plan is made from the files on main, never from what is proposed. What is approved is this plan, and this very
outcome at this head. Before the merge all of it is looked at anew; after it, what the merge commit did is held against
the plan of the files before it, and against the outcome, byte for byte.

Race accepted: main changed a planned file in its layout alone since the pull request was opened. The merge then mixes
both, so it is taken back, though it says what it should.
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
from leaderboard.renames import MAX_FILES, REASONS, RenameComparison, RenamePlan, check, plan
from redis_state.dirty import SyncPriority
from redis_state.redis import text

log = structlog.get_logger()

_NOT_LOOKED_AT: RenameComparison = RenameComparison("wrong", (REASONS["too-many"].problem(most=f"{MAX_FILES:,}"),))


@dataclass(frozen=True)
class RenameCheck:
    """What came of checking it: the lines of the report, and what an approval is bound to."""

    judged: RenameVerdict
    rename: CheckedRename

    @property
    def passed(self) -> bool:
        """Whether a maintainer may approve it."""
        return self.judged.passed


def check_rename(
    context: BoardContext, repo: Repo, thread: Thread, changes: Sequence[FileChange] | None, claim: RenameClaim
) -> RenameCheck:
    """Hold `changes`, those of the pull request `thread`, against the plan of `claim`; None: too many to be read.

    A dozen calls in the requests repo, however many requests there are; in the results repo one more for each file.
    """
    names = CheckedRename(old=claim.old, new=claim.new)
    if claim.problem is not None:
        return RenameCheck(RenameVerdict((RenameCheckLine(False, claim.problem),)), names)
    source = source_of(context, repo)
    try:
        base = source.base(claim.old, claim.new)
        it = plan(source.kind, claim.old, claim.new, base.files, base.new_files)
        checked, outcome = _against(source, it, thread, changes)
    except TooMuchToRead as error:
        return RenameCheck(RenameVerdict((RenameCheckLine(False, error.problem),)), names)
    facts = rename_facts.gather(context, it, base, rename_facts.asking_for(context, repo, thread))
    judged = judge(facts, checked)
    judged = RenameVerdict((*_of_thread(thread), *judged.lines), judged.partial)
    rename = names.model_copy(update={"plan": it.digest, "outcome": outcome, "partial": judged.partial})
    return RenameCheck(judged, rename)


def _against(
    source: RenameSource, it: RenamePlan, thread: Thread, changes: Sequence[FileChange] | None
) -> tuple[RenameComparison, str]:
    """What the pull request does, held against the plan, and the digest of its outcome.

    Nothing is fetched of one that touches a file which is not in the plan.
    """
    if changes is None or len(changes) > 2 * MAX_FILES:
        return _NOT_LOOKED_AT, ""
    by_paths = check(it, changes, {})
    if it.problems or any(problem.code != "content" for problem in by_paths.problems):
        kept = tuple(problem for problem in by_paths.problems if problem.code != "content")
        return RenameComparison("wrong", kept, by_paths.left), ""
    head = source.head(thread.num, thread.head_commit or "", changes)
    return check(it, changes, head.contents), head.digest


def _of_thread(thread: Thread) -> list[RenameCheckLine]:
    lines: list[RenameCheckLine] = []
    if thread.target not in (MAIN, None):
        lines.append(RenameCheckLine(False, WORDS["other-branch"].problem(name=thread.target)))
    if thread.conflicting_files:
        lines.append(RenameCheckLine(False, WORDS["conflicts"].problem()))
    return lines


def stands(context: BoardContext, repo: Repo, thread: Thread, rename: CheckedRename) -> bool:
    """Whether what was checked still holds: the plan is the same, and nothing speaks against it by now."""
    source = source_of(context, repo)
    try:
        base = source.base(rename.old, rename.new)
    except TooMuchToRead:
        return False
    it = plan(source.kind, rename.old, rename.new, base.files, base.new_files)
    if it.digest != rename.plan or it.problems:
        return False
    facts = rename_facts.gather(context, it, base, rename_facts.asking_for(context, repo, thread))
    return judge(facts).passed


def is_exact(context: BoardContext, repo: Repo, rename: CheckedRename, commit: str) -> MergedCommit | None:
    """What the merge commit did, if that is what was checked, and nothing else."""
    source = source_of(context, repo)
    try:
        merged = source.merged(rename.old, rename.new, commit)
    except TooMuchToRead:
        return None
    it = plan(source.kind, rename.old, rename.new, merged.base.files, merged.base.new_files)
    checked = check(it, merged.changes, merged.head.contents)
    same = (it.digest, merged.head.digest) == (rename.plan, rename.outcome)
    return merged if same and checked.verdict != "wrong" else None


def follow_up_merge(
    context: BoardContext, repo: Repo, rename: CheckedRename, merged: MergedCommit, commit: str
) -> None:
    """What follows from `commit`, a merge that was right: our facts are mended, requests looked at, flags renamed."""
    kind = source_of(context, repo).kind
    it = plan(kind, rename.old, rename.new, merged.base.files, merged.base.new_files)
    follow_up(context, it, merged.head.contents)
    rename_flags(context, rename.old, rename.new, commit)


def call_linked(context: BoardContext, repo: Repo, number: int) -> None:
    """Have the discussions that link pull request `number` looked at."""
    keys = [text(key) for key in context.redis.smembers(context.keys.pull_links(f"{repo.id} {number}"))]
    context.mark_all(keys, SyncPriority.PERSON)
