"""The hidden marker that identifies a comment of the bot, and the rule that identifies the bot's account.

    <!-- steward:1 open-llm request meta-llama/Llama-3_eval_request_False_bfloat16_Original.json -->

A marker is the whole first line of a comment. It counts only there, and only in comments by the bot, because any user
can write a marker, replies quote markers, and the bot's own reports contain untrusted text in later lines.

The author is the bot if the Hub user id matches. The published API promises only the author's *name*; without an id,
the present name from `whoami` decides. Names are unique on the Hub and responses show present names, so this fails only
if the bot's account was renamed since its name was read and another user took the old name. `Hub.me` therefore reads
the name again every few minutes.
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
    """Identifies one comment of the bot by board, kind and subject. `key` may contain any characters."""

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
    """Escape (`%3E`) characters that could end the comment or the line, or that the Hub may change."""
    text = "".join(
        char if "!" <= char <= "~" and char not in "%<>" else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in key
    )
    return text.replace("--", "-%2D")  # some renderers end a comment there


def _unescaped(text: str) -> str:
    raw = re.sub(rb"%([0-9A-F]{2})", lambda match: bytes([int(match[1], 16)]), text.encode())
    return raw.decode(errors="replace")


def marked(body: str, marker: Marker) -> str:
    """Return `body` with the marker as its first line, which the rendered comment does not show."""
    return f"{marker}\n{body}"


def marker_of(text: str) -> Marker | None:
    """Return the marker in the first line of `text`, if there is one."""
    match = _MARKER.fullmatch(re.split(r"[\r\n]", text, maxsplit=1)[0].strip())
    if match is None:
        return None
    key = _unescaped(match["key"])
    return Marker(match["board"], match["kind"], key) if _escaped(key) == match["key"] else None


def is_by(account: Account, author_id: str | None, author_name: str) -> bool:
    """Whether this author is `account`: by id if there is one, else by name."""
    return author_id == account.id if author_id is not None else author_name == account.name


def find_marked(comments: Iterable[Comment], marker: Marker, me: Account) -> Comment | None:
    """Return the oldest comment by `me` with `marker`.

    Accepted: a hidden comment shows no text and so no marker, and counts as missing.
    """
    for comment in comments:
        if is_by(me, comment.author_id, comment.author_name) and marker_of(comment.text) == marker:
            return comment
    return None
