"""Rules about earlier submissions: duplicates, copies and quotas."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.facts import EarlierRequest
from leaderboard.admission.submission import AdmissionRule, Submission, is_readable
from leaderboard.reasons import Problem, Reason, table

REASONS = table(
    (
        Reason(
            "duplicate-open",
            "This commit of {model} was submitted already in the same precision and weight type: {path} is {status}.",
            "You don't need to do anything: follow that request, which will be evaluated in its turn.",
        ),
        Reason(
            "duplicate-finished",
            "This commit of {model} was evaluated already in the same precision and weight type: see {path}.",
            "Its scores are on the leaderboard. If the model has changed, submit its new commit.",
        ),
        Reason(
            "duplicate-ended",
            "This commit of {model} was submitted already in the same precision and weight type: {path} is {status}.",
            "Write /relaunch {model} in a discussion: a second submission does not help.",
        ),
        Reason(
            "copy",
            "The weights of {model} are identical to those of '{other}', which was submitted as {path}.",
            "Please do not re-upload a model under a different name. If it was renamed, ask the maintainers in a "
            "discussion to rename it here.",
        ),
        Reason(
            "details-taken",
            "The details of {model} would be in the dataset that holds those of another model, because of the '__' in "
            "one of the two names.",
            "Rename the model on the Hub to a name without '__', and submit it under that name.",
        ),
        Reason(
            "quota-submitter",
            "'{who}' has reached the limit of submissions in {days} days: {count} of {quota}.",
            "Submit it again in a few days. Refused submissions, and failures that were not the model's fault, do not "
            "count.",
        ),
        Reason(
            "quota-organisation",
            "Models of the organisation or user '{who}' were submitted {count} times in the last {days} days, and the "
            "limit is {quota}.",
            "Submit it again in a few days. Refused submissions, and failures that were not the model's fault, do not "
            "count.",
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


def _duplicate(submission: Submission) -> Iterator[Problem]:
    """Report the most helpful of several earlier requests."""
    order = ("duplicate-finished", "duplicate-open", "duplicate-ended")
    for earlier in sorted(
        submission.board_facts.same, key=lambda earlier_request: order.index(_state(earlier_request))
    )[:1]:
        words = {"model": submission.name, "path": earlier.path, "status": earlier.status}
        yield REASONS[_state(earlier)].problem(**words).at(earlier.address)


def _copy(submission: Submission) -> Iterator[Problem]:
    for earlier in submission.board_facts.copies[:1]:
        yield REASONS["copy"].problem(model=submission.name, other=earlier.model, path=earlier.path).at(earlier.address)


def _details_taken(submission: Submission) -> Iterator[Problem]:
    if submission.board_facts.shares_details:
        yield REASONS["details-taken"].problem(model=submission.name)


def _quota(submission: Submission, code: str, account: str, count: int) -> Iterator[Problem]:
    quota = submission.policy.quota_of(account)
    if quota is not None and count >= quota:
        days = f"{submission.policy.quota_days:g}"
        yield REASONS[code].problem(who=account, count=count, days=days, quota=quota)


def _by_submitter(submission: Submission) -> Iterator[Problem]:
    yield from _quota(
        submission, "quota-submitter", submission.board_facts.submitter, submission.board_facts.by_submitter
    )


def _submitter_known(submission: Submission) -> bool:
    return bool(submission.board_facts.submitter)


def _by_organisation(submission: Submission) -> Iterator[Problem]:
    yield from _quota(
        submission, "quota-organisation", submission.request.path.org, submission.board_facts.by_organisation
    )


def _organisation_known(submission: Submission) -> bool:
    return bool(submission.request.path.org)


RULES = (
    AdmissionRule(
        "duplicate",
        "It was not submitted before",
        "One request per model, commit, precision, weight type and use of a chat template, whatever its result.",
        "FAQ: “models appearing several times with the same precision and hash commit, this is not normal”",
        _duplicate,
        is_readable,
    ),
    AdmissionRule(
        "copy",
        "It is no copy",
        "Weights with the same sha256 as those of another model on this leaderboard are not evaluated again.",
        "FAQ: “Please do not re-upload your model under a different name, it will not help”",
        _copy,
        is_readable,
    ),
    AdmissionRule(
        "details-name",
        "Its details get a dataset of their own",
        "Details of `a__b/c` and of `a/b__c` would be in one dataset: the model that comes second is refused.",
        "Steward: a dataset of details holds one model",
        _details_taken,
        is_readable,
    ),
    AdmissionRule(
        "quota-submitter",
        "The submitter's quota is not used up",
        "{policy.quota} models in {policy.quota_days:g} days for each person, whatever the organisation of the models. "
        "Refused submissions, and failures that were not the model's fault, do not count.",
        "Open LLM Leaderboard's form, check 4: 5 requests in 7 days",
        _by_submitter,
        _submitter_known,
    ),
    AdmissionRule(
        "quota-organisation",
        "The organisation's quota is not used up",
        "{policy.quota} models in {policy.quota_days:g} days for each organisation, from any submitter; some "
        "organisations have their own limits, and official providers have none.",
        "Open LLM Leaderboard's form, check 4: “already has N model requests submitted in the last 7 days”",
        _by_organisation,
        _organisation_known,
    ),
)
