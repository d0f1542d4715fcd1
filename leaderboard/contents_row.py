"""One row of the aggregated table, from a request, its results and the Hub's facts about its model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from leaderboard.admission.sizes import BILLION
from leaderboard.categories import MERGE_TAGS, ModelCategory, read_category
from leaderboard.columns import ASKED, ContentsRow, spelled
from leaderboard.evaluations import Evaluation, Key, details_of
from leaderboard.jsontext import storable
from leaderboard.predictions import PREDICTIONS, PREDICTIONS_SYMBOL
from leaderboard.requests import Request
from leaderboard.suites import Suite
from leaderboard.times import read_time, write_time

_TYPES = {
    ModelCategory.PRETRAINED: "pretrained",
    ModelCategory.CONTINUED: "continuously pretrained",
    ModelCategory.FINE_TUNED: "fine-tuned on domain-specific datasets",
    ModelCategory.CHAT: "chat models (RLHF, DPO, IFT, ...)",
    ModelCategory.MERGE: "base merges and moerges",
    ModelCategory.MULTIMODAL: "multimodal",
    ModelCategory.UNKNOWN: "other",
}
_LINK = (
    '<a target="_blank" href="{url}" style="color: var(--link-text-color); text-decoration: underline;'
    'text-decoration-style: dotted;">{text}</a>'
)
_PREDICTIONS = (PREDICTIONS_SYMBOL, "predictions (others cannot reproduce them)")
"""Symbol and text of the type in a row of predictions."""
_MOE = {"moe", "moerge"}
_PARTS = re.compile(r"[^a-z0-9]+")
CO2 = "CO₂ cost (kg)"
_MAX_GENERATIONS = 20
"""Generations that are counted; a longer chain of declared base models is treated as a cycle."""


@dataclass(frozen=True)
class HubModelInfo:
    """The Hub's facts about a model; None where the Hub did not report a value, or the model is gone."""

    available: bool = True
    likes: int | None = None
    licence: str | None = None
    merged: bool | None = None
    moe: bool | None = None
    created: str | None = None
    architecture: str | None = None
    base_model: str | None = None
    parameters: float | None = None
    """In billions."""


@dataclass(frozen=True)
class TableSettings:
    """The board settings that rows need. `details` returns the details dataset of a model."""

    suite: Suite
    endpoint: str
    details: Callable[[str], str]
    official: frozenset[str] = frozenset()
    """Organisations, in lower case."""
    requests: str = ""
    """The requests repo."""


def describe(tags: Iterable[str], name: str) -> tuple[bool, bool]:
    """Return whether a model declares itself a merge, and whether it declares itself a mixture of experts."""
    words = {tag.casefold() for tag in tags}
    return not words.isdisjoint(MERGE_TAGS), bool(words & _MOE) or "moe" in _PARTS.split(name.casefold())


def model_info_from_row(row: Mapping[str, Any]) -> HubModelInfo:
    """Return the Hub facts that an existing row holds."""
    parameters = row.get("#Params (B)")
    base = row.get("Base Model")
    return HubModelInfo(
        available=row.get("Available on the hub") is not False,
        likes=row.get("Hub ❤️"),
        licence=row.get("Hub License"),
        merged=row.get("Merged"),
        moe=row.get("MoE"),
        created=row.get("Upload To Hub Date"),
        architecture=row.get("Architecture"),
        base_model=base if base != row.get("fullname") else None,
        parameters=parameters if parameters is not None and parameters >= 0 else None,
    )


def row_of(
    key: Key, evaluation: Evaluation, info: HubModelInfo, bases: Mapping[str, str], board: TableSettings
) -> ContentsRow:
    model, precision, weights = key
    file, (symbol, type_words) = evaluation.request.file, _type_of(evaluation.request)
    category = read_category(file.model_type)
    submitted = read_time(file.submitted_time)
    row: ContentsRow = {
        "eval_name": eval_name(*key),
        "Precision": precision,
        "Type": f"{symbol} {type_words}",
        "T": symbol,
        "Weight type": weights,
        "Architecture": _architecture(evaluation.request) or info.architecture or "?",
        "Model": model_links(evaluation.request, board),
        "fullname": model,
        "Model sha": evaluation.revision,
        "Average ⬆️": evaluation.measured.scores.average,
        "Hub License": info.licence,
        "Hub ❤️": info.likes or 0,
        "#Params (B)": _params(evaluation, info),
        "Available on the hub": info.available,
        "MoE": bool(info.moe),
        "Flagged": False,
        "Chat Template": _chat_template(evaluation),
        CO2: None,
    }
    for benchmark in evaluation.measured.scores.benchmarks:
        row |= {f"{spelled(benchmark.name)} Raw": benchmark.raw, spelled(benchmark.name): benchmark.normalised}
    return row | {
        "Merged": bool(info.merged) or category is ModelCategory.MERGE,
        "Official Providers": model.partition("/")[0].casefold() in board.official,
        "Upload To Hub Date": info.created,
        "Submission Date": write_time(submitted)[:10] if submitted is not None and 0 < submitted < 1e11 else None,
        "Generation": _generation(model, bases),
        "Base Model": bases.get(model) or model,
        ASKED: evaluation.measured.asked or None,
    }


def _type_of(request: Request) -> tuple[str, str]:
    """Return symbol and text of the type of a model; predictions have a type of their own."""
    category = read_category(request.file.model_type)
    return _PREDICTIONS if request.path.precision == PREDICTIONS else (category.symbol, _TYPES[category])


def eval_name(model: str, precision: str, _weights: str) -> str:
    return f"{model.replace('/', '_')}_{precision}"


def model_links(request: Request, board: TableSettings) -> str:
    """Return the links that front ends show: to the model and to its details, or for predictions to their request."""
    if request.path.precision == PREDICTIONS:
        url = f"{board.endpoint}/datasets/{board.requests}/blob/main/{request.path}"
        return _LINK.format(url=escape(url), text=escape(request.path.model))
    model, details_repo = request.path.model, details_of(request, board.details)
    page = _LINK.format(url=escape(f"{board.endpoint}/{model}"), text=escape(model))
    details = _LINK.format(url=escape(f"{board.endpoint}/datasets/{details_repo}"), text="📑")
    return f"{page}  {details}"


def _architecture(request: Request) -> str:
    architectures = (request.file.model_extra or {}).get("architectures")
    return storable(architectures[:200]) if isinstance(architectures, str) and architectures != "?" else ""


def _chat_template(evaluation: Evaluation) -> bool:
    """Whether the results used a chat template; a request that was submitted again may ask for something else."""
    used = evaluation.measured.chat_template
    return used if used is not None else bool(evaluation.request.file.use_chat_template)


def _params(evaluation: Evaluation, info: HubModelInfo) -> float:
    declared = evaluation.request.billions
    if declared is not None:
        return declared
    if info.parameters is not None:
        return info.parameters
    return round(evaluation.measured.parameters / BILLION, 3) if evaluation.measured.parameters else -1.0


def base_of(evaluation: Evaluation, info: HubModelInfo) -> str:
    return evaluation.request.file.base_model or info.base_model or ""


def _generation(model: str, bases: Mapping[str, str]) -> int:
    """Return the length of the chain of base models of `model`, as far as they are on the board."""
    seen = [model]
    while (base := bases.get(seen[-1], "")) and base not in seen and len(seen) <= _MAX_GENERATIONS:
        seen.append(base)
    return len(seen) - 1
