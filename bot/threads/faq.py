"""Frequent questions and their answers, from `texts/questions.yaml`."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bot.core.context import BoardContext
from bot.core.relative_times import in_words
from bot.core.render import Safe, render_text
from bot.read_models.queue_snapshot import take_snapshot
from leaderboard.estimates import Durations
from leaderboard.options import DEFAULT_PRECISION
from leaderboard.predictions import PREDICTIONS
from leaderboard.submission_kinds import MODELS_ALONE, SubmissionKinds
from leaderboard.triage import FaqQuestion

HOW_LONG, SAME = "how-long", "same"


class FaqEntry(BaseModel):
    """One question: the words that identify it, and the template of its answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z-]{3,40}$")
    question: str = Field(default="", max_length=200, description="as the page /about shows it")
    asks: tuple[str, ...] = ()
    answer: str = Field(min_length=20, max_length=1_000)
    predictions: str = Field(
        default="", max_length=1_000, description="the answer where no models are taken; `same`: the same one"
    )

    def answer_on(self, takes: SubmissionKinds) -> str:
        """The template of the answer on a board that `takes` these submissions; "" where there is none."""
        return self.answer if takes.models or self.predictions == SAME else self.predictions


@cache
def faq_entries() -> dict[str, FaqEntry]:
    """All entries, by name."""
    text = (files("bot.threads") / "texts" / "questions.yaml").read_text("utf-8")
    entries = TypeAdapter(tuple[FaqEntry, ...]).validate_python(yaml.safe_load(text))
    return {entry.name: entry for entry in entries}


@cache
def questions(takes: SubmissionKinds = MODELS_ALONE) -> tuple[FaqQuestion, ...]:
    """The questions that triage recognises on a board that `takes` these submissions."""
    return tuple(FaqQuestion(entry.name, entry.asks) for entry in faq_entries().values() if entry.answer_on(takes))


def answer(name: str, takes: SubmissionKinds = MODELS_ALONE, **variables: str) -> Safe:
    """The answer to the question `name` on a board that `takes` these submissions; a missing variable is empty."""
    empty = dict.fromkeys(("requests_url", "results_url", "form_url", "model", "queue", "duration"), "")
    values = {**empty, "default_precision": DEFAULT_PRECISION, **variables}
    text = render_text(faq_entries()[name].answer_on(takes), **values).strip()
    return Safe(re.sub(r"(?<!\n)\n(?!\n)", " ", text))  # single line breaks only keep the YAML file readable


def board_answer(context: BoardContext, name: str, model: str = "") -> Safe:
    """The answer to the question `name` on this board; `model` is the one that the question names."""
    page = "submit" if context.takes.models else PREDICTIONS
    return answer(
        name,
        context.takes,
        requests_url=context.address(context.requests),
        results_url=context.address(context.results),
        form_url=f"{context.pages_url}/{page}" if context.pages_url else "",
        model=model,
        queue=_queue_words(context) if name == HOW_LONG else "",
        duration=_duration_words(context.measures.durations()) if name == HOW_LONG else "",
    )


def _queue_words(context: BoardContext) -> str:
    """How long a request that is submitted now waits, as far as it can be estimated."""
    snapshot = take_snapshot(context)
    waiting = len(snapshot.waiting)
    if not waiting:
        return "No request waits at the moment, so a new one starts as soon as a worker is free."
    words = f"{waiting:,} request{' waits' if waiting == 1 else 's wait'} at the moment"
    lanes = [starts for starts in snapshot.starts.values() if len(starts)]
    last = max((starts[len(starts) - 1].expected for starts in lanes), default=None)
    if last is None:
        return f"{words}."
    return f"{words}; the last one should start in {in_words(last - context.now())}."


def _duration_words(durations: Durations) -> str:
    """How long evaluations took on this board; "" without measurements."""
    means = [durations.mean(suite, size) for suite, size in durations.measured]
    if not means:
        return ""
    shortest, longest = in_words(min(means)), in_words(max(means))
    if shortest == longest:
        return f"An evaluation takes {longest}."
    return f"An evaluation takes {shortest} to {longest.removeprefix('about ')}, depending on the size of the model."
