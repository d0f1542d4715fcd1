"""Gather the board's facts about a submission: repetitions, copies, quotas, flags. Ten round trips to Redis, no call.

The facts come from the lists beside the index of requests (`redis_state.board.neighbours`); a few entries are read, for
any size of the board.

The request at the same path is never a repetition of itself: a new file over a finished request asks for another
evaluation. `leaderboard.submissions` checks the commit of such a pull request, and a front end may write such a file. A
request that was accepted before, and is restored or synced again, has passed these rules; later requests do not count
against it. A relaunch may evaluate another commit than the accepted one: that is compared with other requests.

Quotas count within a sliding window that ends now. After Redis is lost, syncs judge requests again in any order, also
waiting ones; then the window ends at the request's own submission time, so that later requests do not count against it.

Race accepted: two requests that are judged at the same moment do not see each other. Then both are evaluated, or an
account gets one model more than its quota.
Race accepted: after Redis is lost, a request whose file names no submitter (it was not claimed when it ended) counts
only towards the organisation's quota.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

from bot.core.context import BoardContext
from hub.errors import BadRequest, NotFound, TooLarge
from hub.records import Repo
from leaderboard.admission.facts import BoardFacts, EarlierRequest, ModelFacts
from leaderboard.admission.sizes import parameters
from leaderboard.boards import models_with_same_details
from leaderboard.lifecycle import highest_used_number, submission_digest
from leaderboard.model_pages import RESULTS_FOLDER, adds_only_scores
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.requests import Request, Status
from redis_state.board.entry import IndexEntry

DAY = 86_400.0
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MAX_COMPARED = 3
"""Earlier commits of one model that are compared with its present one."""


def gather_board_facts(
    context: BoardContext, request: Request, facts: ModelFacts, submitter: str, *, is_check: bool = False
) -> BoardFacts:
    """The board's facts about `request`, whose model has these `facts`.

    `is_check`: the request is not submitted. Then one at the same path is an earlier request like all others, as it is
    for a submission, unless it was cancelled: a submission reopens it.
    """
    own = context.index.get(str(request.path))
    models = list(dict.fromkeys(filter(None, (request.path.model, facts.id))))
    bases = list(dict.fromkeys(filter(None, (facts.base_name, facts.base.id if facts.base is not None else ""))))
    weights = weights_digest(facts)
    window = _window(context, own)
    organisation = request.path.org
    accounts = [(kind, name) for kind, name in (("submitter", submitter), ("organisation", organisation)) if name]
    rivals = models_with_same_details(request.path.model)
    paths = context.index.neighbours.find(models=[*models, *rivals], weights=weights, accounts=accounts, window=window)
    others = [entry for entry in context.index.find(sorted(paths - {own.path})) if entry is not None]
    passed = not is_check and was_accepted(own, request)
    was_compared = passed and own.sha in (None, facts.sha)
    copies = [] if was_compared else [entry for entry in others if _is_copy(entry, models, weights)]
    same = [] if was_compared else [entry for entry in others if _is_same(entry, request, facts, models)]
    is_cancelled = own.standing.status == Status.CANCELLED and not own.standing.removed
    is_counted = is_check and own.state != "new" and not is_cancelled
    if is_counted and facts.sha is not None and facts.sha in (own.sha, own.standing.revision):
        same.append(own)
    counted = [] if passed else [entry for entry in others if window[0] < entry.time <= window[1] and counts(entry)]
    return BoardFacts(
        now=context.now(),
        submitter=submitter,
        same=tuple(_earlier(context, entry) for entry in same),
        copies=tuple(_earlier(context, entry) for entry in copies),
        by_submitter=sum(_is_same_name(submitter, entry.known_submitter) for entry in counted),
        by_organisation=sum(_is_same_name(organisation, _organisation(entry)) for entry in counted),
        flags=(
            *context.flags([*models, *(model_of(entry) for entry in copies)], weights),
            *context.flag_book.scoped(models, facts.sha or "", request.path.precision),
        ),
        shares_details=not passed and any(_is_accepted_one_of(entry, rivals) for entry in others),
        opted_out=any(map(context.board.admission.has_opted_out, models)) or context.flag_book.has_opted_out(models),
        base_opted_out=any(map(context.board.admission.has_opted_out, bases)) or context.flag_book.has_opted_out(bases),
    )


def counted_submissions(context: BoardContext, submitter: str) -> int:
    """The number of requests of `submitter` that count towards their quota now."""
    window = (context.now() - context.board.admission.quota_days * DAY, float("inf"))
    paths = context.index.neighbours.find(models=[], weights="", accounts=[("submitter", submitter)], window=window)
    entries = (entry for entry in context.index.find(sorted(paths)) if entry is not None and entry.time > window[0])
    return sum(counts(entry) and _is_same_name(submitter, entry.known_submitter) for entry in entries)


def at_evaluated_commit(context: BoardContext, request: Request, facts: ModelFacts) -> ModelFacts:
    """`facts` at the commit at which this evaluation was requested before, if the present one only adds scores to it.

    A model whose owner merges a pull request with scores gets a new commit, and the same weights. One call for each
    other commit of a model that has such scores; none for other models.
    """
    if facts.sha is None or not any(file.name.startswith(RESULTS_FOLDER) for file in facts.files):
        return facts
    model, known = facts.id or request.path.model, dict[str, None]()
    for entry in context.index.of_model(request.path.model):
        if _is_same_evaluation(entry, request, [request.path.model, model]):
            known |= dict.fromkeys(filter(_COMMIT.fullmatch, (entry.sha or "", entry.standing.revision)))
    if facts.sha in known:
        return facts
    for commit in list(known)[:_MAX_COMPARED]:
        try:
            changed = context.hub.changed_paths(Repo("model", model), commit, facts.sha)
        except (NotFound, BadRequest, TooLarge):
            continue  # the history was rewritten, or differs in too much
        if adds_only_scores(changed):
            return replace(facts, sha=commit)
    return facts


def was_accepted(own: IndexEntry, request: Request) -> bool:
    """Whether this submission was accepted before: it waits, a worker has claimed it once, or it ended before adoption.

    The number of the attempt alone does not say so: a relaunch of a refused request also raises it.
    """
    if own.sha is not None and own.asked == submission_digest(request):
        return True
    facts = request.file.steward
    was_evaluated = highest_used_number(request) > 0 or facts.revision is not None
    ended_before_adoption = facts.kept is not None or own.standing.old
    return facts.attempt > 0 and (was_evaluated or ended_before_adoption)


def may_have_waited(own: IndexEntry) -> bool:
    """Whether a request that is not judged yet, by the index, may have been accepted before Redis was lost."""
    return own.state == "new" and not own.fresh and bool(own.file_oid or own.standing.time)


def weights_digest(facts: ModelFacts) -> str:
    """One digest of all weight files of a model, from their digests in LFS; empty where a file is not in LFS."""
    digests = {file.name: file.sha256 for file in facts.files}
    names = facts.weights.names if facts.weights is not None else ()
    return combined_digest([digests.get(name) for name in names])


def combined_digest(digests: Sequence[str | None]) -> str:
    """One digest of files with these digests, in any order; empty where there is no file or a digest is unknown."""
    known = sorted(filter(None, digests))
    return hashlib.sha256("\n".join(known).encode()).hexdigest() if known and len(known) == len(digests) else ""


def with_model_facts(entry: IndexEntry, facts: ModelFacts, weight_type: str) -> IndexEntry:
    """`entry` with facts about its judged model; they are stored for each verdict."""
    licence = facts.card.license if facts.card is not None else None
    return entry.changed(
        parameters=parameters(facts, weight_type),
        nbytes=facts.weights.nbytes if facts.weights is not None else None,
        licence=licence or "",
        weights=weights_digest(facts),
    )


def counts(entry: IndexEntry) -> bool:
    """Whether a request counts towards a quota: it was accepted, and did not fail for a cause outside the model."""
    status, failure = entry.standing.status, entry.standing.failure
    if status == Status.FAILED:
        return bool(entry.used) and failure is not None and failure.fault == "submission"
    if status == Status.CANCELLED:
        return bool(entry.used)
    return status in Status.__members__ and entry.state != "new"


def model_of(entry: IndexEntry) -> str:
    """The model that a request is for."""
    path = parse_path(entry.path)
    return path.model if isinstance(path, RequestPath) else entry.model


def _window(context: BoardContext, own: IndexEntry) -> tuple[float, float]:
    length = context.board.admission.quota_days * DAY
    if may_have_waited(own) and own.time:
        return own.time - length, own.time
    return context.now() - length, float("inf")


def _is_same(entry: IndexEntry, request: Request, facts: ModelFacts, models: Sequence[str]) -> bool:
    """Whether `entry` is for the same evaluation: model, commit, precision, type of weights and chat template agree."""
    if entry.state == "new" or facts.sha is None or _was_refused(entry):
        return False
    return _is_same_evaluation(entry, request, models) and facts.sha in (entry.sha, entry.standing.revision)


def _is_same_evaluation(entry: IndexEntry, request: Request, models: Sequence[str]) -> bool:
    """Whether model, precision, type of weights and chat template of `entry` and `request` agree, at any commit."""
    path = parse_path(entry.path)
    return (
        isinstance(path, RequestPath)
        and any(_is_same_name(path.model, model) for model in models)
        and (path.precision, path.weight_type) == (request.path.precision, request.path.weight_type)
        and entry.standing.chat_template == bool(request.file.use_chat_template)
    )


def _is_accepted_one_of(entry: IndexEntry, models: Sequence[str]) -> bool:
    return entry.state != "new" and model_of(entry) in models and not _was_refused(entry)


def _is_copy(entry: IndexEntry, models: Sequence[str], weights: str) -> bool:
    """Whether another model's request has these weights; private models do not count, so that they stay secret."""
    if not weights or entry.weights != weights or entry.state == "new" or _was_refused(entry):
        return False
    return entry.standing.access != "private" and not any(_is_same_name(model_of(entry), model) for model in models)


def _was_refused(entry: IndexEntry) -> bool:
    """Whether the request failed before any evaluation. Requests from before the adoption count as evaluated."""
    return entry.standing.status == Status.FAILED and not entry.used and not entry.standing.old


def _earlier(context: BoardContext, entry: IndexEntry) -> EarlierRequest:
    return EarlierRequest(
        entry.path, model_of(entry), entry.standing.status, context.address(context.requests, entry.path)
    )


def _organisation(entry: IndexEntry) -> str:
    return entry.path.rpartition("/")[0]


def _is_same_name(name: str, other: str) -> bool:
    return bool(name) and name.casefold() == other.casefold()
