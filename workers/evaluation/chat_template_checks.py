"""Limits on a chat template, which is an untrusted program: its processor time, its memory and its text."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from workers.errors import ChatTemplateBroken, ChatTemplateEndless

TEMPLATE_SECONDS = 5.0
"""Processor seconds that a chat template may take for one conversation; most take milliseconds.

A template only computes, so seconds of waiting are those of a busy or suspended machine.
"""
KILL_SECONDS = TEMPLATE_SECONDS + 1
"""Processor seconds after which the kernel ends the process, because one huge computation delays Python's handlers."""
TEMPLATE_BYTES = 64 << 20
"""More memory than a usual template needs: if this much is free, a template that ran out of memory is at fault."""
TEMPLATE_CHARACTERS = 1_000_000
"""Characters that a template may add to a conversation; most add some hundred."""


def checked_conversation(apply: Callable[[], str], messages: Sequence[Mapping[str, str]], *_: object) -> str:
    """Format `messages` by `apply`, which runs the template. Raises ChatTemplateEndless, ChatTemplateBroken."""
    try:
        with _time_limit(TEMPLATE_SECONDS):
            text = apply()
        _check_conversation(text, messages)
        return text
    except (ChatTemplateEndless, ChatTemplateBroken):
        raise
    except MemoryError:
        pass  # outside this handler the template's memory is free
    except Exception as error:  # boundary: a template is an untrusted program, and may raise anything
        raise ChatTemplateBroken(f"{type(error).__name__}: {error}") from error
    bytearray(TEMPLATE_BYTES)  # raises MemoryError if memory is short without the template, too
    raise ChatTemplateBroken("one conversation takes it more memory than an evaluation may hold")


def _check_conversation(text: str, messages: Sequence[Mapping[str, str]]) -> None:
    """Check a formatted conversation, which the tokenizer gets. Raises ChatTemplateBroken, UnicodeEncodeError."""
    added = len(text) - sum(len(message["content"]) for message in messages)
    if added > TEMPLATE_CHARACTERS:
        raise ChatTemplateBroken(f"it adds {added:,} characters to one conversation")
    if not text:
        raise ChatTemplateBroken("it turns a conversation into an empty text")
    text.encode()  # raises an error for a lone surrogate, which no tokenizer takes


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise ChatTemplateEndless inside the block if it computes longer. Use in the main thread only.

    The handler runs between two steps of Python. SIGVTALRM, which has no handler, ends the process inside an endless
    step.
    """

    def raise_endless(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # as handlers are called
        raise ChatTemplateEndless(f"one conversation took it more than {seconds:g} seconds of processor time")

    previous_handler = signal.signal(signal.SIGPROF, raise_endless)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_VIRTUAL, KILL_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous_handler)
