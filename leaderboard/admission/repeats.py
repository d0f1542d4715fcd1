"""Rules about what was submitted before: no model twice, none under two names, and a fair share for everyone."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.facts import EarlierRequest
from leaderboard.admission.submission import AdmissionRule, Submission, is_readable
from leaderboard.reasons import Problem, Reason, table

REASONS = table(
    (
        Reason(
            "duplicate-open",
            "This commit of {model} was submitted already, in the same precision and weight type: it is {status} in "
            "{path}.",
            "There is nothing to do: follow that request, its turn comes.",
        ),
        Reason(
            "duplicate-finished",
            "This commit of {model} was evaluated already, in the same precision and weight type: see {path}.",
            "Its scores are on the leaderboard. A model that has changed can be submitted at its new commit.",
        ),
        Reason(
            "duplicate-ended",
            "This commit of {model} was submitted already, in the same precision and weight type: {path} is {status}.",
            "Ask there for another try, with a link to that file. Submitting it twice does not help.",
        ),
        Reason(
            "copy",
            "The weights of {model} are, to the last bit, those of '{other}', which was submitted as {path}.",
            "Please do not re-upload a model under a different name, it will not help. If it was renamed, ask the "
            "maintainers in a discussion to rename it here.",
        ),
        Reason(
            "quota-submitter",
            "'{who}' has submitted {count} models in the last {days} days, and the limit is {quota}.",
            "Submit it again in a few days. What was refused, or lost by no fault of the model, does not count.",
        ),
        Reason(
            "quota-organisation",
            "The organisation or user '{who}' has {count} models submitted in the last {days} days, and the limit is "
            "{quota}.",
            "Submit it again in a few days. What was refused, or lost by no fault of the model, does not count.",
        ),
    )
)
_WITH_RESULTS = ("FINISHED", "PENDING_NEW_EVAL")
_ENDED = ("FAILED", "CANCELLED")


def _state(earlier: EarlierRequest) -> str:
    status = earlier.status.strip().upper()
    if status.startswith(_WITH_RESULTS):
        return "duplicate-finished"
    return "duplicate-ended" if status in _ENDED else "duplicate-open"


def _duplicate(it: Submission) -> Iterator[Problem]:
    """One earlier request is told, where there are several: the one that helps most."""
    order = ("duplicate-finished", "duplicate-open", "duplicate-ended")
    for earlier in sorted(it.board_facts.same, key=lambda one: order.index(_state(one)))[:1]:
        words = {"model": it.name, "path": earlier.path, "status": earlier.status}
        yield REASONS[_state(earlier)].problem(**words).at(earlier.address)


def _copy(it: Submission) -> Iterator[Problem]:
    for earlier in it.board_facts.copies[:1]:
        yield REASONS["copy"].problem(model=it.name, other=earlier.model, path=earlier.path).at(earlier.address)


def _quota(it: Submission, code: str, who: str, count: int) -> Iterator[Problem]:
    quota = it.policy.quota_of(who)
    if quota is not None and count >= quota:
        days = f"{it.policy.quota_days:g}"
        yield REASONS[code].problem(who=who, count=count, days=days, quota=quota)


def _by_submitter(it: Submission) -> Iterator[Problem]:
    yield from _quota(it, "quota-submitter", it.board_facts.submitter, it.board_facts.by_submitter)


def _submitter_known(it: Submission) -> bool:
    return bool(it.board_facts.submitter)


def _by_organisation(it: Submission) -> Iterator[Problem]:
    yield from _quota(it, "quota-organisation", it.request.path.org, it.board_facts.by_organisation)


def _organisation_known(it: Submission) -> bool:
    return bool(it.request.path.org)


RULES = (
    AdmissionRule(
        "duplicate",
        "It was not submitted before",
        "The same model, commit, precision, weight type and use of a chat template count once, whatever became of it.",
        "FAQ: “models appearing several times with the same precision and hash commit, this is not normal”",
        _duplicate,
        is_readable,
    ),
    AdmissionRule(
        "copy",
        "It is no copy",
        "Weights that are, by their sha256, those of another model on this leaderboard are not evaluated again.",
        "FAQ: “Please do not re-upload your model under a different name, it will not help”",
        _copy,
        is_readable,
    ),
    AdmissionRule(
        "quota-submitter",
        "A fair share for everyone who submits",
        "{policy.quota} models in {policy.quota_days:g} days for each person, whatever the organisation of the models. "
        "What was refused, or lost by no fault of the model, does not count.",
        "Open LLM Leaderboard's form, check 4: 5 requests in 7 days",
        _by_submitter,
        _submitter_known,
    ),
    AdmissionRule(
        "quota-organisation",
        "A fair share for every organisation",
        "{policy.quota} models in {policy.quota_days:g} days for each organisation, whoever submits them; some have "
        "limits of their own, and official providers none.",
        "Open LLM Leaderboard's form, check 4: “already has N model requests submitted in the last 7 days”",
        _by_organisation,
        _organisation_known,
    ),
)
