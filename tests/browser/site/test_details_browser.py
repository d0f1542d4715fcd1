"""Pages of questions and answers in a browser: axe-core, a long prompt behind a summary, and the filter by a form."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from bot.read_models.details_models import AnswerView, DetailsResponse, QuestionView
from redis_state.board.index import Index
from redis_state.board.mailbox import Mailbox
from redis_state.board.messages import DetailsQuestion
from tests.browser.site.test_accessibility import ALL, DESK, OF_LOOKS, PHONE, faults, look
from tests.support.board.seeded_board import entry, path_of
from tests.support.browser.served_site import ServedSite

pytestmark = pytest.mark.browser
TASK = "leaderboard_ifeval"
FIRST, SECOND = "ada/answers-7b", "bob/answers-8b"
CHOICE = QuestionView(
    id=7,
    question="A train leaves at noon. " * 40,
    prompt="Question: …\nAnswer: B\n\n" * 30,
    choices=[" It arrives at one.", " It does not arrive. " + "W" * 200],
    target="0",
    target_choice=0,
    answers=[AnswerView(likelihoods=[-12.25, -3.5], chosen=1, score=0.0, right=False)],
)
TEXT = QuestionView(
    id=8,
    question="",
    prompt="Write a haiku without the letter e.",
    target="",
    answers=[AnswerView(text="def f():\n    return 1\n" * 60, score=0.5, right=False)],
)


def both(question: QuestionView) -> QuestionView:
    """The question with the answer of a second model, which is right."""
    (mine,) = question.answers
    right = mine.model_copy(update={"chosen": question.target_choice, "score": 1.0, "right": True})
    return question.model_copy(update={"answers": [mine, right]})


@pytest.fixture(scope="module")
def tab(browser: Browser, rich: ServedSite) -> Iterator[Page]:
    """A tab on a board whose Redis holds the answers that a sync would have read."""
    paths = [path_of(FIRST), path_of(SECOND)]
    for model in (FIRST, SECOND):
        Index(rich.redis, rich.keys).put(entry(model, "settled", "FINISHED", results="r"))
    mailbox = Mailbox(rich.redis, rich.keys, DetailsQuestion, DetailsResponse)
    counts = {"all": 41, "right": 20, "wrong": 21}
    question = DetailsQuestion(path=paths[0], task=TASK)
    part = DetailsResponse(state="done", paths=paths[:1], task=TASK, counts=counts, questions=[CHOICE, TEXT])
    mailbox.answer(question.message_id, part, seconds=3_600)
    two = DetailsQuestion(path=paths[0], other=paths[1], task=TASK)
    questions = [both(CHOICE), both(TEXT)]
    part = DetailsResponse(state="done", paths=paths, task=TASK, counts=counts | {"common": 500}, questions=questions)
    mailbox.answer(two.message_id, part, seconds=3_600)
    context = browser.new_context(base_url=rich.address, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(
    "address",
    [f"/details/{path_of(FIRST)}", f"/compare/questions?pin={path_of(FIRST)}&pin={path_of(SECOND)}&task={TASK}"],
)
def test_axe_finds_no_serious_fault(tab: Page, address: str) -> None:
    """axe-core finds nothing serious on either page, light on a desktop and dark on a phone, whose width both fit."""
    look(tab, DESK, "light")
    tab.goto(address)
    expect(tab.locator(".questions > li")).to_have_count(2)
    assert faults(tab, ALL) == []
    look(tab, PHONE, "dark")
    assert faults(tab, OF_LOOKS) == []
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth") is True


def test_the_prompt_opens_by_keyboard_and_the_form_keeps_the_task(tab: Page) -> None:
    """A summary opens the prompt by keyboard; the form and the link to the next page keep the task."""
    look(tab, DESK, "light")
    tab.goto(f"/details/{path_of(FIRST)}?task={TASK}")
    summary = tab.get_by_text("The prompt, with its examples")
    summary.focus()
    tab.keyboard.press("Enter")
    expect(tab.locator(".questions details[open] .text")).to_be_visible()
    expect(tab.get_by_text("Page 1 of 3")).to_be_visible()
    assert tab.get_by_role("link", name="Next").get_attribute("href") == (
        f"/details/{path_of(FIRST)}?task={TASK}&show=all&page=2"
    )
    expect(tab.get_by_label("Task")).to_have_value(TASK)
    assert tab.locator("form.find").first.get_attribute("action") == f"/details/{path_of(FIRST)}"
