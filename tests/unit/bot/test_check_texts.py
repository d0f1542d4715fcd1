"""The answer to a check, as people read it in a thread; and nothing in it that a stranger formed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.texts.check import CheckLine, CheckView, check_report
from leaderboard.requests import Problem

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})
PICKLE = Problem(
    code="weights-not-safetensors",
    message="The weights of ada/tiny are pickle files.",
    advice="Upload them as safetensors.",
    link="https://hub/ada/tiny",
)
LINES = (
    CheckLine("model-readable", "The model can be read", "passed"),
    CheckLine("safetensors", "Weights are safetensors", "failed", (PICKLE,)),
    CheckLine("headers", "The weights are whole", "not-looked-at"),
)
REFUSED = """\
### 🔎 ada/tiny would not be accepted

As float16, at `0123abcd`: 1 of 3 rules fails. Nothing was submitted.

- ✅ The model can be read
- ❌ Weights are safetensors
  - The weights of ada/tiny are pickle files. [Look there](https://hub/ada/tiny). *Upload them as safetensors.*
- ⬜ The weights are whole (not looked at)
"""
ACCEPTED = """\
### 🔎 ada/tiny would be accepted

As float16, at `0123abcd`: it passes every rule. Nothing was submitted.

- ✅ The model can be read
"""


def view(accepted: bool = False, **changes: object) -> CheckView:
    """What was found of ada/tiny."""
    lines = LINES[:1] if accepted else LINES
    fields = {"model": "ada/tiny", "precision": "float16", "sha": "0123abcd" * 5, "lines": lines, "accepted": accepted}
    return CheckView(**{**fields, **changes})  # type: ignore[arg-type]


def test_every_rule_is_told_with_what_to_do() -> None:
    """Passed, failed with its reason, or not looked at; the first line says how it would end."""
    assert check_report(view()) == REFUSED
    assert check_report(view(accepted=True)) == ACCEPTED


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_strangers_words_stay_words(model: str, said: str) -> None:
    """No name and no reason opens a link, mentions anybody or ends the list."""
    problem = Problem(code="odd", message=said, advice=said)
    report = check_report(view(model=model, lines=(CheckLine("rule", "A rule", "failed", (problem,)),)))
    tokens = [token for block in MARKDOWN.parse(report) for token in (block, *(block.children or ()))]
    assert {token.type for token in tokens}.isdisjoint({"link_open", "html_inline", "html_block", "image", "fence"})
