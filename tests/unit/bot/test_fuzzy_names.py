"""Names that are spelt like a given one are found without a comparison with all names."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.results import fuzzy_names
from bot.results.fuzzy_names import FuzzyNameIndex
from leaderboard.search import MAX_SUGGESTIONS, Query, fold, near_names, parse

FAMILIES = ("Qwen3", "Llama-3.1", "gemma-2", "Phi-4", "Mistral-Nemo", "Yi-1.5")
NAMES = [f"org-{n % 97}/{FAMILIES[n % 6]}-{n % 70}B-tune-{n}" for n in range(5_000)] + [
    "mistral-like/Mixtral-8x7B-v0.1"
]
MANY = FuzzyNameIndex((name, fold(name)) for name in NAMES)


@pytest.mark.parametrize(
    "asked",
    [
        "mixtral-8x7b-v0.2",
        "Mixtral_8x7B",
        "mistral-like/mixtrel-8x7b-v0.1",
        "mixtral8x7b-v01",
        "mistrallike/Mixtral8x7B",
    ],
)
def test_what_is_spelt_alike_is_found_among_many(asked: str) -> None:
    """A model is found among 5,000 despite another version, other dashes or a wrong letter."""
    assert MANY.near(parse(asked))[0] == "mistral-like/Mixtral-8x7B-v0.1"


def test_a_search_compares_a_few_hundred_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search compares at most a few hundred names, however many exist and are asked for."""
    compared = list[int]()

    def count(names: Iterable[str], _query: Query) -> list[str]:
        compared.append(len(list(names)))
        return []

    monkeypatch.setattr(fuzzy_names, "near_names", count)
    MANY.near(parse("Qwen3-7B-tuned"))
    assert 0 < compared[0] <= 4 * fuzzy_names.MAX_NEIGHBOURS
    MANY.near(parse("; ".join(f"Qwen3-{n}B-tuned" for n in range(30))))
    assert len(compared) == 1 + MAX_SUGGESTIONS
    assert max(compared) <= 4 * fuzzy_names.MAX_NEIGHBOURS


@given(st.lists(st.text("abAB-_/1é", min_size=1, max_size=12), max_size=20), st.text("abAB-_/1é", max_size=12))
def test_among_few_nothing_is_missed(names: list[str], asked: str) -> None:
    """Among few names, the index finds suggestions exactly if a search through all names does."""
    query = parse(asked)
    few = FuzzyNameIndex((name, fold(name)) for name in names)
    assert set(few.near(query)) <= set(names)
    assert bool(few.near(query)) == bool(near_names(names, query))
