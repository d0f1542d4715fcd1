"""The bot's texts: text from users adds no markup to them, and each state of a request has its text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.relative_times import in_words
from bot.core.render import ZERO_WIDTH_SPACE, code, plain, printable, url
from bot.request_files.status_text import PastLine, ScoreRow, StatusView, status_comment, thread_title
from bot.web.frame import time_tag
from leaderboard.adoption import AdoptionRecord
from leaderboard.attempts import Failure
from leaderboard.reasons import Problem
from leaderboard.request_history import newest_reopenings
from redis_state.board.decisions import CommandDecision
from tests.support.units.hostile_values import HOSTILE, MARKDOWN, kinds


def shown(markdown: str) -> str:
    """The text outside of code that a reader sees."""
    return "".join(c.content for token in MARKDOWN.parse(markdown) for c in token.children or () if c.type == "text")


PROSE = {"paragraph_open", "paragraph_close", "inline", "text", "text_special"}


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_prose_is_nothing_but_text(words: str) -> None:
    """Hostile text, in a sentence or alone on a line, adds no link, mention, code, list or HTML."""
    assert kinds(plain(words)) <= PROSE
    assert kinds(f"Reason: {plain(words)} (see above)") <= PROSE
    assert "@maya" not in plain(words)
    assert "\n" not in plain(words)


@given(st.text(max_size=60))
def test_any_prose_is_nothing_but_text_and_says_what_it_said(words: str) -> None:
    """Any text is rendered as itself, on one line, without other elements."""
    escaped = plain(words)
    assert kinds(f"x {escaped} x") <= PROSE
    assert kinds(escaped) <= PROSE
    text = "".join(child.content for child in MARKDOWN.parseInline(f"x {escaped} x")[0].children or ())
    assert text.replace(ZERO_WIDTH_SPACE, "") == f"x {printable(words)} x".replace(ZERO_WIDTH_SPACE, "")


@given(st.text(max_size=60))
def test_a_code_span_holds_whatever_it_is_given(words: str) -> None:
    """A code span with any text ends where the bot ends it, also in a cell of a table."""
    (token,) = MARKDOWN.parseInline(f"x {code(words)} y")
    assert [child.type for child in token.children or ()] == ["text", "code_inline", "text"]
    table = MARKDOWN.parse(f"| a | b |\n|---|---|\n| {code(words)} | z |\n")
    assert sum(token.type == "td_open" for token in table) == 2


@given(st.text(max_size=60))
def test_an_address_cannot_end_its_link(words: str) -> None:
    """A link whose address contains any characters, even half of a surrogate pair, stays one link."""
    half = "\udc80"
    (token,) = MARKDOWN.parseInline(f"[x](http://h/{url(words)}{url(half)})")
    assert [child.type for child in token.children or ()] == ["link_open", "text", "link_close"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.5, "a moment"),
        (59, "59 seconds"),
        (59.6, "about 1 minute"),
        (3_569, "about 59 minutes"),
        (3_570, "about 1 hour"),
        (86_399, "about 1 day"),
        (200_000, "about 2 days"),
    ],
)
def test_a_span_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    """A duration is given in the largest unit that it fills, also after rounding."""
    assert in_words(seconds) == words


@pytest.fixture
def another_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose local time is hours from UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("another_zone")
@pytest.mark.parametrize("at", ["2026-07-01T12:00:00", "2026-07-01T12:00:00Z", "2026-07-01T14:00:00+02:00"])
def test_times_are_in_utc_on_a_machine_in_any_zone(at: str) -> None:
    """A time without a zone, in a file or on a page, is in UTC and not in the zone of the machine."""
    seconds = 1_782_907_200.0
    assert AdoptionRecord.model_construct(at=at).seconds == CommandDecision.model_construct(at=at).seconds == seconds
    assert time_tag(at) == '<time datetime="2026-07-01T12:00:00Z">2026-07-01 12:00 UTC</time>'


@pytest.mark.parametrize("at", ["in autumn", "0001-01-01T00:00:00+01:00"])
def test_what_is_no_time_is_shown_as_it_is(at: str) -> None:
    """A page shows a text that is no time, or none that a clock can show, unchanged."""
    assert time_tag(at) == f"<time>{at}</time>"


def view(state: Any, **more: Any) -> StatusView:
    """The data of a status comment, about a model with special characters in its name."""
    fields = {
        "path": "o/m_eval_request_False_float32_Original.json",
        "request_url": "http://h/o/m.json",
        "updated": "2026-11-24 12:00 UTC",
        "model": "o/a_b*c",
        "model_url": "http://h/o/a_b*c",
        "precision": "float32",
        "weight_type": "Original",
        "submitter": "ada",
        "attempt": "0123-4567-1",
    }
    return StatusView(state, **{**fields, **more})


FAILURE = Failure(cause="weights-corrupted", fault="submission", message="They are cut off.", advice="Upload again.")
CAUSES = (
    "0123456789ab-01234567-1:gpu-lost",
    "0123456789ab-01234567-2:worker-lost",
    "relaunch:hf1:c1:0",
    "report:dataset/o/r:3",
    "resubmit:c2:0",
    "c0:0",
)
TEXTS = {
    "waiting": (view("waiting", position=3), ["Waiting for its turn", "number 3 in the queue"]),
    "running": (view("running", done=50, total=200), ["Being evaluated", "█████░", "25 % of 200"]),
    "starting": (view("running"), ["is preparing"]),
    "finished": (
        view(
            "finished",
            scores=[ScoreRow("Words", "12.50", "0.1250")],
            average=ScoreRow("Average", "12.50", ""),
            log_url="http://h/log",
            replayed=1_204,
        ),
        [
            "1,204 of its answers had been computed before, by an attempt that was interrupted.",
            "Finished",
            "| Words | 12.50 | 0.1250 |",
            "**12.50**",
            "[log](http://h/log)",
        ],
    ),
    "compared": (
        view(
            "finished",
            scores=[ScoreRow("Words", "12.50", "0.1250", "9.00", "70.00")],
            average=ScoreRow("Average", "12.50", "", "9.00", "70.00"),
            base="o/base",
            best="z/best",
            category="chat",
        ),
        ["raw | o/base | z/best |", "0.1250 | 9.00 | 70.00 |", "| | 9.00 | 70.00 |", "best of the other chat models"],
    ),
    "after others": (
        view(
            "waiting",
            past=[
                PastLine(reopening, "http://h/log" if reopening.left_log else "")
                for reopening in newest_reopenings(CAUSES)
            ],
        ),
        [
            "so it was tried again automatically. [Log](http://h/log)\n- Attempt 2",
            "(`worker-lost`) because of a problem on our side, so it was tried again automatically.\n- It was re",
            "reported",
            "at another commit",
            "</details>\n\n**You can write here:** `/subscribe`",
        ],
    ),
    "refused": (
        view("refused", reasons=[Problem(code="a", message="One.", advice="Do."), Problem(code="b", message="Two.")]),
        ["Not accepted", "2 reasons", "- One. *Do.*", "- Two.", "submit the model again", "`/resubmit`"],
    ),
    "unwritable": (view("refused", model="", reasons=[Problem(code="a", message="One.")], writable=False), ["left as"]),
    "failed": (
        view("failed", failure=FAILURE, log_url="http://h/log"),
        ["They are cut off.", "a problem with the submission", "Upload"],
    ),
    "again": (
        view("again", failure=FAILURE.model_copy(update={"fault": "us"})),
        ["a problem on our side", "tried again"],
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_each_state_says_what_happened_why_and_what_comes_next(name: str) -> None:
    """The status comment of each state has a heading, the expected facts and links, and no gaps."""
    facts, expected = TEXTS[name]
    text = status_comment(facts)
    for words in expected:
        assert words in text
    assert "\n\n\n" not in text
    assert "None" not in text
    assert "heading_open" in kinds(text)


@pytest.mark.parametrize("words", HOSTILE)
def test_no_field_of_a_status_can_break_out(words: str) -> None:
    """Hostile text in any field that users control does not change the structure of a status comment."""
    problem = Problem(code="x", message=words, advice=words)
    fields = {"model": words, "submitter": words, "attempt": words, "precision": words, "weight_type": words}
    hostile = status_comment(view("refused", reasons=[problem], **fields))
    harmless = status_comment(view("refused", reasons=[problem.model_copy(update={"message": "m", "advice": "a"})]))
    assert kinds(hostile) <= kinds(harmless) | PROSE
    assert "@maya" not in shown(hostile)


@given(st.text(max_size=400))
def test_a_title_is_what_the_hub_takes(name: str) -> None:
    """A title has 3 to 200 characters on one line, for any name."""
    title = thread_title(name)
    assert 3 <= len(title) <= 200
    assert "\n" not in title
