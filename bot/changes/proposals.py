"""What is proposed in a thread for a maintainer to approve: in a comment of ours, with all that is needed to do it.

The comment says what would change, and its second line, hidden, says it for the bot: names, and the digest of each part
(`changesets`). A maintainer approves with `/approve` and the first characters of the whole digest; that is noted in the
comment before anything is done. So whoever dies in the middle is followed by another who goes on from there, also after
Redis was lost: an approved proposal comes to its end, all of it or none.

    open -> approved -> done        every part is in
                     -> undone      it could not be done as it was approved: what was done is taken back
         -> rejected

Race closed: it is approved and turned down at once, before the thread was read again. The first decides, and the second
is told how it is since.
Race accepted: two maintainers approve at the same moment. It is done once, and both are told so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from bot.changes import duplicates, removals
from bot.changes import renames as rename_saga
from bot.changes.changesets import ApprovedPart, ChangesetPart, ChangesetResult, carry_out
from bot.changes.proposal_text import Note, ProposalView, proposal_text
from bot.core.context import BoardContext, thread_key
from bot.core.pull_records import hidden_line, second_line
from hub.comments import Marker, is_by, marker_of
from hub.records import Comment, Repo, Thread
from leaderboard.reasons import Problem
from leaderboard.rename_checks import RenameCheckLine
from redis_state.crashpoints import pass_by, point

log = structlog.get_logger()

KIND = "proposal"
SHORTEST = 7
What = Literal["rename", "remove", "restore", "cure"]
State = Literal["open", "approved", "done", "undone", "rejected"]

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


class ProposedPart(BaseModel):
    """A part: the kind of repo, the digest of its plan, and how many files it touches."""

    model_config = ConfigDict(frozen=True)

    repo: Literal["requests", "results"]
    digest: str
    files: int = 0


class Proposal(BaseModel):
    """What the hidden line says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    what: What
    words: dict[str, str]
    parts: tuple[ProposedPart, ...] = ()
    state: State = "open"
    by: str = ""

    @property
    def digest(self) -> str:
        """What an approval names."""
        told = [self.what, sorted(self.words.items()), [part.digest for part in self.parts]]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    @property
    def title(self) -> str:
        """What its commits are called."""
        return CHANGE_KINDS[self.what].title(self.words)


@dataclass(frozen=True)
class PostedProposal:
    """A proposal in a thread: the comment, and the cause that its marker names."""

    comment: Comment
    cause: str
    proposal: Proposal


def propose(
    context: BoardContext, what: What, words: dict[str, str], parts: Sequence[ChangesetPart], *, by: str = ""
) -> Proposal:
    """A proposal of `parts`; approved at once where `by` is somebody who may."""
    proposed = tuple(
        ProposedPart(repo=_kind(context, one.repo), digest=one.digest, files=len(one.files)) for one in parts
    )
    return Proposal(what=what, words=words, parts=proposed, state="approved" if by else "open", by=by)


def _kind(context: BoardContext, repo: Repo) -> Literal["requests", "results"]:
    return "requests" if repo == context.requests else "results"


def post(
    context: BoardContext,
    repo: Repo,
    thread: Thread,
    cause: str,
    proposal: Proposal,
    lines: Sequence[RenameCheckLine] = (),
) -> PostedProposal | None:
    """Write `proposal` into `thread`, once for each `cause`; None where the board holds that back."""
    marker = context.marker(KIND, cause)
    known = {found.cause: found for found in find(context, thread)}
    if cause in known:
        return known[cause]
    text = _text(proposal, lines=lines)
    said = context.effects.comment(repo, thread.num, text, marker, asked=True, wake=thread_key(repo, thread.num))
    if said is None:
        return None
    found = _read(said)
    return PostedProposal(said, cause, found or proposal)


def find(context: BoardContext, thread: Thread) -> list[PostedProposal]:
    """The proposals in `thread`, oldest first."""
    me, found = context.me(), list[PostedProposal]()
    for comment in thread.comments:
        marker = marker_of(comment.text) if is_by(me, comment.author_id, comment.author_name) else None
        if marker is not None and (marker.board, marker.kind) == (context.board.name, KIND):
            proposal = _read(comment)
            found += [PostedProposal(comment, marker.key, proposal)] if proposal is not None else []
    return found


def _read(comment: Comment) -> Proposal | None:
    said = second_line(comment)
    try:
        return Proposal.model_validate_json(said) if said else None
    except ValidationError:
        return None


def find_by_digest(context: BoardContext, thread: Thread, sha: str) -> PostedProposal | None:
    """The newest proposal in `thread` whose digest begins with `sha`: what was turned down, or undone, and is asked for
    anew may be the very same plan."""
    said = sha.strip().lower()
    if len(said) < SHORTEST:
        return None
    return next((found for found in reversed(find(context, thread)) if found.proposal.digest.startswith(said)), None)


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
    made = found.comment.created_at
    parts = [ApprovedPart(_repo(context, part), part.digest, found.cause, made) for part in it.parts]
    if (objection := how.objection(context, it.words, it.title, parts)) is not None:
        carried = ChangesetResult("undone", objection)
    else:
        carried = carry_out(context, it.title, parts, lambda where: how.plan(context, it.words, where))
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
    text = _text(proposal, why=why, commits=commits, notes=notes)
    return context.effects.edit_comment(repo, thread.num, found.comment.id, text, marker) != "held"


def _text(
    proposal: Proposal,
    *,
    lines: Sequence[RenameCheckLine] = (),
    why: str = "",
    commits: Sequence[str] = (),
    notes: Sequence[Note] = (),
) -> str:
    view = ProposalView(
        what=proposal.what,
        words=proposal.words,
        state=proposal.state,
        record=hidden_line(proposal),
        digest=proposal.digest[:8],
        parts=[(part.repo, part.files) for part in proposal.parts],
        by=proposal.by,
        lines=lines,
        why=why,
        commits=commits,
        notes=notes,
    )
    return proposal_text(view)
