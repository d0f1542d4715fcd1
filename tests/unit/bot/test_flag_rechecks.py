"""The evidence of a flag counts as gone only if the bot could read everything that it is based on."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.flags import evidence
from bot.flags.evidence_recheck import recheck_evidence
from leaderboard.admission.facts import ModelCard
from leaderboard.flag_evidence import ExaminedModel
from leaderboard.flags import FlagEvidence, FlagRecord

WEIGHTS = {"model.safetensors": "0" * 64}
CARD = ModelCard(exists=True, license="mit")
ORIGINAL = ExaminedModel("bob/original", "b" * 40, WEIGHTS, CARD)
COPY = ExaminedModel("ada/copy", "a" * 40, WEIGHTS, CARD)
MERGE = ExaminedModel("ada/merge", "a" * 40, {"model.safetensors": "1" * 64}, CARD)


def is_gone(monkeypatch: pytest.MonkeyPatch, record: FlagRecord, on_hub: Mapping[str, ExaminedModel | None]) -> bool:
    """Whether a recheck of the flag reports that its cause is gone, when the Hub has these models."""
    rechecks: dict[str, str] = {}
    context = SimpleNamespace(
        flag_book=SimpleNamespace(of=lambda _: [record], of_weights=lambda _: [], records=lambda: [record]),
        index=SimpleNamespace(
            neighbours=SimpleNamespace(find=lambda **_: ()), find=lambda _: [], of_model=lambda _: []
        ),
        board=SimpleNamespace(admission=SimpleNamespace(is_official=lambda _: False)),
        keys=SimpleNamespace(flag_rechecks="rechecks"),
        redis=SimpleNamespace(
            hget=lambda _, name: rechecks.get(name), hset=lambda _, name, value: rechecks.update({name: value})
        ),
        now=lambda: 1_800_000_000.0,
    )
    monkeypatch.setattr(evidence, "gather_subject", lambda _, model: on_hub.get(model))
    return recheck_evidence(cast(Any, context), record.model) is not None


def flag(model: str, category: str, code: str, other: str = "") -> FlagRecord:
    """A flag based on one finding."""
    found = FlagEvidence(code=code, message="it is so", other=other)
    return FlagRecord(model=model, status="flagged", category=category, reason="it is so", evidence=(found,))


def test_an_original_that_cannot_be_read_does_not_clear_its_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the original cannot be read (private for a while, or one 404), the flag of its copy keeps its cause."""
    record = flag("ada/copy", "copy", "same-weights-unnamed", "bob/original")
    assert not is_gone(monkeypatch, record, {"ada/copy": COPY, "bob/original": ORIGINAL})
    assert not is_gone(monkeypatch, record, {"ada/copy": COPY})


def test_a_model_that_becomes_gated_is_not_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a flagged merge becomes gated, the bot can no longer read its card, so the flag keeps its cause."""
    gated = ExaminedModel("ada/merge", "c" * 40, MERGE.weights, card=None)
    assert not is_gone(monkeypatch, flag("ada/merge", "merge", "merge-undeclared"), {"ada/merge": gated})
    assert not is_gone(monkeypatch, flag("ada/merge", "merge", "base-undeclared"), {"ada/merge": gated})


def test_bases_in_a_card_do_not_crowd_the_original_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many bases the author lists in the card, a recheck still compares the copy with its original."""
    bases = tuple(f"ada/base-{number}" for number in range(20))
    crowded = ExaminedModel("ada/copy", "c" * 40, WEIGHTS, ModelCard(exists=True, license="mit", base_models=bases))
    models = {name: ExaminedModel(name, "d" * 40, {}, CARD) for name in bases}
    record = flag("ada/copy", "copy", "same-weights-unnamed", "bob/original")
    assert not is_gone(monkeypatch, record, {**models, "ada/copy": crowded, "bob/original": ORIGINAL})


def test_a_licence_is_compared_with_a_card_that_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the original becomes gated, the bot cannot read its licence, so a flag about the licence keeps its cause."""
    named = ModelCard(exists=True, license=None, base_models=("bob/original",))
    copy = ExaminedModel("ada/copy", "c" * 40, WEIGHTS, named)
    gated = ExaminedModel("bob/original", "b" * 40, WEIGHTS, card=None)
    record = flag("ada/copy", "copy", "licence-missing", "bob/original")
    assert not is_gone(monkeypatch, record, {"ada/copy": copy, "bob/original": gated})


def test_an_author_who_names_the_original_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the author names the original in the card, the cause is gone, even if the original is gated."""
    named = ExaminedModel(
        "ada/copy", "c" * 40, WEIGHTS, ModelCard(exists=True, license="mit", base_models=("bob/original",))
    )
    gated = ExaminedModel("bob/original", "b" * 40, WEIGHTS, card=None)
    record = flag("ada/copy", "copy", "same-weights-unnamed", "bob/original")
    assert is_gone(monkeypatch, record, {"ada/copy": named, "bob/original": gated})
