"""Reads the results of the evaluation for every kind of rescoring, and makes the parts of the new results file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from leaderboard.results import parse_harness
from leaderboard.sample_checks import CheckedSamples
from leaderboard.scores import BadResults, ScoreErrors, Scores
from leaderboard.steward_block import BLOCK, RescoredFrom, StewardBlock, errors_in_block, scores_in_block
from leaderboard.suites import Suite
from workers.errors import RescoringRefused

RESCORED = "its scores were computed again from the stored answers"


@dataclass(frozen=True)
class RescoredEvaluation:
    """The results file of an evaluation with the scores of another suite. `answers` is the number of scored answers,
    `scored` the digest of what scored them; "" if the evaluation has no digests."""

    data: bytes
    answers: int
    scored: str
    timed_out: tuple[str, ...] = ()


def read_earlier(results: bytes) -> tuple[Mapping[str, Any], StewardBlock]:
    """The harness's fields and Steward's block of a results file. Raises RescoringRefused."""
    try:
        harness = parse_harness(results)
        return harness, StewardBlock.model_validate(harness.get(BLOCK))
    except BadResults as error:
        raise RescoringRefused(f"the results file is invalid: {error}") from error
    except ValidationError as error:
        raise RescoringRefused(
            "the results file has no valid block of Steward: its answers have another layout"
        ) from error


def origin_of(
    block: StewardBlock, source: str, at: str, versions: Mapping[str, str], timed_out: Sequence[str] = ()
) -> RescoredFrom:
    """The evaluation that gave the answers: the first one, if the scores of `source` were computed again already.

    `versions` are those of the packages that score the answers now.
    """
    first = block.rescored_from
    return RescoredFrom(
        results=first.results if first is not None else source,
        suite=first.suite if first is not None else block.suite,
        suite_digest=first.suite_digest if first is not None else block.suite_digest,
        at=at,
        versions=dict(versions),
        timed_out=tuple(timed_out[:2_000]),
    )


def rescored_block(
    block: StewardBlock, suite: Suite, scores: Scores, errors: ScoreErrors, **facts: object
) -> StewardBlock:
    """The block of the evaluation with other `scores`, by `suite`; `facts` are more members that scoring changes.

    The bot's comparison of the earlier scores with the samples is dropped; other workers' verdicts on the answers stay.
    """
    repeated = {**scores_in_block(scores), **errors_in_block(errors)}
    by_suite = {"suite": suite.name, "suite_digest": suite.digest}
    again = block.again
    checked = {"checked": CheckedSamples(samples=0, not_recomputed=RESCORED, again=again) if again else None}
    return StewardBlock.model_validate({**block.model_dump(), **repeated, **by_suite, **checked, **facts})
