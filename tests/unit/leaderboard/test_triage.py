"""The links and the topic of a thread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.links import ThreadLink, models_in, request_links, thread_links
from leaderboard.triage import Topic, is_english, triage

HUB = "https://huggingface.co"
REPO = f"{HUB}/datasets/open/requests"
PATH = "o/m-1.5_eval_request_False_float16_Original.json"
ROOT = "gpt2_eval_request_False_float16_Original.json"


@pytest.mark.parametrize(
    "text",
    [
        f"{REPO}/blob/main/{PATH}",
        f"({REPO}/resolve/main/{PATH}?download=true)",
        f"{REPO}/raw/{'a' * 40}/{PATH}.",
        f"[file]({REPO}/blob/refs%2Fpr%2F3/{PATH}#L4)",
        f"<{REPO}/blob/refs/pr/3/{PATH}>",
        f"**{REPO}/blame/main/{PATH}**",
        f"{REPO}/blob/main/{PATH.replace('/', '%2F')}",
        f"http://localhost:8080/datasets/open/requests/edit/main/{PATH}",
        f"hf://datasets/open/requests@main/{PATH}",
        f"hf://datasets/open/requests/{PATH}",
        f"the file `{PATH}` says so",
        f"{REPO}/blob/main/{PATH} and again {PATH}",
    ],
)
def test_a_request_file_is_found_in_every_form_of_its_link(text: str) -> None:
    """Any page of the Hub about the file, at any revision, or its bare path, leads to the path."""
    assert [link.path for link in request_links(f"See {text}")] == [PATH]


def test_a_file_at_the_root_and_several_files_are_found() -> None:
    """A model without an organisation has its file at the root, also on a branch with slashes in its name."""
    text = f"{REPO}/blob/main/{ROOT} {REPO}/blob/refs/pr/7/{ROOT} {REPO}/blob/main/{PATH}"
    assert [link.path for link in request_links(text)] == [ROOT, PATH]
    assert [link.repo for link in request_links(text)] == ["open/requests", "open/requests"]


@pytest.mark.parametrize("text", [f"{REPO}/tree/main/o", f"{REPO}/blob/main/README.md", "x.json", "", f"{HUB}/o/m"])
def test_other_links_are_no_request_files(text: str) -> None:
    """A folder, another file or a model's page is not a request."""
    assert request_links(text) == []


def test_threads_are_told_apart_by_kind() -> None:
    """The links of pull requests and discussions of datasets, Spaces and models are found, each once."""
    text = f"{REPO}/discussions/12 {REPO}/discussions/12/files {HUB}/spaces/o/s/discussions/3 {HUB}/o/m/discussions/1"
    assert thread_links(text) == [
        ThreadLink("dataset", "open/requests", 12),
        ThreadLink("space", "o/s", 3),
        ThreadLink("model", "o/m", 1),
    ]


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("My model org/foo-7b failed.", ["org/foo-7b"]),
        (f"{HUB}/org/foo, please", ["org/foo"]),
        (f"{HUB}/datasets/org/foo", []),
        ("in 2024/12/01 and ./a/b and a@b/c", []),
        ("nothing", []),
    ],
)
def test_models_are_found_by_id_and_address(text: str, models: list[str]) -> None:
    """A word of the form org/name is taken for a model; a path, a date and a dataset are not."""
    assert models_in(text) == models


@pytest.mark.parametrize(
    ("title", "post", "topic"),
    [
        ("My model failed", f"Here: {REPO}/blob/main/{PATH}", Topic.FAILURE),
        ("Please look", f"{REPO}/blob/main/{PATH}", Topic.FAILURE),
        ("A wish", f"Please withdraw {REPO}/blob/main/{ROOT}", Topic.REMOVAL),
        ("A wish", "Please withdraw it", Topic.OTHER),
        ("org/foo is stuck", "It has been there for days.", Topic.FAILURE),
        ("[FLAG] org/foo", "It was trained on the test set.", Topic.FLAG),
        ("FLAG - org/foo MATH contamination", "", Topic.FLAG),
        ("Flag", "no model named", Topic.OTHER),
        ("Rename my model", f"The pull request is {REPO}/discussions/4", Topic.RENAME),
        ("Model name change", "from org/foo to org/bar", Topic.RENAME),
        ("Remove org/foo", "I want to submit it again.", Topic.REMOVAL),
        ("Request", "Please delete my model org/foo from the leaderboard", Topic.REMOVAL),
        ("org/foo was wrongly flagged", "The data is clean.", Topic.APPEAL),
        ("Please unflag org/foo", "", Topic.APPEAL),
        ("Duplicate rows", "I see two of them.", Topic.DUPLICATES),
        ("org/foo is listed twice", "Same commit, same precision.", Topic.DUPLICATES),
        ("Thanks", "Great leaderboard!", Topic.OTHER),
    ],
)
def test_a_thread_is_told_by_its_words(title: str, post: str, topic: Topic) -> None:
    """The words of the title and of the first post decide the topic of a thread."""
    assert triage(title, post).topic is topic


LINKED = f"See {REPO}/blob/main/{PATH}."


@pytest.mark.parametrize(
    ("title", "post", "topic"),
    [
        ("Evaluation failed", f"{LINKED} {HUB}/o/m-1.5 failed; I had renamed the weight files before.", Topic.FAILURE),
        ("Failed evaluation", f"{LINKED} It failed. Could you remove the flag?", Topic.FAILURE),
        ("o/m-1.5 failed after I renamed it", LINKED, Topic.FAILURE),
        ("Please remove and relaunch o/m-1.5", f"{LINKED} It failed.", Topic.FAILURE),
        ("Rename o/m-1.5 to o/m-2", f"{LINKED} Its name is an error.", Topic.RENAME),
        ("o/m-1.5 was wrongly flagged", f"{LINKED} It is an error.", Topic.APPEAL),
        ("[FLAG] o/m-1.5", f"{LINKED} Its loss is gone.", Topic.FLAG),
        ("Remove my model", f"{LINKED} It has an error.", Topic.REMOVAL),
        ("o/m-1.5: new version", f"I want to re-submit, please remove it: {LINKED}", Topic.REMOVAL),
        ("A better commit", f"I upgraded my model. {LINKED}", Topic.REMOVAL),
        ("My model appears twice", LINKED, Topic.DUPLICATES),
        ("One model is there several times", LINKED, Topic.DUPLICATES),
    ],
)
def test_the_topic_of_a_thread_with_a_linked_request_follows_from_words(title: str, post: str, topic: Topic) -> None:
    """A word of failure makes it a report of a failure unless the title has another topic; else other words decide."""
    assert triage(title, post).topic is topic


def test_what_is_quoted_says_nothing() -> None:
    """Quotes and code do not count as the author's words."""
    assert triage("A thought", "> it failed, please rename\n\n`removal`\n\nWhat of org/foo?").topic is Topic.OTHER


@given(text=st.text(max_size=300))
def test_links_never_fail(text: str) -> None:
    """Any text is classified, and no found path leads out of the repo."""
    for written in (text, f"{REPO}/blob/{text}", f"{REPO}/blob/main/{text}_eval_request_{text}.json"):
        for link in request_links(written):
            assert not link.path.startswith("/")
            assert ".." not in link.path.split("/")
        models_in(written)
        thread_links(written)
        is_english(written)
