"""The replies to `/try`: each state has a text, and text from users adds no markup to it."""

from __future__ import annotations

from typing import get_args

import pytest
from markdown_it import MarkdownIt

from bot.core.commands.answers import say
from bot.core.relative_times import in_words
from bot.requests.trials import How, TrialView
from bot.requests.verb_try import LIMITS
from leaderboard.attempts import Failure, Outcome
from leaderboard.boards import Board
from leaderboard.reasons import Problem
from leaderboard.trials import TrialAnswer, TrialReport, TrialTask

HOSTILE = "x`](http://evil.example) ![i](http://evil.example/i) <b>@ada</b> </details> <!-- steward:1 --> | \n\n# t"
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})
BOARD = Board.model_construct(trials_a_week=3)
PLAIN = {"path": "trial:t", "suite": "s", "suite_digest": "d", "started": 1, "ended": 2, "phase": HOSTILE[:32]}
REPORT = TrialReport(
    load_seconds=1,
    tasks=(TrialTask(name=HOSTILE[:100], asked=1, questions=9, seconds=2),),
    answers=(TrialAnswer(task=HOSTILE[:100], text=HOSTILE),) * 3,
)
FAILURE = Failure(cause="crashed", fault="unknown", message=HOSTILE, advice=HOSTILE)


def outcome(**ending: object) -> Outcome:
    """The outcome of a trial, with hostile text from a worker."""
    fields = {**PLAIN, "attempt": f"{'a' * 12}-{'b' * 8}-1", "revision": "b" * 40, "hardware": HOSTILE}
    return Outcome.model_validate({**fields, **ending})


VIEWS = [
    TrialView(how, HOSTILE, (Problem(code="c", message=HOSTILE, advice=HOSTILE),), HOSTILE, HOSTILE, "b" * 40)
    for how in get_args(How)
    if how != "ended"
] + [
    TrialView("ended", HOSTILE, sha="b" * 40, outcome=outcome(**ending))
    for ending in ({"trial": REPORT}, {"failure": FAILURE})
]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.how)
def test_each_state_has_a_reply_to_which_users_add_no_markup(view: TrialView) -> None:
    """Each reply has no mention, marker or foreign link, no HTML but the folded answers, and intact tables."""
    text = say("try", view=view, address="https://hub/file", board=BOARD, in_words=in_words, **LIMITS)
    tokens = [token for block in MARKDOWN.parse(text) for token in (block, *(block.children or ()))]
    assert len(text) > 60
    assert {token.attrGet("href") for token in tokens if token.type == "link_open"} <= {"https://hub/file"}
    assert not [token for token in tokens if token.type in ("image", "heading_open", "html_inline")]
    html = [token.content.strip() for token in tokens if token.type == "html_block"]
    assert html in ([], ["<details><summary>What it answered</summary>", "</details>"])
    assert "<!--" not in "".join(token.content for token in tokens if token.type in ("html_block", "html_inline"))
    assert "@ada" not in "".join(token.content for token in tokens if token.type == "text")
    assert [token.type for token in tokens].count("td_open") in (0, 5)
