"""Rules about the request itself: its file, its place, and what it asks for."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.submission import AdmissionRule, Submission, always
from leaderboard.reasons import Reason, choice, table
from leaderboard.requests import WEIGHT_TYPES, Problem

REASONS = table(
    (
        Reason(
            "private-differs",
            "The name of the file says that private is {path}, its field says {file}.",
            "Let both say the same: False, unless the model is private.",
        ),
        Reason(
            "precision-unknown",
            "This leaderboard does not evaluate in the precision '{precision}'.",
            "Choose one of {known}.",
        ),
        Reason(
            "weights-unknown",
            "There is no weight type '{weight_type}'.",
            "Choose Original for a whole model, Delta for what is added to a base model, or Adapter for one of PEFT.",
        ),
        Reason(
            "revision-of-a-stranger",
            "The revision '{revision}' is a pull request to the model, which anybody may open, not the model itself.",
            "Submit a branch, a tag or a commit of the model: once the pull request is merged, that is 'main'.",
        ),
    )
)


def _file(it: Submission) -> Iterator[Problem]:
    """What is left to say of a file that could be read: anything worse was told when it was."""
    file, path = it.request.file, it.request.path
    if "private" in file.model_fields_set and bool(file.private) != path.private:
        yield REASONS["private-differs"].problem(path=path.private, file=bool(file.private))


def _precision(it: Submission) -> Iterator[Problem]:
    if it.precision not in it.board.precisions:
        yield REASONS["precision-unknown"].problem(precision=it.precision, known=choice(it.board.precisions))


def _weight_type(it: Submission) -> Iterator[Problem]:
    if it.weight_type not in WEIGHT_TYPES:
        yield REASONS["weights-unknown"].problem(weight_type=it.weight_type)


def _revision(it: Submission) -> Iterator[Problem]:
    """A pull request's commits can be asked for by this name; nobody but its author stands behind them."""
    if it.revision.startswith("refs/"):
        yield REASONS["revision-of-a-stranger"].problem(revision=it.revision)


RULES = (
    AdmissionRule(
        "request-file",
        "The request file can be read",
        "It lies at `{{org}}/{{model}}_eval_request_{{private}}_{{precision}}_{{weight type}}.json` (at the root for a "
        "model without an organisation), holds a JSON object, and says in its fields what its path says. Fields that "
        "nobody knows are kept.",
        "What the Open LLM Leaderboard saw: outsiders' request files with wrong paths and made-up dates",
        _file,
        always,
    ),
    AdmissionRule(
        "precision",
        "The precision is one that is evaluated",
        "One of {precisions}.",
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
        "A branch, a tag or a commit hash; not a pull request, which is a stranger's.",
        "FAQ, “Why do models appear several times”: evaluations run at a model commit that its users selected",
        _revision,
        always,
    ),
)
