"""Checks of single files of a pull request."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from bot.pulls.checks import _check_file
from hub.errors import TooLarge
from leaderboard.submissions import OtherFile


def test_a_file_on_main_that_is_too_large_is_left_to_a_maintainer() -> None:
    """If the file on main is too large to read, the change is reported to a maintainer instead of being checked."""

    def find_file(*_: Any, **__: Any) -> None:
        raise TooLarge("it has more than 1,000 bytes")

    hub = SimpleNamespace(read_file=lambda *_, **__: SimpleNamespace(data=b"{}"), find_file=find_file)
    context: Any = SimpleNamespace(hub=hub, requests="town/requests", board=SimpleNamespace(max_request_bytes=1_000))
    thread: Any = SimpleNamespace(head_commit="a" * 40)
    change: Any = SimpleNamespace(path="ada/lion_eval_request_False_float16_Original.json", kind="changed")
    checked = _check_file(context, thread, change)
    assert checked == OtherFile(change.path, "replaces a file of more than 1,000 bytes, which is not read")
