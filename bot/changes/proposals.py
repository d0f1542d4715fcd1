"""Proposals: comments of the bot that say what would change and wait for a maintainer's approval.

The comment tells people what would change. Its second line, which is hidden, tells the bot: the kind of change, its
words, and the digest of the plan for each repo (`changesets`). The state of a proposal lies in that line, so a process
that dies is followed by another that continues from there, also after Redis was lost (`applying`).

    open -> approved -> done        every part is committed
                     -> undone      it could not be done as approved: what was committed is reverted
         -> rejected
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.changes.changesets import ChangesetPart
from bot.changes.proposal_text import Note, ProposalView, proposal_text
from bot.core.context import BoardContext, thread_key
from bot.core.pull_records import hidden_line, second_line
from hub.comments import is_by, marker_of
from hub.records import Comment, Repo, Thread
from leaderboard.rename_checks import RenameCheckLine

KIND = "proposal"
SHORTEST = 7
What = Literal["rename", "remove", "restore", "cure"]
State = Literal["open", "approved", "done", "undone", "rejected"]


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
    text = comment_text(proposal, lines=lines)
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


def comment_text(
    proposal: Proposal,
    *,
    lines: Sequence[RenameCheckLine] = (),
    why: str = "",
    commits: Sequence[str] = (),
    notes: Sequence[Note] = (),
) -> str:
    """The text of the comment that holds `proposal`."""
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
