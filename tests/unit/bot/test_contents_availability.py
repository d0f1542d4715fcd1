"""When the results table shows a model as unavailable: never because of a single answer of the Hub."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from bot.core.context import BoardContext
from bot.results import scoreboard
from bot.results.contents import look_at_model
from hub.errors import Disabled, Garbled, HubError, RepoNotFound, TooLarge, Transient
from leaderboard.contents_row import HubModelInfo

MODEL = "ada/good"


def asked(history: HubError | None, *, available: bool = True) -> tuple[bool, int]:
    """Whether a model that the Hub answers 404 for counts as available, and the number of calls for its history."""
    calls = 0

    def facts(_: str) -> None:
        raise RepoNotFound("Repository not found")

    def commits(*_: object, **__: object) -> list[object]:
        nonlocal calls
        calls += 1
        if history is not None:
            raise history
        return []

    context = cast(BoardContext, SimpleNamespace(hub=SimpleNamespace(model_facts=facts, commits=commits)))
    info = look_at_model(context, "ada/good", HubModelInfo(available=available, likes=3))
    assert info.likes == 3
    return info.available, calls


def test_one_wrong_404_hides_no_model_for_a_day() -> None:
    """A model counts as unavailable only if a second call, for its history, confirms that it is gone."""
    assert asked(None) == (True, 1)
    assert asked(Garbled("A proxy's page.")) == (True, 1)
    assert asked(RepoNotFound("Repository not found")) == (False, 1)
    assert asked(Disabled("Access to this resource is disabled.")) == (False, 1)
    assert asked(None, available=False) == (False, 0)


def test_an_unreachable_hub_raises_the_error() -> None:
    """If the Hub cannot be reached, the error is raised, so that the sync runs again later."""
    with pytest.raises(Transient):
        asked(Transient("away"))


@pytest.mark.parametrize(("error", "stored"), [(Garbled("A proxy's page."), {}), (TooLarge("Too long."), {MODEL: ""})])
def test_a_garbled_answer_stores_no_licence(
    error: HubError, stored: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the Hub's answer is garbled, no licence is stored and a later pass asks again."""

    def facts(_: str) -> None:
        raise error

    licences = dict[str, str]()
    context = SimpleNamespace(
        hub=SimpleNamespace(model_facts=facts),
        licences=SimpleNamespace(models=set, put=licences.update),
        index=SimpleNamespace(tell=list),
    )
    entry = SimpleNamespace(is_private=False, asked="", licence="", standing=SimpleNamespace(licence=""))
    monkeypatch.setattr(scoreboard, "table_facts", lambda _: {})
    monkeypatch.setattr(scoreboard, "_entries", lambda *_: [(MODEL, [entry])])
    scoreboard._find_licences(cast(BoardContext, context), [f"{MODEL}_eval_request_False_float16_Original.json"])
    assert licences == stored
