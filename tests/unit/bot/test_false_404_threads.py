"""A single 404 about a thread may come from a server that lags: a second answer decides whether it was deleted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.changes.rename_facts import asking_for
from bot.core import own_threads
from bot.flags import report_intake
from bot.request_files import status_thread
from hub.comments import Marker
from hub.errors import Garbled, ThreadNotFound
from hub.records import Repo
from leaderboard.effects import EffectMode
from tests.support.hub.answers import failing, in_turn

LOGS = Repo("dataset", "board/logs")
GONE = ThreadNotFound("no thread", status=404)


def test_who_asks_for_a_rename_is_known_after_one_404() -> None:
    """The author of a thread that links the pull request counts as asking for the rename, even after one 404."""
    gone = ThreadNotFound("no thread", status=404)
    linking, pull = (SimpleNamespace(author_id=str(number), author_name="mia", num=number) for number in (1, 2))
    answers: list[object] = [gone, linking, gone, gone]
    redis = SimpleNamespace(smembers=lambda _: {b"thread:dataset/board/logs:1"})
    keys = SimpleNamespace(pull_links=str)
    context = cast(Any, SimpleNamespace(hub=SimpleNamespace(thread=in_turn(answers)), redis=redis, keys=keys))
    assert [person.id for person in asking_for(context, LOGS, cast(Any, pull))] == ["1", "2"]
    assert [person.id for person in asking_for(context, LOGS, cast(Any, pull))] == ["2"]


def test_no_second_thread_is_opened_for_one_that_a_404_hides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot keeps its own thread while the list still shows it, and forgets it only if the list lacks it too."""
    forgotten, listed = list[bytes](), [SimpleNamespace(num=9), SimpleNamespace(num=7), SimpleNamespace(num=3)]
    member = b"Title\x007"
    hub = SimpleNamespace(thread=failing(GONE), threads=lambda *_, **__: iter(listed))
    context = SimpleNamespace(
        hub=hub,
        me=lambda: SimpleNamespace(name="bot"),
        keys=SimpleNamespace(own_threads=lambda _: "own"),
        requests=SimpleNamespace(id="board/requests"),
        index=SimpleNamespace(of_thread=lambda _: None),
        redis=SimpleNamespace(zrangebylex=lambda *_: [member], zrem=lambda _, name: forgotten.append(name)),
    )
    monkeypatch.setattr(own_threads, "_read_on", lambda _: None)
    marker = Marker("board", "digest", "maintainers")
    with pytest.raises(Garbled):
        own_threads.find_own(cast(Any, context), "Title", marker, "")
    assert forgotten == []
    del listed[1]
    assert own_threads.find_own(cast(Any, context), "Title", marker, "") is None
    assert forgotten == [member]


def test_a_reporter_whose_thread_one_404_hides_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reporter is notified of the decision although the Hub answered 404 for the thread once."""
    told = list[int]()
    monkeypatch.setattr(report_intake, "address", lambda *_: "another")
    monkeypatch.setattr(report_intake, "say", lambda _, __, thread, *___, **____: told.append(thread.num))
    monkeypatch.setattr(report_intake, "reported_in", lambda *_: [])
    answers: list[object] = [GONE, SimpleNamespace(num=7, author_name="mia", status="closed"), GONE, GONE]
    context = cast(Any, SimpleNamespace(hub=SimpleNamespace(thread=in_turn(answers))))
    report = cast(Any, SimpleNamespace(model="ada/good", threads=["thread:dataset/board/logs:7"]))
    report_intake.tell_reporters(context, report, "url", "cause")
    report_intake.tell_reporters(context, report, "url", "cause")
    assert (told, answers) == ([7], [])


def test_a_status_thread_that_one_404_hides_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot closes a status thread after one 404 about it; it counts as closed only after two."""
    thread = SimpleNamespace(is_pull_request=False, author_id="1", author_name="bot", status="open")
    reads: list[object] = [GONE, thread, thread, GONE, GONE]
    writes: list[object] = [True, GONE]
    context = SimpleNamespace(
        me=lambda: SimpleNamespace(id="1", name="bot"),
        hub=SimpleNamespace(thread=in_turn(reads)),
        requests=LOGS,
        effects=SimpleNamespace(mode=lambda _: EffectMode.ON, set_status=in_turn(writes)),
        marker=lambda kind, key: Marker("board", kind, key),
    )
    monkeypatch.setattr("bot.core.comment_quota.left", lambda *_: 1.0)
    monkeypatch.setattr(status_thread, "is_waiting", lambda *_: False)
    entry = SimpleNamespace(thread=7, closed=False, attempt="a", path="p", changed=lambda closed: closed)

    def close() -> object:
        return status_thread._close_or_open(cast(Any, context), cast(Any, entry), next(iter(status_thread.OVER)))

    assert (close(), writes) == (True, [GONE])
    with pytest.raises(Garbled):
        close()
    assert (close(), reads, writes) == (True, [], [])
