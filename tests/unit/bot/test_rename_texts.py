"""All texts about renames and proposals, in one snapshot; text from users cannot add markup to them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.changes.proposal_text import Note, ProposalView, proposal_text
from bot.changes.proposals import Proposal, ProposedPart
from bot.core.commands.answers import say
from bot.core.pull_records import CheckedRename, PullRequestRecord, PullRequestState, hidden_line
from bot.pulls.rename_texts import LinkedState, LinkedView, RenameView, linked_answer, rename_report
from leaderboard.reasons import Problem
from leaderboard.rename_checks import WORDS, RenameCheckLine
from leaderboard.renames import REASONS

SNAPSHOT = Path(__file__).parent / "rename_texts.md"
OLD, NEW = "ada/lion", "ada/lioness"
HEAD, VOID, MERGED = "4a7d1ed4" + "0" * 32, "9c1185a5" + "0" * 32, "b00b1e55" + "0" * 32
RECORD = PullRequestRecord(
    situation=PullRequestState(head=HEAD), result="passed", rename=CheckedRename(old=OLD, new=NEW)
).line()
GOOD = (
    RenameCheckLine(True, WORDS["redirects"].problem(old=OLD, new=NEW)),
    RenameCheckLine(True, WORDS["free"].problem(new=NEW)),
    RenameCheckLine(True, WORDS["no-flag"].problem()),
    RenameCheckLine(True, WORDS["at-rest"].problem()),
    RenameCheckLine(True, WORDS["exact"].problem(count="3 files")),
)
STEP = (*GOOD[:-1], RenameCheckLine(True, WORDS["partial"].problem(count="1 file", left="2 files")))
BAD = (
    *GOOD[:-1],
    RenameCheckLine(
        False, REASONS["content"].problem(path="ada/lioness/results_1.json", fields="it differs in results")
    ),
    RenameCheckLine(False, REASONS["not-planned"].problem(path="README.md", old=OLD, new=NEW)),
)
NOTES = (Note("ada/details_lion", "ada/details_lioness", moved=False), Note("x/a", "x/b", moved=True))
COMMIT = {"commit": MERGED, "commit_url": f"https://hub/datasets/board/requests/commit/{MERGED}"}


def report(**more: Any) -> str:
    """A report on a pull request that renames."""
    return rename_report(RenameView(old=OLD, new=NEW, head=HEAD, record=RECORD, **more))


def proposal(what: str, state: str, **more: Any) -> str:
    """The comment about a proposal in this state."""
    words = {"old": OLD, "new": NEW} if what == "rename" else {"model": OLD, "reason": "the weights were wrong"}
    words |= more.pop("words", {})
    proposed = Proposal(
        what=what, words=words, parts=(ProposedPart(repo="requests", digest="0", files=3),), state=state
    )
    view = ProposalView(
        what=what,
        words=words,
        state=state,
        record=hidden_line(proposed),
        digest=proposed.digest[:8],
        parts=[("requests", 3), ("results", 1)],
        **more,
    )
    return proposal_text(view)


def linked(state: LinkedState, number: int = 3) -> LinkedView:
    """A pull request that a discussion links."""
    return LinkedView("ada/lion", "ada/lioness", number, "board/requests", f"https://hub/{number}", state)


def texts() -> dict[str, str]:
    """Every text, by its title in the snapshot."""
    return {
        "right": report(lines=GOOD, passed=True),
        "a step, after a push": report(lines=STEP, passed=True, partial=True, void=VOID),
        "wrong": report(lines=BAD),
        "a draft": report(lines=GOOD, passed=True, draft=True),
        "being checked again": report(checking=True, void=VOID),
        "the Hub refuses": report(lines=GOOD, passed=True, refused="403: you may not do this"),
        "merged": report(passed=True, end="merged", by="maya", **COMMIT),
        "a step merged": report(passed=True, partial=True, end="merged", by="maya", **COMMIT),
        "merged by hand": report(passed=True, end="by-hand", **COMMIT),
        "taken back": report(passed=True, end="taken-back", **COMMIT),
        "a discussion that links it": linked_answer("open", links=[linked("passed"), linked("problems", 4)]),
        "and its end": linked_answer("over", links=[linked("merged")]),
        "and another end": linked_answer("over", links=[linked("taken-back"), linked("closed", 4)]),
        "a rename is proposed": proposal("rename", "open", lines=GOOD[:-1]),
        "approved": proposal("rename", "approved", by="maya"),
        "approved, while edits are off": proposal("rename", "approved", by="maya", waits=True),
        "done, with a note": proposal(
            "rename", "done", by="maya", commits=["https://hub/c/1", "https://hub/c/2"], notes=NOTES
        ),
        "undone": proposal("rename", "undone", by="maya", why="Files in board/results changed since."),
        "rejected": proposal("rename", "rejected", why="not now"),
        "a removal is proposed": proposal("remove", "open"),
        "one precision removed": proposal("remove", "done", by="maya", words={"precision": "4bit"}),
        "restored": proposal("restore", "done", by="maya"),
        **{
            f"reply: {how}": str(say("propose", how=how, problems=[], digest="1a2b3c4d"))
            for how in ("off", "none", "proposed", "approved", "held", "done", "undone", "rejected")
        },
        "reply: no": str(say("propose", how="no", problems=[REASONS["same-name"].problem()], digest="")),
    }


def test_every_text_is_the_one_that_was_read() -> None:
    """All texts equal rename_texts.md, so that changes show in a diff; `STEWARD_REWRITE=1` writes it again."""
    page = "\n".join(f"# {name}\n\n{text}" for name, text in texts().items())
    if os.environ.get("STEWARD_REWRITE"):
        SNAPSHOT.write_text(page, "utf-8")
    assert page == SNAPSHOT.read_text("utf-8")


@given(words=st.text(max_size=80))
def test_text_from_users_adds_no_markup(words: str) -> None:
    """Reasons and messages from users add no mention, link or hidden text."""
    evil = f"{words} --> @maya [x](http://y) <!-- {{}} -->"
    problem = Problem(code="x", message=evil, advice=evil)
    for text in (
        report(lines=(RenameCheckLine(False, problem),)),
        proposal("remove", "open", words={"reason": evil}),
        proposal("rename", "undone", why=evil),
    ):
        body = text.partition("\n")[2]
        assert "@maya" not in body
        assert re.search(r"(?<!\\)\]\(http", body) is None
        assert "<!--" not in body
