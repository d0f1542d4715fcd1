"""Rules about the model on the Hub: it must exist, be readable, and be allowed on the board."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.facts import Availability
from leaderboard.admission.submission import AdmissionRule, Submission, always, is_readable
from leaderboard.reasons import Problem, Reason, bounded, table

REASONS = table(
    (
        Reason(
            "model-not-found",
            "There is no model {model} on the Hub, or it is private.",
            "Check the name for typing errors, and check that the model's page opens when you are not logged in.",
        ),
        Reason(
            "revision-not-found",
            "The model {model} has no revision '{revision}'.",
            "Name a branch, a tag or a full commit hash of the model, usually 'main'.",
        ),
        Reason(
            "model-gated",
            "The model {model} is gated, and the leaderboard's account has no access to it.",
            "Remove the gate, or grant access to the leaderboard's account, and submit it again.",
        ),
        Reason(
            "model-disabled",
            "The Hub has disabled the model {model}, so it cannot be downloaded.",
            "Ask the Hub's support why.",
        ),
        Reason(
            "model-unreadable",
            "What the Hub says about the model {model} cannot be read: it is too large, or nested too deeply.",
            "Shorten the metadata at the top of README.md and config.json, remove files that are not part of the "
            "model, and submit it again.",
        ),
        Reason(
            "commit-unknown",
            "The Hub does not report the commit of the revision '{revision}' of {model}, so it cannot be pinned.",
            "Submit it with a full commit hash as its revision.",
        ),
        Reason(
            "model-private",
            "The model {model} is private, but this leaderboard accepts open models only.",
            "Make the model public and submit it again.",
        ),
        Reason(
            "model-behind-a-gate",
            "The model {model} is gated, but this leaderboard accepts open models only.",
            "Remove the gate and submit it again.",
        ),
        Reason(
            "model-renamed",
            "The model {model} is called '{id}' now.",
            "Submit it under that name. If it has scores here under the old name, write /rename {model} {id} in a "
            "discussion instead.",
        ),
        Reason(
            "opted-out",
            "The authors of {model} have asked that it not be evaluated on this leaderboard.",
            "If you are one of the authors and have changed your mind, tell the maintainers in a discussion.",
        ),
        Reason(
            "flagged",
            "The model {model} is flagged: {why}.",
            "Appeal in the discussion of the flag. You can submit the model once the flag is lifted.",
        ),
        Reason(
            "flagged-elsewhere",
            "The model {model} is the flagged model '{other}' under another name: {why}.",
            "A new name does not lift a flag. Appeal in the discussion of the flag.",
        ),
    )
)
_REASON_CODES: dict[Availability, str] = {
    "no-model": "model-not-found",
    "no-revision": "revision-not-found",
    "gated": "model-gated",
    "disabled": "model-disabled",
    "unreadable": "model-unreadable",
}


def _readable(submission: Submission) -> Iterator[Problem]:
    code = _REASON_CODES.get(submission.model.availability)
    if code is None and submission.model.availability == "found" and submission.model.sha is None:
        code = "commit-unknown"
    if code is not None:
        yield REASONS[code].problem(model=submission.name, revision=submission.revision)


def _renamed(submission: Submission) -> Iterator[Problem]:
    """Refuse an old name: the Hub redirects it, but flags and scores are stored under the present name."""
    if submission.model.id and submission.model.id != submission.name:
        yield REASONS["model-renamed"].problem(model=submission.name, id=submission.model.id)


def _private(submission: Submission) -> Iterator[Problem]:
    hidden = submission.model.availability == "private"
    if hidden or (submission.model.is_private and not submission.policy.private_models):
        yield REASONS["model-private"].problem(model=submission.name)


def _private_is_known(submission: Submission) -> bool:
    return submission.model.availability in ("found", "private")


def _gated(submission: Submission) -> Iterator[Problem]:
    if submission.model.is_gated and not submission.policy.gated_models:
        yield REASONS["model-behind-a-gate"].problem(model=submission.name)


def _opted_out(submission: Submission) -> Iterator[Problem]:
    has_opted_out = submission.board_facts.base_opted_out if submission.base_name else submission.board_facts.opted_out
    if has_opted_out or submission.policy.has_opted_out(submission.name):
        yield REASONS["opted-out"].problem(model=submission.name)


def _flagged(submission: Submission) -> Iterator[Problem]:
    for flag in submission.board_facts.flags:
        same = flag.model.casefold() == submission.name.casefold()
        reason = REASONS["flagged" if same else "flagged-elsewhere"]
        why = bounded(flag.status).rstrip(".") or "see its discussion for the reason"
        yield reason.problem(model=submission.name, other=flag.model, why=why).at(flag.address)


RULES = (
    AdmissionRule(
        "model-readable",
        "The model can be read",
        "The model and the revision exist on the Hub, and the leaderboard's account may download them.",
        "Open LLM Leaderboard's form, check 6; FAQ: “what causes an evaluation failure”",
        _readable,
        always,
        of_base=True,
    ),
    AdmissionRule(
        "private",
        "It is public, or this leaderboard takes private models",
        "This leaderboard accepts {private}.",
        "FAQ: “This is a leaderboard for Open models”",
        _private,
        _private_is_known,
        of_base=True,
    ),
    AdmissionRule(
        "gated",
        "It is not gated, or this leaderboard takes gated models",
        "Gated models are {gated}.",
        "Open LLM Leaderboard's form, check 9: a gated model passed the form and failed later, without a word",
        _gated,
        is_readable,
        of_base=True,
    ),
    AdmissionRule(
        "renamed",
        "The request uses the model's present name",
        "A model that was renamed is submitted under its new name.",
        "FAQ: “I need to rename my model, how can I do that?”",
        _renamed,
        is_readable,
    ),
    AdmissionRule(
        "opt-out",
        "Its authors have not opted out",
        "Models are not evaluated if their authors, or the authors of their base model, opted out.",
        "Open LLM Leaderboard's form, check 5: “Model authors have requested that their model be not submitted”",
        _opted_out,
        always,
        of_base=True,
    ),
    AdmissionRule(
        "flagged",
        "It is not flagged",
        "A flagged model is refused under its name, its earlier names and as a copy.",
        "FAQ: “What is this concept of flagging?”",
        _flagged,
        always,
    ),
)
