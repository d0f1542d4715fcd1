"""When a worker reports that a model is missing, which ends its request for good."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from workers.common.hub_access import HubAccess
from workers.errors import ModelGated, ModelGone, RevisionGone
from workers.models import downloads
from workers.models.downloads import head_commit

HUB = HubAccess("http://127.0.0.1:9", None)


@pytest.mark.parametrize(
    ("answers", "error", "unused"),
    [
        ([RevisionGone("not here"), SimpleNamespace(sha="a" * 40)], None, 0),
        ([ModelGone("not here"), SimpleNamespace(sha="a" * 40)], None, 0),
        ([ModelGone("not here"), ModelGone("not here")], ModelGone, 0),
        ([ModelGated("gated"), ModelGated("gated")], ModelGated, 1),
    ],
)
def test_the_hub_is_asked_twice_before_a_model_counts_as_gone(
    answers: list[object], error: type[Exception] | None, unused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker asks twice if a model or commit is missing, because a Hub server may lag, but once if it is gated."""

    def answer(*_: object) -> object:
        next_answer = answers.pop(0)
        if isinstance(next_answer, Exception):
            raise next_answer
        return next_answer

    monkeypatch.setattr(downloads, "_answered_info", answer)
    monkeypatch.setattr(downloads, "GONE_SECONDS", 0.0)
    if error is None:
        assert head_commit("ada/good", HUB) == "a" * 40
    else:
        with pytest.raises(error):
            head_commit("ada/good", HUB)
    assert len(cast(list[object], answers)) == unused
