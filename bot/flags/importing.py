"""Import a table of flags that people wrote by hand, as records.

A record keeps the address of its discussion. A discussion of the board's own repos gets its present address, so that
the sync recognises it when a person writes there. Rows that are unclear become problems for the operator, who sees the
result before anything is written. A model that has a record keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from bot.core.context import BoardContext, repo_of
from bot.core.earlier_names import called_now
from bot.core.watched_repos import thread_repos
from bot.flags.flag_files import stage
from bot.flags.model_names import ResolvedName, find_model
from bot.flags.notices import address
from hub.records import Repo
from leaderboard.flag_tables import REASONS, FlagTableRow, read_table
from leaderboard.flags import FlagDecision, FlagRecord, flagged
from leaderboard.links import is_on_the_hub, thread_links
from leaderboard.reasons import Problem
from redis_state.clock import iso

CAUSE = "import"


@dataclass(frozen=True)
class FlagImport:
    """The result of reading a table: records to write, models that have a record, and problems of rows."""

    records: tuple[FlagRecord, ...]
    known: tuple[str, ...]
    problems: tuple[Problem, ...]


def read(context: BoardContext, text: str, *, category: str, by: str) -> FlagImport:
    """Read the table `text` and write nothing: one call for each key, and for each repo that is not the board's.

    Raises BadTable and HubError.
    """
    present_repo = cache(lambda repo: called_now(context, repo))
    rows, problems = read_table(text)
    records, known = dict[str, FlagRecord](), list[str]()
    for row in rows:
        named = find_model(context, row.model)
        problems += _problems(row, named)
        if not named.is_known:
            continue
        if context.flag_book.of([named.model, *named.also]):
            known.append(named.model)
            continue
        thread = _present_address(context, row.thread, present_repo)
        if thread != row.thread:
            problems.append(REASONS["moved"].problem(key=row.key, thread=thread))
        decision = FlagDecision(
            what="flagged", at=iso(context.now()), by=by, category=category, cause=f"{CAUSE} {row.model}"
        )
        record = FlagRecord(
            model=named.model, status="flagged", category=category, thread=thread, also=_other_names(row, named)
        )
        records[named.model] = flagged(None, record, decision)
    return FlagImport(tuple(records.values()), tuple(known), tuple(problems))


def write(context: BoardContext, records: Iterable[FlagRecord]) -> bool:
    """Stage the records. Return False where edits are off or in shadow on this board."""
    return stage(context, records, CAUSE, "Import the flag of")


def _problems(row: FlagTableRow, named: ResolvedName) -> list[Problem]:
    if not named.is_known:
        return [REASONS["unknown"].problem(key=row.key)]
    if named.model == row.model:
        return []
    code = "case" if named.model.casefold() == row.model.casefold() else "renamed"
    return [REASONS[code].problem(key=row.key, model=named.model)]


def _present_address(context: BoardContext, url: str, present_repo: Callable[[Repo], Repo]) -> str:
    """The present address of a discussion in the board's repos; any other address unchanged."""
    link = next(iter(thread_links(url)), None)
    if link is None or not is_on_the_hub(url, context.hub.endpoint):
        return url
    repo = repo_of(f"{link.kind}/{link.repo}")
    if repo is None:
        return url
    board_repos = thread_repos(context)
    present = repo if repo in board_repos else present_repo(repo)
    return address(context, present, link.number) if present in board_repos else url


def _other_names(row: FlagTableRow, named: ResolvedName) -> tuple[str, ...]:
    """The other names of the model, with the one in the table where it differs in more than the case of letters."""
    is_another = row.model.casefold() != named.model.casefold()
    return tuple(dict.fromkeys((*named.also, *((row.model,) if is_another else ()))))
