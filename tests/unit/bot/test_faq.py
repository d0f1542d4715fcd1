"""Questions that come again and again are known by their words, and by nothing less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.texts import faq
from leaderboard.triage import Topic, triage

ASKED = {
    "My model requires trust_remote_code=True, can I submit it?": "remote-code",
    "Is the architecture of my model supported?": "architecture",
    "How can I follow the status of my model?": "follow",
    "When is my model evaluated? It has been waiting since Monday": "follow",
    "My model disappeared from all the queues, what happened?": "disappeared",
    "What causes an evaluation failure?": "causes",
    "How can I report a failure of the evaluation?": "report",
    "Where can I find the details of the results?": "information",
    "Why do models appear several times in the leaderboard?": "several-times",
    "What is this concept of flagging?": "flagging",
    "I upgraded my model and want to re-submit, how can I do that?": "resubmit",
    "I need to rename my model, how can I do that?": "rename",
    "Why do you differentiate between pretrained, fine-tuned and merges?": "categories",
    "What should I use the leaderboard for?": "purpose",
    "Why don't you display closed-source model scores?": "closed",
    "I have an issue with accessing the leaderboard through the Gradio API": "gradio-api",
    "How do I search for a model by its license?": "search",
}
NOT_ASKED = [
    "Great work, thank you all",
    "Is there a paper about this?",
    "The table does not load in Firefox on my phone",
    "Pourquoi mon modèle a-t-il disparu de la liste des modèles en attente ?",
    "¿Cómo puedo enviar mi modelo? trust_remote_code",
    "model",
    "",
]


@pytest.mark.parametrize(("title", "name"), ASKED.items())
def test_a_question_of_the_faq_is_known(title: str, name: str) -> None:
    """Each question, as people ask it, finds its own answer."""
    found = triage(title, "Hello, thanks for your work!", faq.questions())
    assert (found.topic, found.question) == (Topic.QUESTION, name)


@pytest.mark.parametrize("title", NOT_ASKED)
def test_anything_else_is_left_to_people(title: str) -> None:
    """What asks none of them clearly, or not in English, gets no answer from a list."""
    assert triage(title, "", faq.questions()).topic is Topic.OTHER


@pytest.mark.parametrize("name", faq.known())
def test_every_answer_can_be_said(name: str) -> None:
    """Each answer renders, is short, and holds nothing of its template."""
    text = faq.answer(name, requests_url="https://hub/datasets/o/r", results_url="https://hub/datasets/o/s")
    assert 80 < len(text) < 700
    assert "{{" not in text


@given(title=st.text(max_size=200), post=st.text(max_size=500))
def test_triage_never_fails(title: str, post: str) -> None:
    """Whatever a thread is called and says, it has a topic."""
    assert triage(title, post, faq.questions()).topic in Topic
