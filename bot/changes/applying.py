"""Approve, apply and reject proposals.

A maintainer approves with `/approve` and the first characters of the proposal's digest. The approval is noted in the
comment before anything is committed, so that an approved proposal comes to its end, all of it or none, whichever
process dies in between.

Race closed: one maintainer approves and another rejects at once, before the thread is read again. The first decides,
and the second is told the state that the proposal has since.
Race accepted: two maintainers approve at the same moment. It is done once, and both are told so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bot.changes import duplicates, removals
from bot.changes import renames as rename_saga
from bot.changes.changesets import ApprovedPart, ChangesetPart, ChangesetResult, carry_out
from bot.changes.proposal_text import Note
from bot.changes.proposals import KIND, PostedProposal, Proposal, ProposedPart, comment_text, find
from bot.core.context import BoardContext
from hub.comments import Marker
from hub.records import Repo, Thread
from leaderboard.reasons import Problem
from redis_state.crashpoints import pass_by, point

APPROVED = point("proposal approved, nothing done")
CARRIED = point("proposal carried out, not told")


class ChangeKind(Protocol):
    """How one kind of proposal is planned from its words, and what follows from it."""

    def title(self, words: dict[str, str]) -> str:
        """What its commits are called."""

    def plan(self, context: BoardContext, words: dict[str, str], repo: Repo) -> ChangesetPart | Problem:
        """Its part in `repo`, as the files are now."""

    def objection(
        self, context: BoardContext, words: dict[str, str], its_title: str, parts: Sequence[ApprovedPart]
    ) -> Problem | None:
        """Why it must not be begun, by now; what was begun goes on."""

    def follow_up(
        self, context: BoardContext, words: dict[str, str], commits: Sequence[tuple[Repo, str]], cause: str
    ) -> tuple[Note, ...]:
        """Do what follows, again and again until it was told; what there is to tell of it."""


CHANGE_KINDS: dict[str, ChangeKind] = {
    "rename": rename_saga,
    "remove": removals.REMOVE,
    "restore": removals.RESTORE,
    "cure": duplicates,
}


def approve(context: BoardContext, repo: Repo, thread: Thread, found: PostedProposal, by: str) -> Proposal:
    """Note that `by` approved it, and do it; the proposal as it is then. Asked again, it says the same."""
    found = _reread(context, repo, thread, found)
    if found.proposal.state == "open":
        approved = found.proposal.model_copy(update={"state": "approved", "by": by})
        if not _update_comment(context, repo, thread, found, approved):
            return found.proposal
        found = PostedProposal(found.comment, found.cause, approved)
        pass_by(APPROVED)
    return go_on(context, repo, thread, found)


def _reread(context: BoardContext, repo: Repo, thread: Thread, found: PostedProposal) -> PostedProposal:
    """What was open when `thread` was read: a command before this one may have decided since. A call where it was."""
    if found.proposal.state != "open":
        return found
    there = find(context, context.hub.thread(repo, thread.num))
    return next((one for one in there if one.cause == found.cause), found)


def go_on(context: BoardContext, repo: Repo, thread: Thread, found: PostedProposal) -> Proposal:
    """Carry an approved proposal to its end, and say so in its comment."""
    it = found.proposal
    if it.state != "approved":
        return it
    how = CHANGE_KINDS[it.what]
    title, made = how.title(it.words), found.comment.created_at
    parts = [ApprovedPart(_repo(context, part), part.digest, found.cause, made) for part in it.parts]
    if (objection := how.objection(context, it.words, title, parts)) is not None:
        carried = ChangesetResult("undone", objection)
    else:
        carried = carry_out(context, title, parts, lambda where: how.plan(context, it.words, where))
    if carried.how == "held":
        return it
    notes = how.follow_up(context, it.words, carried.commits, found.cause) if carried.how == "done" else ()
    pass_by(CARRIED)
    ended = it.model_copy(update={"state": carried.how})
    why = carried.why.message if carried.why is not None else ""
    commits = [f"{context.address(where)}/commit/{commit}" for where, commit in carried.commits]
    _update_comment(context, repo, thread, found, ended, why=why, commits=commits, notes=notes)
    return ended


def go_on_with_approved(context: BoardContext, repo: Repo, thread: Thread) -> None:
    """Carry whatever is approved in `thread` to its end: whoever began may be dead."""
    for found in find(context, thread):
        if found.proposal.state == "approved":
            go_on(context, repo, thread, found)


def reject(context: BoardContext, repo: Repo, thread: Thread, why: str) -> int:
    """Turn down what is open in `thread`; how much that was."""
    known = (_reread(context, repo, thread, found) for found in find(context, thread))
    is_open = [found for found in known if found.proposal.state == "open"]
    for found in is_open:
        rejected = found.proposal.model_copy(update={"state": "rejected"})
        _update_comment(context, repo, thread, found, rejected, why=why)
    return len(is_open)


def _repo(context: BoardContext, part: ProposedPart) -> Repo:
    return context.requests if part.repo == "requests" else context.results


def _update_comment(
    context: BoardContext,
    repo: Repo,
    thread: Thread,
    found: PostedProposal,
    proposal: Proposal,
    *,
    why: str = "",
    commits: Sequence[str] = (),
    notes: Sequence[Note] = (),
) -> bool:
    """Make the comment say `proposal`; False where the board holds that back."""
    marker: Marker = context.marker(KIND, found.cause)
    text = comment_text(proposal, why=why, commits=commits, notes=notes)
    return context.effects.edit_comment(repo, thread.num, found.comment.id, text, marker) != "held"
