"""Rules about the request itself: its file, its path, and its choices."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.submission import AdmissionRule, Submission, always
from leaderboard.options import WEIGHT_TYPES
from leaderboard.reasons import Problem, Reason, choice, table

REASONS = table(
    (
        Reason(
            "private-differs",
            "The name of the file says that private is {path}, but the field in the file says {file}.",
            "Set both to the same value: False, unless the model is private.",
        ),
        Reason(
            "precision-unknown",
            "This leaderboard does not evaluate in the precision '{precision}'.",
            "Choose one of {known}.",
        ),
        Reason(
            "weights-unknown",
            "There is no weight type '{weight_type}'.",
            "Choose Original for a whole model, Delta for a weight difference to a base model, or Adapter for a PEFT "
            "adapter.",
        ),
        Reason(
            "revision-of-a-stranger",
            "The revision '{revision}' is a pull request to the model, which any user may open.",
            "Submit a branch, a tag or a commit of the model. Once the pull request is merged, that is 'main'.",
        ),
    )
)


def _file(submission: Submission) -> Iterator[Problem]:
    """Check the last possible error of a readable file; the parser reports all others."""
    file, path = submission.request.file, submission.request.path
    if "private" in file.model_fields_set and bool(file.private) != path.private:
        yield REASONS["private-differs"].problem(path=path.private, file=bool(file.private))


def _precision(submission: Submission) -> Iterator[Problem]:
    if submission.precision not in submission.board.precisions:
        yield REASONS["precision-unknown"].problem(
            precision=submission.precision, known=choice(submission.board.precisions)
        )


def _weight_type(submission: Submission) -> Iterator[Problem]:
    if submission.weight_type not in WEIGHT_TYPES:
        yield REASONS["weights-unknown"].problem(weight_type=submission.weight_type)


def _revision(submission: Submission) -> Iterator[Problem]:
    """Refuse revisions of pull requests, which the model's owner has not accepted."""
    if submission.revision.startswith("refs/"):
        yield REASONS["revision-of-a-stranger"].problem(revision=submission.revision)


RULES = (
    AdmissionRule(
        "request-file",
        "The request file can be read",
        "Its path is `{{org}}/{{model}}_eval_request_{{private}}_{{precision}}_{{weight type}}.json` (at the root for "
        "a model without an organisation), it holds a JSON object, and its fields agree with its path. Unknown fields "
        "are kept.",
        "What the Open LLM Leaderboard saw: outsiders' request files with wrong paths and made-up dates",
        _file,
        always,
    ),
    AdmissionRule(
        "precision",
        "The precision is supported",
        "One of {precisions}, in upper or lower case.",
        "Open LLM Leaderboard's form: its precisions",
        _precision,
        always,
    ),
    AdmissionRule(
        "weight-type",
        "The weight type exists",
        "Original, Delta or Adapter.",
        "Open LLM Leaderboard's form: its weight types",
        _weight_type,
        always,
    ),
    AdmissionRule(
        "revision",
        "The revision is the model's own",
        "A branch, a tag or a commit hash; not a pull request, which any user may open.",
        "FAQ, “Why do models appear several times”: evaluations run at a model commit that its users selected",
        _revision,
        always,
    ),
)
