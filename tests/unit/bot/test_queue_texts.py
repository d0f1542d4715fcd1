"""All texts about the queue, as people read them, in one snapshot; text from users cannot add markup to them."""

from __future__ import annotations

import os
import re
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import cast, get_args

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.core.render import render
from bot.queue.rulings import Code, QueueCommandResult
from bot.read_models.models import QueueBlockerView
from bot.request_files.status_text import StatusView, start_words, status_comment
from leaderboard.holds import Hold

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})
SNAPSHOT = Path(__file__).parent / "queue_texts.md"
PATH = "org/model_eval_request_False_bfloat16_Original.json"
NOON = 1_795_608_000.0
WHY = {"over": "FINISHED", "priority": "high", "priority-already": "high"}
RULING = (files("bot.queue") / "texts" / "ruling.md.j2").read_text("utf-8")
CODES = cast(list[Code], re.findall(r'ruling\.code == "([a-z-]+)"', RULING))


def waiting(**more: object) -> StatusView:
    """The data of the status comment of a waiting or cancelled request."""
    defaults = {"path": PATH, "request_url": "https://hub/file", "updated": "2026-11-25 12:00 UTC"}
    fields = {"state": "waiting", "model": "org/model", "model_url": "https://hub/org/model", **defaults, **more}
    return StatusView(**fields)  # type: ignore[arg-type]


def held(kind: str, what: str = "", *, tier: str = "small", hours: float = 0.0, **more: str) -> StatusView:
    """The data of the status comment of a request that is held back."""
    return waiting(held=QueueBlockerView(kind=kind, what=what, **more), tier=tier, budget_hours=hours)


HELD = [
    held("hold", reason="The licence is not clear yet.", by="maya"),
    held("hold"),
    held("pause", "board", reason="The machines are moved.", by="maya"),
    held("pause", "tier:large", reason="The large machines are moved.", by="maya"),
    held("pause", "suite:open-llm-v2", reason="MATH scores every model 0."),
    held("budget", "tier", tier="large", hours=100),
    held("budget", "submitter", hours=12.5),
    held("budget", "request", hours=30),
]
PLACES = [
    waiting(position=31),
    waiting(position=30, starts=(NOON + 7_300, NOON + 20_000)),
    waiting(position=300, starts=(NOON + 7_300, NOON + 200_000)),
    waiting(position=1, starts=(0.0, NOON + 1_000)),
    HELD[0],
    waiting(state="cancelled", why=Hold(reason="The authors asked for it.", by="maya")),
    waiting(state="cancelled"),
]


def everything() -> str:
    """All texts, one after the other."""
    texts = [status_comment(place) for place in PLACES]
    texts += [render("held", view=view) for view in HELD]
    texts += [QueueCommandResult(code, False, PATH, WHY.get(code, "")).words + "\n" for code in CODES]
    return "\n---\n\n".join(texts)


def test_the_texts_are_those_of_the_snapshot() -> None:
    """All texts equal the snapshot, so that a change shows in a diff; `STEWARD_REWRITE=1` writes it again."""
    if os.environ.get("STEWARD_REWRITE"):
        SNAPSHOT.write_text(everything())
    assert everything() == SNAPSHOT.read_text()


def test_every_ruling_has_its_sentence() -> None:
    """Each outcome of a command about the queue has a text, and each text has an outcome."""
    assert set(get_args(Code)) == set(CODES)
    assert all(QueueCommandResult(code, False, PATH, "x").words for code in CODES)


def test_a_range_says_the_day_once_where_it_is_the_same() -> None:
    """A range of start times in UTC names a shared day once, and is rounded outwards to five minutes."""
    assert start_words(NOON + 1, NOON + 7_199) == "between 2026-11-25 12:00 and 14:00 UTC"
    assert start_words(NOON + 299, NOON + 86_400) == "between 2026-11-25 12:00 and 2026-11-26 12:00 UTC"
    assert start_words(0.0, NOON + 60) == "before 2026-11-25 12:05 UTC"


@given(st.text(max_size=60), st.text(max_size=60))
def test_text_from_users_adds_no_markup(reason: str, name: str) -> None:
    """Reasons and names from users add no link, mention, heading or list."""
    texts = [
        render("held", view=held(kind, what, reason=f"x {reason}", by=name))
        for kind, what in (*product(["hold"], [""]), *product(["pause"], ["board", f"suite:{name}"]))
    ]
    allowed = {"paragraph_open", "paragraph_close", "inline", "text", "text_special", "strong_open", "strong_close"}
    for text in texts:
        tokens = MARKDOWN.parse(text)
        kinds = {token.type for token in tokens} | {c.type for token in tokens for c in token.children or ()}
        assert kinds <= allowed | {"code_inline", "softbreak"}
        assert not re.search(r"@(?!\u200b)\w", re.sub(r"`[^`]*`", "", text))
