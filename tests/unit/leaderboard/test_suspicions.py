"""Findings that suggest a flag: models that cause each of them, and honest models without findings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.admission.facts import ModelCard
from leaderboard.flag_evidence import EvidenceCase, ExaminedModel, ExaminedRequest, models_named
from leaderboard.flags import FlagRecord
from leaderboard.suspicions import REASONS, suspicions

SHARDS = {"model-1.safetensors": "a" * 64, "model-2.safetensors": "b" * 64}
RENAMED = {"x.safetensors": "b" * 64, "y.safetensors": "a" * 64}
OWN = {"model-1.safetensors": "c" * 64, "model-2.safetensors": "d" * 64}


def card(*bases: str, **more: Any) -> ModelCard:
    """A model card."""
    return ModelCard(**{"exists": True, "license": "apache-2.0", "base_models": bases, **more})


ORIGINAL = ExaminedModel("bob/original", "1" * 40, SHARDS, card(), created=100.0)
TUNED = ExaminedModel(
    "ada/tuned", "2" * 40, OWN, card("bob/original"), {"config.json": ("bob/original",)}, created=200.0
)
HONEST = EvidenceCase(TUNED, (ORIGINAL,), (ExaminedRequest("p", "float16", "2" * 40, "fine-tuned"),))
COPY = EvidenceCase(replace(TUNED, weights=RENAMED, card=card(), traces={}), (ORIGINAL,))
FLAG = FlagRecord(model="ada/other", status="flagged", category="contamination", thread="https://hub/d/1")


def of(case: EvidenceCase, **changes: Any) -> EvidenceCase:
    """Return `case` with changes to the examined model."""
    return replace(case, subject=replace(case.subject, **changes))


def flag(model: str, **more: Any) -> FlagRecord:
    """A flag on `model`."""
    return FLAG.model_copy(update={"model": model, **more})


MERGE = card("bob/original", "eve/lion", is_merge=True, merge_traces=("mergekit_config.yml",))
CASES = {
    "an honest fine-tune": (HONEST, []),
    "one whose base is named in other capitals": (of(HONEST, card=card("Bob/Original")), []),
    "a model without facts": (EvidenceCase(ExaminedModel("ada/nothing")), []),
    "a copy": (of(COPY, weights=SHARDS), ["same-weights-unnamed"]),
    "a copy with renamed files": (COPY, ["same-weights-unnamed"]),
    "a copy that says so": (of(COPY, card=card("bob/original")), ["same-weights"]),
    "the original of a copy": (EvidenceCase(ORIGINAL, (replace(COPY.subject),)), ["copied-from-it"]),
    "half a copy": (of(COPY, weights={**OWN, "model-1.safetensors": "a" * 64}), ["shared-weights"]),
    "half a copy that says so": (
        of(COPY, weights={**OWN, "model-1.safetensors": "a" * 64}, card=card("bob/original")),
        [],
    ),
    "files of which a digest is not known": (of(COPY, weights={**SHARDS, "more.safetensors": ""}), []),
    "as many files as a flagged one, and no digest of either is known": (
        EvidenceCase(
            replace(TUNED, weights={"a": ""}),
            (replace(ORIGINAL, model="eve/lion", weights={"b": ""}),),
            flags=(flag("eve/lion"),),
        ),
        [],
    ),
    "the files of another model, which has one more that is not known": (
        replace(COPY, others=(replace(ORIGINAL, weights={**SHARDS, "more.safetensors": ""}),)),
        ["shared-weights"],
    ),
    "a merge that does not say so": (of(HONEST, card=MERGE, traces={}), ["merge-undeclared", "wrong-category"]),
    "a merge that says so": (
        replace(
            of(HONEST, card=replace(MERGE, tags=("merge",)), traces={}),
            requests=(ExaminedRequest("p", "float16", "2" * 40, "merge"),),
        ),
        [],
    ),
    "a base that only the config names": (of(HONEST, card=card()), ["base-undeclared"]),
    "a fine-tune as a pretrained model": (
        replace(HONEST, requests=(ExaminedRequest("p", "float16", "2" * 40, "pretrained"),)),
        ["wrong-category"],
    ),
    "no licence, though its base has one": (of(HONEST, card=card("bob/original", license=None)), ["licence-missing"]),
    "another licence": (of(HONEST, card=card("bob/original", license="mit")), ["licence-changed"]),
    "a copy without licence": (of(COPY, card=card(license="")), ["same-weights-unnamed", "licence-missing"]),
    "evaluated twice": (
        replace(HONEST, requests=(*HONEST.requests, ExaminedRequest("q", "float16", "2" * 40, "fine-tuned"))),
        ["evaluated-twice"],
    ),
    "evaluated at two commits and in two precisions": (
        replace(
            HONEST,
            requests=(
                *HONEST.requests,
                ExaminedRequest("q", "float16", "3" * 40, "fine-tuned"),
                ExaminedRequest("r", "bfloat16", "2" * 40, "fine-tuned"),
                ExaminedRequest("s", "bfloat16", "", "fine-tuned"),
                ExaminedRequest("t", "bfloat16", "", "fine-tuned"),
            ),
        ),
        [],
    ),
    "flagged before": (replace(HONEST, flags=(flag("Ada/Tuned", status="lifted"),)), ["flagged-before"]),
    "flagged under an earlier name": (
        replace(HONEST, flags=(flag("ada/old"),), aliases=("ada/old",)),
        ["flagged-before"],
    ),
    "another model of its author is flagged": (replace(HONEST, flags=(flag("ada/other"),)), ["author-flagged"]),
    "another one was flagged": (replace(HONEST, flags=(flag("ada/other", status="lifted"),)), []),
    "another one is not to be here": (replace(HONEST, flags=(flag("ada/other", category="opt-out"),)), []),
    "made from a flagged one": (replace(HONEST, flags=(flag("bob/original"),)), ["ancestor-flagged"]),
    "the weights of a flagged one": (
        replace(of(COPY, card=card("bob/original")), flags=(flag("bob/original"),)),
        ["same-weights", "twin-flagged"],
    ),
    "a flag of another model": (replace(HONEST, flags=(flag("eve/lion"),)), []),
    "an official provider": (replace(HONEST, is_official=True), ["official"]),
}


@pytest.mark.parametrize(("case", "codes"), CASES.values(), ids=CASES)
def test_each_suspicion(case: EvidenceCase, codes: list[str]) -> None:
    """Each case gives exactly its findings, the strongest first, with complete messages and advice."""
    suspected = suspicions(case)
    assert sorted(finding.code for finding in suspected) == sorted(codes)
    assert [finding.strength for finding in suspected] == sorted(
        (finding.strength for finding in suspected), reverse=True
    )
    assert all(finding.message and "{" not in finding.message for finding in suspected)
    assert all(
        not finding.advice or (finding.advice.endswith(".") and "{" not in finding.advice) for finding in suspected
    )


def test_every_reason_has_a_case() -> None:
    """The cases cover every finding in the table of reasons."""
    assert {code for _, codes in CASES.values() for code in codes} == set(REASONS)


def test_the_message_about_a_copy_mentions_other_file_names_if_there_are() -> None:
    """The message says that files have other names only if they do."""
    assert "'bob/original' (with other file names)." in suspicions(COPY)[0].message
    assert "with other file names" not in suspicions(of(COPY, weights=SHARDS))[0].message


@given(st.permutations(sorted(SHARDS.values())), st.permutations(["one", "two"]))
def test_a_copy_is_found_however_its_files_are_called_and_ordered(digests: list[str], names: list[str]) -> None:
    """A copy is found whatever the names and the order of its weight files."""
    suspected = suspicions(of(COPY, weights=dict(zip(names, digests, strict=True))))
    assert [finding.code for finding in suspected] == ["same-weights-unnamed"]


def test_a_mergekit_file_names_its_models() -> None:
    """The models of a merge are read in each form that mergekit knows, without local paths, also from a huge file."""
    text = """
merge_method: slerp
base_model: bob/original
slices:
  - sources:
      - model: "eve/lion"
      - model: ./local/path
models:
  - model: bob/original
    """
    assert models_named(text) == ("bob/original", "eve/lion")
    assert models_named("model: a/b\n" * 500_000) == ("a/b",)
