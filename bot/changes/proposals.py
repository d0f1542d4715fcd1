"""Proposals: comments of the bot that say what would change and wait for a maintainer's approval.

The text of the comment is for people. Its second line is hidden and for the bot: the kind of change, its parameters
(`words`), the digest of the plan for each repo (`changesets`), and the state. So another process can continue where one
dies, also after Redis is lost (`applying`).

    open -> approved -> done        all parts are committed
                     -> undone      a part could not be committed as approved; the others are reverted
         -> rejected    also from approved, while edits are off or in shadow and no part is committed
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.changes.changesets import ChangesetPart
from bot.changes.proposal_text import Note, ProposalView, proposal_text
from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call
from bot.core.context import BoardContext, thread_key
from bot.core.pull_records import hidden_line, second_line
from bot.core.waiting_threads import note, reopen
from hub.comments import is_by, marker_of
from hub.records import Comment, Repo, Thread
from leaderboard.effects import Effect, EffectMode
from leaderboard.reasons import Problem
from leaderboard.rename_checks import RenameCheckLine
from leaderboard.waiting_items import PLAN
from redis_state.board.decisions import DecisionOutcome

KIND = "proposal"
MIN_DIGEST_LENGTH, SHOWN_DIGEST = 7, 8
What = Literal["rename", "remove", "restore", "cure"]
State = Literal["open", "approved", "done", "undone", "rejected"]
_OUTCOMES: Mapping[State, DecisionOutcome] = {
    "open": "proposed",
    "approved": "done",
    "done": "done",
    "undone": "failed",
    "rejected": "unchanged",
}


class ProposedPart(BaseModel):
    """A part: the kind of repo, the digest of its plan, and how many files it touches."""

    model_config = ConfigDict(frozen=True)

    repo: Literal["requests", "results"]
    digest: str
    files: int = 0


class Proposal(BaseModel):
    """A proposal, as the hidden line of its comment stores it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    what: What
    words: dict[str, str]
    parts: tuple[ProposedPart, ...] = ()
    state: State = "open"
    by: str = ""

    @property
    def digest(self) -> str:
        """The digest that an approval names."""
        content = [self.what, sorted(self.words.items()), [part.digest for part in self.parts]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def with_state(self, state: State) -> Proposal:
        """The proposal in another state."""
        return self.model_copy(update={"state": state})

    def approved_by(self, name: str) -> Proposal:
        """The proposal as approved by the maintainer `name`."""
        return self.model_copy(update={"state": "approved", "by": name})


@dataclass(frozen=True)
class PostedProposal:
    """A proposal in a thread: the comment, and the cause that its marker names."""

    comment: Comment
    cause: str
    proposal: Proposal


def propose(
    context: BoardContext, what: What, words: dict[str, str], parts: Sequence[ChangesetPart], *, by: str = ""
) -> Proposal:
    """A proposal of `parts`; it is approved already where `by` names the maintainer who wrote the command."""
    proposed = tuple(
        ProposedPart(repo=_kind(context, part.repo), digest=part.digest, files=len(part.files)) for part in parts
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
    """Post `proposal` in `thread`, once for each `cause`. None where comments are off or in shadow on this board.

    A closed discussion, such as that of a request that has ended, is opened again for a proposal that waits.
    """
    marker = context.marker(KIND, cause)
    known = {posted.cause: posted for posted in find(context, thread)}
    if cause in known:
        return known[cause]
    if proposal.state == "open":
        reopen(context, repo, thread, marker)
    text = comment_text(context, proposal, lines=lines)
    comment = context.effects.comment(repo, thread.num, text, marker, asked=True, wake=thread_key(repo, thread.num))
    if comment is None:
        return None
    if proposal.state == "open":
        note(context, repo, thread, PLAN, part="plan", since=context.now(), sha=proposal.digest[:SHOWN_DIGEST])
    return PostedProposal(comment, cause, _read(comment) or proposal)


def note_plans(context: BoardContext, repo: Repo, thread: Thread, *, decided: str = "") -> None:
    """Put an open thread, or a pull request in any state, on the maintainers' list while a plan in it waits, and take
    it off afterwards.

    `decided` is the cause of a plan that was decided since the thread was read.
    """
    waiting = [
        posted for posted in find(context, thread) if posted.proposal.state == "open" and posted.cause != decided
    ]
    if waiting and (thread.status == "open" or thread.is_pull_request):
        since = waiting[0].comment.created_at.timestamp()
        sha = waiting[0].proposal.digest[:SHOWN_DIGEST]
        note(context, repo, thread, PLAN, part="plan", since=since, sha=sha)
    else:
        note(context, repo, thread, None, part="plan")


def find(context: BoardContext, thread: Thread) -> list[PostedProposal]:
    """The proposals in `thread`, oldest first."""
    me, posted = context.me(), list[PostedProposal]()
    for comment in thread.comments:
        marker = marker_of(comment.text) if is_by(me, comment.author_id, comment.author_name) else None
        if marker is not None and (marker.board, marker.kind) == (context.board.name, KIND):
            proposal = _read(comment)
            posted += [PostedProposal(comment, marker.key, proposal)] if proposal is not None else []
    return posted


def _read(comment: Comment) -> Proposal | None:
    line = second_line(comment)
    try:
        return Proposal.model_validate_json(line) if line else None
    except ValidationError:
        return None


def find_by_digest(context: BoardContext, thread: Thread, sha: str) -> PostedProposal | None:
    """The newest proposal in `thread` whose digest begins with `sha`: a new proposal can have the same plan, and so the
    same digest, as one that was rejected or undone."""
    prefix = sha.strip().lower()
    if len(prefix) < MIN_DIGEST_LENGTH:
        return None
    newest_first = reversed(find(context, thread))
    return next((posted for posted in newest_first if posted.proposal.digest.startswith(prefix)), None)


def comment_text(
    context: BoardContext,
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
        waits=context.effects.mode(Effect.EDIT) is not EffectMode.ON,
        lines=lines,
        why=why,
        commits=commits,
        notes=notes,
    )
    return proposal_text(view)


def proposed_by(call: Call) -> PostedProposal | None:
    """The proposal that this command has already posted in its thread, if any."""
    return next((posted for posted in find(call.context, call.thread) if posted.cause == call.cause), None)


def proposal_answer(proposal: Proposal | None) -> Answer:
    """The answer that states the result of a proposal; None: comments are off or in shadow on this board."""
    if proposal is None:
        return Answer(say("propose", how="off", problems=[], digest=""), outcome="refused")
    how = "proposed" if proposal.state == "open" else proposal.state
    return Answer(say("propose", how=how, problems=[], digest=proposal.digest[:8]), outcome=_OUTCOMES[proposal.state])


def completed_answer(proposal: Proposal | None) -> Answer:
    """The answer after `applying.complete`: a plan that is still approved waits until edits are on."""
    if proposal is not None and proposal.state == "approved":
        return Answer(say("propose", how="held", problems=[], digest=""), outcome=_OUTCOMES["approved"])
    return proposal_answer(proposal)


def not_proposed(problems: Sequence[Problem]) -> Answer:
    """The answer to a command for which there is no plan."""
    return Answer(say("propose", how="no", problems=problems, digest=""), outcome="refused")
