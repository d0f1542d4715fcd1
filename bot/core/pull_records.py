"""Records of a checked pull request, stored in the report itself, so that they survive the loss of Redis.

The second line of the report, which renderers hide, holds the checked blobs and the result. Like the marker in the
first line, it counts only in a comment of the bot's own.

    <!-- steward:1 open-llm pull 12 -->
    <!-- {"head": "4a7d…", "result": "passed", "files": [["org/model_eval_request_….json", "9c1e…", null]]} -->
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.core.context import BoardContext, thread_key
from bot.core.render import Safe
from hub.comments import Marker, find_marked
from hub.records import Comment, Repo, Thread
from leaderboard.effects import Effect, EffectMode
from redis_state.dirty import SyncPriority
from redis_state.redis import text

Result = Literal["passed", "problems", "mixed", "other", "too-many", "too-large", "nothing"]
"""The kind of a pull request: submissions that pass, or do not; submissions and other changes; no submission; more than
the bot checks; no change."""
End = Literal["merged", "by-hand", "taken-back"]
"""The end of a pull request: merged by the bot as checked; merged by a person; merged differently, and reverted."""

KIND = "pull"
MAIN = "refs/heads/main"

_LINE = re.compile(r"<!-- (\{.*\}) -->")


class PlannedFile(BaseModel):
    """A file that may be merged: its git blob id after the merge, and the one before (None: there is no file).

    `sha` is the commit of the model that would be evaluated.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    oid: str
    before: str | None = None
    sha: str = ""


class PullRequestState(BaseModel):
    """The facts that a report rests on, beside the files: if one of them changes, the report is written again."""

    model_config = ConfigDict(frozen=True)

    head: str
    draft: bool = False
    conflict: bool = False
    merges_itself: bool = False


class CheckedRename(BaseModel):
    """A checked rename: the digests of its plan and of the files after the pull request."""

    model_config = ConfigDict(frozen=True)

    old: str
    new: str
    plan: str = ""
    outcome: str = ""
    partial: bool = False


class PullRequestRecord(BaseModel):
    """The machine-readable result of a check, which the hidden line of the report holds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    situation: PullRequestState
    result: Result
    files: tuple[PlannedFile, ...] = ()
    rename: CheckedRename | None = None
    refused: bool = Field(default=False, description="the Hub refused to merge it")
    checking: bool = Field(default=False, description="the report is void, and there is no other yet")
    end: End | None = None

    def line(self) -> Safe:
        """The hidden line of the report."""
        return hidden_line(self)


def hidden_line(record: BaseModel) -> Safe:
    """`record` as a line that renderers hide."""
    data = record.model_dump_json(exclude_defaults=True)
    ascii_only = "".join(char if " " <= char <= "~" else _escaped(char) for char in data)
    without_end = ascii_only.replace("--", "-" + _escaped("-"))  # some renderers end a comment at --
    return Safe(f"<!-- {without_end} -->")


def second_line(comment: Comment) -> str:
    """The JSON in the hidden line below the marker of the bot's `comment`; "" if there is none."""
    lines = re.split(r"\r\n|\r|\n", comment.text, maxsplit=2)
    match = _LINE.fullmatch(lines[1].strip()) if len(lines) > 1 else None
    return match[1] if match is not None else ""


class PullRequestMemo(BaseModel):
    """Facts about a pull request in Redis; without them, it is checked once more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    head: str
    heard: int = Field(default=0, description="comments, at the check, of people who can request another check")
    held: PullRequestState | None = Field(default=None, description="of a report that could not be written")
    denied: bool = Field(default=False, description="the Hub, not the board, refused the report")
    stale: bool = Field(default=False, description="its base has changed since the check")
    silent: bool = Field(default=False, description="it needs no report")
    merging: str = Field(default="", description="the head of a merge that the bot has begun")
    by: str = Field(default="", description="name of the approver of that merge")


def situation(context: BoardContext, thread: Thread) -> PullRequestState:
    """The present state of the pull request `thread`."""
    return PullRequestState(
        head=thread.head_commit or "",
        draft=thread.status == "draft",
        conflict=bool(thread.conflicting_files),
        merges_itself=context.board.pull_requests == "merge"
        and context.effects.mode(Effect.MERGE, Effect.EDIT) is EffectMode.ON,
    )


def marker(context: BoardContext, number: int) -> Marker:
    """The marker of the report on pull request `number`."""
    return context.marker(KIND, str(number))


def find_report(context: BoardContext, thread: Thread) -> tuple[Comment | None, PullRequestRecord | None]:
    """The bot's report on `thread`, and its record; None for a missing or unreadable one."""
    comment = find_marked(thread.comments, marker(context, thread.num), context.me())
    if comment is None:
        return None, None
    line = second_line(comment)
    try:
        return comment, PullRequestRecord.model_validate_json(line) if line else None
    except ValidationError:
        return comment, None


def recall(context: BoardContext, repo: Repo, number: int) -> PullRequestMemo | None:
    """The memo of pull request `number` of `repo`."""
    raw = context.redis.hget(context.keys.pulls, _name(context, repo, number))
    return None if raw is None else _memo(raw)


def _memo(raw: bytes | str) -> PullRequestMemo | None:
    try:
        return PullRequestMemo.model_validate_json(raw)
    except ValidationError:
        return None  # written by another version


def recall_all(context: BoardContext) -> dict[int, PullRequestMemo | None]:
    """The memo of every pull request in the requests repo, by number."""
    memos = {text(name): raw for name, raw in context.redis.hgetall(context.keys.pulls).items()}
    return {int(name): _memo(raw) for name, raw in memos.items() if name.isdecimal()}


def mark_moved(context: BoardContext, heads: dict[str, str]) -> None:
    """Mark the pull requests whose head in `heads` (ref → commit) differs from the one that was checked."""
    for number, memo in recall_all(context).items():
        head = heads.get(f"refs/pr/{number}")
        if memo is None or head not in (None, memo.head):
            context.mark(thread_key(context.requests, number), SyncPriority.EVENT)


def remember(context: BoardContext, repo: Repo, number: int, memo: PullRequestMemo) -> None:
    """Store `memo`."""
    context.redis.hset(context.keys.pulls, _name(context, repo, number), memo.model_dump_json(exclude_defaults=True))


def forget(context: BoardContext, repo: Repo, number: int) -> None:
    """Delete the memo of a pull request that has ended or is gone."""
    context.redis.hdel(context.keys.pulls, _name(context, repo, number))


def _name(context: BoardContext, repo: Repo, number: int) -> str:
    return str(number) if repo == context.requests else f"{repo.id} {number}"


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
