"""The guarded writer, through which every write of the bot to the Hub passes: each kind of effect is off, shadow or on.

    on       done
    shadow   not done, but listed (`redis_state.shadowed_writes`)
    off      not done

A write may be of several kinds: a relaunch edits a file, and a status comment reports an edit, so neither happens
without the other. The weakest mode of its kinds decides. The writer returns whether a write was allowed: a sync whose
write was held back must end, because nothing will land and mark its key. The writer stores the dirty key, and the
scheduler marks it when the board's effects change.

Threads from before the board's adoption get no comment and keep their status, unless a person asked.

A sync that lost its lease writes no more in threads (`bot.core.lease_fence`). Each comment is counted, because it
causes a webhook delivery.

Not guarded: the webhooks of the bot's account, and the record of adoption, which an operator requests explicitly.

Race accepted: an edit that was staged while edits were on is listed and dropped if they are not on when the ledger
writes it; an edit whose commit is under way at that moment lands.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import structlog

from bot.core.adoption import Adoption
from bot.core.lease_fence import still_ours
from bot.core.render import ZERO_WIDTH_SPACE
from bot.ledger.edits import AnyEdit, FieldEdit
from bot.ledger.ledger import Ledger
from hub.client import Hub
from hub.comments import Marker
from hub.records import Comment, Repo, Thread, ThreadStatus
from leaderboard.effects import Effect, EffectMode, Effects
from redis_state.clock import Clock
from redis_state.shadowed_writes import ShadowedWrite, ShadowList
from redis_state.webhook_quota import WebhookQuota

log = structlog.get_logger()

Edited = Literal["done", "same", "held"]
"""The result of an edit of a comment: it was edited, it had this text already, or the edit was held back."""

_MENTION = re.compile(r"(?<![\w/`.@-])@(?=([A-Za-z0-9][\w-]{0,95}))")


class GuardedWriter:
    """The guarded writer of one board. `effects` returns the board's present modes."""

    def __init__(
        self,
        effects: Callable[[], Effects],
        hub: Hub,
        ledger: Ledger,
        webhook_quota: WebhookQuota,
        shadow: ShadowList,
        adoption: Adoption,
        now: Clock,
    ) -> None:
        self._effects = effects
        self._hub = hub
        self._ledger = ledger
        self._webhook_quota = webhook_quota
        self._adoption = adoption
        self._now = now
        self.shadow = shadow

    # --- permission

    def mode(self, *kinds: Effect) -> EffectMode:
        """The weakest mode of these kinds."""
        return self._effects().mode(*kinds)

    def allows(self, shadowed: ShadowedWrite, *kinds: Effect, wake: str = "", aliases: tuple[str, ...] = ()) -> bool:
        """Whether the write may happen; `kinds` are its further kinds.

        If not, it is listed in shadow mode, and the dirty key `wake` is stored, to be marked when effects change.
        """
        mode = self.mode(Effect(shadowed.effect), *kinds)
        if mode is EffectMode.ON:
            return True
        if mode is EffectMode.SHADOW and self.shadow.add(shadowed.model_copy(update={"at": self._now()}), *aliases):
            log.info("in shadow", effect=shadowed.effect, repo=shadowed.repo, does=shadowed.does)
        if wake:
            self.hold_back(wake)
        return False

    def hold_back(self, wake: str) -> None:
        """Store the dirty key `wake` of a sync that ends at a write that is held back: it is marked when effects
        change."""
        self.shadow.hold_back(wake, self.words())

    def words(self) -> str:
        """The board's effects as text, for comparisons."""
        return self._effects().model_dump_json()

    # --- files

    def stage(self, repo: Repo, *edits: AnyEdit, effect: Effect = Effect.EDIT) -> bool:
        """Stage edits with the ledger; False if the board holds them back: then they never land or mark a key."""
        if self.mode(Effect.EDIT, effect) is EffectMode.ON:
            self._ledger.stage(repo, *edits)
            return True
        for edit in edits:
            self._list_edit(repo, edit, effect)
        return False

    def write(self, repo_id: str) -> float | None:
        """The sync of the dirty key `ledger:{repo_id}`: write the staged edits; return when to continue, if known.

        If the board holds edits back now, list the staged ones as shadowed writes, and end them as void.
        """
        repo = Repo("dataset", repo_id)
        if self.mode(Effect.EDIT) is EffectMode.ON:
            return self._ledger.write(repo)
        for staged in list(self._ledger.edits.read(repo)):
            self._list_edit(repo, staged.edit, Effect.EDIT)
            self._ledger.end(repo, staged, "void")
        return None

    def _list_edit(self, repo: Repo, edit: AnyEdit, effect: Effect) -> None:
        if isinstance(edit, FieldEdit):
            status, facts = str(edit.fields.get("status", "")), {"steward": edit.facts} if edit.facts else {}
            text = json.dumps({**edit.fields, **facts}, ensure_ascii=False)
        else:
            status, text = "", "nothing" if edit.data is None else f"{len(edit.data):,} bytes"
        name, repo_name = f"edit {edit.id}", _name(repo)
        shadowed = ShadowedWrite(
            id=name, effect=effect, repo=repo_name, does=edit.line, path=edit.path, status=status, text=text
        )
        self.allows(shadowed, Effect.EDIT, wake=edit.wake[0] if edit.wake else "")

    # --- threads

    def open_thread(
        self,
        repo: Repo,
        title: str,
        body: str,
        marker: Marker,
        *kinds: Effect,
        version: str = "",
        wake: str = "",
        since: datetime | None = None,
        looked: bool = False,
    ) -> int | None:
        """`Hub.open_thread`; None if it is held back. Two bodies with the same `version` count as one text.

        If the thread does not exist because it was held back, its later texts are listed as edits of its opening post.
        """
        text_id = _text_id(marker, version or body)
        shadowed = _about(repo, None, Effect.NEW_THREAD, f"Open “{title}”", marker, body, f"open {marker}")
        if self.allows(shadowed, *kinds, wake=wake, aliases=(text_id,)):
            text = self._without_mentions(repo, body, marker)
            still_ours()
            number = self._hub.open_thread(repo, title, text, marker, since=since, looked=looked)
            self._count(repo)
            return number
        edits = f"Edit the opening post of “{title}”"
        self.allows(_about(repo, None, Effect.COMMENT, edits, marker, body, text_id), Effect.NEW_THREAD, *kinds)
        return None

    def comment(
        self,
        repo: Repo,
        num: int,
        body: str,
        marker: Marker,
        *kinds: Effect,
        asked: bool = False,
        version: str = "",
        wake: str = "",
        seen: Thread | None = None,
    ) -> Comment | None:
        """`Hub.ensure_comment`; None if it is held back, or the thread is old and no person `asked`."""
        if self.is_left_alone(repo, num) and not asked:
            return None
        shadowed = _about(repo, num, Effect.COMMENT, f"Comment in #{num}", marker, body, f"comment {num} {marker}")
        text_id = _text_id(marker, version or body)
        if not self.allows(shadowed, *kinds, wake=wake or _thread(repo, num), aliases=(text_id,)):
            return None
        text = self._without_mentions(repo, body, marker)
        still_ours()
        comment = self._hub.ensure_comment(repo, num, text, marker, seen=seen)
        self._count(repo)
        return comment

    def edit_comment(
        self,
        repo: Repo,
        num: int,
        comment_id: str,
        body: str,
        marker: Marker,
        *kinds: Effect,
        seen: str | None = None,
        version: str = "",
        wake: str = "",
    ) -> Edited:
        """`Hub.edit_comment`, for a comment of the bot."""
        text_id = _text_id(marker, version or body)
        shadowed = _about(repo, num, Effect.COMMENT, f"Edit our comment in #{num}", marker, body, text_id)
        if not self.allows(shadowed, *kinds, wake=wake or _thread(repo, num)):
            return "held"
        text = self._without_mentions(repo, body, marker)
        still_ours()
        if not self._hub.edit_comment(repo, num, comment_id, text, marker=marker, seen=seen):
            return "same"
        self._count(repo)
        return "done"

    def set_status(
        self, repo: Repo, num: int, status: ThreadStatus, marker: Marker, *, asked: bool = False, wake: str = ""
    ) -> bool:
        """`Hub.set_status`; False if it is held back, or the thread is old and no person `asked`."""
        if self.is_left_alone(repo, num) and not asked:
            return False
        does = f"{'Close' if status == 'closed' else 'Open again'} #{num}"
        shadowed = _about(repo, num, Effect.CLOSE, does, marker, "", f"{status} {num} {marker}")
        if not self.allows(shadowed, wake=wake or _thread(repo, num)):
            return False
        still_ours()
        if self._hub.set_status(repo, num, status):
            self._count(repo)
        return True

    def may_merge(self, repo: Repo, num: int, *, head: str, wake: str = "") -> bool:
        """Whether `merge` is allowed; if not, it is listed.

        A merge counts as an edit too: it changes files, and the bot restores them if something else was merged.
        """
        name, does = f"merge {_name(repo)} {num} {head}", f"Merge #{num} at {head[:8]}"
        shadowed = ShadowedWrite(id=name, effect=Effect.MERGE, repo=_name(repo), thread=num, does=does)
        return self.allows(shadowed, Effect.EDIT, wake=wake or _thread(repo, num))

    def merge(self, repo: Repo, num: int, *, head: str, wake: str = "") -> Thread | None:
        """`Hub.merge` of a pull request at the approved commit `head`; None if it is held back."""
        if not self.may_merge(repo, num, head=head, wake=wake):
            return None
        still_ours()
        merged = self._hub.merge(repo, num, head=head)
        self._count(repo)
        return merged

    def is_left_alone(self, repo: Repo, num: int) -> bool:
        """Whether a thread is from before the board's adoption."""
        record = self._adoption.record()
        return record is not None and record.is_old_thread(_name(repo), num)

    def _count(self, repo: Repo) -> None:
        """Count a write in a thread of `repo` in the daily quota of deliveries."""
        self._webhook_quota.caused("discussion", repo.id, now=self._now())

    def _without_mentions(self, repo: Repo, body: str, marker: Marker) -> str:
        """`body` if mentions are allowed; else `body` with its mentions broken, so that the Hub notifies no account."""
        names = sorted(set(_MENTION.findall(body)))
        if not names:
            return body
        name, does = f"mention {marker} {' '.join(names)}", f"Mention {', '.join(names)}"[:400]
        shadowed = ShadowedWrite(id=name, effect=Effect.MENTION, repo=_name(repo), does=does, path=marker.key)
        return body if self.allows(shadowed) else _MENTION.sub(f"@{ZERO_WIDTH_SPACE}", body)


def _about(
    repo: Repo, num: int | None, effect: Effect, does: str, marker: Marker, body: str, name: str
) -> ShadowedWrite:
    return ShadowedWrite(id=name, effect=effect, repo=_name(repo), thread=num, does=does, path=marker.key, text=body)


def _thread(repo: Repo, num: int) -> str:
    """The dirty key of a thread, whose sync repeats a held-back write unless the caller names another key."""
    return f"thread:{_name(repo)}:{num}"


def _name(repo: Repo) -> str:
    return f"{repo.kind}/{repo.id}"


def _text_id(marker: Marker, text: str) -> str:
    """The id under which a shadowed text is listed once."""
    return f"say {marker} {hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:16]}"
