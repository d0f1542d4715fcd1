"""How admission handles a model that the Hub reports as missing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from bot.model_facts.model import gather_model_facts
from bot.probe import Probe
from hub.client import Hub
from hub.errors import Garbled, Gated, HubError, RepoNotFound, RevisionNotFound


def hub_that_says(about_model: HubError, about_history: HubError | None) -> Hub:
    """A Hub that raises these errors; with None, it returns the history."""

    def model_facts(*_: object) -> None:
        raise about_model

    def commits(*_: object, **__: object) -> list[object]:
        if about_history is not None:
            raise about_history
        return []

    return cast(Hub, SimpleNamespace(model_facts=model_facts, commits=commits))


@pytest.mark.parametrize(
    ("about_model", "about_history", "availability"),
    [
        (RepoNotFound("no such repo", status=404), RepoNotFound("no such repo", status=404), "no-model"),
        (RevisionNotFound("no such commit", status=404), RevisionNotFound("no such commit", status=404), "no-revision"),
        (RepoNotFound("no such repo", status=404), Gated("gated", status=403), "no-model"),
    ],
)
def test_two_answers_that_a_model_is_missing_are_believed(
    about_model: HubError, about_history: HubError, availability: str
) -> None:
    """If neither the model nor its history can be read, the model or revision counts as missing."""
    facts = gather_model_facts(hub_that_says(about_model, about_history), cast(Probe, None), "ada/good", "main")
    assert facts.availability == availability


@pytest.mark.parametrize("kind", [RepoNotFound, RevisionNotFound])
def test_one_answer_that_a_model_is_missing_refuses_no_submission(kind: type[HubError]) -> None:
    """If the Hub answers 404 for a model but shows its history, the error is raised and the sync tries again."""
    with pytest.raises(Garbled, match="shows its history"):
        gather_model_facts(hub_that_says(kind("not here", status=404), None), cast(Probe, None), "ada/good", "main")
