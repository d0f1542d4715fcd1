"""Frequent questions are recognised by their wording, and other threads are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.threads import faq
from leaderboard.options import DEFAULT_PRECISION
from leaderboard.triage import Topic, triage

ASKED = {
    "My model requires trust_remote_code=True, can I submit it?": "remote-code",
    "Is the architecture of my model supported?": "architecture",
    "How can I follow the status of my model?": "follow",
    "How do I submit a model?": "submit",
    "Where is the form?": "submit",
    "How can I add my model to the leaderboard?": "submit",
    "How can I get my model evaluated?": "submit",
    "How long does it take?": "how-long",
    "What is the expected wait for a new model?": "how-long",
    "How can I submit a model that needs trust_remote_code?": "remote-code",
    "How do I submit a model with custom code?": "remote-code",
    "I updated my model, how do I submit it again?": "resubmit",
    "When is my model evaluated? It has been waiting since Monday": "follow",
    "How can I report a failure of the evaluation?": "report",
    "Where can I find the details of the results?": "information",
    "What is this concept of flagging?": "flagging",
    "I upgraded my model ada/good and want to re-submit": "resubmit",
    "How can I change the name of my model?": "rename",
    "Why do you differentiate between pretrained, fine-tuned and merges?": "categories",
    "How do I search for a model by its license?": "search",
}
LINK = "https://hub.example/datasets/board/requests/blob/main/ada/good_eval_request_False_float32_Original.json"
IN_ITS_OWN_WORDS = {
    "My model requires `trust_remote_code=True`, can I submit it?": "remote-code",
    "What about models of type X?": "architecture",
    "How can I follow when my model is launched?": "follow",
    "My model disappeared from all the queues, what happened?": "disappeared",
    "What causes an evaluation failure?": "causes",
    "How can I report an evaluation failure?": "report",
    "What kind of information can I find?": "information",
    "Why do models appear several times in the leaderboard?": "several-times",
    'What is this concept of "flagging"?': "flagging",
    "I upgraded my model and want to re-submit, how can I do that?": "resubmit",
    "I need to rename my model, how can I do that?": "rename",
    "Why do you differentiate between pretrained, continuously pretrained, fine-tuned, merges, etc?": "categories",
    "What should I use the leaderboard for?": "purpose",
    "Why don't you display closed-source model scores?": "closed",
    "I have an issue with accessing the leaderboard through the Gradio API": "gradio-api",
}
"""The FAQ of the Open LLM Leaderboard, without the two questions that only people can answer."""
TO_EVALUATE = (
    ("Please evaluate https://huggingface.co/ada/good", ""),
    ("Please evaluate", "https://huggingface.co/ada/good"),
    ("Evaluation request", "ada/good would be nice."),
    ("A new model", "Could you add ada/good to the leaderboard?"),
    ("How do I submit ada/good?", ""),
)
NOT_TO_EVALUATE = (
    ("Please add a filter", "I would like to see only ada/good."),
    ("A question about ada/good", "Is it better than bob/good?"),
    ("Please evaluate it", "The model of the week, as ever."),
)
FOR_PEOPLE = {
    "My model has been flagged improperly, what can I do?": Topic.APPEAL,
    "I have another problem, help!": Topic.OTHER,
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
    """A typical wording of a frequent question is matched to its answer."""
    triaged = triage(title, "Hello, thanks for your work!", faq.questions())
    assert (triaged.topic, triaged.question) == (Topic.QUESTION, name)


@pytest.mark.parametrize("post", ["", "Hello, thanks for your work!"])
@pytest.mark.parametrize(("title", "name"), IN_ITS_OWN_WORDS.items())
def test_a_question_of_the_faq_is_known_in_its_own_words(title: str, name: str, post: str) -> None:
    """A question copied from the FAQ with its markup is matched to its answer."""
    triaged = triage(title, post, faq.questions())
    assert (triaged.topic, triaged.question) == (Topic.QUESTION, name)


@pytest.mark.parametrize(("title", "post"), TO_EVALUATE)
def test_a_wish_to_evaluate_a_named_model_is_known(title: str, post: str) -> None:
    """A request to evaluate a named model is answered with the command for that model."""
    triaged = triage(title, post, faq.questions())
    assert (triaged.topic, triaged.question, triaged.models) == (Topic.QUESTION, "evaluate", ("ada/good",))
    assert "`/submit ada/good`" in faq.answer(triaged.question, model="ada/good")


@pytest.mark.parametrize(("title", "post"), NOT_TO_EVALUATE)
def test_a_post_that_asks_for_something_else_is_no_such_wish(title: str, post: str) -> None:
    """A thread that only mentions a model, or asks for an evaluation without naming one, gets no automatic answer."""
    assert triage(title, post, faq.questions()).topic is Topic.OTHER


@pytest.mark.parametrize(("title", "topic"), FOR_PEOPLE.items())
def test_what_the_faq_leaves_to_people_is_left_to_them(title: str, topic: Topic) -> None:
    """The two questions of the FAQ that only a person can answer are not answered automatically."""
    assert triage(title, "", faq.questions()).topic is topic


@pytest.mark.parametrize(
    ("title", "post", "topic"),
    [
        ("Why does my model appear twice?", "ada/good, with the same precision and model sha.", Topic.DUPLICATES),
        ("Why do models appear several times?", f"{LINK} appears twice at one commit.", Topic.DUPLICATES),
        ("I upgraded my model, how can I resubmit?", f"Please remove it: {LINK}", Topic.REMOVAL),
    ],
)
def test_a_question_about_a_certain_model_is_no_general_one(title: str, post: str, topic: Topic) -> None:
    """A question about a certain model or request gets the topic of its case, not the general answer of the FAQ."""
    assert triage(title, post, faq.questions()).topic is topic


@pytest.mark.parametrize("title", NOT_ASKED)
def test_anything_else_is_left_to_people(title: str) -> None:
    """A thread that asks no frequent question clearly, or not in English, is left to people."""
    assert triage(title, "", faq.questions()).topic is Topic.OTHER


@pytest.mark.parametrize("name", faq.faq_entries())
def test_every_answer_can_be_said(name: str) -> None:
    """Each answer renders, has between 80 and 700 characters, and contains no template syntax."""
    text = faq.answer(name, requests_url="https://hub/datasets/o/r", results_url="https://hub/datasets/o/s")
    assert 80 < len(text) < 700
    assert "{{" not in text


def test_the_answer_about_submitting_names_the_form_and_the_true_default() -> None:
    """The answer links the form if its address is known, and names the default precision."""
    there = faq.answer("submit", form_url="https://pages.example/submit")
    assert "[the form](https://pages.example/submit)" in there
    assert "the form" not in faq.answer("submit")
    for name in ("submit", "evaluate"):
        assert f"for another precision than {DEFAULT_PRECISION}" in faq.answer(name)
        assert f"precision={DEFAULT_PRECISION}" not in faq.answer(name)


@given(title=st.text(max_size=200), post=st.text(max_size=500))
def test_triage_never_fails(title: str, post: str) -> None:
    """A thread with any title and text has a topic."""
    assert triage(title, post, faq.questions()).topic in Topic
