"""Causes: an evaluator other than lm-eval cannot start, ends, or leaves what the contract does not allow."""

from __future__ import annotations

from leaderboard.causes.cause import LATER, ONCE, Cause
from leaderboard.evidence import raised

_CORRECTED = (
    "You don't need to do anything: the maintainers correct the evaluator, in which `steward evaluator check` shows "
    "the problem, and start the evaluation again."
)

ROWS = (
    Cause(
        "evaluator-missing",
        "us",
        "The evaluation machine cannot start this suite's evaluator: {detail}",
        "You don't need to do anything: the maintainers install it, and the evaluation is retried.",
        LATER,
        (raised("EvaluatorMissing"),),
    ),
    Cause(
        "evaluator-refused-model",
        "submission",
        "This suite's evaluator cannot evaluate the model: {detail}",
        "Change the model accordingly and submit the new commit, or ask the maintainers in the thread.",
        signs=(raised("ModelRefused"),),
    ),
    Cause(
        "evaluator-gave-up",
        "us",
        "This suite's evaluator could not do its work: {detail}",
        _CORRECTED,
        signs=(raised("EvaluatorGaveUp"),),
    ),
    Cause(
        "evaluator-ended",
        "unknown",
        "This suite's evaluator stopped with an error: {detail}",
        "You don't need to do anything for now: the evaluation is retried once. If you know what in the model may "
        "cause this, tell the maintainers in the thread; they have the log.",
        ONCE,
        (raised("EvaluatorEnded"),),
    ),
    Cause(
        "evaluator-left-nothing",
        "us",
        "This suite's evaluator ended without complete results: {detail}",
        _CORRECTED,
        signs=(raised("EvaluatorLeftNothing"),),
    ),
    Cause(
        "evaluator-files-invalid",
        "us",
        "This suite's evaluator left files that break its contract: {detail}",
        _CORRECTED,
        signs=(raised("EvaluatorFilesInvalid"),),
    ),
    Cause(
        "evaluator-contradiction",
        "us",
        "This suite's evaluator reported results that its own samples do not give: {detail}",
        _CORRECTED,
        signs=(raised("EvaluatorContradiction"),),
    ),
    Cause(
        "evaluator-other-run",
        "us",
        "This suite's evaluator reported results of another evaluation: {detail}",
        _CORRECTED,
        signs=(raised("EvaluatorOtherRun"),),
    ),
    Cause(
        "evaluator-errors",
        "unknown",
        "This suite's evaluator got no answer to too many questions: {detail}",
        "The maintainers have the log. If you know what in the model may cause this, tell them in the thread.",
        signs=(raised("EvaluatorErrors"),),
    ),
)
