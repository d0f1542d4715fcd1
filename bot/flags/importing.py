"""Tables of flags that were kept by hand become records: their addresses are kept, their dirty keys are told.

A discussion of the board's own under an earlier name of its repo gets its present address: by that it is known when
somebody speaks there.
Nothing is written until an operator has seen what would be. A model that has a record already keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from bot.core.context import BoardContext, repo_of
from bot.core.earlier_names import called_now
from bot.flags.flag_files import stage
from bot.flags.model_names import ResolvedName, find_model
from bot.flags.notices import address, repos_with_flag_threads
from hub.records import Repo
from leaderboard.flag_tables import REASONS, FlagTableRow, read_table
from leaderboard.flags import FlagDecision, FlagRecord, flagged
from leaderboard.links import is_on_the_hub, thread_links
from leaderboard.reasons import Problem
from redis_state.clock import iso

CAUSE = "import"


@dataclass(frozen=True)
class FlagImport:
    """What a table comes to: records to be written, models that are known already, and what is wrong with keys."""

    records: tuple[FlagRecord, ...]
    known: tuple[str, ...]
    problems: tuple[Problem, ...]


def read(context: BoardContext, text: str, *, category: str, by: str) -> FlagImport:
    """What importing the table `text` would do: a call for each key, and for each repo that is none of the board's.

    Raises BadTable and HubError.
    """
    now = cache(lambda repo: called_now(context, repo))
    rows, problems = read_table(text)
    records, known = dict[str, FlagRecord](), list[str]()
    for row in rows:
        named = find_model(context, row.model)
        problems += _trouble(row, named)
        if not named.is_known:
            continue
        if context.flag_book.of([named.model, *named.also]):
            known.append(named.model)
            continue
        thread = _present(context, row.thread, now)
        if thread != row.thread:
            problems.append(REASONS["moved"].problem(key=row.key, thread=thread))
        decision = FlagDecision(
            what="flagged", at=iso(context.now()), by=by, category=category, cause=f"{CAUSE} {row.model}"
        )
        record = FlagRecord(
            model=named.model, status="flagged", category=category, thread=thread, also=_also(row, named)
        )
        records[named.model] = flagged(None, record, decision)
    return FlagImport(tuple(records.values()), tuple(known), tuple(problems))


def write(context: BoardContext, records: Iterable[FlagRecord]) -> bool:
    """Have the records written; False where the board lets no edit happen."""
    return stage(context, records, CAUSE, "Import the flag of")


def _trouble(row: FlagTableRow, named: ResolvedName) -> list[Problem]:
    if not named.is_known:
        return [REASONS["unknown"].problem(key=row.key)]
    if named.model == row.model:
        return []
    code = "case" if named.model.casefold() == row.model.casefold() else "renamed"
    return [REASONS[code].problem(key=row.key, model=named.model)]


def _present(context: BoardContext, url: str, now: Callable[[Repo], Repo]) -> str:
    """The address that a discussion of ours has by now; any other is kept as it is."""
    link = next(iter(thread_links(url)), None)
    repo = (
        repo_of(f"{link.kind}/{link.repo}") if link is not None and is_on_the_hub(url, context.hub.endpoint) else None
    )
    if link is None or repo is None:
        return url
    there = repo if repo in repos_with_flag_threads(context) else now(repo)
    return address(context, there, link.number) if there in repos_with_flag_threads(context) else url


def _also(row: FlagTableRow, named: ResolvedName) -> tuple[str, ...]:
    """The other names of the model; the one in the table too, where it is more than another case of letters."""
    is_another = row.model.casefold() != named.model.casefold()
    return tuple(dict.fromkeys((*named.also, *((row.model,) if is_another else ()))))
