"""Rules about the model as the Hub knows it: that it is there, may be read, and may be shown."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.facts import Availability
from leaderboard.admission.submission import AdmissionRule, Submission, always, is_readable
from leaderboard.reasons import Problem, Reason, bounded, table

REASONS = table(
    (
        Reason(
            "model-not-found",
            "There is no model {model} on the Hub, or it is private and hidden from us.",
            "Look for typing errors in the name, and make sure that its page opens for somebody who is not logged in.",
        ),
        Reason(
            "revision-not-found",
            "The model {model} has no revision '{revision}'.",
            "Name a branch, a tag or a full commit hash of the model; 'main' is the usual one.",
        ),
        Reason(
            "model-gated",
            "The model {model} is gated, and our account has no access, so it cannot be downloaded.",
            "Open the gate, or grant access to the leaderboard's account, and submit it again.",
        ),
        Reason(
            "model-disabled",
            "The Hub has disabled the model {model}, so nobody can download it.",
            "The Hub's support can tell you why.",
        ),
        Reason(
            "commit-unknown",
            "The Hub does not say at which commit the revision '{revision}' of {model} is, so it could not be pinned.",
            "Submit it with the full commit hash as its revision.",
        ),
        Reason(
            "model-private",
            "The model {model} is private, and this leaderboard is for open models.",
            "Make the model public and submit it again.",
        ),
        Reason(
            "model-behind-a-gate",
            "The model {model} is gated. Our account may read it, but this leaderboard takes open models only.",
            "Open the gate and submit it again.",
        ),
        Reason(
            "model-renamed",
            "The model {model} is called '{id}' now.",
            "Submit it under that name. If it has scores here under the old one, ask for them to be renamed instead.",
        ),
        Reason(
            "opted-out",
            "The authors of {model} have asked that it is not submitted to this leaderboard.",
            "If you are one of them and have changed your mind, tell the maintainers in a discussion.",
        ),
        Reason(
            "flagged",
            "The model {model} is flagged: {why}.",
            "Plead its case in the discussion of that flag; it can be submitted once the flag is lifted.",
        ),
        Reason(
            "flagged-elsewhere",
            "The model {model} is '{other}' under another name, and that is flagged: {why}.",
            "A new name does not lift a flag. Plead its case in the discussion of that flag.",
        ),
    )
)
_REASON_CODES: dict[Availability, str] = {
    "no-model": "model-not-found",
    "no-revision": "revision-not-found",
    "gated": "model-gated",
    "disabled": "model-disabled",
}


def _readable(it: Submission) -> Iterator[Problem]:
    code = _REASON_CODES.get(it.model.availability)
    if code is None and it.model.availability == "found" and it.model.sha is None:
        code = "commit-unknown"
    if code is not None:
        yield REASONS[code].problem(model=it.name, revision=it.revision)


def _renamed(it: Submission) -> Iterator[Problem]:
    """The Hub redirects old names, so that what holds for a model, a flag or a score, would not hold under them."""
    if it.model.id and it.model.id != it.name:
        yield REASONS["model-renamed"].problem(model=it.name, id=it.model.id)


def _private(it: Submission) -> Iterator[Problem]:
    hidden = it.model.availability == "private"
    if hidden or (it.model.is_private and not it.policy.private_models):
        yield REASONS["model-private"].problem(model=it.name)


def _private_is_known(it: Submission) -> bool:
    return it.model.availability in ("found", "private")


def _gated(it: Submission) -> Iterator[Problem]:
    if it.model.is_gated and not it.policy.gated_models:
        yield REASONS["model-behind-a-gate"].problem(model=it.name)


def _opted_out(it: Submission) -> Iterator[Problem]:
    noted = it.board_facts.base_opted_out if it.base_name else it.board_facts.opted_out
    if noted or it.policy.has_opted_out(it.name):
        yield REASONS["opted-out"].problem(model=it.name)


def _flagged(it: Submission) -> Iterator[Problem]:
    for flag in it.board_facts.flags:
        same = flag.model.casefold() == it.name.casefold()
        reason = REASONS["flagged" if same else "flagged-elsewhere"]
        why = bounded(flag.status).rstrip(".") or "the reason is in its discussion"
        yield reason.problem(model=it.name, other=flag.model, why=why).at(flag.address)


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
        "Private models",
        "This leaderboard takes {private}.",
        "FAQ: “This is a leaderboard for Open models”",
        _private,
        _private_is_known,
        of_base=True,
    ),
    AdmissionRule(
        "gated",
        "Gated models",
        "Gated models are taken {gated}.",
        "Open LLM Leaderboard's form, check 9: a gated model passed the form and failed later, without a word",
        _gated,
        is_readable,
        of_base=True,
    ),
    AdmissionRule(
        "renamed",
        "The model goes by its present name",
        "A model that was renamed is submitted under its new name.",
        "FAQ: “I need to rename my model, how can I do that?”",
        _renamed,
        is_readable,
    ),
    AdmissionRule(
        "opt-out",
        "Its authors do not mind",
        "Models, and their base models, whose authors asked not to be here are not evaluated.",
        "Open LLM Leaderboard's form, check 5: “Model authors have requested that their model be not submitted”",
        _opted_out,
        always,
        of_base=True,
    ),
    AdmissionRule(
        "flagged",
        "It is not flagged",
        "A flagged model cannot come back: not under this name, an earlier one, or as a copy.",
        "FAQ: “What is this concept of flagging?”",
        _flagged,
        always,
    ),
)
