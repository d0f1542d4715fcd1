"""A model whose authors opted out of the board cannot be flagged for another reason."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.flags import decisions
from bot.flags.flag_commands import FlagCommand


class DraftedError(Exception):
    """Raised where the command would go on to draft the flag's record."""


@pytest.mark.parametrize(("category", "is_refused"), [("copy", True), ("opt-out", False)])
def test_a_flag_does_not_replace_an_opt_out(category: str, is_refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag of another category is refused for a model that opted out: lifting it would admit the model again."""

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
