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


def report(desk: BoardContext, wish: FlagCommand, said: FlagSource) -> FlagResult:
    """Somebody who is no maintainer says that models should be flagged."""
    found = resolve_models(desk, wish, said, MOST_REPORTED)
    if isinstance(found, FlagResult):
        return found
    url = _address(desk, said)
    models = tuple(one.model for one in found)
    before = reported_before(desk, models[0], thread_key(said.repo, said.thread.num)) if len(models) == 1 else ""
    for one in found:
        if not any(record.stands for record in desk.flag_book.of([one.model])):
            note_report(desk, _report(desk, one.model, said, url, models_in(f"{said.thread.title}\n{wish.reason}")))
    mark = Safe(str(desk.marker(REPORTED, " ".join(models))))
    return FlagResult("reported", models, thread=before or url, is_here=not before, mark=mark)


def _report(desk: BoardContext, model: str, said: FlagSource, url: str, named: Iterable[str]) -> FlagReport:
    return FlagReport(
        model=model,
        threads=(thread_key(said.repo, said.thread.num),),
        url=url,
        reporter=said.person.name,
        reporter_id=said.person.id,
        at=desk.now(),
        named=tuple(named),
    )


def flag(desk: BoardContext, wish: FlagCommand, said: FlagSource) -> FlagResult:
    """Flag models, all or none of them. Raises HubError."""
    if desk.flags_repo is None:
        return FlagResult("no-repo")
    scope = resolve_scope(desk, wish.scope)
    if scope is None:
        return FlagResult("scope", precisions=desk.board.precisions)
    wish = replace(wish, scope=scope)
    found = resolve_models(desk, wish, said, MOST)
    if isinstance(found, FlagResult):
        return found
    providers = desk.board.admission
    official = tuple(one.model for one in found if providers.is_official(one.model.partition("/")[0]))
    if official:
        return FlagResult("official", official)
    drafts = [_draft(desk, one, wish, said) for one in found]
    url = flag_thread.open_or_adopt(desk, drafts, said.repo, said.thread, said.cause)
    if url is None:
        return FlagResult("off")
    decision = _decision("flagged", wish.reason, said, desk.now(), wish.category)
    records = [_with_decision(desk, draft.model_copy(update={"thread": url}), decision) for draft in drafts]
    if not stage(desk, records, said.cause, "Flag"):
        return FlagResult("off")
    kind, models = flags.CATEGORIES[wish.category], tuple(one.model for one in found)
    is_here = url == _address(desk, said)
    return FlagResult("flagged", models, (), wish.reason, kind.words, url, is_here=is_here, hides=kind.hides)


def _decision(
    what: Literal["flagged", "lifted"], reason: str, said: FlagSource, now: float, category: str = ""
) -> FlagDecision:
    who = {"by": said.person.name, "by_id": said.person.id}
    return FlagDecision(what=what, at=iso(now), reason=reason, category=category, cause=said.cause, **who)


def _draft(desk: BoardContext, named: ResolvedName, wish: FlagCommand, said: FlagSource) -> FlagRecord:
    """The record of a flag, with the evidence that was found for it."""
    reported = find_report(desk, named.model)
    known = reported if reported is not None and reported.gathered else gather_report(desk, named.model, ())
    reporter = (reported.reporter, reported.reporter_id) if reported is not None else (said.thread.author_name, "")
    return FlagRecord(
        model=named.model,
        status="flagged",
        category=wish.category,
        reason=wish.reason,
        scope=wish.scope,
        reporter=reporter[0],
        reporter_id=reporter[1] or said.thread.author_id or "",
        evidence=known.evidence,
        weights=known.weights if flags.CATEGORIES[wish.category].follows_weights else "",
        also=named.also,
    )


def _with_decision(desk: BoardContext, draft: FlagRecord, decision: FlagDecision) -> FlagRecord:
    before = next(iter(desk.flag_book.of(draft.names)), None)
    return flags.flagged(before, draft, decision)


def unflag(desk: BoardContext, reason: str, models: Sequence[str], said: FlagSource) -> FlagResult:
    """Lift flags: of `models`, or all that are spoken about in the thread. A discussion is closed with its last one."""
    if desk.flags_repo is None:
        return FlagResult("no-repo")
    if (trouble := problem_with(models, reason, MOST)) is not None:
        return trouble
    records = _records_to_lift(desk, models, said)
    already = [one for one in records if any(done.cause == said.cause for done in one.decisions)]
    standing = [one for one in records if one.stands]
    if not (standing or already):
        return FlagResult("not-flagged", tuple(models) or tuple(one.model for one in records))
    decision = _decision("lifted", reason, said, desk.now())
    if not stage(desk, [flags.lifted(one, decision) for one in standing], said.cause, "Lift the flag of"):
        return FlagResult("off")
    lifted = {one.model: one for one in (*standing, *already)}
    for thread in dict.fromkeys(one.thread for one in lifted.values()):
        if not any(one.stands and one.model not in lifted for one in desk.flag_book.of_thread(thread)):
            _close(desk, thread, said)
    hides = any(one.kind.hides for one in records)
    return FlagResult("lifted", tuple(sorted(lifted)), reason=reason, thread=_address(desk, said), hides=hides)


def _records_to_lift(desk: BoardContext, models: Sequence[str], said: FlagSource) -> list[FlagRecord]:
    if not models:
        return desk.flag_book.of_thread(_address(desk, said)) or list(desk.flag_book.of(models_of_thread(said)))
    named = [find_model(desk, model) for model in models]
    return list(desk.flag_book.of(name for one in named for name in (one.model, *one.also)))


def dismiss(desk: BoardContext, reason: str, said: FlagSource) -> FlagResult:
    """Say that nothing comes of what was reported in the thread; of a plea, that the flag stays. It is closed."""
    url = _address(desk, said)
    standing = [one for one in desk.flag_book.of_thread(url) if one.stands]
    if standing:
        _close(desk, url, said)
        models, hides = tuple(one.model for one in standing), any(one.kind.hides for one in standing)
        return FlagResult("upheld", models, reason=reason, thread=url, hides=hides)
    key = thread_key(said.repo, said.thread.num)
    # What the thread says counts where Redis does not know: it was lost, or whoever began to dismiss it died.
    reported = [one.model for one in reports(desk) if key in one.threads] or reported_in(desk, said.thread)
    if not reported and flag_thread.is_about_flags(desk, said.repo, said.thread):
        reported = list(models_of_thread(said))
    if not reported:
        return FlagResult("nothing")
    for report in filter(None, (find_report(desk, model) for model in reported)):
        tell_reporters(desk, report, url, said.cause, hides=True, dismissed=reason)
    drop_report(desk, *reported)
    _close(desk, url, said)
    mark = Safe(str(desk.marker(DISMISSED, said.cause)))
    return FlagResult("dismissed", tuple(reported), reason=reason, thread=url, mark=mark)


def _close(desk: BoardContext, url: str, said: FlagSource) -> None:
    """Close the discussion at `url`; the thread of a request stays as it is, for that is about more."""
    place = flag_thread.thread_at(desk, url)
    if place is not None and not (place[0] == desk.requests and desk.index.of_thread(place[1]) is not None):
        desk.effects.set_status(*place, "closed", desk.marker("close", said.cause), asked=True)


def _address(desk: BoardContext, said: FlagSource) -> str:
    return address(desk, said.repo, said.thread.num)
