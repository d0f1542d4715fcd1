"""Pages fit what a board accepts: a board of predictions has no columns, forms and answers about models."""

from __future__ import annotations

import re

import pytest

from bot.read_models.models import ErrorResponse
from bot.threads import faq
from bot.web.board import SearchView
from bot.web.frame import Frame
from bot.web.leaderboard_columns import standard_columns
from bot.web.pages.predictions import PAGE as PREDICTIONS
from bot.web.site import PAGES, Menu
from bot.web.submission_form import SubmissionForm
from leaderboard.submission_kinds import MODELS_ALONE, SubmissionKinds
from leaderboard.triage import Topic, triage

FILES = SubmissionKinds(models=False, predictions=True, seasons=True, chat_templates=False)
NO_TEMPLATES = SubmissionKinds(chat_templates=False)
URLS = {"requests_url": "https://hub/r", "results_url": "https://hub/s", "form_url": "https://board/predictions"}


def keys(takes: SubmissionKinds) -> set[str]:
    """The keys of the columns of a leaderboard with one benchmark."""
    return {column.key for column in standard_columns(["Colours"], ranges=True, takes=takes)}


def test_the_table_has_the_columns_of_what_is_submitted() -> None:
    """Predictions have no columns such as size or licence; one for chat templates exists only if they are used."""
    assert keys(FILES) == {"rank", "rank_range", "model", "average", "Colours", "submitted", "revision", "asked"}
    titles = {column.key: column.title for column in standard_columns(["Colours"], ranges=True, takes=FILES)}
    assert (titles["model"], titles["revision"]) == ("Predictions", "Commit")
    assert keys(MODELS_ALONE) - keys(NO_TEMPLATES) == {"chat_template"}
    assert {"parameters", "precision", "licence", "chat_template"} < keys(MODELS_ALONE)


def test_the_menu_leads_to_what_there_is() -> None:
    """The menu of a board of predictions has seasons and its upload page, but no workers, times and plots."""
    menus = {takes: Menu(PAGES, takes) for takes in (FILES, MODELS_ALONE)}
    names = {takes: {name for _, name in (*menu.first, *menu.more)} for takes, menu in menus.items()}
    assert names[FILES] ^ names[MODELS_ALONE] == {"Seasons", "Workers", "Plots", "Times"}
    assert "Seasons" in names[FILES]
    assert (PREDICTIONS.path, "Submit") in menus[FILES].first
    assert ("/submit", "Submit") in menus[MODELS_ALONE].first


@pytest.mark.parametrize("entry", faq.faq_entries().values(), ids=faq.faq_entries())
def test_no_answer_on_a_board_of_predictions_is_about_models(entry: faq.FaqEntry) -> None:
    """On a board of predictions, questions about models are left out, and answers name no command for models."""
    names = {question.name for question in faq.questions(FILES)}
    assert (entry.name in names) == bool(entry.predictions)
    if entry.predictions:
        text = faq.answer(entry.name, FILES, **URLS)
        assert len(text) > 60 and "{{" not in text
        assert not re.search(r"/submit|/check|/resubmit|/relaunch|weights|details dataset", text), text


@pytest.mark.parametrize("title", ["How do I submit my predictions?", "How do I submit?", "How can I submit a model?"])
def test_whoever_asks_how_to_submit_is_led_to_the_form(title: str) -> None:
    """On a board of predictions, the answer about submitting links the page that accepts files."""
    triaged = triage(title, "Hello, thanks for your work!", faq.questions(FILES))
    assert (triaged.topic, triaged.question) == (Topic.QUESTION, "submit")
    assert "https://board/predictions" in faq.answer("submit", FILES, **URLS)


@pytest.mark.parametrize(("takes", "speaks"), [(MODELS_ALONE, True), (FILES, False)])
def test_pages_that_miss_something_speak_of_models_only_where_there_are_any(
    takes: SubmissionKinds, speaks: bool
) -> None:
    """On a board of predictions, pages for unknown names or addresses and empty searches do not mention models."""
    templates = Frame("Demo", "https://hub/discussions", menu=Menu(PAGES, takes), takes=takes)._templates
    searched = SearchView(query="ada/frist", count=0)
    page = {"board": "Demo", "here": "/", "back": "/", "visitor": None, "said": "ada/frist", "status": 404}
    problem = ErrorResponse(code="not-found", message="")
    texts = [
        templates.get_template("missing.html").render(page, what="model"),
        templates.get_template("problem.html").render(page, problem=problem),
        templates.from_string(
            '{% import "parts.html" as parts with context %}{{ parts.outcome(searched, "/") }}'
        ).render(searched=searched),
    ]
    for text in texts:
        assert ("model" in text or "as on the Hub" in text) == speaks, text


@pytest.mark.parametrize(("takes", "asks"), [(MODELS_ALONE, True), (NO_TEMPLATES, False)])
def test_the_form_asks_for_a_chat_template_where_one_is_used(takes: SubmissionKinds, asks: bool) -> None:
    """The form has a field for the chat template only if the evaluator uses one."""
    frame = Frame("Demo", "https://hub/discussions", menu=Menu(PAGES, takes), takes=takes)
    page = frame._templates.get_template("submit.html").render(
        board="Demo",
        here="/submit",
        back="/submit",
        visitor={"name": "ada", "form_token": "t", "maintains": False},
        form=SubmissionForm(),
        form_token="t",
        key="k",
        guesses={},
        precisions=[],
        weight_types=[],
        categories=[],
        has_model_pages=False,
        is_refused=False,
        answer=None,
        problem=None,
        retry="",
    )
    assert ('name="chat_template"' in page) == asks
