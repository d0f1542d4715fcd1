"""Approve, apply and reject proposals.

A maintainer approves with `/approve` and the first characters of the proposal's digest. The bot writes the approval
into the comment before it commits anything, so that another process completes an approved proposal, all of it or
nothing, if this process dies.

Race closed: one maintainer approves and another rejects before the thread is read again. The first command decides; the
reply to the second states the result. An approved proposal can be rejected only while edits are off or in shadow.
Race accepted: two maintainers approve at the same moment. The change is made once, and both replies say so.
Race accepted: while the board's processes restart with edits on, one that still has them off rejects a proposal that
another one begins to carry out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from bot.changes import duplicates, removals
from bot.changes import renames as rename_saga
from bot.changes.changesets import ApprovedPart, ChangesetPart, ChangesetResult, carry_out, landed_commit
from bot.changes.proposal_text import Note
from bot.changes.proposals import KIND, PostedProposal, Proposal, ProposedPart, comment_text, find, note_plans
from bot.core.context import BoardContext, thread_key
from hub.comments import Marker
from hub.records import Repo, Thread
from leaderboard.effects import Effect, EffectMode
from leaderboard.reasons import Problem
from redis_state.crashpoints import pass_by, point

APPROVED = point("proposal approved, nothing done")
COMMITTED = point("proposal carried out, not told")

Rejected = Literal["rejected", "none", "off"]


class ChangeKind(Protocol):
    """One kind of proposal; `words` are the parameters that its comment stores."""

    def title(self, words: dict[str, str]) -> str:
        """The title of its commits."""

    def plan(self, context: BoardContext, words: dict[str, str], repo: Repo) -> ChangesetPart | Problem:
        """Plan its part in `repo` from the present files."""

    def objection(
        self, context: BoardContext, words: dict[str, str], commit_title: str, parts: Sequence[ApprovedPart]
    ) -> Problem | None:
        """The reason why the bot must not start the change now; None if there is none, or the change has started."""

    def follow_up(
        self, context: BoardContext, words: dict[str, str], commits: Sequence[tuple[Repo, str]], cause: str
    ) -> tuple[Note, ...]:
        """Do what follows from the commits, and return notes for the comment. Called again until the comment has them,
        so it is idempotent."""


CHANGE_KINDS: dict[str, ChangeKind] = {
    "rename": rename_saga,
    "remove": removals.REMOVE,
    "restore": removals.RESTORE,
    "cure": duplicates,
}


def approve(context: BoardContext, repo: Repo, thread: Thread, posted: PostedProposal, by: str) -> Proposal | None:
    """Approve a proposal in the name of `by`, and complete it. Idempotent: return the proposal in its present state.

    None: comments are off or in shadow on this board, so it is not approved.
    """
    posted = _reread(context, repo, thread, posted)
    if posted.proposal.state == "open":
        approved = posted.proposal.approved_by(by)
        if not _update_comment(context, repo, thread, posted, approved):
            return None
        posted = PostedProposal(posted.comment, posted.cause, approved)
        pass_by(APPROVED)
    return complete(context, repo, thread, posted)


def _reread(context: BoardContext, repo: Repo, thread: Thread, posted: PostedProposal) -> PostedProposal:
    """Read a proposal that has not ended again, with one call: an earlier command may have decided since `thread` was
    read."""
    if posted.proposal.state not in ("open", "approved"):
        return posted
    present = find(context, context.hub.thread(repo, thread.num))
    return next((proposal for proposal in present if proposal.cause == posted.cause), posted)


def complete(context: BoardContext, repo: Repo, thread: Thread, posted: PostedProposal) -> Proposal:
    """Make the commits of an approved proposal, and state the result in its comment.

    It stays approved while edits are off or in shadow on this board; the thread is marked when they are on.
    """
    proposal = posted.proposal
    if proposal.state != "approved":
        return proposal
    kind, words = CHANGE_KINDS[proposal.what], proposal.words
    title, parts = kind.title(words), _approved_parts(context, posted)
    if (objection := kind.objection(context, words, title, parts)) is not None:
        result = ChangesetResult("undone", objection)
    else:
        wake = thread_key(repo, thread.num)
        result = carry_out(context, title, parts, lambda target: kind.plan(context, words, target), wake=wake)
    if result.state == "held":
        return proposal
    notes = kind.follow_up(context, words, result.commits, posted.cause) if result.state == "done" else ()
    pass_by(COMMITTED)
    completed = proposal.with_state(result.state)
    why = result.why.message if result.why is not None else ""
    commits = [f"{context.address(target)}/commit/{commit}" for target, commit in result.commits]
    _update_comment(context, repo, thread, posted, completed, why=why, commits=commits, notes=notes)
    return completed


def complete_approved(context: BoardContext, repo: Repo, thread: Thread) -> None:
    """Complete the approved proposals in `thread` that a process left incomplete when it died."""
    for posted in find(context, thread):
        if posted.proposal.state == "approved":
            complete(context, repo, thread, posted)


def reject(context: BoardContext, repo: Repo, thread: Thread, why: str) -> Rejected:
    """Reject every proposal in `thread` that can be rejected. Return "none" if there is none, and "off" if comments
    are off or in shadow on this board, so that nothing is rejected."""
    present = [_reread(context, repo, thread, posted) for posted in find(context, thread)]
    edited = [
        _update_comment(context, repo, thread, posted, posted.proposal.with_state("rejected"), why=why)
        for posted in present
        if can_reject(context, posted)
    ]
    if not edited:
        return "none"
    return "rejected" if all(edited) else "off"


def can_reject(context: BoardContext, posted: PostedProposal) -> bool:
    """Whether the proposal is open, or is approved, waits until edits are on, and has no commit."""
    if posted.proposal.state != "approved":
        return posted.proposal.state == "open"
    if context.effects.mode(Effect.EDIT) is EffectMode.ON:
        return False  # another process may be about to commit
    title = CHANGE_KINDS[posted.proposal.what].title(posted.proposal.words)
    return not any(landed_commit(context, title, part) for part in _approved_parts(context, posted))


def _approved_parts(context: BoardContext, posted: PostedProposal) -> list[ApprovedPart]:
    return [
        ApprovedPart(_repo(context, part), part.digest, posted.cause, posted.comment.created_at)
        for part in posted.proposal.parts
    ]


def _repo(context: BoardContext, part: ProposedPart) -> Repo:
    return context.requests if part.repo == "requests" else context.results


def _update_comment(
    context: BoardContext,
    repo: Repo,
    thread: Thread,
    posted: PostedProposal,
    proposal: Proposal,
    *,
    why: str = "",
    commits: Sequence[str] = (),
    notes: Sequence[Note] = (),
) -> bool:
    """Edit the comment to show `proposal`. Return False where edits of comments are off or in shadow on this board."""
    marker: Marker = context.marker(KIND, posted.cause)
    text = comment_text(context, proposal, why=why, commits=commits, notes=notes)
    if context.effects.edit_comment(repo, thread.num, posted.comment.id, text, marker) == "held":
        return False
    note_plans(context, repo, thread, decided=posted.cause)
    return True
