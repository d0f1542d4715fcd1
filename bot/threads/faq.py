"""Frequent questions and their answers, from `texts/questions.yaml`."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bot.core.render import Safe, render_text
from leaderboard.triage import FaqQuestion


class FaqEntry(BaseModel):
    """One question: the words that identify it, and the template of its answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z-]{3,40}$")
    asks: tuple[str, ...] = Field(min_length=1)
    answer: str = Field(min_length=20, max_length=1_000)


@cache
def faq_entries() -> dict[str, FaqEntry]:
    """All entries, by name."""
    text = (files("bot.threads") / "texts" / "questions.yaml").read_text("utf-8")
    entries = TypeAdapter(tuple[FaqEntry, ...]).validate_python(yaml.safe_load(text))
    return {entry.name: entry for entry in entries}


@cache
def questions() -> tuple[FaqQuestion, ...]:
    """The questions that triage recognises."""
    return tuple(FaqQuestion(entry.name, entry.asks) for entry in faq_entries().values())


def answer(name: str, *, requests_url: str, results_url: str) -> Safe:
    """The answer to the question `name`."""
    text = render_text(faq_entries()[name].answer, requests_url=requests_url, results_url=results_url).strip()
    return Safe(re.sub(r"(?<!\n)\n(?!\n)", " ", text))  # single line breaks only keep the YAML file readable
