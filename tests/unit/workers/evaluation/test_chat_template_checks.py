"""The time limit of a chat template counts processor time."""

from __future__ import annotations

import signal
import time

import pytest

from workers.errors import ChatTemplateEndless
from workers.evaluation import chat_template_checks
from workers.evaluation.chat_template_checks import checked_conversation

MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture(autouse=True)
def _short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template_checks, "TEMPLATE_SECONDS", 0.1)


def test_a_template_on_a_busy_machine_is_not_endless() -> None:
    """A template that waits longer than the limit without computing is not stopped."""

    def wait() -> str:
        time.sleep(0.3)
        return "hello"

    assert checked_conversation(wait, MESSAGES) == "hello"


def test_an_endless_template_is_stopped() -> None:
    """An endless template raises an error at the limit of processor time, and no timer or signal handler is left."""

    def compute() -> str:
        while True:
            sum(range(1_000))

    before = signal.getsignal(signal.SIGPROF)
    with pytest.raises(ChatTemplateEndless, match="processor time"):
        checked_conversation(compute, MESSAGES)
    assert signal.getitimer(signal.ITIMER_PROF) == signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGPROF) == before
