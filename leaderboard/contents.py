"""The aggregated table `contents`: one row per published evaluation, in the columns of `leaderboard.columns`.

A row is computed from a request, its results and the flags. Likes, licence and dates come from the Hub; the table keeps
them until the Hub is read again. A commit that Steward evaluated keeps its row after a newer commit is evaluated; the
table alone then holds what the request said of the earlier commit, and its scores if the results are of another suite
than the board's. A row by another program, whose results Steward cannot read, stays unchanged except for its flag, as
long as its request and its results exist.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from leaderboard.columns import ContentsColumn, ContentsRow, columns, filled, key_of
from leaderboard.contents_row import CO2, HubModelInfo, TableSettings, base_of, eval_name, model_links, row_of
from leaderboard.evaluations import (
    BoardSources,
    Evaluation,
    Key,
    differ,
    earlier_evaluations,
    evaluated_revision,
    evaluations,
    is_results_path,
    is_shown,
    key_of_request,
    named_results,
    revision_of,
)
from leaderboard.flags import StandingFlags
from leaderboard.requests import Request

_OF_REQUEST = ("Architecture", "#Params (B)", "Submission Date")
"""Columns whose values come from the request of a commit."""
_FOR_FRONT_ENDS = ("eval_name", "T", "Model")
"""Columns that only front ends need."""


def rows_to_keep(
    old: Iterable[ContentsRow],
    by_key: Mapping[Key, Evaluation],
    sources: BoardSources,
    board: TableSettings,
    ours: Collection[tuple[Key, str]] = (),
) -> Iterator[ContentsRow]:
    """Yield the valid rows whose scores only the table has, under the present names of their models.

    They are those of other programs and of other suites, also of commits before the newest evaluation, as long as
    results of them exist. `ours` holds the earlier commits that Steward evaluated by the board's suite.
    """
    requests_by_key = {key_of_request(request): request for request in sources.requests.values()}
    folders = {path.rpartition("/")[0] for path in sources.results if is_results_path(path)}
    foreign = {
        (measured.model, measured.precision, measured.revision)
        for measured in sources.measured.values()
        if not measured.request
    }
    orphans: dict[tuple[str, str, str], list[ContentsRow]] = {}
    taken_keys, earlier, other_suites = set(by_key), set(ours), sources.commits_by_other_suites()
    for row in old:
        key, sha = key_of(row), row.get("Model sha") or ""
        if key in by_key:
            is_foreign = (key[0], key[1], sha) in foreign or (key[0], "", sha) in foreign
            is_of_other_suite = sha in other_suites.get(str(by_key[key].request.path), ())
            if (is_foreign or is_of_other_suite) and differ(sha, by_key[key].revision) and (key, sha) not in earlier:
                earlier.add((key, sha))
                yield row
        elif _stands(requests_by_key.get(key), key[0], folders, sources):
            taken_keys.add(key)
            earlier.add((key, sha))
            yield row
        elif key not in requests_by_key:
            orphans.setdefault((sha, *key[1:]), []).append(row)
    for key, request in requests_by_key.items():
        # A commit without a row and a row of the same commit without a request: the model was renamed.
        commits = {sha for sha in other_suites.get(str(request.path), ()) if (key, sha) not in earlier}
        if key in by_key:
            commits = {sha for sha in commits if differ(sha, by_key[key].revision)}
        elif key not in taken_keys:
            commits.add(revision_of(request))
        for sha in sorted(commits - {""}):
            candidates = orphans.get((sha, *key[1:]), [])
            if len(candidates) == 1 and _stands(request, key[0], folders, sources):
                yield _renamed(candidates[0], key, request, board)


def _renamed(row: ContentsRow, key: Key, request: Request, board: TableSettings) -> ContentsRow:
    """Return the row under the present name of its model."""
    return row | {"fullname": key[0], "eval_name": eval_name(*key), "Model": model_links(request, board)}


def rows_of(by_key: Mapping[Key, Evaluation], rows: Iterable[ContentsRow]) -> list[ContentsRow]:
    """Return those of `rows` that show the evaluations in `by_key`, at the same commits."""
    pairs = ((by_key.get(key_of(row)), row) for row in rows)
    return [
        row
        for evaluation, row in pairs
        if evaluation is not None and not differ(row.get("Model sha") or "", evaluation.revision)
    ]


def split_rows(
    rows: Iterable[ContentsRow],
    by_key: Mapping[Key, Evaluation],
    requests: Iterable[Request],
    shape: Iterable[ContentsColumn],
) -> tuple[dict[str, ContentsRow], dict[str, ContentsRow]]:
    """Split `rows` into those of the newest evaluations, by the path of their request, and all others, by an id.

    They have the columns of `shape`, without those for front ends (links, and an id that is not unique). A row whose
    results cannot be read by the board's suite is in both, because its request may still have scores by an earlier one.
    """
    unread = {key: request for request in requests if (key := key_of_request(request)) not in by_key}
    names = [column.name for column in shape if column.name not in _FOR_FRONT_ENDS]
    newest: dict[str, ContentsRow] = {}
    others: dict[str, ContentsRow] = {}
    for row in rows:
        key, revision = key_of(row), row.get("Model sha") or ""
        short = {name: row.get(name) for name in names}
        evaluation = by_key.get(key)
        path = str(evaluation.request.path) if evaluation is not None else ""
        if evaluation is not None and path not in newest and not differ(revision, evaluation.revision):
            newest[path] = short
        else:
            others[f"{path or ' '.join(key)}@{revision}"] = short
        request = unread.get(key)
        if request is not None and is_shown(request) and not differ(revision, evaluated_revision(request)):
            newest.setdefault(str(request.path), short)
    return newest, others


def _stands(request: Request | None, model: str, folders: Collection[str], sources: BoardSources) -> bool:
    """Whether results of a model exist and its request still shows them."""
    if request is None:
        return model in folders
    named = named_results(request)
    return is_shown(request) and (named in sources.results if named else model in folders)


# --- the table


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
    bases = {key[0]: base_of(evaluation, infos.get(key[0], HubModelInfo())) for key, evaluation in shown.items()}
    old = list(old)
    kept_rows = list(rows_to_keep(old, shown, sources, board, earlier))
    before, before_of_earlier = _rows_before(old, kept_rows, earlier)

    def new(key: Key, evaluation: Evaluation) -> ContentsRow:
        return row_of(key, evaluation, infos.get(key[0], HubModelInfo()), bases, board)

    rows = [
        _newest(new(key, evaluation), before.get(key, {}), evaluation)
        for key, evaluation in shown.items()
        if key[0] not in waits
    ]
    rows += [
        _earlier(new(at[0], evaluation), before_of_earlier.get(at, {}))
        for at, evaluation in earlier.items()
        if at[0][0] not in waits
    ]
    rows += [dict(row) for row in kept_rows]
    if sources.flags is not None:
        rows = _flagged(rows, sources, StandingFlags(sources.flags))
    shape = columns(board.suite)
    return sorted((filled(row, shape) for row in rows), key=lambda row: (row.get("eval_name") or "", *key_of(row)))


def _rows_before(
    old: Iterable[ContentsRow], kept_rows: Iterable[ContentsRow], earlier: Collection[tuple[Key, str]]
) -> tuple[dict[Key, ContentsRow], dict[tuple[Key, str], ContentsRow]]:
    """Return the former rows of newest evaluations, and of earlier commits, without rows that stay unchanged."""
    kept_ids = {id(row) for row in kept_rows}
    newest: dict[Key, ContentsRow] = {}
    of_earlier: dict[tuple[Key, str], ContentsRow] = {}
    for row in old:
        if (at := (key_of(row), row.get("Model sha") or "")) in earlier:
            of_earlier[at] = row
        elif id(row) not in kept_ids:
            newest[at[0]] = row
    return newest, of_earlier


def _newest(row: ContentsRow, before: ContentsRow, evaluation: Evaluation) -> ContentsRow:
    """Return the row of the newest evaluation. A CO₂ value stays with the results of the program that measured it."""
    foreign = not evaluation.measured.request and not differ(evaluation.revision, before.get("Model sha") or "")
    return _with_foreign_columns(row | {CO2: before.get(CO2)} if foreign else row, before)


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
