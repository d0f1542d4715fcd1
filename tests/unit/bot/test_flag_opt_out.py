"""A model whose authors asked to keep it off the board is not flagged by the way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.flags import decisions
from bot.flags.flag_commands import FlagCommand


class DraftedError(Exception):
    """The command goes on to the record."""


@pytest.mark.parametrize(("category", "is_refused"), [("copy", True), ("opt-out", False)])
def test_a_flag_does_not_replace_an_opt_out(category: str, is_refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the flag was lifted, or where it covers one commit alone, the model could be submitted again."""

    def draft(*_: object) -> None:
        raise DraftedError

    monkeypatch.setattr(decisions, "resolve_models", lambda *_: [SimpleNamespace(model="ada/shy", also=())])
    monkeypatch.setattr(decisions, "_draft", draft)
    monkeypatch.setattr(decisions, "present_records", lambda *_: ())
    context = SimpleNamespace(
        flags_repo="board/flags",
        board=SimpleNamespace(precisions=(), admission=SimpleNamespace(is_official=lambda _: False)),
        flag_book=SimpleNamespace(has_opted_out=lambda models: models == ["ada/shy"]),
    )
    command = FlagCommand(category, "its files are those of another model", ("ada/shy",))
    if is_refused:
        result = decisions.flag(cast(Any, context), command, cast(Any, None))
        assert (result.how, result.models) == ("opted-out", ("ada/shy",))
    else:
        with pytest.raises(DraftedError):
            decisions.flag(cast(Any, context), command, cast(Any, None))
