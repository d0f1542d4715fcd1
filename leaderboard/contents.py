"""The aggregated table `contents`: one row per published evaluation, in the columns of `leaderboard.columns`.

A row is computed from a request, its results and the flags. Likes, licence and dates come from the Hub; the table keeps
them until the Hub is read again. A commit that Steward evaluated keeps its row after a newer commit is evaluated; the
table alone then holds what the request said of the earlier commit. A row by another program, whose results Steward
cannot read, stays unchanged except for its flag, as long as its request and its results exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from leaderboard.admission.sizes import BILLION
from leaderboard.categories import MERGE_TAGS, ModelCategory, read_category
from leaderboard.columns import ASKED, ContentsColumn, ContentsRow, columns, filled, key_of, spelled
from leaderboard.evaluations import (
    BoardSources,
    Evaluation,
    Key,
    details_of,
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
"""Symbol and words of the type of a row of predictions."""
_MOE = {"moe", "moerge"}
_PARTS = re.compile(r"[^a-z0-9]+")
_CO2 = "CO₂ cost (kg)"
_OF_REQUEST = ("Architecture", "#Params (B)", "Submission Date")
"""Columns whose values come from the request of a commit."""
_FOR_FRONT_ENDS = ("eval_name", "T", "Model")
"""Columns that only front ends need."""
_MAX_GENERATIONS = 20
"""Generations that are counted; a longer line of declared base models is treated as a cycle."""


# --- inputs


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


def rows_to_keep(
    old: Iterable[ContentsRow],
    found: Mapping[Key, Evaluation],
    sources: BoardSources,
    board: TableSettings,
    ours: Collection[tuple[Key, str]] = (),
) -> Iterator[ContentsRow]:
    """Yield the valid rows of other programs, under the present names of their models.

    They include rows of commits before the newest evaluation, as long as other programs' results of them exist. `ours`
    holds the earlier commits that Steward evaluated.
    """
    requests_by_key = {key_of_request(request): request for request in sources.requests.values()}
    folders = {path.rpartition("/")[0] for path in sources.results if is_results_path(path)}
    foreign = {
        (measured.model, measured.precision, measured.revision)
        for measured in sources.measured.values()
        if not measured.request
    }
    orphans: dict[tuple[str, str, str], list[ContentsRow]] = {}
    taken_keys, earlier = set(found), set(ours)
    for row in old:
        key, sha = key_of(row), row.get("Model sha") or ""
        if key in found:
            is_foreign = (key[0], key[1], sha) in foreign or (key[0], "", sha) in foreign
            if is_foreign and differ(sha, found[key].revision) and (key, sha) not in earlier:
                earlier.add((key, sha))
                yield row
        elif _stands(requests_by_key.get(key), key[0], folders, sources):
            taken_keys.add(key)
            yield row
        elif key not in requests_by_key:
            orphans.setdefault((sha, *key[1:]), []).append(row)
    for key, request in requests_by_key.items():
        # A request without a row and a row of the same commit without a request: the model was renamed.
        candidates = orphans.get((revision_of(request), *key[1:]), ())
        if (
            revision_of(request)
            and key not in taken_keys
            and len(candidates) == 1
            and _stands(request, key[0], folders, sources)
        ):
            yield {**candidates[0], "fullname": key[0], "eval_name": _eval_name(*key), "Model": _model(request, board)}


def rows_of(found: Mapping[Key, Evaluation], rows: Iterable[ContentsRow]) -> list[ContentsRow]:
    """Return those of `rows` that show the evaluations in `found`, at the same commits."""
    pairs = ((found.get(key_of(row)), row) for row in rows)
    return [
        row
        for evaluation, row in pairs
        if evaluation is not None and not differ(row.get("Model sha") or "", evaluation.revision)
    ]


def split_rows(
    rows: Iterable[ContentsRow], found: Mapping[Key, Evaluation], shape: Iterable[ContentsColumn]
) -> tuple[dict[str, ContentsRow], dict[str, ContentsRow]]:
    """Split `rows` into those of the newest evaluations, by the path of their request, and all others, by an id.

    They have the columns of `shape`, without those for front ends (links, and an id that is not unique).
    """
    names = [column.name for column in shape if column.name not in _FOR_FRONT_ENDS]
    newest: dict[str, ContentsRow] = {}
    others: dict[str, ContentsRow] = {}
    for row in rows:
        key, revision = key_of(row), row.get("Model sha") or ""
        short = {name: row.get(name) for name in names}
        evaluation = found.get(key)
        path = str(evaluation.request.path) if evaluation is not None else ""
        if evaluation is not None and path not in newest and not differ(revision, evaluation.revision):
            newest[path] = short
        else:
            others[f"{path or ' '.join(key)}@{revision}"] = short
    return newest, others


def _stands(request: Request | None, model: str, folders: Collection[str], sources: BoardSources) -> bool:
    """Whether results of a model exist and its request still shows them."""
    if request is None:
        return model in folders
    named = named_results(request)
    return is_shown(request) and (named in sources.results if named else model in folders)


# --- rows


def compile_rows(
    old: Iterable[ContentsRow],
    sources: BoardSources,
    infos: Mapping[str, HubModelInfo],
    board: TableSettings,
    *,
    waits: Collection[str] = (),
) -> list[ContentsRow]:
    """Return the table: a row for each evaluation, and the valid rows of other programs.

    Models in `waits` get no new row yet.
    """
    shown = evaluations(sources)
    earlier = earlier_evaluations(sources, shown)
    bases = {key[0]: _base(evaluation, infos.get(key[0], HubModelInfo())) for key, evaluation in shown.items()}
    old = list(old)
    kept_rows = list(rows_to_keep(old, shown, sources, board, earlier))
    kept_ids = {id(row) for row in kept_rows}
    before: dict[Key, ContentsRow] = {}
    remembered: dict[tuple[Key, str], ContentsRow] = {}
    for row in old:
        if (at := (key_of(row), row.get("Model sha") or "")) in earlier:
            remembered[at] = row
        elif id(row) not in kept_ids:
            before[at[0]] = row

    def new(key: Key, evaluation: Evaluation) -> ContentsRow:
        return _row(key, evaluation, infos.get(key[0], HubModelInfo()), bases, board)

    rows = [
        _newest(new(key, evaluation), before.get(key, {}), evaluation)
        for key, evaluation in shown.items()
        if key[0] not in waits
    ]
    rows += [
        _earlier(new(at[0], evaluation), remembered.get(at, {}))
        for at, evaluation in earlier.items()
        if at[0][0] not in waits
    ]
    rows += [dict(row) for row in kept_rows]
    if sources.flags is not None:
        rows = _flagged(rows, sources, StandingFlags(sources.flags))
    shape = columns(board.suite)
    return sorted((filled(row, shape) for row in rows), key=lambda row: (row.get("eval_name") or "", *key_of(row)))


def _newest(row: ContentsRow, before: ContentsRow, evaluation: Evaluation) -> ContentsRow:
    """Return the row of the newest evaluation. A CO₂ value stays with the results of the program that measured it."""
    foreign = not evaluation.measured.request and not differ(evaluation.revision, before.get("Model sha") or "")
    return _with_foreign_columns(row | {_CO2: before.get(_CO2)} if foreign else row, before)


def _earlier(row: ContentsRow, before: ContentsRow) -> ContentsRow:
    """Return the row of an earlier commit; only the table still holds the values of its request."""
    kept = {name: before[name] for name in _OF_REQUEST if before.get(name) is not None}
    return _with_foreign_columns(row | {"Submission Date": None} | kept, before)


def _with_foreign_columns(row: ContentsRow, before: ContentsRow) -> ContentsRow:
    """Return the row with the columns of `before` that Steward does not know."""
    return row | {name: value for name, value in before.items() if name not in row}


def _flagged(rows: Iterable[ContentsRow], sources: BoardSources, flags: StandingFlags) -> list[ContentsRow]:
    """Return the rows with their flags set, without the models whose authors opted out."""
    requests_by_key = {key_of_request(request): request for request in sources.requests.values()}
    shown = [row for row in rows if not flags.opted_out(row.get("fullname") or "")]
    for row in shown:
        model, precision, _ = key = key_of(row)
        revision, request = row.get("Model sha") or "", requests_by_key.get(key)
        # The digest belongs to the commit of the request; a row of another commit has other weights.
        is_same = request is not None and not differ(revision, revision_of(request))
        weights = request.file.steward.weights or "" if request is not None and is_same else ""
        row["Flagged"] = flags.flagged(model, revision, precision, weights)
    return shown


def _row(
    key: Key, evaluation: Evaluation, info: HubModelInfo, bases: Mapping[str, str], board: TableSettings
) -> ContentsRow:
    model, precision, weights = key
    file, (symbol, type_words) = evaluation.request.file, _type_of(evaluation.request)
    category = read_category(file.model_type)
    submitted = read_time(file.submitted_time)
    row: ContentsRow = {
        "eval_name": _eval_name(*key),
        "Precision": precision,
        "Type": f"{symbol} {type_words}",
        "T": symbol,
        "Weight type": weights,
        "Architecture": _architecture(evaluation.request) or info.architecture or "?",
        "Model": _model(evaluation.request, board),
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
        _CO2: None,
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
    """Symbol and words of the type of a model; predictions say that they are none."""
    category = read_category(request.file.model_type)
    return _PREDICTIONS if request.path.precision == PREDICTIONS else (category.symbol, _TYPES[category])


def _eval_name(model: str, precision: str, _weights: str) -> str:
    return f"{model.replace('/', '_')}_{precision}"


def _model(request: Request, board: TableSettings) -> str:
    """Return two links as front ends show them: to the model and to its details; of predictions, to their request."""
    if request.path.precision == PREDICTIONS:
        url = f"{board.endpoint}/datasets/{board.requests}/blob/main/{request.path}"
        return _LINK.format(url=escape(url), text=escape(request.path.model))
    model, details_repo = request.path.model, details_of(request, board.details)
    page = _LINK.format(url=escape(f"{board.endpoint}/{model}"), text=escape(model))
    details = _LINK.format(url=escape(f"{board.endpoint}/datasets/{details_repo}"), text="📑")
    return f"{page}  {details}"


def _architecture(request: Request) -> str:
    architectures = (request.file.model_extra or {}).get("architectures")
    return architectures[:200] if isinstance(architectures, str) and architectures != "?" else ""


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


def _base(evaluation: Evaluation, info: HubModelInfo) -> str:
    return evaluation.request.file.base_model or info.base_model or ""


def _generation(model: str, bases: Mapping[str, str]) -> int:
    """Return the length of the line of base models of `model`, as far as they are on the board."""
    seen = [model]
    while (base := bases.get(seen[-1], "")) and base not in seen and len(seen) <= _MAX_GENERATIONS:
        seen.append(base)
    return len(seen) - 1
