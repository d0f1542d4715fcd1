"""Gives every chat template the same date, because some print today's: the model would get another prompt each day."""

from __future__ import annotations

from datetime import datetime, tzinfo

from transformers.utils import chat_template_utils

TEMPLATE_DATE = (2024, 7, 26)
"""The date that templates print. Those of Llama 3 print this one where they cannot ask for today's."""


class PinnedDate(datetime):
    """A `datetime` whose present time is the start of TEMPLATE_DATE."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> PinnedDate:
        """Return the start of TEMPLATE_DATE."""
        return cls(*TEMPLATE_DATE, tzinfo=tz)


def pin_template_date() -> None:
    """Pin what `strftime_now` returns in chat templates, for the rest of this process. No other clock changes."""
    chat_template_utils.datetime = PinnedDate
