"""The results file of predictions: rounded scores of the public part of the questions, in the harness's own shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.core.context import BoardContext
from bot.predictions.answers import load_answers, rules_of
from leaderboard.prediction_metrics import Value
from leaderboard.prediction_scores import part_results, public_errors
from leaderboard.predictions import PREDICTIONS
from leaderboard.requests import Request
from leaderboard.results import dump, file_time
from leaderboard.scores import score
from leaderboard.seasons import BLOCK, SubmittedPredictions
from leaderboard.steward_block import StewardBlock, errors_in_block, scores_in_block, with_block
from leaderboard.times import write_time


@dataclass(frozen=True)
class PredictionAttempt:
    """The facts about one scoring of predictions: `commit` of the requests repo has the file, `started` in seconds."""

    id: str
    file: str
    commit: str
    started: float
    submitter: str
    season: str


def results_of_predictions(
    context: BoardContext, request: Request, attempt: PredictionAttempt, by_id: Mapping[str, Value]
) -> tuple[str, bytes]:
    """Path and bytes of the results file. The same attempt has the same bytes. Raises AnswersUnusable and HubError."""
    suite, rules, key = context.suite, rules_of(context), load_answers(context)
    results = part_results(by_id, key, suite, rules, "public")
    scores = score(results, suite)
    submitted = SubmittedPredictions(
        file=attempt.file,
        commit=attempt.commit,
        questions=len(key.by_id),
        submitter=attempt.submitter,
        season=attempt.season,
        rounded_to=rules.rounding,
    )
    time = write_time(attempt.started)
    block = StewardBlock(
        attempt=attempt.id,
        request=str(request.path),
        model=request.path.model,
        revision=attempt.commit,
        precision=PREDICTIONS,
        suite=suite.name,
        suite_digest=suite.digest,
        started=time,
        ended=time,
        **scores_in_block(scores),
        **errors_in_block(public_errors(scores, key, suite)),
    )
    config = {  # front ends read these fields of the harness
        "model_name": request.path.model,
        "model_args": "",
        "model_dtype": PREDICTIONS,
        "model_sha": attempt.commit,
    }
    data = dump(with_block({"results": results, BLOCK: submitted.model_dump(mode="json"), "config": config}, block))
    return f"{request.path.model}/results_{file_time(attempt.started)}.json", data
