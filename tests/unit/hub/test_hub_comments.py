"""Hidden markers in comments, and how their author is identified."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.comments import Marker, find_marked, is_by, marked, marker_of
from hub.errors import BadRequest
from hub.records import Account, Comment

BOT = Account("b" * 24, "steward-bot")
STATUS = Marker("open-llm", "status", "org/model_eval_request_False_bfloat16_Original.json")
words = st.from_regex(r"[A-Za-z0-9._-]{1,30}", fullmatch=True)
markers = st.builds(Marker, words, words, st.text(min_size=1, max_size=40))


def comment(text: str, *, by: str = "steward-bot", id_: str | None = BOT.id, name: str = "c1") -> Comment:
    """Return a comment, by default of the bot."""
    return Comment(name, id_, by, datetime(2026, 11, 24, tzinfo=UTC), text, hidden=False, edited=False)


def test_a_marker_looks_as_the_design_says() -> None:
    """A marker has the documented form, which other programs may search for."""
    assert str(Marker("board", "kind", "key")) == "<!-- steward:1 board kind key -->"


@given(marker=markers, body=st.text())
def test_a_marked_comment_is_read_back_whatever_key_and_body_hold(marker: Marker, body: str) -> None:
    """A marker is read back from a comment for every key and body, even a key that tries to end the HTML comment."""
    text = marked(body, marker)
    assert marker_of(text) == marker
    assert marker_of(text.replace("\n", "\r\n")) == marker


@given(marker=markers)
def test_a_marker_is_one_line_that_nothing_in_it_can_end(marker: Marker) -> None:
    """A marker is one ASCII line, and no key can end its HTML comment."""
    line = str(marker)
    assert line.splitlines() == [line]
    assert line.isascii()
    assert line.index("-->") == len(line) - 3
    assert "--" not in line[4:-3].removeprefix(f" steward:1 {marker.board} {marker.kind} ")


@given(text=st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    """Any text can be searched for a marker, and only one at the start counts."""
    marker = marker_of(text)
    assert marker is None or text.lstrip().startswith("<!-- steward:1 ")


@pytest.mark.parametrize(
    "text",
    [
        f"> {STATUS}\n> Your request was accepted.",
        f"Look what the bot wrote:\n\n{STATUS}",
        f"```\n{STATUS}\n```",
        f"`{STATUS}`",
        f"{STATUS} and more",
        str(STATUS).replace("steward:1", "steward:2"),
        "<!-- steward:1 board kind -->",
        "<!-- steward:1 board kind two keys -->",
        "<!-- steward:1 board kind %zz -->",
        "<!-- steward:1 board kind k%65y -->",
        "",
    ],
)
def test_a_quoted_misplaced_or_misshapen_marker_is_none(text: str) -> None:
    """Only an exact marker in the first line of a comment counts."""
    assert marker_of(text) is None


@pytest.mark.parametrize(
    ("board", "kind", "key"), [("a b", "k", "x"), ("b", "", "x"), ("b", "k>", "x"), ("b", "k", "")]
)
def test_a_marker_that_could_not_be_read_back_is_refused(board: str, kind: str, key: str) -> None:
    """A marker with an empty part, or with characters that could not be read back, is refused."""
    with pytest.raises(BadRequest):
        Marker(board, kind, key)


def test_the_id_decides_who_wrote_a_comment_where_there_is_one() -> None:
    """If the Hub gives the author's id, the id counts and not the name: the bot may be renamed."""
    assert is_by(BOT, BOT.id, "renamed-bot")
    assert not is_by(BOT, "a" * 24, "steward-bot")


def test_the_name_decides_where_the_hub_gives_no_id() -> None:
    """If the Hub gives no id for the author, the name counts."""
    assert is_by(BOT, None, "steward-bot")
    assert not is_by(BOT, None, "stranger")


def test_a_strangers_copy_of_a_marker_is_passed_over() -> None:
    """The bot's own marked comment is found, even if another account posted the marker first."""
    forged = comment(marked("Accepted!", STATUS), by="mallory", id_="a" * 24, name="forged")
    other = comment(marked("Another", Marker("open-llm", "status", "another")), name="other")
    ours = comment(marked("Waiting", STATUS), name="ours")
    again = comment(marked("Waiting", STATUS), name="again")
    assert find_marked([forged, other, ours, again], STATUS, BOT) == ours
    assert find_marked([forged, other], STATUS, BOT) is None
