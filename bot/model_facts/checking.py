"""Checks of a possible submission: the request that it would be, its facts, and the verdict that the public may see.

A public answer reveals nothing secret: a private model looks like one that does not exist, and the answer about a gated
model names the rules that pass or fail without details.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.core.context import BoardContext
from bot.model_facts.board_facts import at_evaluated_commit, gather_board_facts
from bot.model_facts.model import gather_model_facts
from leaderboard.admission.facts import ModelFacts
from leaderboard.admission.rules import Verdict, judge, unreadable
from leaderboard.admission.submission import Submission
from leaderboard.options import precision_named, weight_type_named
from leaderboard.prediction_reasons import REASONS as PREDICTION_REASONS
from leaderboard.prediction_submissions import models_problem
from leaderboard.predictions import PREDICTIONS, predictions_place
from leaderboard.privacy import access_on_hub
from leaderboard.reasons import Problem
from leaderboard.request_paths import RequestPath, is_repo_name
from leaderboard.requests import MAX_OPTION, REASONS, Request, RequestFile, Status

GATED = "I do not show details here, since not everybody can see this model."
"""The text that replaces the reasons of a rule for a gated or private model."""


def as_request(
    model: str,
    *,
    revision: str,
    precision: str,
    weight_type: str,
    base_model: str = "",
    model_type: str = "",
    use_chat_template: bool = False,
) -> Request | Problem:
    """The request that a front end would write; a problem where `model` cannot be a name on the Hub, or an option is
    longer than a request file can hold."""
    parts = model.split("/")
    if len(parts) > 2 or not all(map(is_repo_name, parts)):
        return REASONS["path-name"].problem(name=model)
    for field, word in (("precision", precision), ("weight_type", weight_type)):
        if len(word) > MAX_OPTION:
            return REASONS["field"].problem(name=field, wrong="is too long")
    org, name = parts if len(parts) == 2 else ("", parts[0])
    precision, weight_type = precision_named(precision), weight_type_named(weight_type)
    if precision.lower() == PREDICTIONS:
        return by_file()
    path = RequestPath(org, name, private=False, precision=precision, weight_type=weight_type)
    file = RequestFile(
        model=model,
        status=Status.PENDING,
        base_model=base_model,
        revision=revision,
        precision=precision,
        weight_type=weight_type,
        model_type=model_type or None,
        use_chat_template=use_chat_template,
    )
    return Request(path, file, "{}")


def by_file() -> Problem:
    """The problem of a command that submits predictions, which a board takes only as files."""
    return PREDICTION_REASONS["predictions-by-file"].problem(places=predictions_place("{account}/{name}"))


def gather_submission(context: BoardContext, request: Request, submitter: str, *, revision: str = "") -> Submission:
    """The facts about `request` by `submitter` ("": unknown). It writes nothing.

    `revision` is the commit that is pinned for the request, if any. Raises HubError where the Hub does not answer.
    """
    facts = facts_of(context, request, revision=revision)
    if not revision:
        facts = at_evaluated_commit(context, request, facts)
    return Submission(request, facts, context.board, gather_board_facts(context, request, facts, submitter))


def facts_of(context: BoardContext, request: Request, *, revision: str = "") -> ModelFacts:
    """The facts about the model of `request`, at its pinned `revision` if there is one. Raises HubError."""
    return gather_model_facts(
        context.hub,
        context.probe,
        request.path.model,
        revision or (request.file.revision or "").strip() or "main",
        weight_type=request.path.weight_type,
        base_model=request.file.base_model or "",
        read_private=context.board.admission.private_models,
    )


def judge_on(context: BoardContext, submission: Submission) -> Verdict:
    """The verdict of the rules; a board that takes predictions and no models gives that reason alone."""
    problem = models_problem(context.board.precisions, takes_predictions=context.suite.predictions is not None)
    if problem is None:
        return judge(submission)
    return unreadable([problem.at(f"{context.pages_url}/{PREDICTIONS}" if context.pages_url else "")])


def without_private_models(context: BoardContext, submission: Submission) -> Submission:
    """The submission as if private models did not exist, so that the answer does not reveal them.

    It also loses requests for private models that it repeats or whose weights it copies.
    """
    model, board_facts = _as_public_model(submission.model), submission.board_facts
    if model.base is not None:
        model = replace(model, base=_as_public_model(model.base))
    paths = {earlier.path for earlier in (*board_facts.same, *board_facts.copies)}
    entries = context.index.find(sorted(paths))
    hidden = {entry.path for entry in entries if entry and entry.standing.access == "private"}
    board_facts = replace(
        board_facts,
        same=tuple(earlier for earlier in board_facts.same if earlier.path not in hidden),
        copies=tuple(earlier for earlier in board_facts.copies if earlier.path not in hidden),
    )
    return replace(submission, model=model, board_facts=board_facts)


def _as_public_model(model: ModelFacts) -> ModelFacts:
    return ModelFacts("no-model") if model.is_private or model.availability == "private" else model


def verdict_in_public(context: BoardContext, submission: Submission) -> Verdict:
    """The verdict on a public submission, in a form that everybody can read.

    A private model counts as missing on a board without private models; on one with them, and for a gated model, the
    reasons are withheld.
    """
    access = access_on_hub(submission.request, submission.model)
    if access == "private" and submission.policy.private_models:
        return without_details(judge_on(context, submission))
    verdict = judge_on(context, without_private_models(context, submission))
    return without_details(verdict) if access == "gated" else verdict


def without_details(verdict: Verdict) -> Verdict:
    """The verdict without details, where the bot has access to the files; else it has no details to withhold."""
    if not any(result.rule.name == "model-readable" and result.outcome == "passed" for result in verdict.results):
        return verdict
    results = tuple(replace(result, reasons=_withheld(result.reasons)) for result in verdict.results)
    return replace(verdict, reasons=_withheld(verdict.reasons), results=results)


def _withheld(reasons: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(Problem(code=reason.code, message=GATED) for reason in reasons)
