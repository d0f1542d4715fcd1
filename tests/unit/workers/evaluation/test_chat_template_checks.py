"""The time that a chat template may take is the processor's."""

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
    """Time in which the process does not run is not the template's."""

    def wait() -> str:
        time.sleep(0.3)
        return "hello"

    assert checked_conversation(wait, MESSAGES) == "hello"


def test_an_endless_template_is_stopped() -> None:
    """It raises after its processor time, and leaves neither a timer nor a handler."""

    def compute() -> str:
        while True:
            sum(range(1_000))

    before = signal.getsignal(signal.SIGPROF)
    with pytest.raises(ChatTemplateEndless, match="processor time"):
        checked_conversation(compute, MESSAGES)
    assert signal.getitimer(signal.ITIMER_PROF) == signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGPROF) == before
