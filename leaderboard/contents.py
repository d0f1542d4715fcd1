"""The aggregated table `contents`: one row for each published evaluation, in the columns of `leaderboard.columns`.

A row follows from a request, its results and the flags. What they do not tell (likes, licence, dates) comes from the
Hub, and stays as the table has it until it is asked again. A commit that we evaluated keeps its row when a newer one
was evaluated; what its request said of it is then told by the table alone. A row that others made, of results in no
form that we read, is left as it is, as long as its request and its results stand; its flag is ours to tell.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from leaderboard.admission.sizes import BILLION
from leaderboard.categories import MERGE_TAGS, ModelCategory, read_category
from leaderboard.columns import ContentsRow, columns, filled, key_of, spelled
from leaderboard.evaluations import (
    BoardSources,
    Evaluation,
    Key,
    differ,
    earlier_evaluations,
    evaluations,
    is_results_path,
    is_shown,
    key_of_request,
    named_results,
    revision_of,
)
from leaderboard.flags import StandingFlags
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
_MOE = {"moe", "moerge"}
_PARTS = re.compile(r"[^a-z0-9]+")
_CO2 = "CO₂ cost (kg)"
_OF_REQUEST = ("Architecture", "#Params (B)", "Submission Date")
"""Columns that a request tells of the commit that it is about."""
_DEEPEST = 20
"""Generations that are counted: whoever declares a longer line of ancestors declares a circle."""


# --- what is known


@dataclass(frozen=True)
class HubModelInfo:
    """What the Hub says of a model; None where it was not said, or the model is gone."""

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
    """What a row takes from the board. `details` names the details dataset of a model."""

    suite: Suite
    endpoint: str
    details: Callable[[str], str]
    official: frozenset[str] = frozenset()
    """Organisations, in lower case."""


def describe(tags: Iterable[str], name: str) -> tuple[bool, bool]:
    """Whether a model says of itself that it is merged, and that it is a mixture of experts."""
    words = {tag.casefold() for tag in tags}
    return not words.isdisjoint(MERGE_TAGS), bool(words & _MOE) or "moe" in _PARTS.split(name.casefold())


def model_info_from_row(row: Mapping[str, Any]) -> HubModelInfo:
    """What the table itself remembers of a model."""
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


def rows_to_keep(
    old: Iterable[ContentsRow],
    found: Mapping[Key, Evaluation],
    sources: BoardSources,
    board: TableSettings,
    ours: Collection[tuple[Key, str]] = (),
) -> Iterator[ContentsRow]:
    """The rows that others made and that still stand, by their models' present names; also of commits before the newest
    evaluation, as long as the results that others made of them are there. `ours`: earlier commits that we evaluated."""
    asked = {key_of_request(request): request for request in sources.requests.values()}
    folders = {path.rpartition("/")[0] for path in sources.results if is_results_path(path)}
    theirs = {(one.model, one.precision, one.revision) for one in sources.measured.values() if not one.request}
    left: dict[tuple[str, str, str], list[ContentsRow]] = {}
    taken, earlier = set(found), set(ours)
    for row in old:
        key, sha = key_of(row), row.get("Model sha") or ""
        if key in found:
            known = (key[0], key[1], sha) in theirs or (key[0], "", sha) in theirs
            if known and differ(sha, found[key].revision) and (key, sha) not in earlier:
                earlier.add((key, sha))
                yield row
        elif _stands(asked.get(key), key[0], folders, sources):
            taken.add(key)
            yield row
        elif key not in asked:
            left.setdefault((sha, *key[1:]), []).append(row)
    for key, request in asked.items():
        # A request without a row, and a row of the same commit without a request: the model was renamed.
        same = left.get((revision_of(request), *key[1:]), ())
        if revision_of(request) and key not in taken and len(same) == 1 and _stands(request, key[0], folders, sources):
            yield {**same[0], "fullname": key[0], "eval_name": _eval_name(*key), "Model": _model(key[0], board)}


def rows_of(found: Mapping[Key, Evaluation], rows: Iterable[ContentsRow]) -> list[ContentsRow]:
    """Those of `rows` that are about the evaluations in `found`, and at no other commit."""
    known = ((found.get(key_of(row)), row) for row in rows)
    return [row for it, row in known if it is not None and not differ(row.get("Model sha") or "", it.revision)]


def _stands(request: Request | None, model: str, folders: Collection[str], sources: BoardSources) -> bool:
    """Whether there are results of a model, and nobody took back what a row tells of them."""
    if request is None:
        return model in folders
    named = named_results(request)
    return is_shown(request) and (named in sources.results if named else model in folders)


# --- rows


def compile_rows(
    old: Iterable[ContentsRow],
    sources: BoardSources,
    known: Mapping[str, HubModelInfo],
    board: TableSettings,
    *,
    waits: Collection[str] = (),
) -> list[ContentsRow]:
    """The table: a row for each evaluation, and those of others that stand. `waits`: models without a new row yet."""
    found = evaluations(sources)
    earlier = earlier_evaluations(sources, found)
    bases = {key[0]: _base(one, known.get(key[0], HubModelInfo())) for key, one in found.items()}
    old = list(old)
    stay = list(rows_to_keep(old, found, sources, board, earlier))
    same = {id(row) for row in stay}
    before: dict[Key, ContentsRow] = {}
    remembered: dict[tuple[Key, str], ContentsRow] = {}
    for row in old:
        if (at := (key_of(row), row.get("Model sha") or "")) in earlier:
            remembered[at] = row
        elif id(row) not in same:
            before[at[0]] = row

    def new(key: Key, one: Evaluation) -> ContentsRow:
        return _row(key, one, known.get(key[0], HubModelInfo()), bases, board)

    rows = [_newest(new(key, one), before.get(key, {}), one) for key, one in found.items() if key[0] not in waits]
    rows += [_earlier(new(at[0], one), remembered.get(at, {})) for at, one in earlier.items() if at[0][0] not in waits]
    rows += [dict(row) for row in stay]
    if sources.flags is not None:
        rows = _flagged(rows, sources, StandingFlags(sources.flags))
    shape = columns(board.suite)
    return sorted((filled(row, shape) for row in rows), key=lambda row: (row.get("eval_name") or "", *key_of(row)))


def _newest(row: ContentsRow, before: ContentsRow, it: Evaluation) -> ContentsRow:
    """The row of what counts now. We measure no CO₂: what others measured stays with the results that are theirs."""
    theirs = not it.measured.request and not differ(it.revision, before.get("Model sha") or "")
    return _with_more(row | {_CO2: before.get(_CO2)} if theirs else row, before)


def _earlier(row: ContentsRow, before: ContentsRow) -> ContentsRow:
    """The row of an earlier commit: when that was submitted, and how, only the table remembers."""
    told = {name: before[name] for name in _OF_REQUEST if before.get(name) is not None}
    return _with_more(row | {"Submission Date": None} | told, before)


def _with_more(row: ContentsRow, before: ContentsRow) -> ContentsRow:
    """The row with what others noted there, in columns that are not ours."""
    return row | {name: value for name, value in before.items() if name not in row}


def _flagged(rows: Iterable[ContentsRow], sources: BoardSources, flags: StandingFlags) -> list[ContentsRow]:
    """The rows with their flags, without those whose authors asked that they be not here."""
    asked = {key_of_request(request): request for request in sources.requests.values()}
    shown = [row for row in rows if not flags.opted_out(row.get("fullname") or "")]
    for row in shown:
        model, precision, _ = key = key_of(row)
        revision, request = row.get("Model sha") or "", asked.get(key)
        # The digest is that of the commit that the request is about; a row of another one has other weights.
        is_same = request is not None and not differ(revision, revision_of(request))
        weights = request.file.steward.weights or "" if request is not None and is_same else ""
        row["Flagged"] = flags.flagged(model, revision, precision, weights)
    return shown


def _row(key: Key, it: Evaluation, known: HubModelInfo, bases: Mapping[str, str], board: TableSettings) -> ContentsRow:
    model, precision, weights = key
    file, category = it.request.file, read_category(it.request.file.model_type)
    submitted = read_time(file.submitted_time)
    row: ContentsRow = {
        "eval_name": _eval_name(*key),
        "Precision": precision,
        "Type": f"{category.symbol} {_TYPES[category]}",
        "T": category.symbol,
        "Weight type": weights,
        "Architecture": _architecture(it.request) or known.architecture or "?",
        "Model": _model(model, board),
        "fullname": model,
        "Model sha": it.revision,
        "Average ⬆️": it.measured.scores.average,
        "Hub License": known.licence,
        "Hub ❤️": known.likes or 0,
        "#Params (B)": _params(it, known),
        "Available on the hub": known.available,
        "MoE": bool(known.moe),
        "Flagged": False,
        "Chat Template": _chat_template(it),
        _CO2: None,
    }
    for one in it.measured.scores.benchmarks:
        row |= {f"{spelled(one.name)} Raw": one.raw, spelled(one.name): one.normalised}
    return row | {
        "Merged": bool(known.merged) or category is ModelCategory.MERGE,
        "Official Providers": model.partition("/")[0].casefold() in board.official,
        "Upload To Hub Date": known.created,
        "Submission Date": write_time(submitted)[:10] if submitted is not None and 0 < submitted < 1e11 else None,
        "Generation": _generation(model, bases),
        "Base Model": bases.get(model) or model,
    }


def _eval_name(model: str, precision: str, _weights: str) -> str:
    return f"{model.replace('/', '_')}_{precision}"


def _model(model: str, board: TableSettings) -> str:
    """Two links, as readers show them: to the model, and to the details."""
    page = _LINK.format(url=escape(f"{board.endpoint}/{model}"), text=escape(model))
    details = _LINK.format(url=escape(f"{board.endpoint}/datasets/{board.details(model)}"), text="📑")
    return f"{page}  {details}"


def _architecture(request: Request) -> str:
    said = (request.file.model_extra or {}).get("architectures")
    return said[:200] if isinstance(said, str) and said != "?" else ""


def _chat_template(it: Evaluation) -> bool:
    """As the results tell: a request that is submitted again may ask for another one than its earlier results have."""
    said = it.measured.chat_template
    return said if said is not None else bool(it.request.file.use_chat_template)


def _params(it: Evaluation, known: HubModelInfo) -> float:
    said = (it.request.file.model_extra or {}).get("params")
    if isinstance(said, int | float) and not isinstance(said, bool) and math.isfinite(said) and said > 0:
        return float(said)
    if known.parameters is not None:
        return known.parameters
    return round(it.measured.parameters / BILLION, 3) if it.measured.parameters else -1.0


def _base(it: Evaluation, known: HubModelInfo) -> str:
    return it.request.file.base_model or known.base_model or ""


def _generation(model: str, bases: Mapping[str, str]) -> int:
    """How many models it was made from, one after the other, as far as they are on the board."""
    seen = [model]
    while (base := bases.get(seen[-1], "")) and base not in seen and len(seen) <= _DEEPEST:
        seen.append(base)
    return len(seen) - 1
