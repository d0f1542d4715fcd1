"""What the bot reads from a model card: the Hub's parsed metadata and the start of its text, both untrusted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from bot.model_facts.card import gather_card, text_length
from bot.model_facts.repo import ModelRepo
from hub.client import Hub
from hub.records import ModelInfo as Found
from hub.records import Repo
from leaderboard.admission.facts import ModelCard, ModelFile

FOUND = Found(
    *("ada/m", "a" * 40, False, False, False, None, (), None, {}, (), {}, {}, None, 0),
)


class Shelf:
    """A fake Hub that serves one text file."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()

    def read_range(self, repo: Repo, path: str, revision: str, start: int, end: int) -> bytes:
        """Returns a range of the text."""
        return self.text[start:end]


def card(text: str = "---\nlicense: mit\n---\nHello", files: tuple[str, ...] = (), **metadata: Any) -> ModelCard:
    """The card of a repo with this README and these other files."""
    names = dict.fromkeys(("README.md", *files))
    repo = ModelRepo(cast(Hub, Shelf(text)), Repo("model", "ada/m"), "a" * 40, {n: ModelFile(n) for n in names})
    return gather_card(repo, replace(FOUND, card=metadata))


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("Hello", 5),
        ("---\nlicense: mit\n---\nHello", 5),
        ("\ufeff---\r\nlicense: mit\r\n---\r\n\r\nHello\r\n", 5),
        ("---\nlicense: mit\n---", 0),
        ("---\nnever closed", 16),
        ("Hello\n---\nworld\n---\n", 19),
    ],
)
def test_the_metadata_do_not_count_as_text(text: str, length: int) -> None:
    """The length of a card is that of the text below its metadata, without surrounding blanks."""
    assert text_length(text) == length


def test_metadata_are_read_as_they_come() -> None:
    """Metadata may give one name or a list, and a licence with its own name and link."""
    facts = card(license="other", license_name="mine", license_link="LICENSE", base_model="a/b", tags=["text"])
    assert (facts.license, facts.license_name, facts.license_link) == ("other", "mine", "LICENSE")
    assert (facts.base_models, facts.tags, facts.is_merge, facts.length) == (("a/b",), ("text",), False, 5)
    assert card(license=["mit", "gpl"], base_model=["a/b", "c/d"]).base_models == ("a/b", "c/d")


@pytest.mark.parametrize("value", [None, 1, {"a": 1}, [None, {}, 3], [[["x"]]], "", "  "])
def test_metadata_of_wrong_types_say_nothing(value: object) -> None:
    """Metadata of a wrong type, or blank ones, are ignored."""
    facts = card(license=value, base_model=value, base_model_relation=value, tags=value, license_name=value)
    assert (facts.license, facts.base_models, facts.relation, facts.tags, facts.license_name) == (
        None,
        (),
        None,
        (),
        None,
    )


@pytest.mark.parametrize(
    ("card_of_merge", "trace"),
    [
        (lambda: card(tags=["Merge"]), "the tag merge"),
        (lambda: card(tags=["mergekit"]), "the tag mergekit"),
        (lambda: card(files=("mergekit_config.yml",)), "mergekit_config.yml"),
        (lambda: card("This is a merge of pre-trained language models"), "the text of the model card"),
        (lambda: card("m is a SLERP merge of the following models"), "the text of the model card"),
        (lambda: card("merge_method: ties"), "the text of the model card"),
        (lambda: card("It was created using [mergekit](x)"), "the text of the model card"),
    ],
)
def test_a_merge_leaves_traces(card_of_merge: Any, trace: str) -> None:
    """The bot recognises a merge by its tags, a mergekit config, or typical sentences in the model card."""
    assert card_of_merge().is_merge
    assert card_of_merge().merge_traces == (trace,)


def test_merging_an_adapter_is_no_merge() -> None:
    """A card that describes an adapter merged into its base, or only mentions merges, is not a merge."""
    assert not card("The LoRA weights were merged into the base model. It beats every merge.").is_merge
    assert card(base_model_relation="merge").is_merge


def test_a_card_with_half_of_a_surrogate_pair_can_be_stored() -> None:
    """Half of a surrogate pair in a licence is replaced, because the index of requests cannot store it."""
    assert card(license="mit\ud800").license == "mit?"
