"""Whether a model would be accepted, by the rules that a submission meets, without submitting it.

One room for the command in a thread, the API and the command line. The public is told no more than it may know: of a
private model, what it would be told of one that does not exist; of a gated one which rules it passes, and no details.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.core.context import BoardContext
from bot.model_facts import gather_submission
from leaderboard.admission import Outcome, Submission, Verdict, judge, unreadable
from leaderboard.admission.facts import ModelFacts
from leaderboard.options import DEFAULT_PRECISION
from leaderboard.privacy import access_on_hub
from leaderboard.requests import REASONS, Access, Problem, Request, RequestFile, RequestPath, Status, is_repo_name

GATED = "What exactly is wrong is not told in public, for not everybody may see the model."
"""In the place of what a rule says of a gated or private model."""


@dataclass(frozen=True)
class AdmissionCheckLine:
    """What one rule says: its name and title, and every reason where it failed."""

    rule: str
    title: str
    outcome: Outcome
    reasons: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class AdmissionCheck:
    """What would become of a submission. `lines` are those of the rules that the board goes by, in their order."""

    model: str
    verdict: Verdict
    lines: Sequence[AdmissionCheckLine]
    access: Access = "public"

    @property
    def accepted(self) -> bool:
        """Whether it would be evaluated."""
        return self.verdict.accepted


def check(
    context: BoardContext,
    model: str,
    *,
    revision: str = "main",
    precision: str = DEFAULT_PRECISION,
    weight_type: str = "Original",
    submitter: str = "",
    public: bool = True,
) -> AdmissionCheck:
    """Judge `model` as if `submitter` ("": nobody in particular) submitted it now. A dozen calls. Raises HubError.

    `public` says who reads the answer: everybody, or only the board's operator.
    """
    asked = as_request(model, revision=revision, precision=precision, weight_type=weight_type)
    if isinstance(asked, Problem):
        return _checked(model, unreadable([asked]))
    submission = gather_submission(context, asked, submitter)
    if not public:
        return _checked(model, judge(submission), access_on_hub(asked, submission.model))
    told = as_the_public_sees(context, submission)
    verdict, access = judge(told), access_on_hub(asked, told.model)
    return _checked(model, _without_details(verdict) if access == "gated" else verdict, access)


def as_request(model: str, *, revision: str, precision: str, weight_type: str) -> Request | Problem:
    """The request that a form would write; a problem where the model's name can be none on the Hub."""
    parts = model.split("/")
    if len(parts) > 2 or not all(map(is_repo_name, parts)):
        return REASONS["path-name"].problem(name=model)
    org, name = parts if len(parts) == 2 else ("", parts[0])
    path = RequestPath(org, name, private=False, precision=precision, weight_type=weight_type)
    file = RequestFile(
        model=model, status=Status.PENDING, revision=revision, precision=precision, weight_type=weight_type
    )
    return Request(path, file, "{}")


def as_the_public_sees(context: BoardContext, submission: Submission) -> Submission:
    """The submission, in which private models do not exist: nobody shall learn from us that they do.

    Neither from requests for them that it repeats, or whose weights it copies.
    """
    model, board_facts = _as_public_model(submission.model), submission.board_facts
    if model.base is not None:
        model = replace(model, base=_as_public_model(model.base))
    earlier = {one.path for one in (*board_facts.same, *board_facts.copies)}
    hidden = {one.path for one in context.index.find(sorted(earlier)) if one and one.standing.access == "private"}
    board_facts = replace(
        board_facts,
        same=tuple(one for one in board_facts.same if one.path not in hidden),
        copies=tuple(one for one in board_facts.copies if one.path not in hidden),
    )
    return replace(submission, model=model, board_facts=board_facts)


def _as_public_model(model: ModelFacts) -> ModelFacts:
    return ModelFacts("no-model") if model.is_private or model.availability == "private" else model


def verdict_in_public(context: BoardContext, submission: Submission) -> Verdict:
    """The verdict on a submission that was made in public, as it may be told there.

    A private model is none where the board takes none; where it does, as behind a gate, reasons are withheld.
    """
    access = access_on_hub(submission.request, submission.model)
    if access == "private" and submission.policy.private_models:
        return _without_details(judge(submission))
    verdict = judge(as_the_public_sees(context, submission))
    return _without_details(verdict) if access == "gated" else verdict


def _without_details(verdict: Verdict) -> Verdict:
    """The same without what only those may know who were let in, if we were."""
    if not any(one.rule.name == "model-readable" and one.outcome == "passed" for one in verdict.results):
        return verdict
    results = tuple(replace(one, reasons=_withheld(one.reasons)) for one in verdict.results)
    return replace(verdict, reasons=_withheld(verdict.reasons), results=results)


def _withheld(reasons: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(Problem(code=reason.code, message=GATED) for reason in reasons)


def _checked(model: str, verdict: Verdict, access: Access = "public") -> AdmissionCheck:
    lines = tuple(
        AdmissionCheckLine(one.rule.name, one.rule.title, one.outcome, one.reasons) for one in verdict.results
    )
    return AdmissionCheck(model, verdict, lines, access)
