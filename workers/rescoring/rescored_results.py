"""Makes the results file of a rescored evaluation from the evaluation's: all that follows from scoring is replaced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from lm_eval.evaluator_utils import _process_results
from lm_eval.utils import handle_non_serializable
from pydantic import ValidationError

from leaderboard.graded_answers import TaskAnswers
from leaderboard.result_digests import DigestParts, ResultDigests, ScoredParts, TaskDigests, combine
from leaderboard.results import dump
from leaderboard.scores import BadResults, score
from leaderboard.steward_block import RescoredFrom, StewardBlock, with_block
from leaderboard.suites import Suite
from leaderboard.uncertainty import standard_errors
from workers.errors import RescoringRefused
from workers.rescoring.earlier_results import rescored_block
from workers.rescoring.scoring_pool import TaskScores
from workers.rescoring.stored_tasks import ASKED

BOOTSTRAP_ITERATIONS = 100_000
"""The number with which the harness computes standard errors."""
PACKAGES = ("lm-eval", "math-verify", "sympy", "antlr4-python3-runtime", "langdetect", "nltk", "numpy")
"""The packages that compute scores."""


ScoredCode = Mapping[str, tuple[ScoredParts, dict[str, str], dict[str, str]]]
"""Task → the code that scores its answers here, as `scored_parts` returns it."""


def aggregate(loaded: Mapping[str, Any], scored: Mapping[str, TaskScores]) -> dict[str, Any]:
    """The harness's own aggregation of all tasks and groups, which it `loaded`. Raises RescoringRefused."""
    tasks = loaded["tasks"]
    if unscored := sorted(set(tasks) - set(scored)):
        raise RescoringRefused(f"the suite scores {unscored[0]}, of which there are no answers")
    collected = _process_results(
        {
            name: {"task": task, "raw_metrics": scored[name].metrics, "logged_samples": []}
            for name, task in tasks.items()
        },
        loaded["groups"],
        BOOTSTRAP_ITERATIONS,
    )._to_eval_results()
    plain: dict[str, Any] = json.loads(json.dumps(collected, default=handle_non_serializable))
    return plain


def results_file(
    suite: Suite,
    harness: Mapping[str, Any],
    block: StewardBlock,
    digests: ResultDigests | None,
    collected: Mapping[str, Any],
    graded: Mapping[str, TaskAnswers | None],
    origin: RescoredFrom,
) -> bytes:
    """The results file: the evaluation's, with all that follows from scoring replaced."""
    configs = {name: _with_metadata(config, harness["configs"][name]) for name, config in collected["configs"].items()}
    fields = {name: value for name, value in harness.items() if name != "groups"}
    try:
        scores = score(collected["results"], suite)
        errors = standard_errors(graded, scores, suite).normalised
        rescored = rescored_block(block, suite, scores, errors, digests=digests, rescored_from=origin)
        return dump(with_block({**fields, **collected, "configs": configs}, rescored))
    except (BadResults, ValidationError) as error:
        raise RescoringRefused(str(error)) from error


def _with_metadata(config: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """A task's configuration here, with the recorded fields about its model, questions and prompts."""
    now = {name: value for name, value in (config.get("metadata") or {}).items() if name != "config_source"}
    asked = {name: recorded[name] for name in (*ASKED, "dataset_kwargs") if name in recorded}
    return {**config, **asked, "metadata": {**(recorded.get("metadata") or {}), **now}}


def digests_here(recorded: ResultDigests | None, scored_code: ScoredCode, suite: Suite) -> ResultDigests | None:
    """The digests of the evaluation, with the code that scores its answers here; None if it has no digests."""
    if recorded is None:
        return None
    modules, packages = dict[str, str](), dict[str, str]()
    tasks = dict[str, TaskDigests]()
    for name, (scored, used, versions_used) in scored_code.items():
        modules |= used
        packages |= versions_used
        tasks[name] = recorded.tasks[name].model_copy(update={"scored": scored})
    parts = DigestParts(
        tasks=tasks,
        modules=dict(sorted(modules.items())),
        versions=dict(sorted(packages.items())),
        softmax_dtype=recorded.softmax_dtype,
    )
    return combine(parts, suite)


def versions() -> dict[str, str]:
    """The versions of the packages that compute scores, as far as they are installed."""
    return {name: version for name in PACKAGES if (version := _version(name))}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
