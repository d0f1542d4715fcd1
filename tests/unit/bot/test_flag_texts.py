"""The texts about flags, as people read them, in one snapshot file; text from users cannot add markup to them.

STEWARD_REWRITE=1 python -m pytest tests/unit/bot/test_flag_texts.py    writes that file again
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from bot.core.render import render
from bot.flags.appeals import Appeal
from bot.flags.flag_commands import FlagResult
from bot.flags.flag_thread import flag_title
from bot.flags.verb_flag import reply
from hub.records import Comment
from leaderboard.flags import FlagDecision, FlagEvidence, FlagRecord, FlagScope

SNAPSHOT = Path(__file__).parent / "flag_texts.md"
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})
AT = datetime(2026, 11, 25, 4, tzinfo=UTC)
FLAGGED = FlagDecision(what="flagged", at="2026-11-25T04:00:00Z", by="maya", reason="x", category="copy", cause="c")
LIFTED = FlagDecision(what="lifted", at="2026-11-26T04:00:00Z", by="maya", reason="Its card names the original now.")
COPY = FlagRecord(
    model="ada/copy",
    status="flagged",
    category="copy",
    reason="Its files are those of bob/original.",
    evidence=(
        FlagEvidence(code="same-weights-unnamed", message="All 2 weight files …", link="https://hub/bob/original"),
    ),
    thread="https://hub/d/1",
    decisions=(FLAGGED,),
)
PART = COPY.model_copy(
    update={"model": "ada/part", "evidence": (), "scope": FlagScope(revision="0123456789abcdef", precision="float16")}
)
ENDED = COPY.model_copy(update={"status": "lifted", "decisions": (FLAGGED, LIFTED)})
SHY = COPY.model_copy(update={"category": "opt-out", "evidence": (), "reason": "Its author asked for it."})
APPEALS = (
    Appeal(Comment("c1", "1", "ada", AT, "No!", hidden=False, edited=False), "owner", "https://hub/d/1#c1"),
    Appeal(Comment("c2", "2", "bob", AT, "Yes!", hidden=False, edited=False), "", "https://hub/d/1#c2"),
)


def statement(*records: FlagRecord, appeals: tuple[Appeal, ...] = ()) -> str:
    """The bot's comment in the thread of these flags."""
    authors = sorted({record.model.partition("/")[0] for record in records})
    return render("flag", records=records, appeals=appeals, hides=records[0].kind.hides, authors=authors)


def note(kind: str, **words: object) -> str:
    """One of the short notes."""
    defaults = {
        "model": "ada/copy",
        "sha": "4a7d1ed4" * 5,
        "category": "another model's weights",
        "limit": 3,
        "days": 30,
    }
    return render("flag_note", kind=kind, author="ada", **{**defaults, **words})


def answer(result: FlagResult) -> str:
    """The reply to a command."""
    return str(reply(result, usage="/flag category reason", example="/flag merge org/model it is one"))


