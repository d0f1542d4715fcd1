"""The effects of `/flag`, `/unflag` and `/dismiss`: decisions of maintainers, and reports of other people.

A decision is staged in the ledger of the flags repo and takes effect when it lands: the tables are compiled, and the
thread states the decision (`flag_thread`). The record holds the comment that decided, so that one comment decides once
even where a process dies in between.

Race accepted: two maintainers decide about one model before the first decision lands, which takes seconds. The later
decision stands; each reply states its own.
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
from bot.flags.flag_files import present_records, stage
from bot.flags.model_names import ResolvedName, find_model
from bot.flags.notices import DISMISSED, REPORTED, address, say
from bot.flags.report_intake import flag_of_all, reported_in, tell_reporters
from bot.flags.reports import (
    MAX_REPORTED,
    FlagReport,
    drop_report,
    find_report,
    gather_report,
    note_report,
    reported_before,
    reports,
)
from hub.comments import find_marked
from leaderboard import flags
from leaderboard.flag_categories import CATEGORIES
from leaderboard.flags import OPT_OUT, FlagDecision, FlagRecord
from leaderboard.links import models_in
from redis_state.clock import iso

MAX_MODELS = 20
"""Models of one command of a maintainer: each costs a call."""


def report(context: BoardContext, command: FlagCommand, source: FlagSource) -> FlagResult:
    """Report models to the maintainers, except flagged ones, for a person who is not one. Raises HubError."""
    resolved = resolve_models(context, command, source, MAX_REPORTED)
    if isinstance(resolved, FlagResult):
        return resolved
    url, key = _address(context, source), thread_key(source.repo, source.thread.num)
    flagged = {name.model: flag_of_all(context, name.model) for name in resolved}
    models = tuple(model for model, standing in flagged.items() if standing is None)
    if not models:
        return FlagResult("already", tuple(flagged), standing=tuple(filter(None, flagged.values())))
    earlier_url = reported_before(context, models[0], key) if len(models) == 1 else ""
    named = models_in(f"{source.thread.title}\n{command.reason}")
    for model in models:
        note_report(context, _report(context, model, source, url, named))
    mark = Safe(str(context.marker(REPORTED, " ".join(models))))
    return FlagResult("reported", models, thread=earlier_url or url, is_here=not earlier_url, mark=mark)


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
    """Flag all of the models, or none. Raises HubError."""
    if context.flags_repo is None:
        return FlagResult("no-repo")
    scope = resolve_scope(context, command.scope)
    if scope is None:
        return FlagResult("scope", precisions=context.board.precisions)
    command = replace(command, scope=scope)
    resolved = resolve_models(context, command, source, MAX_MODELS)
    if isinstance(resolved, FlagResult):
        return resolved
    models = tuple(name.model for name in resolved)
    official = tuple(model for model in models if context.board.admission.is_official(model.partition("/")[0]))
    if official:
        return FlagResult("official", official)
    opted_out = tuple(model for model in models if context.flag_book.has_opted_out([model]))
    if opted_out and command.category != OPT_OUT:
        return FlagResult("opted-out", opted_out)
    present = {name.model: present_records(context, name.model, name.also) for name in resolved}
    standing = [record for records in present.values() for record in records if record.stands]
    if others := tuple(record for record in standing if not scope.contains(record.scope)):
        return FlagResult("narrower", standing=others)
    drafts = [_draft(context, name, command, source) for name in resolved]
    url = flag_thread.open_or_adopt(context, drafts, source.repo, source.thread, source.cause)
    if url is None:
        return FlagResult("off")
    decision = _decision("flagged", command.reason, source, context.now(), command.category)
    records = [
        flags.flagged(next(iter(present[draft.model]), None), draft.with_thread(url), decision) for draft in drafts
    ]
    if not stage(context, records, source.cause, "Flag"):
        return FlagResult("off")
    kind, is_here = CATEGORIES[command.category], url == _address(context, source)
    return FlagResult(
        "flagged", models, (), command.reason, kind.words, url, is_here=is_here, hides=kind.hides, scope=scope
    )


def _decision(
    kind: Literal["flagged", "lifted"], reason: str, source: FlagSource, now: float, category: str = ""
) -> FlagDecision:
    return FlagDecision(
        what=kind,
        at=iso(now),
        by=source.person.name,
        by_id=source.person.id,
        reason=reason,
        category=category,
        cause=source.cause,
    )


def _draft(context: BoardContext, named: ResolvedName, command: FlagCommand, source: FlagSource) -> FlagRecord:
    """The record of a flag, with its evidence but no decision yet."""
    reported = find_report(context, named.model)
    gathered = reported if reported is not None and reported.gathered else gather_report(context, named.model, ())
    reporter = (reported.reporter, reported.reporter_id) if reported is not None else (source.thread.author_name, "")
    return FlagRecord(
        model=named.model,
        status="flagged",
        category=command.category,
        reason=command.reason,
        scope=command.scope,
        reporter=reporter[0],
        reporter_id=reporter[1] or source.thread.author_id or "",
        evidence=gathered.evidence,
        weights=gathered.weights if CATEGORIES[command.category].follows_weights else "",
        also=named.also,
    )


def unflag(context: BoardContext, reason: str, models: Sequence[str], source: FlagSource) -> FlagResult:
    """Lift the flags of `models`, or all flags of the thread. Close each discussion in which no flag is left."""
    if context.flags_repo is None:
        return FlagResult("no-repo")
    if (problem := problem_with(models, reason, MAX_MODELS)) is not None:
        return problem
    records = _records_to_lift(context, models, source)
    already = [record for record in records if any(past.cause == source.cause for past in record.decisions)]
    standing = [record for record in records if record.stands]
    if not (standing or already):
        return FlagResult("not-flagged", tuple(models) or tuple(record.model for record in records))
    decision = _decision("lifted", reason, source, context.now())
    if not stage(context, [flags.lifted(record, decision) for record in standing], source.cause, "Lift the flag of"):
        return FlagResult("off")
    lifted = {record.model: record for record in (*standing, *already)}
    for thread in dict.fromkeys(record.thread for record in lifted.values()):
        if not any(record.stands and record.model not in lifted for record in context.flag_book.of_thread(thread)):
            _close(context, thread, source)
    hides = any(record.kind.hides for record in records)
    return FlagResult("lifted", tuple(sorted(lifted)), reason=reason, thread=_address(context, source), hides=hides)


def _records_to_lift(context: BoardContext, models: Sequence[str], source: FlagSource) -> list[FlagRecord]:
    if not models:
        return context.flag_book.of_thread(_address(context, source)) or list(
            context.flag_book.of(models_of_thread(source))
        )
    resolved = [find_model(context, model) for model in models]
    return list(context.flag_book.of(name for names in resolved for name in (names.model, *names.also)))


def dismiss(context: BoardContext, reason: str, source: FlagSource) -> FlagResult:
    """Dismiss the reports of the thread or, where it has a flag, the appeal against it. Close the thread.

    A command in a thread gets a reply that states the dismissal; for a button, a comment states it. Raises HubError.
    """
    url = _address(context, source)
    standing = [record for record in context.flag_book.of_thread(url) if record.stands]
    if standing:
        _close(context, url, source)
        models, hides = tuple(record.model for record in standing), any(record.kind.hides for record in standing)
        return FlagResult("upheld", models, reason=reason, thread=url, hides=hides)
    key = thread_key(source.repo, source.thread.num)
    # The thread decides where Redis has no report: Redis was lost, or a process died while it dismissed the reports.
    reported = [known.model for known in reports(context) if key in known.threads] or list(
        reported_in(context, source.thread, repeated=source.cause)
    )
    if not reported and flag_thread.is_about_flags(context, source.repo, source.thread):
        reported = list(models_of_thread(source))
    if not reported:
        return FlagResult("nothing")
    if source.is_on_page and not _post_dismissal(context, reported, reason, source):
        return FlagResult("off")
    for report in filter(None, (find_report(context, model) for model in reported)):
        tell_reporters(context, report, url, source.cause, hides=True, dismissed=reason)
    drop_report(context, *reported)
    _close(context, url, source)
    mark = Safe(str(context.marker(DISMISSED, source.cause)))
    return FlagResult("dismissed", tuple(reported), reason=reason, thread=url, mark=mark)


def _post_dismissal(context: BoardContext, models: Sequence[str], reason: str, source: FlagSource) -> bool:
    """Post the dismissal of these reports in their thread, once for each command. Return whether the thread has it."""
    marker = context.marker(DISMISSED, source.cause)
    if find_marked(source.thread.comments, marker, context.me()) is not None:
        return True
    variables = {"models": models, "reason": reason}
    return bool(say(context, source.repo, source.thread, DISMISSED, source.cause, source.person.name, **variables))


def _close(context: BoardContext, url: str, source: FlagSource) -> None:
    """Close the discussion at `url`. The thread of a request stays open, since it is about more than the flag."""
    location = flag_thread.thread_at(context, url)
    if location is None:
        return
    repo, number = location
    if repo != context.requests or context.index.of_thread(number) is None:
        context.effects.set_status(repo, number, "closed", context.marker("close", source.cause), asked=True)


def _address(context: BoardContext, source: FlagSource) -> str:
    return address(context, source.repo, source.thread.num)
