"""The hidden marker that makes a comment ours, and the rule of who "we" are.

    <!-- steward:1 open-llm request meta-llama/Llama-3_eval_request_False_bfloat16_Original.json -->

A marker is the whole first line of a comment. It counts only there and only where the comment's author is the bot, for
anybody can write one, replies quote them, and the bot's own reports hold strangers' text further down.

Who is the bot? Its Hub user id, where the answer carries author ids. The published description of the API promises
the author's *name* only, so where there is no id the name that `whoami` gives today decides. Names are unique on the
Hub and an answer shows each author's present name, so this errs in one case alone: the bot's account was renamed since
its name was read, and a stranger took the old name meanwhile. `Hub.me` therefore reads it anew every few minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hub.errors import BadRequest
from hub.records import Account, Comment

_WORD = r"[A-Za-z0-9._-]{1,100}"
_KEY = r"[!-~]{1,1000}?"  # visible ASCII without blanks; other characters arrive escaped
_MARKER = re.compile(rf"<!-- steward:1 (?P<board>{_WORD}) (?P<kind>{_WORD}) (?P<key>{_KEY}) -->")


@dataclass(frozen=True)
class Marker:
    """Names one comment of the bot: which board, what kind of comment, about what. `key` may hold any characters."""

    board: str
    kind: str
    key: str

    def __post_init__(self) -> None:
        for word in (self.board, self.kind):
            if not re.fullmatch(_WORD, word):
                raise BadRequest(f"{word[:120]!r} cannot be part of a marker; use letters, digits, '.', '_' and '-'.")
        if not self.key or len(_escaped(self.key)) > 1000:
            raise BadRequest("A marker's key has 1 to 1,000 characters.")

    def __str__(self) -> str:
        return f"<!-- steward:1 {self.board} {self.kind} {_escaped(self.key)} -->"


def _escaped(key: str) -> str:
    """`%3E` for what could end the comment, break its line or be mangled on the way; the rest stays readable."""
    text = "".join(
        char if "!" <= char <= "~" and char not in "%<>" else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in key
    )
    return text.replace("--", "-%2D")  # some renderers end a comment there


def _unescaped(text: str) -> str:
    raw = re.sub(rb"%([0-9A-F]{2})", lambda match: bytes([int(match[1], 16)]), text.encode())
    return raw.decode(errors="replace")


def marked(body: str, marker: Marker) -> str:
    """`body` with the marker as its first line. The marker cannot be seen in the rendered comment."""
    return f"{marker}\n{body}"


def marker_of(text: str) -> Marker | None:
    """The marker that is the first line of `text`; None where there is none."""
    found = _MARKER.fullmatch(re.split(r"[\r\n]", text, maxsplit=1)[0].strip())
    if found is None:
        return None
    key = _unescaped(found["key"])
    return Marker(found["board"], found["kind"], key) if _escaped(key) == found["key"] else None


def is_by(account: Account, author_id: str | None, author_name: str) -> bool:
    """Whether this author is `account`: by id where there is one, else by name."""
    return author_id == account.id if author_id is not None else author_name == account.name


def find_marked(comments: Iterable[Comment], marker: Marker, me: Account) -> Comment | None:
    """The oldest comment that carries `marker` and was written by us.

    Accepted: a comment that somebody hid shows no text, hence no marker, and is taken for missing.
    """
    for comment in comments:
        if is_by(me, comment.author_id, comment.author_name) and marker_of(comment.text) == marker:
            return comment
    return None
