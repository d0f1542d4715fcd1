"""The answers to questions that come again and again: `faq/questions.yaml`, as data for triage and as text."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bot.core.render import Safe, render_text
from leaderboard.triage import FaqQuestion


class FaqEntry(BaseModel):
    """One question, the words by which it is known, and the template of its answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z-]{3,40}$")
    asks: tuple[str, ...] = Field(min_length=1)
    answer: str = Field(min_length=20, max_length=1_000)


@cache
def faq_entries() -> dict[str, FaqEntry]:
    """All of them by name."""
    text = (files("bot.threads") / "texts" / "questions.yaml").read_text("utf-8")
    return {one.name: one for one in TypeAdapter(tuple[FaqEntry, ...]).validate_python(yaml.safe_load(text))}


@cache
def questions() -> tuple[FaqQuestion, ...]:
    """What triage looks for."""
    return tuple(FaqQuestion(one.name, one.asks) for one in faq_entries().values())


def answer(name: str, *, requests_url: str, results_url: str) -> Safe:
    """The answer to the question `name`."""
    text = render_text(faq_entries()[name].answer, requests_url=requests_url, results_url=results_url).strip()
    return Safe(re.sub(r"(?<!\n)\n(?!\n)", " ", text))  # lines are broken for whoever edits the table only
