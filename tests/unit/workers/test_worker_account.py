"""How a worker asks the Hub for the account of its token, also if the Hub does not answer at once."""

from __future__ import annotations

from types import SimpleNamespace, TracebackType
from typing import Any, cast

import pytest

from hub.errors import BadToken, Garbled, HubError, RateLimited, Transient
from workers.jobs import worker as module

NO_ACCOUNT = ""


class UnsteadyHub:
    """A fake Hub client that gives these answers in turn when it is asked for the account."""

    answers: list[HubError | str]

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> UnsteadyHub:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        pass

    def whoami(self) -> SimpleNamespace:
        """Return or raise the next answer."""
        answer = self.answers.pop(0)
        if isinstance(answer, HubError):
            raise answer
        return SimpleNamespace(name=answer)


@pytest.mark.parametrize(
    ("answers", "account"),
    [
        (["ada"], "ada"),
        ([RateLimited("too many calls", seconds=300.0, what="api"), "ada"], "ada"),
        ([Transient("502"), Transient("502"), "ada"], "ada"),
        ([BadToken("401")], NO_ACCOUNT),
        ([Garbled("no JSON")], NO_ACCOUNT),
    ],
)
def test_a_worker_asks_for_its_account_until_the_hub_answers(
    answers: list[HubError | str], account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker asks again after a rate limit or a temporary error, because without an account it gets no cross-checks.

    Many workers that start at once reach the Hub's limit for this call.
    """
    UnsteadyHub.answers = list(answers)
    slept = list[float]()
    monkeypatch.setattr(module, "Hub", UnsteadyHub)
    monkeypatch.setattr("time.sleep", slept.append)
    settings = SimpleNamespace(access=lambda: SimpleNamespace(endpoint="https://hub", token="hf_x"))
    assert module.own_account(cast(Any, settings)) == account
    assert UnsteadyHub.answers == []
    assert all(0 < seconds <= 60 for seconds in slept)
