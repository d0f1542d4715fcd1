"""What the board knows around a submission: repetitions, copies, quotas, flags. Ten round trips to Redis, no call.

Everything comes from the lists beside the index of requests (`redis_state.board.neighbours`): a handful of entries is
read, however many the board has.

The request at the same path is never a repetition of itself. Whoever writes over a finished request asks for another
evaluation of it: by a pull request that is told from its commit (`leaderboard.submissions`), and a front end may.
One that was accepted once, and is put back or looked at again, has passed these rules: what came since came later.

Quotas count within a sliding window that ends now. After Redis was lost requests are judged again in any order, those
that waited already among them; then the window ends when each says that it was submitted, so that none is refused for
what came after it.

Race accepted: two requests that are judged at the same moment do not see each other. Then both are evaluated, or an
account has a model more than its quota.
Race accepted: after Redis was lost, what was submitted by a person whom no file names (it was not claimed yet when it
ended) does not count towards that person's quota any more, only towards the organisation's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from bot.core.context import BoardContext
from leaderboard.admission.facts import BoardFacts, EarlierRequest, ModelFacts
from leaderboard.admission.sizes import parameters
from leaderboard.lifecycle import submission_digest
from leaderboard.requests import Request, RequestPath, Status, parse_path
from redis_state.board.entry import IndexEntry

DAY = 86_400.0


def gather_board_facts(context: BoardContext, request: Request, facts: ModelFacts, submitter: str) -> BoardFacts:
    """What the board knows around `request`, whose model has these `facts`."""
    own = context.index.get(str(request.path))
    models = list(dict.fromkeys(filter(None, (request.path.model, facts.id))))
    bases = list(dict.fromkeys(filter(None, (facts.base_name, facts.base.id if facts.base is not None else ""))))
    weights = weights_digest(facts)
    window = _window(context, own)
    organisation = request.path.org
    accounts = [(kind, name) for kind, name in (("submitter", submitter), ("organisation", organisation)) if name]
    paths = context.index.neighbours.find(models=models, weights=weights, accounts=accounts, window=window)
    others = [entry for entry in context.index.find(sorted(paths - {own.path})) if entry is not None]
    passed = was_accepted(own, request)
    copies = () if passed else tuple(one for one in others if _is_copy(one, models, weights))
    counted = [] if passed else [one for one in others if window[0] < one.time <= window[1] and counts(one)]
    return BoardFacts(
        now=context.now(),
        submitter=submitter,
        same=() if passed else tuple(_earlier(context, one) for one in others if _is_same(one, request, facts, models)),
        copies=tuple(_earlier(context, one) for one in copies),
        by_submitter=sum(_is_same_name(submitter, one.whose) for one in counted),
        by_organisation=sum(_is_same_name(organisation, _organisation(one)) for one in counted),
        flags=(
            *context.flags([*models, *(model_of(one) for one in copies)], weights),
            *context.flag_book.scoped(models, facts.sha or "", request.path.precision),
        ),
        opted_out=any(map(context.board.admission.has_opted_out, models)) or context.flag_book.has_opted_out(models),
        base_opted_out=any(map(context.board.admission.has_opted_out, bases)) or context.flag_book.has_opted_out(bases),
    )


def was_accepted(own: IndexEntry, request: Request) -> bool:
    """Whether this very submission was accepted before: it waits, or was claimed once."""
    return request.file.steward.attempt > 0 or (own.sha is not None and own.asked == submission_digest(request))


def weights_digest(facts: ModelFacts) -> str:
    """One digest for all weight files of a model, from those that LFS has; empty where it does not have them all."""
    digests = {file.name: file.sha256 for file in facts.files}
    names = facts.weights.names if facts.weights is not None else ()
    return one_digest([digests.get(name) for name in names])


def one_digest(digests: Sequence[str | None]) -> str:
    """One digest for files with these, in whatever order; empty where there are none, or one of theirs is not known."""
    found = sorted(filter(None, digests))
    return hashlib.sha256("\n".join(found).encode()).hexdigest() if found and len(found) == len(digests) else ""


def worth_keeping(facts: ModelFacts, weight_type: str) -> dict[str, object]:
    """What the index keeps of a model that was judged, whatever the verdict: fields of `IndexEntry`."""
    nbytes = facts.weights.nbytes if facts.weights is not None else None
    licence = facts.card.license if facts.card is not None else None
    known = {"parameters": parameters(facts, weight_type), "nbytes": nbytes, "licence": licence or ""}
    return {**known, "weights": weights_digest(facts)}


def counts(entry: IndexEntry) -> bool:
    """Whether a request counts towards a quota: it was accepted, and was not lost by no fault of the model."""
    status, failure = entry.standing.status, entry.standing.failure
    if status == Status.FAILED:
        return bool(entry.used) and failure is not None and failure.fault == "submission"
    if status == Status.CANCELLED:
        return bool(entry.used)
    return status in Status.__members__ and entry.state != "new"


def model_of(entry: IndexEntry) -> str:
    """The model that a request is for."""
    where = parse_path(entry.path)
    return where.model if isinstance(where, RequestPath) else entry.model


def _window(context: BoardContext, own: IndexEntry) -> tuple[float, float]:
    length = context.board.admission.quota_days * DAY
    found_again = own.state == "new" and not own.fresh and bool(own.file_oid or own.standing.time)
    if found_again and own.time:
        return own.time - length, own.time
    return context.now() - length, float("inf")


def _is_same(entry: IndexEntry, request: Request, facts: ModelFacts, models: Sequence[str]) -> bool:
    """Whether it asks, or asked, for the same evaluation: the same of everything that makes a row of the table."""
    where = parse_path(entry.path)
    if not isinstance(where, RequestPath) or entry.state == "new" or facts.sha is None or _was_refused(entry):
        return False
    return (
        any(_is_same_name(where.model, model) for model in models)
        and (where.precision, where.weight_type) == (request.path.precision, request.path.weight_type)
        and entry.standing.chat_template == bool(request.file.use_chat_template)
        and facts.sha in (entry.sha, entry.standing.revision)
    )


def _is_copy(entry: IndexEntry, models: Sequence[str], weights: str) -> bool:
    """Whether another model's request has these weights; of a private model nothing is told."""
    if not weights or entry.weights != weights or entry.state == "new" or _was_refused(entry):
        return False
    return entry.standing.access != "private" and not any(_is_same_name(model_of(entry), model) for model in models)


def _was_refused(entry: IndexEntry) -> bool:
    """Whether it never came to an evaluation. One from before adoption is given the benefit of the doubt."""
    return entry.standing.status == Status.FAILED and not entry.used and not entry.standing.old


def _earlier(context: BoardContext, entry: IndexEntry) -> EarlierRequest:
    return EarlierRequest(
        entry.path, model_of(entry), entry.standing.status, context.address(context.requests, entry.path)
    )


def _organisation(entry: IndexEntry) -> str:
    return entry.path.rpartition("/")[0]


def _is_same_name(name: str, other: str) -> bool:
    return bool(name) and name.casefold() == other.casefold()