ONE, TWO, THREE = ("ada/copy",), ("ada/copy", "ada/part"), ("ada/copy", "ada/part", "ada/more")
WORDS = {
    "a flag": statement(COPY),
    "two flags, one of them of a part": statement(COPY, PART),
    "one of two was lifted": statement(ENDED, PART),
    "what was said since": statement(COPY, appeals=APPEALS),
    "a flag that was lifted": statement(ENDED),
    "two that were lifted": statement(ENDED, ENDED.model_copy(update={"model": "ada/part"})),
    "authors who do not want to be here": statement(SHY),
    "authors who changed their mind": statement(SHY.model_copy(update={"status": "lifted", "decisions": (LIFTED,)})),
    "the cause is gone": note("cured"),
    "opened again": note("reopened"),
    "not opened again": note("not-reopened"),
    "reported, and flagged elsewhere": note("decided", url="https://hub/d/2", hides=True, dismissed=""),
    "reported, and dismissed elsewhere": note("decided", url="https://hub/d/2", dismissed="They are not the same."),
    "reported here, and dismissed by a button": note("dismissed", models=TWO, reason="They are not the same."),
    "/flag": answer(FlagResult("flagged", ONE, category="another model's weights", thread="https://hub/d/1")),
    "/flag, in a discussion of its own": answer(
        FlagResult("flagged", THREE, category="another model's weights", thread="https://hub/d/1", is_here=False)
    ),
    "/flag, of a part": answer(
        FlagResult("flagged", ONE, category="another model's weights", thread="https://hub/d/1", scope=PART.scope)
    ),
    "/flag, of another part than before": answer(FlagResult("narrower", standing=(PART,))),
    "/flag, of parts of what is flagged": answer(FlagResult("narrower", standing=(COPY, PART))),
    "/flag opt-out": answer(FlagResult("flagged", TWO, category="the authors asked for it", hides=False)),
    "/flag, by anybody else": answer(FlagResult("reported", TWO)),
    "/flag, of what was reported before": answer(FlagResult("reported", ONE, thread="https://hub/d/2", is_here=False)),
    "/flag, by anybody else, of what is flagged": answer(FlagResult("already", ONE, standing=(COPY,))),
    "/flag, without a model": answer(FlagResult("which")),
    "/flag, without a reason": answer(FlagResult("no-reason")),
    "/flag, of many": answer(FlagResult("too-many", limit=5)),
    "/flag, of no commit or precision": answer(FlagResult("scope", precisions=("float16", "GPTQ"))),
    "/flag, of no model": answer(FlagResult("unknown", unknown=(("ada/cpy", ("ada/copy",)), ("x/y", ())))),
    "/flag, of an official provider": answer(FlagResult("official", TWO)),
    "/flag, of authors who do not want to be here": answer(FlagResult("opted-out", ONE)),
    "/flag, and no repo": answer(FlagResult("no-repo")),
    "/flag, and no effects": answer(FlagResult("off")),
    "/unflag": answer(FlagResult("lifted", ONE, reason="It names the original.")),
    "/unflag, of what is not to be here": answer(FlagResult("lifted", TWO, reason="They asked for it.", hides=False)),
    "/unflag, of none": answer(FlagResult("not-flagged")),
    "/unflag, of one that is not flagged": answer(FlagResult("not-flagged", ONE)),
    "/dismiss": answer(FlagResult("dismissed", TWO, reason="They are not the same.")),
    "/dismiss, of a plea": answer(FlagResult("upheld", ONE, reason="It is the same still.")),
    "/dismiss, of what is not to be here": answer(FlagResult("upheld", ONE, reason="x", hides=False)),
    "/dismiss, of nothing": answer(FlagResult("nothing")),
}
HOSTILE = (
    "@everyone",
    "<b>x</b>",
    "<!-- steward:1 demo flagged c -->",
    "[x](https://evil.example)",
    "![x](https://evil.example/p.png)",
    "x\n\n# heading\n\n- item\n\n/unflag",
    "**bold** `code` | cell |",
)


def test_every_text_matches_the_snapshot() -> None:
    """Each text equals its entry in `flag_texts.md`."""
    page = "".join(f"# {title}\n\n{text.strip()}\n\n" for title, text in WORDS.items())
    if os.environ.get("STEWARD_REWRITE"):
        SNAPSHOT.write_text(page)
    assert SNAPSHOT.read_text() == page


def test_a_title_is_one_that_the_hub_takes() -> None:
    """A thread's title names the first model and the number of others, within the Hub's limit of 200 characters."""
    assert flag_title(["a/b"], hides=True) == "[FLAG] a/b"
    assert flag_title(["a/b", "c/d", "e/f"], hides=False) == "Not evaluated here: a/b and 2 more"
    long = flag_title([f"{'o' * 96}/{'m' * 96}", "c/d"], hides=False)
    assert (len(long), long.endswith("mmm and 1 more")) == (200, True)


@pytest.mark.parametrize("words", HOSTILE)
def test_text_from_users_adds_no_markup(words: str) -> None:
    """Names, reasons and evidence from users appear as plain text: no mentions, links, HTML or headings."""
    evil = FlagEvidence(code="x", message=words, link=f"https://hub/{words}")
    record = COPY.model_copy(
        update={"model": words, "reason": words, "evidence": (evil,), "scope": FlagScope(revision=words)}
    )
    lifted = record.model_copy(
        update={"status": "lifted", "decisions": (LIFTED.model_copy(update={"by": words, "reason": words}),)}
    )
    appeal = Appeal(Comment("c1", "1", words, AT, words, hidden=False, edited=False), "", "https://hub/d/1#c1")
    unknown = FlagResult("unknown", (words,), unknown=((words, (words,)),), reason=words)
    texts = [
        render("flag", records=[record, lifted], appeals=[appeal], hides=True, authors=[words]),
        note("cured", model=words, category=words),
        note("dismissed", models=(words,), reason=words),
        *(answer(FlagResult(how, (words,), reason=words)) for how in ("lifted", "upheld", "dismissed", "not-flagged")),
        answer(unknown),
    ]
    for text in texts:
        tokens = [child for token in MARKDOWN.parse(text) for child in (token, *(token.children or ()))]
        kinds = {token.type for token in tokens}
        assert not kinds & {"html_block", "html_inline", "image", "heading_open", "table_open"}
        links = [token.attrGet("href") for token in tokens if token.type == "link_open"]
        assert all(str(link).startswith("https://hub/") for link in links)
        outside = "".join(token.content for token in tokens if token.type == "text")
        assert "@everyone" not in outside
