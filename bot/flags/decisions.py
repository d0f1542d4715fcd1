"""What maintainers decide about flags, and what others report: `/flag`, `/unflag`, `/dismiss`.

A decision is staged with the ledger of the flags repo, and has its effect once it landed there: then the tables are
compiled, and the thread says what was decided (`hearing`). The comment that decided stands in the record, so that one
comment decides once, whatever dies in between.

Race accepted: two maintainers decide about one model within the seconds until the first decision lands. The later one
stands; both replies tell it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from bot.core.context import BoardContext, thread_key
from bot.core.render import Safe
from bot.flags import flag_thread
from bot.flags.flag_commands import (
    FlagCommand,
    FlagResult,
    FlagSource,
    models_of_thread,
    problem_with,
    resolve_models,
    resolve_scope,
)
from bot.flags.flag_files import stage
from bot.flags.model_names import ResolvedName, find_model
from bot.flags.notices import DISMISSED, REPORTED, address
from bot.flags.report_intake import reported_in, tell_reporters
from bot.flags.reports import (
    MOST_REPORTED,
    FlagReport,
    drop_report,
    find_report,
    gather_report,
    note_report,
    reported_before,
    reports,
)
from leaderboard import flags
from leaderboard.flags import FlagDecision, FlagRecord
from leaderboard.links import models_in
from redis_state.clock import iso

MOST = 20
"""Models of one command of a maintainer: a call for each."""


def report(context: BoardContext, command: FlagCommand, source: FlagSource) -> FlagResult:
    """Somebody who is no maintainer says that models should be flagged."""
    found = resolve_models(context, command, source, MOST_REPORTED)
    if isinstance(found, FlagResult):
        return found
    url = _address(context, source)
    models = tuple(one.model for one in found)
    before = reported_before(context, models[0], thread_key(source.repo, source.thread.num)) if len(models) == 1 else ""
    for one in found:
        if not any(record.stands for record in context.flag_book.of([one.model])):
            note_report(
                context, _report(context, one.model, source, url, models_in(f"{source.thread.title}\n{command.reason}"))
            )
    mark = Safe(str(context.marker(REPORTED, " ".join(models))))
    return FlagResult("reported", models, thread=before or url, is_here=not before, mark=mark)


def _report(context: BoardContext, model: str, source: FlagSource, url: str, named: Iterable[str]) -> FlagReport:
    return FlagReport(
        model=model,
        threads=(thread_key(source.repo, source.thread.num),),
        url=url,
        reporter=source.person.name,
        reporter_id=source.person.id,
        at=context.now(),
        named=tuple(named),
    )


def flag(context: BoardContext, command: FlagCommand, source: FlagSource) -> FlagResult:
    """Flag models, all or none of them. Raises HubError."""
    if context.flags_repo is None:
        return FlagResult("no-repo")
    scope = resolve_scope(context, command.scope)
    if scope is None:
        return FlagResult("scope", precisions=context.board.precisions)
    command = replace(command, scope=scope)
    found = resolve_models(context, command, source, MOST)
    if isinstance(found, FlagResult):
        return found
    providers = context.board.admission
    official = tuple(one.model for one in found if providers.is_official(one.model.partition("/")[0]))
    if official:
        return FlagResult("official", official)
    drafts = [_draft(context, one, command, source) for one in found]
    url = flag_thread.open_or_adopt(context, drafts, source.repo, source.thread, source.cause)
    if url is None:
        return FlagResult("off")
    decision = _decision("flagged", command.reason, source, context.now(), command.category)
    records = [_with_decision(context, draft.model_copy(update={"thread": url}), decision) for draft in drafts]
    if not stage(context, records, source.cause, "Flag"):
        return FlagResult("off")
    kind, models = flags.CATEGORIES[command.category], tuple(one.model for one in found)
    is_here = url == _address(context, source)
    return FlagResult("flagged", models, (), command.reason, kind.words, url, is_here=is_here, hides=kind.hides)


def _decision(
    what: Literal["flagged", "lifted"], reason: str, source: FlagSource, now: float, category: str = ""
) -> FlagDecision:
    who = {"by": source.person.name, "by_id": source.person.id}
    return FlagDecision(what=what, at=iso(now), reason=reason, category=category, cause=source.cause, **who)


def _draft(context: BoardContext, named: ResolvedName, command: FlagCommand, source: FlagSource) -> FlagRecord:
    """The record of a flag, with the evidence that was found for it."""
    reported = find_report(context, named.model)
    known = reported if reported is not None and reported.gathered else gather_report(context, named.model, ())
    reporter = (reported.reporter, reported.reporter_id) if reported is not None else (source.thread.author_name, "")
    return FlagRecord(
        model=named.model,
        status="flagged",
        category=command.category,
        reason=command.reason,
        scope=command.scope,
        reporter=reporter[0],
        reporter_id=reporter[1] or source.thread.author_id or "",
        evidence=known.evidence,
        weights=known.weights if flags.CATEGORIES[command.category].follows_weights else "",
        also=named.also,
    )


def _with_decision(context: BoardContext, draft: FlagRecord, decision: FlagDecision) -> FlagRecord:
    before = next(iter(context.flag_book.of(draft.names)), None)
    return flags.flagged(before, draft, decision)


def unflag(context: BoardContext, reason: str, models: Sequence[str], source: FlagSource) -> FlagResult:
    """Lift flags: of `models`, or all that are spoken about in the thread. A discussion is closed with its last one."""
    if context.flags_repo is None:
        return FlagResult("no-repo")
    if (trouble := problem_with(models, reason, MOST)) is not None:
        return trouble
    records = _records_to_lift(context, models, source)
    already = [one for one in records if any(done.cause == source.cause for done in one.decisions)]
    standing = [one for one in records if one.stands]
    if not (standing or already):
        return FlagResult("not-flagged", tuple(models) or tuple(one.model for one in records))
    decision = _decision("lifted", reason, source, context.now())
    if not stage(context, [flags.lifted(one, decision) for one in standing], source.cause, "Lift the flag of"):
        return FlagResult("off")
    lifted = {one.model: one for one in (*standing, *already)}
    for thread in dict.fromkeys(one.thread for one in lifted.values()):
        if not any(one.stands and one.model not in lifted for one in context.flag_book.of_thread(thread)):
            _close(context, thread, source)
    hides = any(one.kind.hides for one in records)
    return FlagResult("lifted", tuple(sorted(lifted)), reason=reason, thread=_address(context, source), hides=hides)


def _records_to_lift(context: BoardContext, models: Sequence[str], source: FlagSource) -> list[FlagRecord]:
    if not models:
        return context.flag_book.of_thread(_address(context, source)) or list(
            context.flag_book.of(models_of_thread(source))
        )
    named = [find_model(context, model) for model in models]
    return list(context.flag_book.of(name for one in named for name in (one.model, *one.also)))


def dismiss(context: BoardContext, reason: str, source: FlagSource) -> FlagResult:
    """Say that nothing comes of what was reported in the thread; of a plea, that the flag stays. It is closed."""
    url = _address(context, source)
    standing = [one for one in context.flag_book.of_thread(url) if one.stands]
    if standing:
        _close(context, url, source)
        models, hides = tuple(one.model for one in standing), any(one.kind.hides for one in standing)
        return FlagResult("upheld", models, reason=reason, thread=url, hides=hides)
    key = thread_key(source.repo, source.thread.num)
    # What the thread says counts where Redis does not know: it was lost, or whoever began to dismiss it died.
    reported = [one.model for one in reports(context) if key in one.threads] or reported_in(context, source.thread)
    if not reported and flag_thread.is_about_flags(context, source.repo, source.thread):
        reported = list(models_of_thread(source))
    if not reported:
        return FlagResult("nothing")
    for report in filter(None, (find_report(context, model) for model in reported)):
        tell_reporters(context, report, url, source.cause, hides=True, dismissed=reason)
    drop_report(context, *reported)
    _close(context, url, source)
    mark = Safe(str(context.marker(DISMISSED, source.cause)))
    return FlagResult("dismissed", tuple(reported), reason=reason, thread=url, mark=mark)


def _close(context: BoardContext, url: str, source: FlagSource) -> None:
    """Close the discussion at `url`; the thread of a request stays as it is, for that is about more."""
    place = flag_thread.thread_at(context, url)
    if place is not None and not (place[0] == context.requests and context.index.of_thread(place[1]) is not None):
        context.effects.set_status(*place, "closed", context.marker("close", source.cause), asked=True)


def _address(context: BoardContext, source: FlagSource) -> str:
    return address(context, source.repo, source.thread.num)
