"""How a status comment shows the reasons of a refusal, with links."""

from __future__ import annotations

from markdown_it import MarkdownIt

from bot.request_files.status_text import StatusView, status_comment
from leaderboard.reasons import Problem

VIEW = StatusView("refused", "o/m.json", "https://hub.example/o/m.json", "2026-11-25 12:00 UTC")


def links(markdown: str) -> list[str]:
    """The targets of the links in a text."""
    tokens = [child for token in MarkdownIt().parse(markdown) for child in token.children or ()]
    return [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]


def comment(*reasons: Problem) -> str:
    """The status comment of a refusal."""
    return status_comment(StatusView(VIEW.state, VIEW.path, VIEW.request_url, VIEW.updated, reasons=reasons))


def test_a_reason_links_its_address() -> None:
    """A reason with an address is followed by a link; one without has none."""
    reason = Problem(code="copy", message="It is a copy.", advice="Please do not.")
    assert links(comment(reason)) == [VIEW.request_url]
    text = comment(reason.at("https://hub.example/d/7"))
    assert links(text) == [VIEW.request_url, "https://hub.example/d/7"]
    assert "It is a copy. [See here](https://hub.example/d/7). *Please do not.*" in text


def test_an_address_and_a_reason_cannot_leave_their_line() -> None:
    """Hostile text in a reason or an address adds no link, HTML, mention or heading."""
    hostile = "x) ![i](http://evil.example) <b> @maya\n# y"
    text = comment(Problem(code="copy", message=hostile, advice=hostile).at(f"https://hub.example/{hostile}"))
    assert len(links(text)) == 2
    assert "<b>" not in text
    assert "@maya" not in text.replace("%20@maya", "")
    assert "\n# y" not in text
