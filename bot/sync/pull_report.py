"""The report on a pull request: one comment, written once, edited where what it says changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from bot.desk import Desk, thread_key
from bot.sync.pull_checks import Checked
from bot.sync.pull_record import Record, Situation, find_report, marker
from bot.texts.pull import End, FileView, PullView, pull_report
from hub.budget import HOUR
from hub.errors import RateLimited
from hub.records import Repo, Thread
from leaderboard.requests import RequestPath, parse_path
from leaderboard.submissions import MOST_FILES

Told = Literal["posted", "edited", "same", "held"]


def tell_checked(desk: Desk, thread: Thread, checked: Checked, now: Situation, *, void: str = "") -> Told:
    """Say what came of checking `thread` as it is `now`; `void` is the head of an earlier report."""
    record = Record(situation=now, result=checked.result, files=checked.plan)
    view = PullView(
        result=checked.result,
        head=now.head,
        record=record.line(),
        files=checked.files,
        others=checked.others,
        most=MOST_FILES,
        count=checked.count,
        void=void,
        draft=now.draft,
        conflicts=thread.conflicting_files,
        merges_itself=now.merges_itself,
    )
    return _tell(desk, thread, view)


def tell_void(desk: Desk, thread: Thread, record: Record) -> Told:
    """Say that the report which `record` belongs to is about what is not there any more."""
    void = record.model_copy(update={"checking": True})
    view = PullView(
        result=record.result,
        head=thread.head_commit or "",
        record=void.line(),
        checking=True,
        void=record.situation.head,
    )
    return _tell(desk, thread, view)


def tell_refused(desk: Desk, thread: Thread, record: Record, why: str) -> Told:
    """Say that the Hub did not let us merge it."""
    refused = record.model_copy(update={"refused": True})
    view = PullView(
        result=record.result,
        head=record.situation.head,
        record=refused.line(),
        files=_files(desk, record),
        refused=why,
    )
    return _tell(desk, thread, view)


def tell_end(
    desk: Desk,
    thread: Thread,
    record: Record,
    how: End,
    commit: str,
    *,
    by: str = "",
) -> Told:
    """Say what became of it."""
    ended = record.model_copy(update={"end": how, "files": (), "checking": False})
    view = PullView(
        result=record.result,
        head=record.situation.head,
        record=ended.line(),
        end=how,
        files=_files(desk, record),
        commit=commit,
        commit_url=f"{desk.address(desk.requests)}/commit/{commit}",
        by=by,
    )
    return _tell(desk, thread, view)


def _files(desk: Desk, record: Record) -> tuple[FileView, ...]:
    """The files of a report that everything passed, as its record has them."""
    found: list[FileView] = []
    for file in record.files:
        place = parse_path(file.path)
        if isinstance(place, RequestPath):
            url = desk.address(Repo("model", place.model))
            found.append(FileView(file.path, model=place.model, model_url=url, sha=file.sha))
    return tuple(found)


def _tell(desk: Desk, thread: Thread, view: PullView) -> Told:
    """Write the report into `thread`, as it was just read, or make the one that is there say `view`."""
    _check_quota(desk)
    view = replace(view, followed=desk.board.threads != "never")
    text, mark, wake = pull_report(view), marker(desk, thread.num), thread_key(desk.requests, thread.num)
    report, _ = find_report(desk, thread)
    if report is None:
        made = desk.effects.comment(desk.requests, thread.num, text, mark, wake=wake, seen=thread)
        told: Told = "held" if made is None else "posted"
    else:
        done = desk.effects.edit_comment(desk.requests, thread.num, report.id, text, mark, seen=report.text, wake=wake)
        told = "edited" if done == "done" else done
    if told in ("posted", "edited"):
        desk.echoes.caused("discussion", desk.requests.id, now=desk.now())
    return told


def _check_quota(desk: Desk) -> None:
    """Raises RateLimited where our half of the day's deliveries is spent: then people are told later, not never."""
    now = desk.now()
    if desk.echoes.own_left("discussion", desk.requests.id, now=now) <= 0:
        words = "Our half of the webhook's deliveries for today is spent; the pull request is told later."
        raise RateLimited(words, seconds=HOUR - now % HOUR + 1.0, what="deliveries", status=None)
